"""Protocols that a TLS context offers (ALPN, RFC 7301), which Python has no way to read."""

from __future__ import annotations

import ssl
from contextlib import suppress

_EXTENSION = 16
#: Of a ClientHello before its session id: heads of record and message, version, random bytes.
_FIXED_SIZE = 5 + 4 + 2 + 32


def check_announced(context: ssl.SSLContext, alpn: str, host: str) -> None:
    """Raise unless a caller's context lets a server choose the protocol that a client speaks.

    Args:
        alpn: that protocol: "h2" for gRPC, otherwise HTTP/1.1.
        host: the server's name, which some contexts insist on.

    Raises:
        TypeError: it is none.
        ValueError: it does not, or is no context for clients.
    """
    if not isinstance(context, ssl.SSLContext):
        raise TypeError(f"the context of tls is {type(context).__name__}, not an ssl.SSLContext")
    try:
        names = announced(context, host)
    except (ssl.SSLError, ValueError) as error:
        raise ValueError(f"the context of tls is none for clients: {error}") from error
    if alpn == "h2" and "h2" not in names:
        raise ValueError(
            "the context of tls does not announce HTTP/2, which gRPC needs; call "
            'context.set_alpn_protocols(["h2"]) on a context that only gRPC clients use'
        )
    if alpn != "h2" and "h2" in names:
        raise ValueError(
            "the context of tls announces h2, so that servers would answer with HTTP/2; give "
            "HTTP clients another context than gRPC clients"
        )


def announced(context: ssl.SSLContext, host: str) -> list[str]:
    """Return the names that a context announces, read from the beginning of a handshake.

    The context stays as it is, and nothing is sent.
    """
    outgoing = ssl.MemoryBIO()
    handshake = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=host)
    with suppress(ssl.SSLWantReadError):  # once it has written its ClientHello
        handshake.do_handshake()
    return _names(outgoing.read())


def _names(hello: bytes) -> list[str]:
    """Return the names of a ClientHello's ALPN extension (RFC 8446, section 4.1.2)."""
    position = _FIXED_SIZE
    for size in (1, 2, 1):  # session id, cipher suites, compression methods
        position += size + int.from_bytes(hello[position : position + size], "big")
    position += 2  # the length of all extensions
    while position < len(hello):
        kind = int.from_bytes(hello[position : position + 2], "big")
        end = position + 4 + int.from_bytes(hello[position + 2 : position + 4], "big")
        if kind == _EXTENSION:
            names = []
            position += 6  # behind the length of the list
            while position < end:
                size = hello[position]
                names.append(hello[position + 1 : position + 1 + size].decode("latin-1"))
                position += 1 + size
            return names
        position = end
    return []
