"""Waiting for one socket: poll(), or select() on Windows, which has no poll()."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

#: POLLIN and POLLOUT everywhere.
IN, OUT = 1, 4

#: A function (events, milliseconds or None for no limit) -> events that are ready.
Poll: TypeAlias = Callable[[int, "float | None"], int]


def poller(sock: socket.socket) -> Poll:
    """A function that waits for events on a socket."""
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


def looker(sock: socket.socket) -> Callable[[], object]:
    """A function that tells whether a socket has something to read, or is closed; it is quicker
    than `poller`'s, which can wait for other things as well.
    """
    if not hasattr(select, "poll"):
        return lambda: _select(sock, IN, 0)
    poll = select.poll()
    poll.register(sock, IN)
    return partial(poll.poll, 0)


def _select(sock: socket.socket, events: int, timeout: float | None) -> int:
    seconds = None if timeout is None else timeout / 1000
    watched = [sock]
    readable, writable, broken = select.select(
        watched if events & IN else [], watched if events & OUT else [], watched, seconds
    )
    return (IN if readable or broken else 0) | (OUT if writable else 0)
