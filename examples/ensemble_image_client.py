"""Lets an ensemble read and classify image files; the same as the command of this name."""

import sys

from tritonclient.cli.ensemble_image_client import main

if __name__ == "__main__":
    sys.exit(main())
