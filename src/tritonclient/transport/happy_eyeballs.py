"""Order and times at which addresses of a host are tried: "Happy Eyeballs", without I/O.

A host may have addresses of both families, and some may be silent: behind a firewall that drops
what is sent, for instance. So the next address is tried while the last one has not answered yet.

Source: RFC 8305, sections 4 and 5. Both families are looked up at once, by getaddrinfo(), which
also sorts by RFC 6724; so there is no Resolution Delay.
"""

from __future__ import annotations

import errno
import math
import os
import socket
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

#: Seconds until the next address is tried, the Connection Attempt Delay; and where there is not
#: enough time for all addresses, at least.
ATTEMPT_DELAY = 0.25
SHORTEST_DELAY = 0.01
#: Seconds between tries at a unix socket whose queue is full: there is nothing to wait for.
QUEUE_PAUSE = 0.01
#: Addresses tried at most, as each takes a socket and the name's server chooses how many there are.
MAX_ADDRESSES = 64
#: Failures told in an error.
_TOLD = 8
#: This system can't reach addresses of that kind, which says nothing of the server.
_NO_ROUTE = {errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


class Address(NamedTuple):
    """Address to connect to.

    Attributes:
        family: `socket.AF_INET` or `socket.AF_INET6`.
        sockaddr: what `socket.connect` takes.
    """

    family: int
    sockaddr: Any

    def __str__(self) -> str:
        host, port = self.sockaddr[:2]
        return f"[{host}]:{port}" if self.family == socket.AF_INET6 else f"{host}:{port}"


def literal(host: str, port: int) -> Address | None:
    """The address that a host is, or None for a name, which is to be looked up."""
    for family, rest in ((socket.AF_INET, ()), (socket.AF_INET6, (0, 0))):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return Address(family, (host, port, *rest))
    return None


def interleaved(found: Iterable[tuple[int, Any]]) -> list[Address]:
    """Pairs of family and address, in the order in which they are tried.

    The families take turns, beginning with that of the first address; each keeps its order.
    """
    families: dict[int, list[Address]] = {}
    for address in dict.fromkeys(Address(int(family), sockaddr) for family, sockaddr in found):
        families.setdefault(address.family, []).append(address)
    turns = [(turn, address) for each in families.values() for turn, address in enumerate(each)]
    turns.sort(key=lambda turn: turn[0])  # a stable sort
    return [address for _, address in turns[:MAX_ADDRESSES]]


class Race:
    """The attempts to connect to a host, of which the first that succeeds wins.

    Whoever carries them out asks `due` until it says None, waits until an attempt ends or
    `next_time` comes, and tells of attempts that `failed`.

    Args:
        deadline: by which one must have succeeded; it leaves time for each of them.

    Attributes:
        next_time: when the next attempt is due; infinite when there is none left.
        lost: whether all attempts have failed.
    """

    def __init__(self, addresses: Sequence[Address], now: float, deadline: float) -> None:
        self._left = list(addresses)[::-1]
        share = (deadline - now) / (len(addresses) + 1)
        self._delay = max(SHORTEST_DELAY, min(ATTEMPT_DELAY, share))
        self._open: list[Address] = []
        self._failures: list[tuple[Address, OSError]] = []
        self.next_time = now if self._left else math.inf

    @property
    def lost(self) -> bool:
        return not (self._left or self._open)

    def due(self, now: float) -> Address | None:
        """An address that is to be tried now, if there is one."""
        if not self._left or now < self.next_time:
            return None
        address = self._left.pop()
        self._open.append(address)
        self.next_time = now + self._delay if self._left else math.inf
        return address

    def failed(self, address: Address, error: OSError) -> None:
        """Record an attempt that failed; the next is due at once."""
        self._open.remove(address)
        self._failures.append((address, error))
        if self._left:
            self.next_time = -math.inf

    def error(self) -> OSError:
        """The error that tells of all attempts when they are lost; it is not kept."""
        if not self._failures:
            return OSError("the name has no address")
        if len(self._failures) == 1:
            return self._failures.pop()[1]
        errors = [error for _, error in self._failures]
        telling = [error for error in errors if error.errno not in _NO_ROUTE] or errors
        refused = all(isinstance(error, ConnectionRefusedError) for error in telling)
        failure = (ConnectionRefusedError if refused else OSError)(self._told())
        failure.errno = telling[-1].errno
        return failure

    def progress(self) -> str:
        """Return the state of the attempts, for errors about deadlines."""
        waiting = [f"{address} does not answer" for address in self._open]
        return "; ".join(_cut(waiting) + ([self._told()] if self._failures else []))

    def _told(self) -> str:
        return "; ".join(_cut([f"{address}: {_words(error)}" for address, error in self._failures]))


def _words(error: OSError) -> str:
    if not error.errno:
        return str(error)
    return f"[Errno {error.errno}] {os.strerror(error.errno)}"  # asyncio repeats the address


def _cut(texts: list[str]) -> list[str]:
    more = len(texts) - _TOLD
    return texts if more <= 0 else [*texts[:_TOLD], f"and {more} more"]
