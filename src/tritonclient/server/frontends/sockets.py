"""Listening sockets of both frontends."""

from __future__ import annotations

import os
import socket


def listen(host: str, port: int) -> socket.socket:
    """A socket that is bound but does not listen yet.

    Raises:
        OSError: the address is taken, or not one of this machine's; the message names it.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only for sockets that say that they are TCP; with it,
    # an answer's body would wait 40 ms for the acknowledgement of its head.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere it lets two servers share one port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        raise OSError(error.errno, f"can't listen at {where}: {error.strerror}") from error
    except BaseException:
        listening.close()
        raise
    return listening
