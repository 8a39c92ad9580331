"""PEM files of certificates and keys: errors name the file and what is expected in it."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TypeAlias

File: TypeAlias = "str | bytes | PathLike[str]"
#: More than any chain of certificates has, in bytes.
_LARGEST = 1 << 20


def check_files(files: Mapping[str, File | None], owner: str = "") -> None:
    """Raise for a file that is missing; the errors of `ssl` do not name it.

    Args:
        files: by the names of their arguments; None for those that are not given.
        owner: what has these arguments, such as " of TLS".

    Raises:
        FileNotFoundError: one is missing.
    """
    for name, file in files.items():
        if file is not None and not Path(os.fsdecode(file)).is_file():
            raise FileNotFoundError(f"{name} {os.fsdecode(file)!r}{owner} is not a file")


@contextmanager
def naming(files: str, certificates: File | None, key: File | None = None) -> Iterator[None]:
    """Let an `ssl.SSLError` of loading files say which they are, and what is wrong with them.

    Args:
        files: how the error names them.
        certificates: the file of certificates; None for those of the system.
        key: the file of the private key, if one is loaded.
    """
    try:
        yield
    except ssl.SSLError as error:
        hint = _hint(error, certificates, key)
        error.strerror = f"{files} is not right: {error.strerror}{hint}"
        raise


def load_chain(
    context: ssl.SSLContext,
    files: str,
    certificates: File,
    key: File | None = None,
    password: str | None = None,
) -> None:
    """Load a certificate with its chain and key; see `naming` for the arguments.

    Args:
        key: the file of the private key; None if `certificates` holds it.
        password: of the key. Without one, a key that is encrypted is refused: OpenSSL would wait
            for one at the terminal.

    Raises:
        ssl.SSLError: a file is not what it should be.
    """
    with naming(files, certificates, key or certificates):
        context.load_cert_chain(certificates, key, password or (lambda: ""))


def _hint(error: ssl.SSLError, certificates: File | None, key: File | None) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return "; the key is not the one of this certificate"
    if certificates is not None and "CERTIFICATE-----" not in _begin(certificates):
        return "; expected PEM certificates, which begin with -----BEGIN CERTIFICATE-----"
    if key is None:
        return ""
    text = _begin(key)
    if "PRIVATE KEY-----" not in text:
        return "; expected also a PEM key, which begins with -----BEGIN PRIVATE KEY-----"
    if "ENCRYPTED" in text:
        return "; the key is encrypted, and its password is missing or wrong"
    return ""


def _begin(file: File) -> str:
    with Path(os.fsdecode(file)).open("rb") as opened:
        return opened.read(_LARGEST).decode("ascii", "replace")
