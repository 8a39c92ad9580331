"""Optional packages: what each extra installs, and the error for a missing package."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager

#: The packages of each extra, as `pip install` takes them. Error messages name these rather than
#: the extra: `pip install 'tritonclient[grpc]'` may find another distribution of this name on an
#: index and replace this one. A test compares the table with pyproject.toml.
PACKAGES = {
    "grpc": ("hpack", "protobuf"),
    "grpcio": ("grpcio", "hpack", "protobuf"),
    "server": ("hpack", "httptools", "onnxruntime", "protobuf", "uvicorn"),
    "images": ("pillow",),
    "cli": ("rich", "shtab"),
    "perf": ("hpack", "protobuf", "rich"),
    "bulk": ("pyarrow", "rich"),
    "ray": ("pyarrow", "ray[data]", "rich"),
}


def install_command(extra: str) -> str:
    """Return the command that installs the packages of an extra."""
    return shlex.join(["pip", "install", *PACKAGES[extra]])


@contextmanager
def optional_import(package: str, what: str, extra: str) -> Iterator[None]:
    """Import an optional package in the body; a missing one raises an error with the cure.

    Args:
        package: the name of the package, for the message.
        what: what needs the package.
        extra: the extra that includes it.

    Raises:
        ImportError: the package can't be imported.
    """
    try:
        yield
    except ImportError as error:
        raise ImportError(
            f"{what} needs {package} ({error}): {install_command(extra)}", name=error.name
        ) from error
