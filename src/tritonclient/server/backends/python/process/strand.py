"""`Strand`: responses to one request, delivered in order without holding up other messages."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from ....jobs.response import Response, ResponseQueue, ResponseSink

#: Responses that may be on their way before the sender waits.
WINDOW = 16
#: How many are acknowledged at once.
_BATCH = WINDOW // 2
#: Seconds that a thread waits for another response before it ends.
_LINGER = 1.0


class Strand(ResponseQueue):
    """Gives responses to a sink, on a thread that exists while there are any.

    A single response goes to the sink at once: readers have room for the first.

    Args:
        sink: receives the responses; it may block.
    """

    def __init__(self, sink: ResponseSink) -> None:
        self._sink = sink
        self._waiting: deque[tuple[Response, Turn | None]] = deque()
        self._changed = threading.Condition()
        self._runs = False
        self._first = True
        self._ended = False

    def put(self, response: Response, turn: Turn | None = None) -> None:
        """Deliver a response after those before it, without waiting; drop it after the final.

        Args:
            turn: counts the response once the sink has taken it; None for no count.
        """
        with self._changed:
            if self._ended:
                return
            self._ended = response.final
            alone = self._first and response.final
            self._first = False
            if not alone:
                self._waiting.append((response, turn))
                if self._runs:
                    self._changed.notify()
                    return
                self._runs = True
        if alone:
            self._give(response)
            return
        threading.Thread(target=self._run, name="responses", daemon=True).start()

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._waiting:
                    self._changed.wait(_LINGER)
                if not self._waiting:
                    self._runs = False
                    return
                response, turn = self._waiting.popleft()
            self._give(response)
            if response.final:
                return
            if turn is not None:
                turn.taken()

    def _give(self, response: Response) -> None:
        sink = self._sink
        if response.final:
            self._sink = _drop  # the sink may be of a job that refers to this, a circle
        sink(response)


def _drop(response: Response) -> None:
    """Drop a response: none comes after the final one."""


class Turn:
    """The responses of one execution of a request, which may be executed several times.

    Args:
        acknowledge: called with a number of responses that the sink has taken.
    """

    def __init__(self, strand: Strand, acknowledge: Callable[[int], None]) -> None:
        self._strand = strand
        self._acknowledge = acknowledge
        self._taken = 0

    def put(self, response: Response) -> None:
        """Deliver a response without waiting for room."""
        self._strand.put(response, self)

    def taken(self) -> None:
        """Note that the sink has taken a response."""
        self._taken += 1
        if self._taken % _BATCH == 0:
            self._acknowledge(_BATCH)
