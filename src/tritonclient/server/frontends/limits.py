"""`Limits`: bounds of requests, for both frontends. Imports none of them."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real

#: Default limit of a request body, after decompression, in bytes.
MAX_INPUT_SIZE = 1 << 30
#: Default limit of requests that are executed or wait for it.
MAX_REQUESTS = 1 << 14
#: Default of the seconds in which some of a half-sent request must come; Triton waits forever.
RECEIVE_TIMEOUT = 300.0
#: Default of the bytes per second that a request must come with; slower than any network.
MIN_RECEIVE_RATE = 240.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of requests.

    Attributes:
        max_input_size: largest request body over HTTP, after decompression, in bytes.
        max_requests: requests that are executed or wait for it; further ones get status 503 or
            RESOURCE_EXHAUSTED.
        receive_timeout: seconds in which some of a half-sent request must come, else it is refused
            with status 408 or DEADLINE_EXCEEDED.
        min_receive_rate: bytes per second with which a request must come on average, after the
            seconds of `receive_timeout`, else it is refused in the same way.

    Raises:
        ValueError: a value is not above 0.
    """

    max_input_size: int = MAX_INPUT_SIZE
    max_requests: int = MAX_REQUESTS
    receive_timeout: float = RECEIVE_TIMEOUT
    min_receive_rate: float = MIN_RECEIVE_RATE

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Real):
                raise TypeError(f"{name} is {value!r:.80}, expected a number above 0")
            if not 0 < float(value) < float("inf"):
                raise ValueError(f"{name} is {value}, expected a number above 0")
