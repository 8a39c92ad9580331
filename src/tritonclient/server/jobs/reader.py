"""`ResponseReader`: a bounded queue between a model and the reader of its responses."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator

from .job import Job
from .response import CancelFlag, Response, ResponseSink

#: Responses that wait for a slow reader before the model has to wait.
LIMIT = 16
#: Seconds between checks of the cancel flag: setting it does not notify the condition.
_POLL_INTERVAL = 0.05


class _ResponseQueue:
    """A bounded queue of responses that a cancel flag ends."""

    def __init__(self, cancelled: CancelFlag, arrived: Callable[[], None]) -> None:
        self._cancelled = cancelled
        self._arrived = arrived
        self._waiting: deque[Response] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def put(self, response: Response) -> None:
        """Add a response; block until there is room, or until the queue is closed or cancelled."""
        with self._changed:
            while len(self._waiting) >= LIMIT and not self._is_over():
                self._changed.wait(_POLL_INTERVAL)
            self._waiting.append(response)
            self._changed.notify_all()
        self._arrived()

    def get(self) -> Response | None:
        """Return the next response; block until there is one. None if cancelled or closed."""
        with self._changed:
            while not self._waiting:
                if self._is_over():
                    return None
                self._changed.wait(_POLL_INTERVAL)
            self._changed.notify_all()
            return self._waiting.popleft()

    def is_empty(self) -> bool:
        """Return True if `get` would block."""
        return not self._waiting and not self._is_over()

    def _is_over(self) -> bool:
        return self._closed or self._cancelled.is_set()

    def close(self) -> None:
        """Let `put` and `get` return at once from now on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class ResponseReader(Iterator[Response]):
    """The responses to a job as they arrive, for one reading thread. A slow reader slows the model.

    Closing or deleting the reader cancels the remaining responses.

    Args:
        begin: creates the job, which must send its responses to the given sink.
        cancelled: the job's cancel flag; once it is set, iteration ends.
        arrived: called after each response became available, on any thread.
    """

    def __init__(
        self,
        begin: Callable[[ResponseSink], Job],
        cancelled: CancelFlag,
        arrived: Callable[[], None] = lambda: None,
    ) -> None:
        self._ended = True  # if `begin` raises, there is nothing to close
        self._responses = _ResponseQueue(cancelled, arrived)
        self._job = begin(self._responses.put)
        self._ended = False

    def __next__(self) -> Response:
        if self._ended:
            raise StopIteration
        response = self._responses.get()
        if response is None:
            self.close()
            raise StopIteration
        self._ended = response.final
        return response

    @property
    def waits(self) -> bool:
        """True if the next response is not there yet, so that reading it would block."""
        return not self._ended and self._responses.is_empty()

    def close(self) -> None:
        """Stop reading and cancel the job."""
        if not self._ended:
            self._ended = True
            self._responses.close()
            self._job.abandon()

    def __del__(self) -> None:
        self.close()
