"""Inferences that are started on an event loop, without a thread that waits for the response.

A change of threads costs more than a small request. So small requests are decoded on the event
loop and queued to their model. The loop reads the outcome from the model's process, or the model's
thread wakes it. What takes long belongs on a thread: large requests and responses, and tensors in
shared memory.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress

from ...messages import Infer
from ..core import InferenceServer
from ..inference import Outcome


def is_light(request: Infer) -> bool:
    """Return True if a small request can be started on an event loop: its tensors are in it."""
    return all(each.data is not None for each in request.inputs)


def begin(
    server: InferenceServer,
    request: Infer,
    cancelled: threading.Event,
    settle: Callable[[Outcome], None],
) -> None:
    """Queue a request to its model, on an event loop.

    Args:
        cancelled: set by the caller to cancel the request.
        settle: called with the outcome on the event loop, also before this returns.

    Raises:
        ServerError: the request is refused.
    """
    loop, thread = asyncio.get_running_loop(), threading.get_ident()

    def deliver(outcome: Outcome) -> None:
        if threading.get_ident() == thread:
            settle(outcome)
            return
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(settle, outcome)

    server.begin(request, cancelled, deliver)


def start(
    server: InferenceServer, request: Infer, cancelled: threading.Event
) -> asyncio.Future[Outcome]:
    """Queue a request to its model, on an event loop, and return the future of its outcome.

    Args:
        cancelled: set by the caller to cancel the request.

    Raises:
        ServerError: the request is refused.
    """
    future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def settle(outcome: Outcome) -> None:
        if not future.done():
            future.set_result(outcome)

    begin(server, request, cancelled, settle)
    return future
