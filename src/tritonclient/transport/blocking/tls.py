"""TLS on a non-blocking socket; asyncio has its own."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Any, TypeVar

from ...datatypes import Buffer
from ...errors import DeadlineExceeded
from ..errors import insecure
from ..polling import IN, OUT
from .sockets import Stream, wait

T = TypeVar("T")


class TlsStream(Stream):
    """A TLS connection. What it waits for depends on the protocol, so it says so itself."""

    sock: ssl.SSLSocket

    def __init__(self, sock: ssl.SSLSocket) -> None:
        super().__init__(sock)
        self._wants = IN
        has_input = self.has_input
        # It may only be a session ticket, which is no data.
        self.has_input = lambda: sock.pending() > 0 or has_input()

    def _attempt(self, operation: Callable[..., T], *arguments: Any) -> T:
        try:
            return operation(*arguments)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
            self._wants = OUT if isinstance(error, ssl.SSLWantWriteError) else IN
            raise BlockingIOError from None

    def handshake(self, deadline: float) -> None:
        """Secure the connection."""
        while True:
            try:
                return self._attempt(self.sock.do_handshake)
            except BlockingIOError:
                wait(self._poll, self._wants, deadline)

    def send_some(self, buffers: list[Buffer]) -> int:
        return self._attempt(self.sock.send, buffers[0])

    def receive_now(self, buffer: memoryview) -> int:
        return self._attempt(self.sock.recv_into, buffer)

    def wait(self, events: int, deadline: float) -> int:
        if events & IN and self.sock.pending():
            return IN  # what is decrypted already, poll() does not see
        return self._wait(events & IN | self._wants, deadline)


def handshake(
    sock: socket.socket, context: ssl.SSLContext, name: str, deadline: float
) -> TlsStream:
    """Secure a connected socket, which is closed when that fails.

    Raises:
        ConnectionFailed: the server is not to be trusted, does not trust us, or speaks no TLS.
        DeadlineExceeded: it took too long.
    """
    try:
        # An end without TLS's close_notify may be an attacker's; it is not taken for the server's.
        secured = context.wrap_socket(
            sock,
            server_hostname=name,
            do_handshake_on_connect=False,
            suppress_ragged_eofs=False,
        )
    except (OSError, ValueError) as error:
        sock.close()
        raise insecure(error) from error
    stream = TlsStream(secured)
    try:
        stream.handshake(deadline)
    except BaseException as error:
        stream.close()
        if isinstance(error, (OSError, ValueError)) and not isinstance(error, DeadlineExceeded):
            raise insecure(error) from error
        raise
    return stream
