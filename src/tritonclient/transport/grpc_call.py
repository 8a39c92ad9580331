"""One call over gRPC: what to send for a request, and how to read its response.

Knows the codec and the engine, and nothing of sockets and loops: all runtimes share it.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..caches import small_cache
from ..codec import rpc, rpc_infer, rpc_status
from ..datatypes import Buffer
from ..engine.coding import MAX_CONTENT, Compressed
from ..engine.header_block import encode, encode_binary, require_hpack
from ..engine.header_faults import shown_name, wrong_type
from ..engine.http2 import Http2
from ..engine.http2_frames import CallFrames, frame_call
from ..engine.message_stream import PREFIX_SIZE, frame_message
from ..engine.rpc_outcome import Outcome
from ..engine.rpc_stream import RpcStream
from ..errors import InferenceServerException, ProtocolError, ServerError
from ..messages import Request
from .call import NO_OPTIONS, Options
from .endpoint import Endpoint
from .settings import KeepAlive, check_limit, check_size

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T")

#: Names that say how a message is carried; letting a caller set them would break it.
_OWN_NAMES = {
    *("te", "content-type", "content-length", "host", "connection", "proxy-connection"),
    *("keep-alive", "transfer-encoding", "upgrade"),
}
_ACCEPTED = "identity, deflate, gzip"
#: Where the first tensor of a stream's response begins.
_new: Any = object.__new__
stream_data_offset = partial(rpc_infer.data_offset, stream=True)


@dataclass(frozen=True, slots=True)
class GrpcSettings:
    """Settings that all calls of a client share.

    Attributes:
        headers: metadata sent with every call.
        max_request_size: largest message to send, in bytes; None for no limit.
        max_response_size: largest message to accept, in bytes.
        keep_alive: when to look whether a silent server still lives.
        max_content: largest content of a compressed message, in bytes.
    """

    endpoint: Endpoint
    headers: Mapping[str, str | bytes] = field(default_factory=dict, repr=False)
    max_request_size: int | None = None
    max_response_size: int = 2**31 - 1
    keep_alive: KeepAlive | None = None
    max_content: int = MAX_CONTENT

    def __post_init__(self) -> None:
        require_hpack()
        metadata(self.headers)
        check_limit("max_response_size", self.max_response_size)
        check_limit("max_content", self.max_content)
        if self.max_request_size is not None:
            check_limit("max_request_size", self.max_request_size)

    @property
    def alpn(self) -> str:
        """HTTP/2's name, which gRPC servers insist on."""
        return "h2"

    def engine(self) -> Http2:
        """Return the state machine for a new connection."""
        return Http2(max_message=self.max_response_size, max_content=self.max_content)

    def call(self, request: Request[T], options: Options) -> GrpcCall[T]:
        """Return a request as bytes."""
        return GrpcCall(request, self, options)

    def path(self, method: str) -> str:
        """Return the `:path` of a method."""
        return f"/{rpc.SERVICE}/{method}"

    def metadata(self, options: Options) -> tuple[tuple[str, str | bytes], ...]:
        """The client's metadata and a call's, which wins."""
        if not (self.headers or options.headers):
            return ()
        return tuple({**dict(metadata(self.headers)), **dict(metadata(options.headers))}.items())

    def block(
        self, method: str, coding: str | None, metadata: Iterable[tuple[str, str | bytes]]
    ) -> bytes:
        """Return the header block of a call, without the timeout.

        Args:
            coding: of the message.
            metadata: what `metadata` gives for the call.
        """
        endpoint = self.endpoint
        scheme = "https" if endpoint.secure else "http"
        block = _begin_block(self.path(method), scheme, endpoint.authority, coding or "")
        if not metadata:
            return block
        # Not remembered, as metadata may hold secrets.
        return block + encode(
            (name, value if isinstance(value, str) else encode_binary(value))
            for name, value in metadata
        )


@small_cache(512)
def _begin_block(path: str, scheme: str, authority: str, coding: str) -> bytes:
    headers = [
        (":method", "POST"),
        (":scheme", scheme),
        (":path", path),
        (":authority", authority),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("grpc-accept-encoding", _ACCEPTED),
    ]
    if coding:
        headers.append(("grpc-encoding", coding))
    return encode(headers)


def metadata(headers: Mapping[str, str | bytes]) -> tuple[tuple[str, str | bytes], ...]:
    """Headers as gRPC names them, in lower case; those that end in "-bin" are bytes.

    Those that frame the message, or say what it is, are left out: programs give them on, with all
    other headers of a request that they serve.

    Raises:
        TypeError, ValueError: a name or value can't be sent.
    """
    fields = [_field(name, value) for name, value in headers.items()]
    return tuple([field for field in fields if field[0] not in _OWN_NAMES])


def _field(name: str, value: str | bytes) -> tuple[str, str | bytes]:
    if not isinstance(name, str):
        raise wrong_type(name, value, "str")
    name = name.lower()
    if name in _OWN_NAMES and isinstance(value, (str, bytes)):
        return name, value
    if name.startswith(("grpc-", ":")):
        raise ValueError(f"header {shown_name(name)} can't be set: it says how the call is carried")
    if name.endswith("-bin"):
        if isinstance(value, str):
            value = value.encode()
        if not isinstance(value, bytes):
            raise wrong_type(name, value, "bytes")
        encode([(name, "")])
    elif not isinstance(value, str):
        raise wrong_type(name, value, "str")
    else:
        value = value.strip(" ")  # which gRPC lets us do, and HTTP/2 wants
        encode([(name, value)])  # checks the characters
    return name, value


@lru_cache(maxsize=64)
def timeout_block(seconds: float | None) -> bytes:
    """The header that tells the server how long the client waits, at most 8 digits long."""
    if seconds is None:
        return b""
    for unit, per_second in (("u", 1_000_000), ("m", 1000), ("S", 1)):
        amount = math.ceil(seconds * per_second)
        if amount < 100_000_000:
            return encode([("grpc-timeout", f"{amount}{unit}")])
    return b""


@dataclass(slots=True)
class CallHead:
    """The part of a call that its template keeps.

    Attributes:
        framed: the timeout of the last call that was made of the template, and its frames.
    """

    block: bytes
    path: str
    metadata: tuple[tuple[str, str | bytes], ...]
    coding: str | None
    idempotent: bool
    framed: tuple[float | None, CallFrames] | None = None

    def __repr__(self) -> str:  # without the metadata, which may be secret
        return f"<CallHead of {self.path}>"


class GrpcCall(Generic[T]):
    """A request as bytes; see `call.Call`.

    Raises:
        ValueError, TypeError: the request has no form over gRPC, or is larger than allowed.
    """

    __slots__ = ("_head", "_payload", "request")
    protocol = "grpc"

    def __init__(
        self, request: Request[T], settings: GrpcSettings, options: Options = NO_OPTIONS
    ) -> None:
        check_options(options)
        self.request = request
        encoded = rpc.encode_request(request)
        check_size(sum(map(len, encoded.message)), settings.max_request_size)
        metadata, coding = settings.metadata(options), options.request_compression
        self._head = CallHead(
            settings.block(encoded.method, coding, metadata),
            settings.path(encoded.method),
            metadata,
            coding,
            rpc.idempotent(request),
        )
        # Heads and tensors by turns, with the prefix that frames the message before the first.
        self._payload = _framed(encoded.message)

    def without_data(self, request: Request[Any]) -> Self:
        """Return the call as a template: the message's heads, with room for the tensors."""
        call = copy.copy(self)
        call.request, call._payload = request, list(self._payload)
        call._payload[1::2] = [b""] * (len(self._payload) // 2)
        return call

    @property
    def head_size(self) -> int:
        """Size in bytes of the call without its tensors."""
        return len(self._head.block) + sum(map(len, self._payload))

    def with_data(self, data: list[Buffer]) -> Self:
        """Return a call made of this template and the tensors' data, of the original sizes."""
        payload = self._payload.copy()
        payload[1::2] = data
        call: Self = _new(type(self))
        call.request, call._head, call._payload = self.request, self._head, payload
        return call

    @property
    def idempotent(self) -> bool:
        """True if the request only reads, so that it may be sent twice."""
        return self._head.idempotent

    def start(self, engine: Http2, timeout: float | None) -> RpcStream:
        """Begin the exchange on an engine, as a stream of it."""
        head, payload = self._head, self._payload
        if head.coding is not None:
            payload = frame_message([self.message()], head.coding)
            block = head.block + timeout_block(timeout)
            return engine.start(block, payload, data_offset=rpc_infer.data_offset)
        framed = head.framed
        if framed is None or framed[0] != timeout:
            frames = frame_call(head.block + timeout_block(timeout), sum(map(len, payload)))
            framed = head.framed = timeout, frames
        return engine.start_framed(framed[1], payload, rpc_infer.data_offset)

    def compressed(self, response: RpcStream) -> Compressed | None:
        """The message if it is to be decompressed before `finish`."""
        return response.compressed

    def finish(self, response: RpcStream) -> T:
        """Return the decoded response."""
        result = response.result
        if type(result) is not Outcome or result.code:
            check_outcome(result)
        if not response.messages:
            raise ProtocolError("the answer has no message")
        return self.decode(response.take())

    # What a transport that frames messages itself needs

    @property
    def path(self) -> str:
        """The `:path` of the method."""
        return self._head.path

    @property
    def metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        """The client's metadata and the call's."""
        return self._head.metadata

    @property
    def coding(self) -> str | None:
        """Coding that compresses the message: "gzip", "deflate", or None."""
        return self._head.coding

    def message(self) -> bytes:
        """The message in one piece."""
        first, *others = self._payload
        return b"".join((memoryview(first)[PREFIX_SIZE:], *others))

    def decode(self, message: Buffer) -> T:
        """Return the decoded response in a message."""
        return rpc.decode_response(self.request, message)

    def connection_reusable_after(self, error: BaseException) -> bool:
        """True for refusals of the server: the engine knows whether its connection is usable."""
        return isinstance(error, ServerError)


def _framed(message: tuple[Buffer, ...]) -> list[Buffer]:
    prefix, first, *others = frame_message(message)
    return [b"".join((prefix, first)), *others]


def check_options(options: Options) -> None:
    """Raise for what gRPC does not have."""
    if options is NO_OPTIONS:
        return
    if options.query:
        names = ", ".join(map(str, options.query))
        raise ValueError(f"query has {names:.60}, but gRPC has no query parameters")
    if options.response_compression is not None:
        raise ValueError(
            f"response_compression is {options.response_compression!r}, but gRPC servers choose "
            "the compression of their answers themselves"
        )


def check_outcome(result: Outcome | InferenceServerException | None) -> Outcome:
    """The outcome of a call that went well; otherwise its error is raised."""
    assert result is not None, "the call is not over"
    if isinstance(result, InferenceServerException):
        # Calls that end together share the error; each gets one of its own. It has no name here:
        # its traceback refers to this frame, which would be a circle.
        raise copy.copy(result) from result.__cause__
    if result.code:
        raise rpc_status.error_of(result.code, result.message, result.details)
    return result
