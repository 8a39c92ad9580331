"""Decompression of responses that does not block the event loop: long work runs on a thread."""

from __future__ import annotations

import asyncio
from asyncio import Future

from ...engine.coding import Compressed
from ...errors import Cancelled
from ..deadline import DECOMPRESSING, late, seconds_left


async def decompress(compressed: Compressed, deadline: float) -> None:
    """Decompress a body by the loop's time; when the task is cancelled, this ends as well.

    Raises:
        DeadlineExceeded: it takes too long.
        ProtocolError: it can't be decompressed, or is too large then.
    """
    decompressing = Decompressing(compressed)
    try:
        await decompressing.finish(deadline)
    finally:
        decompressing.stop()


class Decompressing:
    """A body that is being decompressed, by one who may stop to wait for it and begin again."""

    def __init__(self, compressed: Compressed) -> None:
        self._compressed = compressed
        self._working: Future[None] | None = None
        self._stopped = False

    async def finish(self, deadline: float) -> None:
        """Wait until the content is there; a first step, of a few milliseconds, is done at once.

        Raises:
            Cancelled: it was stopped.
            DeadlineExceeded: it takes too long; it is stopped then.
            ProtocolError: it can't be decompressed, or is too large then.
        """
        loop = asyncio.get_running_loop()
        if self._working is None and not self._stopped:
            if self._compressed.step():
                return
            self._working = loop.run_in_executor(None, self._work)
            self._working.add_done_callback(_look)
        # The thread may have to wait for its turn, so that the time is kept here.
        left = seconds_left(deadline, loop.time())
        if self._working is not None:
            await asyncio.wait([self._working], timeout=left)
        if self._stopped or self._working is None:
            raise Cancelled("decompressing the answer was stopped")
        if not self._working.done():
            self.stop()
            raise late(DECOMPRESSING)
        self._working.result()

    def stop(self) -> None:
        """End the thread after its current step; harmless if it has ended."""
        self._stopped = True
        if self._working is not None:
            self._working.cancel()  # where no thread has begun

    def _work(self) -> None:
        while not self._stopped and not self._compressed.step():
            pass


def _look(working: Future[None]) -> None:
    if not working.cancelled():
        working.exception()  # if nobody waits for it any more, a cancellation went first
