"""Waiting for sockets: epoll on Linux, `selectors` elsewhere, both to within microseconds."""

from __future__ import annotations

import select
import selectors
import time
from typing import Any

from .connection import IN, OUT

#: Shorter waits than this are spun through, as sleeping is not that exact.
_SPIN = 60_000


class Poller:
    """What to wait for, by file descriptor; waiting is told in nanoseconds."""

    def __init__(self) -> None:
        self._epoll: Any = None
        self._known: dict[int, int] = {}
        if hasattr(select, "epoll"):
            self._epoll = select.epoll()
        else:
            self._selector = selectors.DefaultSelector()

    def watch(self, fd: int, events: int) -> None:
        """Wait for these events of a descriptor from now on."""
        known = self._known.get(fd)
        if known == events:
            return
        self._known[fd] = events
        if self._epoll is not None:
            (self._epoll.register if known is None else self._epoll.modify)(fd, events)
            return
        mask = (selectors.EVENT_READ if events & IN else 0) | (
            selectors.EVENT_WRITE if events & OUT else 0
        )
        (self._selector.register if known is None else self._selector.modify)(fd, mask)

    def forget(self, fd: int) -> None:
        """Wait for a descriptor no longer; call it before that is closed."""
        if self._known.pop(fd, None) is None:
            return
        if self._epoll is not None:
            self._epoll.unregister(fd)
        else:
            self._selector.unregister(fd)

    def poll(self, wait: int) -> list[tuple[int, int]]:
        """The events that come within `wait` nanoseconds, or at once for 0 and less.

        The last part of a wait is spun through, so that it ends to the microsecond.
        """
        epoll = self._epoll
        if epoll is None:
            return self._poll_selector(wait)
        if wait <= 0:
            return epoll.poll(0)  # type: ignore[no-any-return]
        end = time.monotonic_ns() + wait
        if wait > _SPIN:
            # epoll's own timeout is in whole milliseconds; select takes microseconds.
            left = wait - _SPIN
            descriptor = epoll.fileno()
            if left > 20_000_000 or descriptor >= 1024:
                events: list[tuple[int, int]] = epoll.poll(max(1, left // 1_000_000 - 1) / 1000)
            else:
                ready, _, _ = select.select([descriptor], [], [], left / 1e9)
                events = epoll.poll(0) if ready else []
            if events:
                return events
            if end - time.monotonic_ns() > _SPIN:
                return []
        while True:
            events = epoll.poll(0)
            if events or time.monotonic_ns() >= end:
                return events

    def wait(self, wait: int) -> list[tuple[int, int]]:
        """The events that come within about `wait` nanoseconds; exact to a millisecond only."""
        if self._epoll is not None:
            return self._epoll.poll(max(wait, 0) / 1e9)  # type: ignore[no-any-return]
        return self._poll_selector(wait)

    def _poll_selector(self, wait: int) -> list[tuple[int, int]]:
        ready = self._selector.select(max(wait, 0) / 1e9)
        return [
            (
                key.fd,
                (IN if events & selectors.EVENT_READ else 0)
                | (OUT if events & selectors.EVENT_WRITE else 0),
            )
            for key, events in ready
        ]
