"""`Progress`: how fast a request comes, and when that is too slow. Knows no clock and no socket."""

from __future__ import annotations


class Progress:
    """What came of the request that a connection receives.

    Args:
        timeout: seconds in which some of it must come.
        rate: bytes per second that must come on average, after as many seconds.
    """

    def __init__(self, timeout: float, rate: float) -> None:
        self._timeout = timeout
        self._rate = rate
        self._begun = self._last = 0.0
        self._size = 0

    def begin(self, now: float) -> None:
        """Note the begin of a request, at this time in seconds."""
        self._begun = self._last = now
        self._size = 0

    def received(self, size: int, now: float) -> None:
        """Note that so many bytes came."""
        self._last = now
        self._size += size

    def left(self, now: float) -> float:
        """Return the seconds after which it is too slow if nothing comes; 0 or less if it is."""
        return min(self._last, self._begun + self._size / self._rate) + self._timeout - now

    def reason(self, now: float) -> str:
        """Return the error for a request that is too slow."""
        if now - self._last >= self._timeout:
            return f"nothing of the request came for {self._timeout:g} s; send it again"
        return (
            f"the request came too slowly: {self._size} bytes in {now - self._begun:.1f} s; send "
            f"it again, with {self._rate:g} bytes per second or more"
        )
