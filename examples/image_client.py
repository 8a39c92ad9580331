"""Classifies image files; the same as the command `image_client`, which is installed."""

import sys

from tritonclient.cli.image_client import main

if __name__ == "__main__":
    sys.exit(main())
