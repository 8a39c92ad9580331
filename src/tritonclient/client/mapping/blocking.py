"""The loop of `Client.map`: the caller's thread reads items, an event loop on a thread sends them.

Items are read, and results are yielded, on the thread that iterates: many sources may be used on
one thread only, and Ctrl-C arrives there. Requests are carried by an `AsyncClient`, as a blocking
call can't be cancelled alone, and 64 threads would take turns.
"""

from __future__ import annotations

import asyncio
import atexit
import queue
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any, TypeAlias
from weakref import WeakSet

from ...transport.errors import client_closed
from ..model_spec import ModelSpec
from .batches import Batch, Batcher
from .concurrency import Concurrency
from .items import ItemReader
from .plan import Plan, fit_plan
from .sending import ResultOrError, Sender, to_raise
from .window import Entry, Window

_running: WeakSet[Sending] = WeakSet()
#: An entry, its results, and what ends the iteration in place of them.
Settled: TypeAlias = "tuple[Entry, list[ResultOrError], BaseException | None]"


def iterate(
    start: Callable[[Plan], Sending], plan: Plan, items: Any, describe: Callable[[], ModelSpec]
) -> Generator[Any, None, None]:
    """Yield the results of items.

    Args:
        start: starts the thread that sends.
        describe: asks for the model's interface.
    """
    spec = describe()
    size = fit_plan(plan, spec)
    batcher = Batcher(ItemReader(spec, size > 0, plan.cast), size, plan.keep)
    window = Window(Concurrency(plan.concurrency), plan.ordered, plan.keep)
    source = _Source(iter(items), batcher)
    sending = start(plan)
    try:
        while True:
            _fill(source, window, sending)
            entry = window.take()
            if entry is None:
                if not len(window):
                    break
                sending.settle(window, wait=True)
                continue
            for result in entry.results or ():
                if isinstance(result, Exception) and not plan.keep:
                    raise to_raise(result)
                yield result
            if entry.fault is not None:
                raise entry.fault
        if source.error is not None:
            raise source.error
    finally:
        sending.close()


def _fill(source: _Source, window: Window, sending: Sending) -> None:
    """Send a batch for the one that was taken, and more until there is something to take."""
    while window.has_room():
        batch = source.next_batch()
        if batch is None:
            return
        sending.send(window.add(batch), batch)
        sending.settle(window, wait=False)
        if window.is_ready():
            return


class _Source:
    """The items, read a batch at a time."""

    def __init__(self, items: Iterator[Any], batcher: Batcher) -> None:
        self._items = items
        self._batcher = batcher
        self._ended = False
        self.error: Exception | None = None

    def next_batch(self) -> Batch | None:
        """Return the next batch, or None if there are no more."""
        ready = self._batcher.ready
        while not ready and not self._ended:
            try:
                self._ended = not self._batcher.read(self._items) or self._batcher.broken
            except Exception as error:  # what was read before comes first
                self.error, self._ended = error, True
            if self._ended:
                self._batcher.flush()
        return ready.popleft() if ready else None


class Sending:
    """A thread with an event loop that sends batches.

    Args:
        client: an `AsyncClient` of its own, which is closed with it.
    """

    def __init__(self, client: Any, plan: Plan) -> None:
        self._client = client
        self._sender = Sender(client, plan)
        # None once it is closed.
        self._settled: queue.SimpleQueue[Settled | None] = queue.SimpleQueue()
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        # A daemon, so that a program can end that keeps an iterator which it did not finish.
        self._thread = threading.Thread(target=self._run, name="tritonclient-map", daemon=True)
        self._thread.start()
        _running.add(self)

    def send(self, entry: Entry, batch: Batch) -> None:
        """Send a batch in the background."""
        if self._closed:
            raise client_closed(self._client._url)
        try:
            self._loop.call_soon_threadsafe(self._start, entry, batch)
        except RuntimeError:  # its loop ended meanwhile
            raise client_closed(self._client._url) from None

    def settle(self, window: Window, *, wait: bool) -> None:
        """Note in the window what became of batches.

        Args:
            wait: for at least one.
        """
        try:
            while True:
                settled = self._settled.get(wait)
                if settled is None:
                    raise client_closed(self._client._url)
                window.settle(*settled)
                wait = False
        except queue.Empty:
            pass

    def close(self, *, wait: bool = True) -> None:
        """Cancel what is in flight, close the client and end the thread.

        Args:
            wait: until the thread has ended.
        """
        if not self._closed:
            self._closed = True
            self._settled.put(None)
            self._loop.call_soon_threadsafe(self._loop.stop)
        # Garbage may be collected on any thread, also on this one.
        if wait and threading.current_thread() is not self._thread:
            self._thread.join()

    def _start(self, entry: Entry, batch: Batch) -> None:
        task = self._loop.create_task(self._carry(entry, batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, entry: Entry, batch: Batch) -> None:
        try:
            results = await self._sender.send(batch)
        except BaseException as error:
            self._settled.put((entry, [], error))
            if not isinstance(error, Exception):
                raise
        else:
            self._settled.put((entry, results, None))

    def _run(self) -> None:
        loop = self._loop
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
            for task in self._tasks:
                task.cancel()
            loop.run_until_complete(self._end())
        finally:
            loop.close()

    async def _end(self) -> None:
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.close()
        await self._loop.shutdown_asyncgens()
        await self._loop.shutdown_default_executor()


@atexit.register
def _close_all() -> None:
    """End the threads of iterators that a program keeps; later they can't end any more."""
    for sending in list(_running):
        sending.close()
