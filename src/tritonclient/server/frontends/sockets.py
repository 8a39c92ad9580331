"""Listening sockets of both frontends."""

from __future__ import annotations

import os
import socket
import weakref
from contextlib import suppress
from typing import Any


class ListeningSocket(socket.socket):
    """A socket that knows the connections it accepted.

    An event loop tells nobody of a connection whose TLS handshake is not over.
    """

    __slots__ = ("_accepted", "_stopped")

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._stopped = False
        self._accepted: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept a connection; none after `stop_accepting`, as if nobody connected."""
        if self._stopped:
            raise BlockingIOError
        connection, address = super().accept()
        self._accepted.add(connection)
        return connection, address

    def stop_accepting(self) -> None:
        """Let accepted connections reach the event loop before its server closes.

        One that comes later is dropped by asyncio without being closed.
        """
        self._stopped = True

    def shut_down_accepted(self) -> None:
        """Shut down the connections that are still open, which ends them on their event loop."""
        for connection in [*self._accepted]:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def listen(host: str, port: int, *, shared: bool = False) -> ListeningSocket:
    """Return a socket that is bound but does not listen yet.

    Args:
        shared: that other sockets for which this is True may have the same port.

    Raises:
        OSError: the address is in use, or does not belong to this host; the message names it.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only on sockets with protocol IPPROTO_TCP. Without it, the body of a
    # response would wait 40 ms for the acknowledgement of its headers.
    listening = ListeningSocket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
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
