"""Calls of `async_infer`: an event loop in a thread sends them, another thread runs callbacks.

One loop runs any number of calls at the same time on few connections. Programs send hundreds of
requests to a model that batches them; a thread for each call would not do.

Callbacks run one after the other on their own thread. On the caller's thread they could wait for a
lock that it holds, and on the loop's thread they would block the loop.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import queue
import threading
import weakref
from asyncio import AbstractEventLoop
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from time import monotonic
from typing import Any, TypeAlias

from ..errors import InferenceServerException
from ._asyncio import make_transport
from ._base import GrpcClientBase, closed
from ._calls import InferCall
from ._channel import Route
from ._errors import get_cancelled_error
from ._infer_result import InferResult
from ._infer_stream import Callback, call_back

#: Callbacks to run on their thread; None ends it.
Callbacks: TypeAlias = "queue.SimpleQueue[Callable[[], None] | None]"

#: Seconds for a callback that runs when the program ends.
_ENDING = 1.0
_callers: weakref.WeakKeyDictionary[threading.Thread, Callbacks] = weakref.WeakKeyDictionary()
_ended = threading.Event()


class Background:
    """Runs calls in the background; its threads are started when first needed."""

    def __init__(self, route: Route) -> None:
        self._transport = make_transport(route)
        self._lock = threading.Lock()
        self._loop: AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._told: Callbacks = queue.SimpleQueue()
        self._pid = os.getpid()
        self._closed = False

    def submit(
        self, client: GrpcClientBase, call: InferCall, timeout: float | None, callback: Callback
    ) -> Future[InferResult]:
        """Make a call for a client, which lives as long as the call at least.

        Returns:
            A future whose cancelling ends the call.
        """
        if self._pid != os.getpid():
            # The parent's threads are not there in a forked child, and its lock may be held.
            self._pid, self._lock, self._loop = os.getpid(), threading.Lock(), None
            self._told = queue.SimpleQueue()
        with self._lock:  # the threads must not end before they have the call
            loop, told = self._running(), self._told
            future = asyncio.run_coroutine_threadsafe(self._carry(client, call, timeout), loop)
            future.add_done_callback(lambda done: told.put(partial(_tell, client, callback, done)))
        return future

    async def _carry(
        self, client: GrpcClientBase, call: InferCall, timeout: float | None
    ) -> InferResult:
        started = monotonic()
        try:
            result: InferResult = await self._transport.send(call, timeout)
        except (InferenceServerException, RuntimeError) as error:
            client._record(call, started, error)
            raise client._failure(error, timeout) from error.__cause__
        client._record(call, started)
        return result

    def _running(self) -> AbstractEventLoop:
        if self._closed:
            raise closed(waited_for=False)
        if self._loop is None:
            loop = self._loop = asyncio.new_event_loop()
            self._thread = _start(_run_loop, loop, self._transport, self._told)
            _callers[_start(_run_callbacks, self._told)] = self._told
        return self._loop

    def close(self, *, wait: bool = True) -> None:
        """Cancel running calls, and end the threads.

        Args:
            wait: until all is closed; callbacks may run later still.
        """
        if self._pid != os.getpid():
            self._closed = True  # the threads are the parent's, and its lock may be held
            return
        with self._lock:
            self._closed = True
            loop, self._loop = self._loop, None
        if loop is not None and self._thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            if wait:
                self._thread.join()


def _start(function: Callable[..., None], *arguments: Any) -> threading.Thread:
    # Daemons, so that a program can end while the server is silent.
    thread = threading.Thread(
        target=function, args=arguments, name="tritonclient-background", daemon=True
    )
    thread.start()
    return thread


def _run_loop(loop: AbstractEventLoop, transport: Any, told: Callbacks) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.run_until_complete(transport.close())
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
        told.put(None)


def _run_callbacks(told: Callbacks) -> None:
    while (function := told.get()) is not None and not _ended.is_set():
        function()
        del function  # it refers to the client


@atexit.register
def _end_callbacks() -> None:
    """The interpreter aborts when a thread prints while it ends, as callbacks may."""
    _ended.set()
    for caller, told in list(_callers.items()):
        told.put(None)
        caller.join(_ENDING)


def _tell(client: GrpcClientBase, callback: Callback, future: Future[InferResult]) -> None:
    if future.cancelled():
        text = "Channel closed!" if client._closed else "Locally cancelled by application!"
        call_back(callback, None, get_cancelled_error(text))
        return
    error = future.exception()
    call_back(callback, None if error else client._shown(future.result()), error)
