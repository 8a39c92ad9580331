"""Loading of a server's certificate files, whose own errors do not name them."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

#: A file of certificates or of a key, in PEM form.
File = str | PathLike[str] | None


def load_certificate(
    certfile: File, keyfile: File, client_ca_file: File = None
) -> ssl.SSLContext | None:
    """Load the files of a server's certificate; return its context, None if there is none.

    With `client_ca_file`, clients must have certificates.

    Raises:
        FileNotFoundError: one is missing.
        ssl.SSLError: one is not what it should be.
    """
    given = {"certfile": certfile, "keyfile": keyfile, "client_ca_file": client_ca_file}
    for name, file in given.items():
        if file is not None and not Path(file).is_file():
            raise FileNotFoundError(f"{name} {str(file)!r} is not a file")
    if certfile is None or keyfile is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with _named(f"certfile {str(certfile)!r} with keyfile {str(keyfile)!r}"):
        context.load_cert_chain(certfile, keyfile)
    if client_ca_file is not None:
        with _named(f"client_ca_file {str(client_ca_file)!r}"):
            context.load_verify_locations(client_ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@contextmanager
def _named(files: str) -> Iterator[None]:
    try:
        yield
    except ssl.SSLError as error:
        error.strerror = f"{files} is not right: {error.strerror}"
        raise
