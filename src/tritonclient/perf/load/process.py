"""A worker process: it obeys the parent's commands, and chooses the loop for each load."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from multiprocessing.connection import Connection

from . import shared as c
from .closed_loop import ClosedLoop, SingleLoop, can_block
from .lanes import raise_file_limit
from .open_loop import OpenLoop
from .plan import Load, Plan
from .worker import Worker


def main(
    index: int,
    workers: int,
    plan: Plan,
    board: c.Board | tuple[int, str],
    pipe: Connection,
) -> None:
    """Do what commands say until one says to quit, or the parent is gone.

    Args:
        board: shared memory, or how to open it where it is not inherited.
    """
    detach()
    if not isinstance(board, c.Board):
        board = c.Board(*board)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError, KeyboardInterrupt):
        Worker(index, workers, plan, board, pipe).run(run_load)
    # Not through the interpreter's own end, which would run what the parent has registered.
    sys.stdout.flush()
    os._exit(0)


def detach() -> None:
    """Leave Ctrl-C to the parent, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            prctl = ctypes.CDLL(None).prctl
            prctl(1, int(signal.SIGKILL))  # PR_SET_PDEATHSIG
            prctl(29, 1)  # PR_SET_TIMERSLACK: waits end within a microsecond rather than 50
    raise_file_limit()


def run_load(worker: Worker, load: Load) -> None:
    """Run the loop that fits a load."""
    if load.schedule is not None:
        OpenLoop(worker, load).run()
    elif worker.plan.sessions:
        from .session_loop import SessionLoop

        SessionLoop(worker, load).run()
    elif can_block(worker.plan, load):
        SingleLoop(worker, load).run()
    else:
        ClosedLoop(worker, load).run()
