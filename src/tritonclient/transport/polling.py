"""Questions to the system about one socket: poll(), or select() on Windows, and TIOCOUTQ."""

from __future__ import annotations

import select
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

#: POLLIN and POLLOUT everywhere.
IN, OUT = 1, 4

#: A function (events, milliseconds or None for no limit) -> events that are ready.
Poll: TypeAlias = Callable[[int, "float | None"], int]


def poller(sock: socket.socket) -> Poll:
    """Return a function that waits for events on a socket."""
    if not hasattr(select, "poll"):
        return lambda events, timeout: _select(sock, events, timeout)
    poll = select.poll()
    registered = IN
    poll.register(sock, IN)

    def wait(events: int, timeout: float | None) -> int:
        nonlocal registered
        if events != registered:
            poll.modify(sock, events)
            registered = events
        ready = poll.poll(timeout)
        return ready[0][1] if ready else 0

    return wait


def readable_check(sock: socket.socket) -> Callable[[], object]:
    """Return a function that is true if a socket has something to read, or is closed.

    It is faster than the function of `poller`, which can wait for other events as well.
    """
    if not hasattr(select, "poll"):
        return lambda: _select(sock, IN, 0)
    poll = select.poll()
    poll.register(sock, IN)
    return partial(poll.poll, 0)


def unacknowledged_bytes(sock: Any) -> int | None:
    """Return how many sent bytes the peer's kernel has not acknowledged; None if unknown.

    Known for TCP on Linux (tcp(7), TIOCOUTQ). For unix sockets it counts something else.

    Args:
        sock: a socket, or asyncio's stand-in for one.
    """
    if sys.platform != "linux" or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    from fcntl import ioctl
    from termios import TIOCOUTQ

    try:
        return int.from_bytes(ioctl(sock.fileno(), TIOCOUTQ, bytes(4)), sys.byteorder)
    except (OSError, ValueError):  # the socket is closed, or the system does not count
        return None


def _select(sock: socket.socket, events: int, timeout: float | None) -> int:
    seconds = None if timeout is None else timeout / 1000
    watched = [sock]
    readable, writable, broken = select.select(
        watched if events & IN else [], watched if events & OUT else [], watched, seconds
    )
    return (IN if readable or broken else 0) | (OUT if writable else 0)
