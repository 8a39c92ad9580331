"""Resuming the task that waits for a future at once, not in the event loop's next round."""

from __future__ import annotations

import asyncio
from asyncio import Future
from typing import TypeVar

T = TypeVar("T")


def resume(future: Future[T], result: T) -> None:
    """Set the result of a future; the task that waits for it runs on before this returns.

    Called where the loop reports received bytes, it saves a round of the loop and a system call.
    Only KeyboardInterrupt and SystemExit, raised by the task, come out of it.
    """
    if asyncio.current_task(future.get_loop()) is not None:  # there can be one at a time
        future.set_result(result)
        return
    # Without the attribute, which futures of today have, the task runs in the next round.
    callbacks = getattr(future, "_callbacks", None) or ()
    for function, _ in callbacks:
        future.remove_done_callback(function)
    future.set_result(result)
    for function, context in callbacks:
        context.run(function, future)
