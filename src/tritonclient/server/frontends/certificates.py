"""Loading of a server's certificate files, whose own errors do not name them."""

from __future__ import annotations

import ssl
from os import PathLike

from ...pem_files import check_files, load_chain, naming

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
    check_files({"certfile": certfile, "keyfile": keyfile, "client_ca_file": client_ca_file})
    if certfile is None or keyfile is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    files = f"certfile {str(certfile)!r} with keyfile {str(keyfile)!r}"
    load_chain(context, files, certfile, keyfile)
    if client_ca_file is not None:
        with naming(f"client_ca_file {str(client_ca_file)!r}", client_ca_file):
            context.load_verify_locations(client_ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
