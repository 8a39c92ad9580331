"""Name lookups within a deadline, on threads that both runtimes share.

getaddrinfo() can't be stopped, and waits ten seconds and more for a name server that is silent. So
it runs on a thread that nobody has to wait for. Those threads are daemons, which let a program
end, and are none of an event loop's: its few are the program's too, and its end waits for them.
"""

from __future__ import annotations

import copy
import os
import socket
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic

from .deadline import late, looking_up
from .happy_eyeballs import Address, interleaved

#: Threads at a time, for one name and in all. Further look-ups wait for one to end.
MAX_THREADS_EACH = 4
MAX_THREADS = 32
#: Seconds for which a look-up serves those who ask for the same name. After that it may be stuck
#: where a new one would not be.
_SHARED_TIME = 1.0


class Lookup:
    """A look-up of one name, for all who asked at about the same time.

    Attributes:
        addresses: in the order in which they are to be tried, once the look-up is done.
        error: why there are none.
        done: whether the look-up has ended.
    """

    def __init__(self, host: str, port: int) -> None:
        self.name = (host, port)
        self.addresses: list[Address] = []
        self.error: Exception | None = None
        self.done = False
        self.begun = monotonic()
        self.listeners: list[Callable[[], object]] = []

    def result(self) -> list[Address]:
        """The addresses.

        Raises:
            OSError: there are none, or nobody can tell.
            UnicodeError: no name can be like that.
        """
        if self.error is not None:
            raise copy.copy(self.error)  # others may raise it at the same time
        return self.addresses

    def run(self) -> None:
        """Look up the name, tell those who wait, and let the next one begin."""
        try:
            self.addresses = find(*self.name)
        except Exception as error:  # of whatever kind, it belongs to those who asked
            self.error = error
        with _lock:
            self.done = True
            listeners, self.listeners = self.listeners, []
            _running.remove(self)
            _begin_waiting()
        for listener in listeners:
            listener()


_lock = threading.Lock()
_running: list[Lookup] = []
_waiting: deque[Lookup] = deque()


def find(host: str, port: int) -> list[Address]:
    """The addresses of a name, without a thread and without a limit."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return interleaved((family, sockaddr) for family, _, _, _, sockaddr in found)


def begin(host: str, port: int, listener: Callable[[], object]) -> Lookup:
    """Begin to look up a name, or join one who has just begun.

    Args:
        listener: called when the look-up is done, on its thread.

    Raises:
        RuntimeError: no thread can be started.
    """
    with _lock:
        lookup = _joinable(host, port)
        if lookup is None:
            lookup = Lookup(host, port)
            _waiting.append(lookup)
        lookup.listeners.append(listener)
        _begin_waiting()
        return lookup


def stop_waiting(lookup: Lookup, listener: Callable[[], object]) -> None:
    """No longer wait for a look-up; one that no thread has begun and nobody wants is dropped."""
    with _lock:
        if listener in lookup.listeners:
            lookup.listeners.remove(listener)
        if not lookup.listeners and lookup in _waiting:
            _waiting.remove(lookup)


def within(host: str, port: int, seconds: float) -> list[Address]:
    """The addresses of a name, looked up in so many seconds.

    Raises:
        DeadlineExceeded: it takes longer.
        OSError, UnicodeError: see `Lookup.result`.
    """
    done = threading.Event()
    lookup = begin(host, port, done.set)
    try:
        done.wait(min(max(0.0, seconds), threading.TIMEOUT_MAX))
    finally:
        stop_waiting(lookup, done.set)
    if not lookup.done:
        raise late(looking_up(host))
    return lookup.result()


# The lock is held in those below


def _joinable(host: str, port: int) -> Lookup | None:
    for lookup in (*_waiting, *_running):
        recent = lookup in _waiting or monotonic() - lookup.begun < _SHARED_TIME
        if lookup.name == (host, port) and recent:
            return lookup
    return None


def _begin_waiting() -> None:
    """Begin the look-ups that wait, as far as there may be threads."""
    for lookup in list(_waiting):
        if len(_running) >= MAX_THREADS:
            return
        if sum(other.name == lookup.name for other in _running) < MAX_THREADS_EACH:
            _waiting.remove(lookup)
            lookup.begun = monotonic()
            thread = threading.Thread(target=lookup.run, name="tritonclient-lookup", daemon=True)
            _running.append(lookup)
            try:
                thread.start()
            except RuntimeError:
                _running.remove(lookup)
                raise


def _after_fork() -> None:
    """Forget the parent's look-ups: their threads are not there, and the lock may be held."""
    global _lock
    _lock = threading.Lock()
    _running.clear()
    _waiting.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
