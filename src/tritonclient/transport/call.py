"""What calls over HTTP and over gRPC have in common, whatever the runtime that carries them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ..call_log import recording
from ..datatypes import Buffer
from ..engine.coding import CODINGS, MAX_CONTENT, Compressed
from ..errors import ConnectionFailed, ConnectionRefused, InferenceServerException
from ..messages import Request
from .endpoint import TLS, Endpoint

if TYPE_CHECKING:
    import ssl

T = TypeVar("T")

#: How often a call is sent again that servers refuse to begin, and any other with it.
MAX_REFUSALS = 3
_JOIN_BELOW = 16 * 1024


@dataclass(frozen=True, slots=True)
class Options:
    """What concerns the carrying of a call rather than its meaning.

    Attributes:
        headers: further headers, gRPC's metadata; they win over the client's own. Over gRPC, names
            that end in "-bin" take bytes.
        query: query parameters of HTTP; a list gives a parameter several times.
        request_compression: "gzip" or "deflate", to compress what is sent.
        response_compression: the same, asked of an HTTP server.
    """

    headers: Mapping[str, str | bytes] = field(default_factory=dict, repr=False)
    query: Mapping[str, Any] = field(default_factory=dict, repr=False)
    request_compression: str | None = None
    response_compression: str | None = None

    def __post_init__(self) -> None:
        for name in ("request_compression", "response_compression"):
            value = getattr(self, name)
            if value is not None and value not in CODINGS:
                raise ValueError(f"{name} is {value!r}, expected one of {', '.join(CODINGS)}")
        for name in ("headers", "query"):
            value = getattr(self, name)
            if not isinstance(value, Mapping):
                raise TypeError(f"{name} is {type(value).__name__}, expected a mapping")


NO_OPTIONS = Options()


class Engine(Protocol):
    """A connection's state machine, as drivers of one call at a time see it."""

    ping_pending: bool
    pings: int
    doubtful: bool

    @property
    def numbers_calls(self) -> bool:
        """Whether answers name their calls, so that nothing that came unasked is taken for one."""
        ...

    @property
    def response(self) -> Any:
        """The answer once it is there, otherwise None."""

    @property
    def reusable(self) -> bool: ...

    @property
    def farewell(self) -> str:
        """Why the server takes no more calls, if it said so."""
        ...

    @property
    def pending(self) -> bool:
        """Whether there is something to send besides what starting a call gave."""
        ...

    @property
    def answering(self) -> bool:
        """Whether the answer to a call has begun to come."""
        ...

    @property
    def unsent(self) -> bool:
        """Whether a part of a call waits for the peer to take more."""
        ...

    @property
    def length_known(self) -> bool: ...

    def data_to_send(self) -> list[Buffer]: ...
    def get_buffer(self, sizehint: int = -1) -> memoryview: ...
    def buffer_updated(self, count: int) -> None: ...
    def eof_received(self) -> None: ...
    def abandon(self) -> bool: ...
    def cancel_all(self) -> bool: ...
    def ping(self) -> None: ...


class Call(Protocol[T]):
    """A request as bytes: made once, it can be sent any number of times, from any thread.

    The tensors' memory is referred to, not copied, so a later send carries its contents of then.
    """

    @property
    def request(self) -> Request[T]: ...

    @property
    def protocol(self) -> str:
        """What it is made for: "http" or "grpc"."""
        ...

    @property
    def idempotent(self) -> bool:
        """Whether it may be sent again when it is not known what became of it."""
        ...

    def compressed(self, response: Any) -> Compressed | None:
        """What of an answer is to be decompressed before `finish`, which would not stop."""
        ...

    def start(self, engine: Any, timeout: float | None) -> list[Buffer]:
        """Begin the exchange; what to send. The server is told the timeout where it can be."""
        ...

    def finish(self, response: Any) -> T:
        """The answer.

        Raises:
            ServerError: the server refused the request.
            ProtocolError: the answer is not the protocol's.
        """
        ...

    def trusts(self, error: BaseException) -> bool:
        """Whether the connection that an error came by can go on."""
        ...

    def without_data(self, request: Request[Any]) -> Call[T]:
        """What is left when tensors are taken off, and a request without them."""
        ...

    @property
    def head_size(self) -> int:
        """How many bytes it has besides its tensors, once they are taken off."""
        ...

    def with_data(self, data: list[Buffer]) -> Call[T]:
        """The same call with other tensors, of the same sizes."""
        ...


MAX_REMEMBERED = 256
_LARGEST_REMEMBERED = 16 * 1024
C = TypeVar("C", bound="Call[Any]")


def remember(remembered: dict[Any, C], looks: Any, call: C, request: Request[Any]) -> None:
    """Remember a call without its data, for a request without tensors, if it is small.

    It holds the client's own headers, and goes with the client.
    """
    heads = call.without_data(request)
    if heads.head_size <= _LARGEST_REMEMBERED:
        if len(remembered) >= MAX_REMEMBERED:
            remembered.clear()
        remembered[looks] = heads  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """When to look whether a silent gRPC server still answers, by HTTP/2 pings.

    A connection whose server does not answer a ping in time is closed, and its calls fail, those
    without a deadline as well.

    Attributes:
        time: seconds of silence after which a ping is sent; infinite for never.
        timeout: seconds that the answer may take before the connection counts as lost.
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
    """What all calls of a client share."""

    @property
    def endpoint(self) -> Endpoint: ...

    @property
    def keep_alive(self) -> KeepAlive | None: ...

    @property
    def alpn(self) -> str:
        """The protocol's name in the TLS handshake."""
        ...

    def engine(self) -> Any:
        """The state machine for a new connection."""
        ...

    def call(self, request: Request[T], options: Options) -> Call[T]:
        """A request as bytes.

        Raises:
            ValueError, TypeError: it has no form over this protocol, or is larger than allowed.
        """
        ...


def make_context(settings: Settings, tls: TLS) -> ssl.SSLContext | None:
    """Return the `ssl.SSLContext` of a client's connections; None where the URL asks for no TLS."""
    endpoint = settings.endpoint
    return tls.make_context(settings.alpn, endpoint.server_name) if endpoint.secure else None


def gather(buffers: list[Buffer]) -> list[Buffer]:
    """The same bytes in fewer buffers: small neighbours are joined, large ones left alone."""
    if len(buffers) == 1:
        return buffers
    if sum(map(len, buffers)) <= _JOIN_BELOW:
        return [b"".join(buffers)]
    gathered: list[Buffer] = []
    small: list[Buffer] = []
    for buffer in buffers:
        if len(buffer) <= _JOIN_BELOW:
            small.append(buffer)
        else:
            if small:
                gathered.append(b"".join(small))
                small = []
            gathered.append(buffer)
    if small:
        gathered.append(b"".join(small))
    return gathered


def note(text: str, *arguments: object) -> None:
    """Log at debug level, to the logger "tritonclient", if the program logs at all."""
    logger = recording()
    if logger is not None:
        logger.debug(text, *arguments)


def check_limit(name: str, value: int) -> None:
    """Raise unless a setting is a whole number from 1."""
    if isinstance(value, bool) or not isinstance(value, int):
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
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(f"{name} is {timeout!r}, expected seconds as a number, or None")
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


def lost(engine: Engine, error: object) -> ConnectionFailed:
    """The error to raise when the connection breaks off with this one."""
    if engine.farewell:
        return ConnectionFailed(f"the server closed the connection: {engine.farewell}")
    return ConnectionFailed(f"the connection was lost: {error}")


def insecure(reason: object) -> ConnectionFailed:
    """The error to raise when a TLS handshake fails for this reason."""
    plain = getattr(reason, "reason", None) == "WRONG_VERSION_NUMBER"
    hint = "; is this a port without TLS?" if plain else ""
    return ConnectionFailed(f"the TLS handshake failed: {reason}{hint}")


def unreachable(error: Exception) -> ConnectionFailed:
    """The error to raise when connecting fails with this one."""
    kind = ConnectionRefused if isinstance(error, ConnectionRefusedError) else ConnectionFailed
    failed = kind(f"can't connect: {error}")
    failed.errno = getattr(error, "errno", None)
    return failed


def locate(error: InferenceServerException, url: str, request: Request[Any]) -> None:
    """Note in an error which server, model and request it concerns."""
    error.endpoint = url
    error.model = getattr(request, "model", "")
    error.request_id = getattr(request, "id", "")
