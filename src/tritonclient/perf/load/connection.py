"""Requests as bytes: the one place that knows this package's codec, engines and transports.

A `Wire` is a request encoded once, for a `Target`. What connections need of engines and transports
comes from here as well; `lanes` is built on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ...codec import rest, rpc, rpc_infer
from ...datatypes import Buffer
from ...engine.http1 import Http1, Response
from ...engine.http1_head import encode_head
from ...engine.http2_frames import CallFrames, frame_call
from ...engine.message_stream import frame_message
from ...engine.rpc_outcome import Outcome
from ...errors import (
    ConnectionFailed,
    ConnectionRefused,
    InferenceServerException,
    ProtocolError,
    StreamRefused,
)
from ...messages import Infer, InferResponse
from ...transport.blocking.connecting import connect
from ...transport.blocking.sockets import Stream, drop_first
from ...transport.call import NO_OPTIONS, Options, gather
from ...transport.endpoint import TLS, Endpoint, parse_url
from ...transport.http_call import HttpCall, HttpSettings

__all__ = [
    "BROKEN",
    "CONNECT_TIMEOUT",
    "IN",
    "OUT",
    "Buffer",
    "ConnectionFailed",
    "Failure",
    "InferenceServerException",
    "Outcome",
    "ProtocolError",
    "Response",
    "Stream",
    "StreamRefused",
    "Target",
    "Wire",
    "connect",
    "decode_stream_response",
    "drop_first",
    "failure_of",
    "gather",
    "in_process_target",
    "make_target",
]  # fmt: skip

decode_stream_response = rpc_infer.decode_stream_response
IN, OUT = 1, 4  # as epoll's
CONNECT_TIMEOUT = 2.0
#: Errors by which a connection ends, also those of answers that can't be read.
BROKEN = (InferenceServerException, OSError, ValueError)


class Failure(NamedTuple):
    """Why a request failed.

    Attributes:
        kind: what failures are counted by.
        text: what one of them said.
        lost: whether no connection could be made.
        again: whether the server has not begun the request, so that it can be sent again.
    """

    kind: str
    text: str
    lost: bool = False
    again: bool = False


def failure_of(error: BaseException) -> Failure:
    """What an error of the engines or of a socket counts as."""
    text = str(error) or type(error).__name__
    if isinstance(error, ConnectionRefused):
        return Failure("connection refused", text)
    if isinstance(error, StreamRefused):
        return Failure("refused", text, again=True)
    if isinstance(error, ProtocolError):
        return Failure("protocol error", text)
    if isinstance(error, (ConnectionFailed, OSError)):
        return Failure("connection lost", text)
    status = getattr(error, "status", lambda: None)()
    return Failure(str(status or type(error).__name__), text)


# What is sent


class Target(NamedTuple):
    """Where requests go.

    Attributes:
        kind: "http", "grpc", "grpc_stream", "sse" for answers that are streams of events, or
            "process" for a server in the worker's own process.
        settings: `HttpSettings` or `GrpcSettings`.
        options: headers and compression.
    """

    kind: str
    settings: Any
    tls: TLS
    options: Options

    @property
    def endpoint(self) -> Endpoint:
        """The server's address."""
        endpoint: Endpoint = self.settings.endpoint
        return endpoint

    def encode(self, request: Infer) -> Wire:
        """A request as bytes.

        Raises:
            ValueError, TypeError: it has no form over this protocol.
        """
        if self.kind == "http":
            call = HttpCall(request, self.settings, self.options)
            engine = Http1()
            call.start(engine, None)
            head, *body = engine.data_to_send()
            return _joined(head, body)
        if self.kind == "process":
            return Wire(b"", (), request)
        if self.kind == "grpc_stream":
            return Wire(b"", _framed(request, self.options))
        block, framed = self.block("ModelInfer"), _framed(request, self.options)
        frames = frame_call(block, sum(map(len, framed)))
        return Wire(block, (b"".join(framed),) if frames.fit else framed, None, frames)

    def block(self, method: str) -> bytes:
        """Return the header block of a gRPC call."""
        settings, options = self.settings, self.options
        metadata = settings.metadata(options)
        block: bytes = settings.block(method, options.request_compression, metadata)
        return block

    def encode_raw(
        self, method: str, path: str, headers: Sequence[tuple[str, str]], body: bytes
    ) -> Wire:
        """An HTTP request that is not the v2 protocol's."""
        endpoint = self.endpoint
        own = {"Host": endpoint.authority}
        own.update(headers)
        own.update({name: str(value) for name, value in self.options.headers.items()})
        own["Content-Length"] = str(len(body))
        target = f"{endpoint.base_path}/{path.lstrip('/')}"
        return _joined(encode_head(method, target, tuple(own.items())), [body])

    def decode(self, request: Infer, answer: Any) -> InferResponse | None:
        """Return the tensors of a response; None for the end of a decoupled request's responses.

        Args:
            answer: a `rest.HttpResponse` over HTTP, otherwise a gRPC message.

        Raises:
            InferenceServerException: it can't be read.
        """
        if self.kind == "http":
            return rest.decode_response(request, answer)
        if self.kind == "grpc_stream":
            return rpc_infer.decode_stream_response(answer).response
        return rpc.decode_response(request, answer)


class Wire(NamedTuple):
    """A request as bytes.

    Attributes:
        head: HTTP's head, with the body where that is small; gRPC's header block.
        body: what follows, as few buffers.
        request: the request itself, for a server in the same process.
        frames: of a unary gRPC call.
    """

    head: bytes
    body: tuple[Buffer, ...]
    request: Infer | None = None
    frames: CallFrames | None = None

    @property
    def size(self) -> int:
        """All bytes of it."""
        return len(self.head) + sum(map(len, self.body))


def _joined(head: Buffer, body: Sequence[Buffer]) -> Wire:
    first, *others = gather([head, *body])
    return Wire(bytes(first), tuple(others))


def _framed(request: Infer, options: Options) -> tuple[Buffer, ...]:
    message = rpc_infer.encode_request(request)
    return tuple(gather(frame_message(message, options.request_compression)))


def in_process_target() -> Target:
    """The target that is a server in the worker's own process."""
    return Target("process", HttpSettings(parse_url("http://localhost:8000")), TLS(), NO_OPTIONS)


def make_target(
    url: str,
    protocol: str,
    tls: TLS,
    headers: Sequence[tuple[str, str]],
    compression: str,
    *,
    kind: str = "",
) -> Target:
    """The target that options describe.

    Raises:
        ValueError, TypeError: they make none.
    """
    endpoint = parse_url(url)
    coding = None if compression == "none" else compression
    if protocol == "http":
        options = Options(dict(headers), {}, coding, coding) if headers or coding else NO_OPTIONS
        return Target(kind or "http", HttpSettings(endpoint), tls, options)
    from ...transport.grpc_call import GrpcSettings

    options = Options(dict(headers), {}, coding) if headers or coding else NO_OPTIONS
    return Target(kind or "grpc", GrpcSettings(endpoint), tls, options)
