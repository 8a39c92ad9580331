"""`AnswerReader`: a bounded queue between a model and the reader of its responses."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator

from .job import Job
from .response import Answer, Flag, Sink

#: Answers that wait for a slow reader before the model is made to wait as well.
LIMIT = 16


#: Seconds after which whoever waits looks whether the call was cancelled: an event that a front
#: sets can't wake those who wait for something else.
_LOOK = 0.05


class _Answers:
    """A bounded queue of answers, between the model that gives them and whoever reads them."""

    def __init__(self, cancelled: Flag) -> None:
        self._cancelled = cancelled
        self._waiting: deque[Answer] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def put(self, answer: Answer) -> None:
        """Add an answer, once there is room or nobody reads any more."""
        with self._changed:
            while len(self._waiting) >= LIMIT and not self._over():
                self._changed.wait(_LOOK)
            self._waiting.append(answer)
            self._changed.notify_all()

    def get(self) -> Answer | None:
        """The next answer, once there is one; None when the call was cancelled."""
        with self._changed:
            while not self._waiting:
                if self._over():
                    return None
                self._changed.wait(_LOOK)
            self._changed.notify_all()
            return self._waiting.popleft()

    def _over(self) -> bool:
        return self._closed or self._cancelled.is_set()

    def close(self) -> None:
        """Nobody reads any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class AnswerReader(Iterator[Answer]):
    """The answers to a job as they come, to be read by one thread; a slow one slows the model.

    Closing this, or forgetting it, cancels what is still to come.

    Args:
        begin: makes the job, which is to send its answers to the given sink.
        cancelled: the job's; once it is set, no more answers are awaited.
    """

    def __init__(self, begin: Callable[[Sink], Job], cancelled: Flag) -> None:
        self._ended = True  # in case that `begin` fails
        self._answers = _Answers(cancelled)
        self._job = begin(self._answers.put)
        self._ended = False

    def __next__(self) -> Answer:
        if self._ended:
            raise StopIteration
        answer = self._answers.get()
        if answer is None:
            self.close()
            raise StopIteration
        self._ended = answer.final
        return answer

    def close(self) -> None:
        """Nobody reads further answers; the model is told so."""
        if not self._ended:
            self._ended = True
            self._answers.close()
            self._job.abandon()

    def __del__(self) -> None:
        self.close()
