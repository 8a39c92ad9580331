"""The transport of the blocking classic client, which words a late answer as sockets do."""

from __future__ import annotations

from typing import TypeVar

from ..errors import DeadlineExceeded
from ..transport.blocking import transport
from ..transport.call import Call
from ._calls import say_timed_out

T = TypeVar("T")


class Transport(transport.Transport):
    """Sends requests; see the class of this name that it extends."""

    def send(self, call: Call[T], timeout: float | None = None) -> T:
        """Send a prepared request and return its answer."""
        try:
            return super().send(call, timeout)
        except DeadlineExceeded as error:
            say_timed_out(error)
            raise
