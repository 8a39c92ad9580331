"""Builds the descriptor set that the package loads, from the files in proto/.

    python scripts/build_protos.py            write src/tritonclient/codec/messages.desc
    python scripts/build_protos.py --check    fail when that file is not what proto/ gives

Needs protoc, which `pip install grpcio-tools` brings; use an environment of its own for it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
TARGET = ROOT / "src" / "tritonclient" / "codec" / "messages.desc"


def build() -> bytes:
    """The descriptor set of all files in proto/, without comments and source positions."""
    try:
        from grpc_tools import protoc  # pyright: ignore[reportMissingImports]
    except ImportError:
        sys.exit("protoc is missing: pip install grpcio-tools")
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "messages.desc")
        files = sorted(path.name for path in PROTO.glob("*.proto"))
        arguments = [f"-I{PROTO}", f"--descriptor_set_out={target}", *files]
        if protoc.main(["protoc", *arguments]) != 0:
            sys.exit("protoc failed")
        return target.read_bytes()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args().check
    data = build()
    if not check:
        TARGET.write_bytes(data)
    elif not TARGET.exists() or TARGET.read_bytes() != data:
        sys.exit(f"{TARGET.relative_to(ROOT)} is out of date: run scripts/build_protos.py")


if __name__ == "__main__":
    main()
