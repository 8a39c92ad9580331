"""Calls: requests as bytes, their options, and the interfaces of calls, engines and streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from ..call_log import recording
from ..datatypes import Buffer
from ..engine.coding import CODINGS, Compressed
from ..errors import InferenceServerException
from ..messages import Request

T = TypeVar("T")

_JOIN_BELOW = 16 * 1024


@dataclass(frozen=True, slots=True)
class Options:
    """Options of a call's transport, independent of its meaning.

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
    """A connection's state machine, without I/O: fed received bytes, it hands out bytes to send."""

    @property
    def response(self) -> Any:
        """The response that was completed last, or None while one is awaited."""

    @property
    def reusable(self) -> bool:
        """True if the connection can carry another call."""
        ...

    @property
    def pending(self) -> bool:
        """True if there may be something to send now."""
        ...

    @property
    def response_begun(self) -> bool:
        """True if the response to a call has begun."""
        ...

    @property
    def length_known(self) -> bool:
        """True if the peer will fill all of what `get_buffer` returned last."""
        ...

    def data_to_send(self) -> list[Buffer]:
        """Return what is to be sent now; all of it has to be sent."""
        ...

    def get_buffer(self, sizehint: int = -1) -> memoryview:
        """Return the memory for the next received bytes."""
        ...

    def buffer_updated(self, count: int) -> None:
        """Read `count` bytes that were received into the buffer."""

    def eof_received(self) -> None:
        """Handle the end of what the peer sends."""

    def mark_unusable(self) -> None:
        """Allow no further call on the connection, although its response is complete."""


class Call(Protocol[T]):
    """A request as bytes. It can be sent any number of times, from any thread.

    It refers to the tensors' memory, and sends the contents of that memory each time.
    """

    @property
    def request(self) -> Request[T]: ...

    @property
    def protocol(self) -> str:
        """The protocol of the call: "http" or "grpc"."""
        ...

    @property
    def idempotent(self) -> bool:
        """True if the request only reads, so that it may be sent twice."""
        ...

    def compressed(self, response: Any) -> Compressed | None:
        """Return the part of a response to decompress in steps before `finish`; None if none."""
        ...

    def start(self, engine: Any, timeout: float | None) -> Any:
        """Begin the exchange on an engine, which then has data to send.

        Args:
            timeout: seconds, for the server where the protocol has a header for it.
        """

    def finish(self, response: Any) -> T:
        """Return the decoded response.

        Raises:
            ServerError: the server rejected the request.
            ProtocolError: the response is invalid.
        """
        ...

    def connection_reusable_after(self, error: BaseException) -> bool:
        """True if the connection can carry further calls after this error."""
        ...

    def without_data(self, request: Request[Any]) -> Call[T]:
        """Return the call as a template: without its tensors, for a request without them."""
        ...

    @property
    def head_size(self) -> int:
        """The size in bytes of a template: of all but the tensors."""
        ...

    def with_data(self, data: list[Buffer]) -> Call[T]:
        """Return a call made of this template and the tensors' data, of the original sizes."""
        ...


class GrpcStream(Protocol):
    """A stream of messages over gRPC, as the blocking transports open it."""

    @property
    def ended(self) -> bool: ...

    def send(self, message: Sequence[Buffer]) -> None: ...
    def post(self, message: Sequence[Buffer]) -> bool: ...
    def sent(self) -> bool: ...
    def drain(self) -> None: ...
    def end(self) -> None: ...
    def receive(self, timeout: float | None = None) -> Buffer | None: ...
    def cancel(self, error: InferenceServerException | None = None) -> None: ...


class AsyncGrpcStream(Protocol):
    """A stream of messages over gRPC, as the asyncio transports open it."""

    @property
    def ended(self) -> bool: ...

    async def send(self, message: Sequence[Buffer]) -> None: ...
    async def end(self) -> None: ...
    async def receive(self, timeout: float | None = None) -> Buffer | None: ...
    def cancel(self, error: InferenceServerException | None = None) -> None: ...


def gather(buffers: list[Buffer]) -> list[Buffer]:
    """Return the same bytes in fewer buffers: small neighbours are joined, large ones kept."""
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


def log_debug(text: str, *arguments: object) -> None:
    """Log to the logger "tritonclient" at debug level, if the program has imported logging."""
    logger = recording()
    if logger is not None:
        logger.debug(text, *arguments)
