"""`ServerLoop`: the event loop of a server, on a thread of its own.

The listeners serve on it, and what the processes of models send is read on it. So a request to a
model in a process of its own changes no thread on its way, which costs more than a small inference.
Nothing on this loop may wait for a process, nor copy large tensors.
"""

from __future__ import annotations

import asyncio
import os
import selectors
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

T = TypeVar("T")

#: Largest request or response, in bytes, that is worked on by the loop; others go to threads.
SMALL = 1 << 14
#: Seconds of a wait that is short.
_SHORT = 150e-6
#: Seconds that tasks which libraries left have to end at the close.
_SETTLING = 1.0


class _Selector(selectors.DefaultSelector):
    """A selector that suits small requests.

    It does not sleep at once if the last wait was short: to wake up takes longer than most of what
    a small request waits for.
    """

    _was_short = False

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return the events, as soon as there are any."""
        if timeout == 0:
            return super().select(0)
        begin = time.perf_counter()
        while self._was_short and time.perf_counter() - begin < _SHORT:
            if found := super().select(0):
                return found
        found = super().select(timeout)
        self._was_short = time.perf_counter() - begin < _SHORT
        return found


class ServerLoop:
    """An event loop on a thread, which starts with its first use. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._workers: ThreadPoolExecutor | None = None
        self._waits: list[Callable[[], None]] = []
        self._interrupted = False

    @property
    def events(self) -> asyncio.AbstractEventLoop:
        """The event loop, which runs."""
        loop = self._loop
        return self._start() if loop is None else loop

    def _start(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                loop = _new_loop()
                self._thread = threading.Thread(
                    target=_run, args=(loop,), name="tritonclient-server", daemon=True
                )
                self._thread.start()
                self._loop = loop
            return self._loop

    def is_current(self) -> bool:
        """Return True on the thread of the loop."""
        return threading.current_thread() is self._thread

    def call(self, work: Callable[..., object], *arguments: object) -> None:
        """Call a function on the loop soon; not at all if the loop is closed."""
        with suppress(RuntimeError):
            self.events.call_soon_threadsafe(work, *arguments)

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine on the loop, and return the future of its result."""
        return asyncio.run_coroutine_threadsafe(work, self.events)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of a coroutine; not for use on the loop."""
        return self.submit(work).result()

    def in_thread(self, work: Callable[[], object]) -> None:
        """Do on another thread what takes too long for the loop."""
        with self._lock:
            if self._workers is None:
                self._workers = ThreadPoolExecutor(thread_name_prefix="tritonclient-worker")
            self._workers.submit(work)

    @contextmanager
    def interruptible(self, end: Callable[[], None]) -> Iterator[None]:
        """Wait in a block for what `end` ends; it is called when the server stops meanwhile."""
        with self._lock:
            self._waits.append(end)
            interrupted = self._interrupted
        if interrupted:
            end()
        try:
            yield
        finally:
            with self._lock:
                self._waits.remove(end)

    def interrupt(self) -> None:
        """End what is waited for in `interruptible` blocks, now and from now on."""
        with self._lock:
            self._interrupted = True
            waits = list(self._waits)
        for end in waits:
            end()

    def close(self) -> None:
        """End the thread, after the work that was given to other threads."""
        workers, self._workers = self._workers, None
        if workers is not None:
            workers.shutdown(wait=True)
        thread, self._thread = self._thread, None
        if thread is not None:
            self.run(_settle())
            self.call(self.events.stop)
            thread.join()


def _new_loop() -> asyncio.AbstractEventLoop:
    if os.name != "posix":
        return asyncio.new_event_loop()
    return asyncio.SelectorEventLoop(_Selector())


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        asyncio.set_event_loop(None)
        loop.close()


async def _settle() -> None:
    """Wait for the tasks that are left; cancel those that do not end."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if not others:
        return
    _, pending = await asyncio.wait(others, timeout=_SETTLING)
    for task in pending:
        task.cancel()
    if pending:
        await asyncio.wait(pending, timeout=_SETTLING)
