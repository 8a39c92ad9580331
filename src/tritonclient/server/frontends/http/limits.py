"""`HttpLimits`: bounds of requests over HTTP. Imports no HTTP server."""

from __future__ import annotations

from dataclasses import dataclass

#: Default limit of a request body, after decompression, in bytes.
MAX_INPUT_SIZE = 1 << 30
#: Default limit of requests that are executed or wait for it.
MAX_REQUESTS = 1 << 14
#: Default of the seconds in which some of a half-sent request must come; Triton waits forever.
RECEIVE_TIMEOUT = 300.0


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Bounds of requests over HTTP.

    Attributes:
        max_input_size: largest request body, after decompression, in bytes.
        max_requests: requests that are executed or wait for it; further ones get status 503.
        receive_timeout: seconds in which some of a half-sent request must come, else it is refused
            with status 408.

    Raises:
        ValueError: a value is not above 0.
    """

    max_input_size: int = MAX_INPUT_SIZE
    max_requests: int = MAX_REQUESTS
    receive_timeout: float = RECEIVE_TIMEOUT

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise ValueError(f"{name} is {value}, expected a number above 0")
