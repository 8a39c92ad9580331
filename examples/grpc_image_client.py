"""Classifies image files over the generated gRPC API; the same as the command of this name."""

import sys

from tritonclient.cli.grpc_image_client import main

if __name__ == "__main__":
    sys.exit(main())
