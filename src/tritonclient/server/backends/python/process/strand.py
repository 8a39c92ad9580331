"""`Strand`: responses to one request, delivered in order without holding up other messages."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from ....jobs.response import Response, ResponseSink

#: Responses that may be on their way before the sender waits.
WINDOW = 16
#: How many are acknowledged at once.
_BATCH = WINDOW // 2
#: Seconds that a thread waits for another response before it ends.
_LINGER = 1.0


class Strand:
    """Gives responses to a sink, on a thread that exists while there are any.

    A single response goes to the sink at once: readers have room for the first.

    Args:
        sink: receives the responses; it may block.
        acknowledge: called with a number of responses that the sink has taken.
    """

    def __init__(self, sink: ResponseSink, acknowledge: Callable[[int], None]) -> None:
        self._sink = sink
        self._acknowledge = acknowledge
        self._waiting: deque[Response] = deque()
        self._changed = threading.Condition()
        self._runs = False
        self._first = True
        self._taken = 0

    def put(self, response: Response) -> None:
        """Deliver a response without waiting for room."""
        first, self._first = self._first, False
        if first and response.final:
            self._sink(response)
            return
        with self._changed:
            self._waiting.append(response)
            if self._runs:
                self._changed.notify()
                return
            self._runs = True
        threading.Thread(target=self._run, name="responses", daemon=True).start()

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._waiting:
                    self._changed.wait(_LINGER)
                if not self._waiting:
                    self._runs = False
                    return
                response = self._waiting.popleft()
            self._sink(response)
            if response.final:
                return
            self._taken += 1
            if self._taken % _BATCH == 0:
                self._acknowledge(_BATCH)
