"""Futures that resume the task which waits for them at once.

The result of a future resumes a task when the event loop comes round, and the loop looks for other
events before it does. For a response that came alone, that is 8 % of the instructions of a small
call.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, BaseEventLoop, Future

#: How asyncio's own loops run, which refuse to run within themselves. What nests loops replaces it
#: in their class.
_ALONE: object = BaseEventLoop.run_until_complete


def resume(loop: AbstractEventLoop, future: Future[None]) -> None:
    """Set the result of a future, and resume the task that waits for it before this returns.

    To be called by the loop, as the last step of what it called: the task may make calls and close
    connections. The loop resumes the task as ever if more than one waits or another runs, and in
    loops that may run within a task, as with nest_asyncio: such a loop can't read what comes while
    what called this has not returned.

    Raises:
        KeyboardInterrupt, SystemExit: the task raised it.
    """
    # asyncio's futures have it, in C and in Python: pairs of a function and its context.
    callbacks = getattr(future, "_callbacks", None)
    runs_alone = type(loop).run_until_complete is _ALONE
    if callbacks is None or len(callbacks) != 1 or not runs_alone:
        future.set_result(None)
        return
    ((wake, context),) = callbacks
    future.remove_done_callback(wake)
    future.set_result(None)
    try:
        context.run(wake, future)
    except RuntimeError:  # another task runs, or the context is in use: the task was not resumed
        loop.call_soon(wake, future, context=context)
