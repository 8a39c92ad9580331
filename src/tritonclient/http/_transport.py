"""The transport of the blocking classic client, which words a late response as sockets do."""

from __future__ import annotations

from time import monotonic
from typing import TypeVar

from ..call_log import record_end
from ..errors import DeadlineExceeded, InferenceServerException
from ..transport.blocking import transport
from ..transport.call import Call
from ._calls import outcome_of, say_timed_out

T = TypeVar("T")


class Transport(transport.Transport):
    """Sends requests; see the class of this name that it extends."""

    def send(self, call: Call[T], timeout: float | None = None) -> T:
        """Send a prepared request and return its response; write the call's record."""
        started = monotonic()
        try:
            response = super().send(call, timeout)
        except InferenceServerException as error:
            if isinstance(error, DeadlineExceeded):
                say_timed_out(error)
            record_end(self._url, call.request, started, error)
            raise
        record_end(self._url, call.request, started, outcome_of(response))
        return response
