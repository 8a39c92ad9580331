"""Listening sockets of both frontends."""

from __future__ import annotations

import os
import socket


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Return a socket that is bound but does not listen yet.

    Args:
        shared: that other sockets for which this is True may have the same port.

    Raises:
        OSError: the address is in use, or does not belong to this host; the message names it.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only on sockets with protocol IPPROTO_TCP. Without it, the body of a
    # response would wait 40 ms for the acknowledgement of its headers.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # on Windows it would let two servers share a port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        raise OSError(error.errno, f"can't listen at {where}: {error.strerror}") from error
    except BaseException:
        listening.close()
        raise
    return listening
