"""The loop of `AsyncClient.map`: a task reads items, one for each request sends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable
from typing import Any

from ..model_spec import ModelSpec
from .batches import Batch, Batcher
from .concurrency import Concurrency
from .items import ItemReader
from .plan import Plan, fit_plan
from .sending import Sender, to_raise
from .window import Entry, Window


async def iterate(
    client: Any,
    plan: Plan,
    items: Any,
    describe: Callable[[], Awaitable[ModelSpec]],
) -> AsyncGenerator[Any, None]:
    """Yield the results of items.

    Args:
        describe: asks for the model's interface.
    """
    spec = await describe()
    size = fit_plan(plan, spec)
    batcher = Batcher(ItemReader(spec, size > 0, plan.cast), size, plan.keep)
    window = Window(Concurrency(plan.concurrency), plan.ordered, plan.keep)
    run = _Run(Sender(client, plan), batcher, window)
    reading = asyncio.create_task(run.read(items))
    try:
        while (entry := await run.take()) is not None:
            for result in entry.results or ():
                if isinstance(result, Exception) and not plan.keep:
                    raise to_raise(result)
                yield result
            if entry.fault is not None:
                raise entry.fault
        if run.source_error is not None:
            raise run.source_error
    finally:
        await run.cancel(reading)


class _Run:
    """The tasks of one iteration."""

    def __init__(self, sender: Sender, batcher: Batcher, window: Window) -> None:
        self._sender = sender
        self._batcher = batcher
        self._window = window
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()  # something may be there to take
        self._room = asyncio.Event()  # there may be room for another batch
        self._ended = False
        self.source_error: BaseException | None = None

    async def read(self, items: Any) -> None:
        """Take items in as room comes, until there are no more."""
        try:
            try:
                await self._read(items)
            except Exception as error:  # what was read before comes first
                self.source_error = error
            self._batcher.flush()
            await self._send_ready()
        except BaseException as error:
            self.source_error = error
            raise
        finally:
            self._ended = True
            self._changed.set()

    async def _read(self, items: Any) -> None:
        await self._wait_for_room()
        batcher, ready = self._batcher, self._batcher.ready
        if isinstance(items, AsyncIterable):
            async for item in items:
                batcher.add(item)
                if ready and await self._send_ready():
                    return
        else:
            source = iter(items)
            while batcher.read(source):
                if ready and await self._send_ready():
                    return

    async def _send_ready(self) -> bool:
        """Send what is ready, and wait for room for more; True if there is to be no more."""
        while self._batcher.ready:
            await self._wait_for_room()
            if self._window.failed:
                return True
            batch = self._batcher.ready.popleft()
            task = asyncio.create_task(self._send(self._window.add(batch), batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            await asyncio.sleep(0)  # what was read at once must not hold up what is in flight
        if not self._batcher.filling:
            await self._wait_for_room()
        return self._batcher.broken or self._window.failed

    async def _wait_for_room(self) -> None:
        while not (self._window.has_room() or self._window.failed):
            self._room.clear()
            await self._room.wait()

    async def _send(self, entry: Entry, batch: Batch) -> None:
        try:
            results = await self._sender.send(batch)
        except BaseException as error:
            self._window.settle(entry, [], error)
            if not isinstance(error, Exception):
                raise
        else:
            self._window.settle(entry, results)
        finally:
            self._room.set()
            self._changed.set()

    async def take(self) -> Entry | None:
        """Return the next entry with results; None when there are no more."""
        while (entry := self._window.take()) is None:
            if self._ended and not len(self._window):
                return None
            self._changed.clear()
            await self._changed.wait()
        self._room.set()
        return entry

    async def cancel(self, *others: asyncio.Task[None]) -> None:
        """Cancel what is in flight, and wait until it has ended."""
        tasks = [*self._tasks, *others]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
