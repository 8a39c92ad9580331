"""Settings of clients: limits, keepalive, grpcio's channels, and their checks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ..engine.coding import MAX_CONTENT
from ..messages import Request
from ..operations import names_arguments
from .call import Call, Options
from .endpoint import TLS, Endpoint

if TYPE_CHECKING:
    import ssl

T = TypeVar("T")


@names_arguments
@dataclass(frozen=True, slots=True)
class KeepAlive:
    """Settings of HTTP/2 pings, which detect an unresponsive gRPC server.

    A connection whose server does not answer a ping in time is closed, and its calls fail, those
    without a deadline as well.

    Attributes:
        time: seconds of silence after which a ping is sent; infinite for never.
        timeout: seconds that the response may take before the connection counts as lost.
        without_calls: also while no call is in work. Blocking clients look at idle connections
            when they use them next.
        max_pings: pings to send in a row while no message is sent; 0 for any number.
    """

    time: float = math.inf
    timeout: float = 20.0
    without_calls: bool = False
    max_pings: int = 2

    def __post_init__(self) -> None:
        for name in ("time", "timeout"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise TypeError(f"{name} is {value!r:.60}, expected seconds as a number")
            if not value > 0:
                raise ValueError(f"{name} is {value!r}, expected a positive number of seconds")
        if isinstance(self.max_pings, bool) or not isinstance(self.max_pings, int):
            raise TypeError(f"max_pings is {self.max_pings!r:.60}, expected a whole number")
        if self.max_pings < 0:
            raise ValueError(f"max_pings is {self.max_pings}, expected at least 0")


@names_arguments
@dataclass(frozen=True, slots=True)
class Grpcio:
    """Ask for gRPC through grpcio's own channels rather than this package's engine.

    Attributes:
        options: channel arguments, such as `[("grpc.lb_policy_name", "round_robin")]`.
        credentials: a `grpc.ChannelCredentials` object; by default the client's TLS settings are
            used where the URL asks for TLS.
        target: what to connect to in place of the URL's host, in grpcio's own words, such as
            "ipv4:10.0.0.1:8001,10.0.0.2:8001".
    """

    options: Sequence[tuple[str, Any]] = ()
    credentials: Any = None
    target: str = ""


class Settings(Protocol):
    """Settings that all calls of a client share."""

    @property
    def endpoint(self) -> Endpoint: ...

    @property
    def keep_alive(self) -> KeepAlive | None: ...

    @property
    def alpn(self) -> str:
        """The protocol's name in the TLS handshake."""
        ...

    def engine(self) -> Any:
        """Return the state machine for a new connection."""
        ...

    def call(self, request: Request[T], options: Options) -> Call[T]:
        """Return a request as bytes.

        Raises:
            ValueError, TypeError: it has no form over this protocol, or is larger than allowed.
        """
        ...


def make_context(settings: Settings, tls: TLS) -> ssl.SSLContext | None:
    """Return the `ssl.SSLContext` of a client's connections; None where the URL asks for no TLS."""
    endpoint = settings.endpoint
    return tls.make_context(settings.alpn, endpoint.server_name) if endpoint.secure else None


def check_limit(name: str, value: int) -> None:
    """Raise unless a setting is a whole number from 1."""
    if isinstance(value, bool) or not isinstance(value, Integral):  # numpy's as well
        raise TypeError(f"{name} is {value!r:.60}, expected a whole number")
    if value < 1:
        raise ValueError(f"{name} is {value}, expected at least 1")


def response_limits(given: int | None, unless: int = 2**31 - 1) -> tuple[int, int]:
    """The largest answer to receive, and the largest content to decompress, in bytes.

    Args:
        given: a caller's `max_response_size`, which bounds both; None for the defaults.
        unless: the default for what is received. It bounds no content, which grows a thousandfold.
    """
    if given is None:
        return unless, MAX_CONTENT
    check_limit("max_response_size", given)
    return given, given


def check_timeout(timeout: float | None, name: str = "timeout") -> None:
    """Raise unless a timeout is a positive number of seconds or None."""
    if timeout is None or (type(timeout) is float and 0.0 < timeout < math.inf):
        return
    if isinstance(timeout, bool) or not isinstance(timeout, Real):  # numpy's as well
        hint = "; its total_seconds() is one" if hasattr(timeout, "total_seconds") else ""
        raise TypeError(f"{name} is {timeout!r:.60}, expected seconds as a number, or None{hint}")
    if not timeout > 0 or math.isinf(timeout):
        raise ValueError(f"{name} is {timeout!r}, expected a positive number of seconds, or None")


class RequestTooLarge(ValueError):
    """A request is larger than a client's settings allow."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"the request's {size} bytes exceed max_request_size {limit}")
        self.size = size
        self.limit = limit


def check_size(size: int, limit: int | None) -> None:
    """Raise when a request is larger than a client's settings allow."""
    if limit is not None and size > limit:
        raise RequestTooLarge(size, limit)
