"""Channels of grpcio: how they are made, and what their errors mean.

For programs that pass channel arguments that only grpcio knows (load balancing, service
configuration ...), or its credential objects. It takes several times the processor time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ...engine.rpc_outcome import Outcome
from ...errors import ConnectionFailed
from ...extras import optional_import
from ..endpoint import TLS, Endpoint
from ..grpc_call import GrpcCall, GrpcSettings, check_outcome
from ..settings import Grpcio

with optional_import("grpcio", "gRPC through Grpcio()", "grpcio"):
    import grpc

_UNAVAILABLE = 14
#: What grpcio's core says of its own connections; a server's words may be anything else.
_LOST = re.compile(
    "failed to connect|connection (reset|refused|closed)|socket closed|broken pipe|goaway|"
    "dns resolution failed|name resolution|handshake failed|ping timeout|keepalive|recvmsg|"
    "endpoint closing|stream removed",
    re.IGNORECASE,
)
#: The method of the service that is a stream.
STREAM_METHOD = "ModelStreamInfer"
_LARGEST = 2**31 - 1

COMPRESSION: dict[str | None, Any] = {
    None: None,
    "gzip": grpc.Compression.Gzip,
    "deflate": grpc.Compression.Deflate,
}


def compression_of(call: GrpcCall[Any]) -> Any:
    return COMPRESSION[call.coding]


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn grpcio's errors into ours."""
    try:
        yield
    except grpc.RpcError as failure:
        # A call that failed is its own error, which the types do not say.
        error: Any = failure
        code, text = error.code().value[0], error.details() or ""
        trailers = dict(error.trailing_metadata() or ())
        if code == _UNAVAILABLE and _LOST.search(text):
            raise ConnectionFailed(text) from failure
        details = trailers.get("grpc-status-details-bin")
        check_outcome(Outcome(code, text, details, {}, {}))


def make_channel(settings: GrpcSettings, tls: TLS, grpcio: Grpcio, *, awaited: bool) -> Any:
    """A channel as these transports open it, of `grpc` or `grpc.aio`."""
    return channel_maker(settings, grpcio, tls)(grpc.aio if awaited else grpc)


def channel_maker(settings: GrpcSettings, grpcio: Grpcio, tls: TLS) -> Callable[[Any], Any]:
    """A function that makes a channel with `grpc` or `grpc.aio`."""
    endpoint = settings.endpoint
    target = grpcio.target or _target(endpoint)
    options = _channel_options(settings, tls) + [tuple(option) for option in grpcio.options]
    credentials = grpcio.credentials
    if credentials is None and endpoint.secure:
        credentials = _credentials(tls)
    if not isinstance(credentials, (grpc.ChannelCredentials, type(None))):
        raise TypeError(
            f"credentials is {type(credentials).__name__}, expected grpc.ChannelCredentials, such "
            "as grpc.ssl_channel_credentials() returns"
        )
    if credentials is None:
        return lambda module: module.insecure_channel(target, options)
    return lambda module: module.secure_channel(target, credentials, options)


def _target(endpoint: Endpoint) -> str:
    if endpoint.socket_path:
        return f"unix:{endpoint.socket_path}"
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    return f"{host}:{endpoint.port}"


def _channel_options(settings: GrpcSettings, tls: TLS) -> list[tuple[str, Any]]:
    options: list[tuple[str, Any]] = [
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", min(settings.max_response_size, _LARGEST)),
    ]
    keep_alive = settings.keep_alive
    if keep_alive is not None:
        options += [
            ("grpc.keepalive_time_ms", int(min(keep_alive.time * 1000, _LARGEST))),
            ("grpc.keepalive_timeout_ms", int(min(keep_alive.timeout * 1000, _LARGEST))),
            ("grpc.keepalive_permit_without_calls", int(keep_alive.without_calls)),
            ("grpc.http2.max_pings_without_data", keep_alive.max_pings),
        ]
    if tls.server_name is not None:
        options.append(("grpc.ssl_target_name_override", tls.server_name))
    return options


def _credentials(tls: TLS) -> Any:
    if tls.context is not None or not tls.verify or tls.key_password is not None:
        raise ValueError(
            "grpcio takes certificates from files only, without a password, and verifies always; "
            "pass other settings of TLS without grpcio, or credentials of its own"
        )
    return grpc.ssl_channel_credentials(
        *[
            None if path is None else _read(path)
            for path in (tls.ca_file, tls.key_file, tls.cert_file)
        ]
    )


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
