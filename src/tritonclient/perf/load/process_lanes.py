"""Places for requests to a server in the same process, which answers from threads of its own."""

from __future__ import annotations

import contextlib
import socket
import types
from collections.abc import Sequence
from typing import Any

from .connection import Failure, Target
from .lanes import Flight, Lane

_server: Any = None


def use_server(server: Any) -> None:
    """Send the requests of this process to this `services.c_api_library.Server`."""
    global _server
    _server = server


class ProcessLane(Lane):
    """A place for one request at a time. The server's threads wake the loop by a socket."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._theirs: socket.socket | None = None
        self._over = False

    @property
    def usable(self) -> bool:
        """True if it has been opened."""
        return self.stream is not None

    def connect(self) -> None:
        """Make the socket by which the loop is woken."""
        self.close()
        ours, self._theirs = socket.socketpair()
        ours.setblocking(False)
        stream: Any = types.SimpleNamespace(sock=ours, close=ours.close)
        self.stream = stream
        self.fd = ours.fileno()
        self.changed(self)

    def close(self) -> None:
        """Forget the request, if there is one; the server still answers it."""
        super().close()
        if self._theirs is not None:
            self._theirs.close()
            self._theirs = None

    def begin(self, flight: Flight) -> None:
        """Send a request."""
        if self.stream is None:
            self.connect()
        flight.responses = []
        self.flights = [flight]
        self._over = False
        theirs = self._theirs

        def responded(message: bytes | None, error: str, final: bool) -> None:
            if theirs is not self._theirs or theirs is None:
                return  # given up meanwhile
            now = self.clock()
            if error:
                flight.failure = Failure("server error", error)
            elif message is not None:
                flight.response_count += 1
                flight.end = now
                flight.responses.append((now, message if self.collect else None))
            if final:
                self._over = True
                with contextlib.suppress(OSError):
                    theirs.send(b"!")

        _server.send(flight.wire.request, responded)

    def _read(self) -> None:
        assert self.stream is not None
        self.stream.sock.recv(16)

    def _finished(self) -> Sequence[Flight]:
        if not self._over or not self.flights:
            return ()
        ended, self.flights = self.flights, []
        self._over = False
        flight = ended[0]
        if flight.responses:
            flight.answer = flight.responses[0][1]
        if not self.collect:
            flight.responses = []
        return ended
