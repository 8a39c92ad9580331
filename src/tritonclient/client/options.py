"""Arguments that the methods of both clients share, and what clients check when they are made."""

from __future__ import annotations

import math
import re
from collections.abc import AsyncIterable, Iterable, Mapping
from enum import Enum
from numbers import Real
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, TypedDict

from ..call_log import record_end
from ..errors import DeadlineExceeded, InferenceServerException
from ..messages import Infer, Parameter
from ..transport.call import NO_OPTIONS, Call, Options
from ..transport.deadline import name_seconds
from ..transport.endpoint import Security, parse_url
from ..transport.http_call import HttpSettings
from ..transport.settings import (
    Grpcio,
    KeepAlive,
    Settings,
    check_limit,
    check_timeout,
    response_limits,
)
from .requests import request as make_request
from .suggestions import unknown_argument
from .user_warnings import warn

if TYPE_CHECKING:
    from ..transport.grpc_call import GrpcSettings
    from .flows import Flow
    from .results import InferResult


_A_DAY = 86400.0
#: Routers forget an idle connection sooner, so that a ping after that is of no use.
_AN_HOUR = 3600.0


class _ClientDefault(Enum):
    """Stands for an argument's value that the client was made with."""

    CLIENT_DEFAULT = "the client's"

    def __repr__(self) -> str:
        return f"<{self.value}>"


#: Connections that may be open at the same time.
MAX_CONNECTIONS: Final = 100
CLIENT_DEFAULT: Final = _ClientDefault.CLIENT_DEFAULT

#: Seconds for a whole call, None for no limit.
Timeout: TypeAlias = "float | _ClientDefault | None"


class TensorPlacement(Protocol):
    """Places the tensors of a call in shared memory; see `SharedMemory`."""

    def inference(
        self,
        url: str,
        model: str,
        inputs: Mapping[str, Any],
        version: str,
        outputs: Any,
        options: Mapping[str, Any],
        seconds: float | None,
    ) -> tuple[Flow[InferResult], Options]: ...


class CallOptions(TypedDict, total=False):
    """Options of every method that calls the server.

    timeout: seconds for the whole call, None for no limit; the client's own by default.
    headers: further HTTP headers or gRPC metadata; they win over the client's.
    query: query parameters of an HTTP URL; a list gives a parameter several times.
    """

    timeout: Timeout
    headers: Mapping[str, str | bytes] | None
    query: Mapping[str, Any] | None


class MapOptions(TypedDict, total=False):
    """Options of `map` besides its named arguments: those of `infer` that many requests share."""

    priority: int
    server_timeout: float | None
    parameters: Mapping[str, Parameter] | None
    binary: bool
    headers: Mapping[str, str | bytes] | None
    query: Mapping[str, Any] | None
    request_compression: str | None
    response_compression: str | None


class InferOptions(MapOptions, total=False):
    """Options of `infer` besides its named arguments; see `Client.infer`."""

    id: str
    sequence_id: int | str
    sequence_start: bool
    sequence_end: bool
    shared_memory: TensorPlacement | None


class StreamOptions(InferOptions, total=False):
    """Options of `stream` besides its named arguments; see `Client.stream`."""

    empty_final_response: bool


_KNOWN = StreamOptions.__optional_keys__
#: The options that concern the transport of a call rather than the request.
TRANSPORT_OPTIONS = ("headers", "query", "request_compression", "response_compression")


def split(options: Mapping[str, Any]) -> tuple[dict[str, Any], Options]:
    """The options of a request, and those of its transport."""
    for name in options:
        if name not in _KNOWN:
            known = {"version", "outputs", "timeout", *_KNOWN} - {name}
            raise unknown_argument(name, known, options[name])
    arguments = dict(options)
    if arguments.pop("shared_memory", None) is not None:
        raise ValueError("shared_memory is for infer and submit; other requests take SharedTensors")
    transport = {name: arguments.pop(name) for name in TRANSPORT_OPTIONS if name in arguments}
    return arguments, make_transport_options(**transport)


def stream_requests(
    model: str | Any,
    inputs: Mapping[str, Any] | None,
    version: str,
    outputs: Any,
    arguments: dict[str, Any],
) -> Any:
    """The requests that the arguments of `Client.stream` make.

    Raises:
        TypeError, ValueError: an argument is not what it should be.
    """
    if isinstance(model, str):
        if inputs is None:
            raise TypeError("inputs is missing, expected a mapping of names to arrays")
        return (make_request(model, inputs, version=version, outputs=outputs, **arguments),)
    if isinstance(model, (Infer, Mapping)) or not isinstance(model, (Iterable, AsyncIterable)):
        raise TypeError(
            f"model is {type(model).__name__}, expected a model's name or an iterable of requests"
            f"{'; [request] is one' if isinstance(model, (Infer, Mapping)) else ''}"
        )
    if inputs is not None or version or outputs is not None or arguments:
        raise TypeError("inputs and options of requests are given with the requests themselves")
    return model


def plain_seconds(timeout: float | None) -> float | None:
    """Return a timeout as a number of Python; warn of one that is longer than anybody waits."""
    if not isinstance(timeout, (int, float)):
        if not isinstance(timeout, Real):
            return timeout  # None, or what is refused later
        timeout = float(timeout)
    if _A_DAY < timeout < math.inf:
        warn(
            f"timeout is {timeout:g} s, which is {timeout / _A_DAY:.1f} days; it counts seconds, "
            "not microseconds; None means no limit"
        )
    return timeout


def check_pool(memory: Any) -> None:
    """Raise TypeError for what is no memory to place tensors in."""
    if not hasattr(memory, "inference"):
        raise TypeError(
            f"shared_memory is {memory!r:.60}, expected what client.shared_memory() returns: "
            "with client.shared_memory() as memory: ..."
        )


def check_call(call: Any, protocol: str) -> None:
    """Raise TypeError for what is no prepared call of a client's protocol."""
    made = getattr(call, "protocol", None)
    if made is None:
        raise TypeError(
            f"call is {type(call).__name__}, expected what client.prepare() returns; "
            "client.ask(request) sends a request of tritonclient.messages"
        )
    if made != protocol:
        raise TypeError(
            f"the call was prepared by a client for {made}, and this one is for {protocol}; "
            "prepare it by the client that sends it"
        )


def no_request(request: object) -> TypeError:
    """Return the error for what is no request of `tritonclient.messages`."""
    return TypeError(
        f"request is {request!r:.60}, expected one of tritonclient.messages, such as "
        "GetModelMetadata('model'); infer runs a model"
    )


def check_model_name(name: Any) -> None:
    """Raise for what is no name of a model."""
    if not isinstance(name, str):
        raise TypeError(f"name is {name!r:.60}, expected str, the name of a model")
    if not name:
        raise ValueError("name is '', expected the name of a model")


def carrying_of(call: Any, arguments: tuple[Any, ...] | None) -> Options:
    """The options that a call of inference is carried with."""
    if arguments is not None:
        return split(arguments[-1])[1]
    options: Options = getattr(call, "options", NO_OPTIONS)
    return options


def settle(
    error: InferenceServerException,
    call: Call[Any],
    seconds: float | None,
    url: str,
    started: float,
) -> None:
    """Let the error of a call say how many seconds it had, and write the call's record."""
    if isinstance(error, DeadlineExceeded):
        name_seconds(error, seconds)
    record_end(url, call.request, started, error)


def make_transport_options(
    headers: Mapping[str, str | bytes] | None = None,
    query: Mapping[str, Any] | None = None,
    request_compression: str | None = None,
    response_compression: str | None = None,
) -> Options:
    """The transport's options that these arguments make."""
    if not (headers or query or request_compression or response_compression):
        return NO_OPTIONS
    if query and isinstance(query, Mapping):
        _check_query(query)
    return Options(headers or {}, query or {}, request_compression, response_compression)


def _check_query(query: Mapping[str, Any]) -> None:
    """Raise TypeError for values that have no usual form in a query."""
    for name, values in query.items():
        for value in values if isinstance(values, (list, tuple)) else [values]:
            if not isinstance(value, (str, bool, Real)):
                raise TypeError(
                    f"query {name!r:.60} is {type(value).__name__}, expected str, a number, or a "
                    "list of them"
                )


def check_grpc(settings: Settings) -> GrpcSettings:
    """The settings of a client that is to use grpcio; raises when they are not gRPC's."""
    from ..transport.grpc_call import GrpcSettings

    if not isinstance(settings, GrpcSettings):
        raise ValueError(f"grpcio is given, but the url {settings.endpoint.url!r} is not gRPC")
    return settings


def check_grpcio(grpcio: Grpcio, tls: Security, max_connections: int) -> None:
    """Raise for arguments that grpcio's channels do not have.

    Raises:
        TypeError, ValueError: one of them is given, or `grpcio` is not what it should be.
    """
    if not isinstance(grpcio, Grpcio):
        raise TypeError(f"grpcio is {type(grpcio).__name__}, expected Grpcio or None")
    if tls and grpcio.credentials is not None:
        raise ValueError(
            "tls and the credentials of grpcio both secure the connection; leave one of them out"
        )
    check_limit("max_connections", max_connections)
    if max_connections != MAX_CONNECTIONS:
        raise ValueError(
            f"max_connections is {max_connections}, but a channel of grpcio opens connections as "
            "it likes; leave max_connections or grpcio out"
        )


#: URL of clients that call a server in their own process, without sockets.
IN_PROCESS = "http://in-process"


def check_streams(url: str) -> None:
    """Raise for a client whose protocol has no streams."""
    if url == IN_PROCESS:
        raise ValueError(
            "streams need gRPC, and a local client has no connection; "
            "use tritonclient.Client(server.grpc_url)"
        )
    if parse_url(url).protocol != "grpc":
        raise ValueError(
            f"streams need gRPC, but the client's url is {url!r}; "
            "use one that begins with grpc://, Triton's port for it is 8001"
        )


#: The paths that the protocol adds to a server's URL.
_WITHIN_PROTOCOL = re.compile(r"/v2(/(?:models|health|repository)\b.*)?$")
#: Those of the protocol before it, with TensorFlow's verbs.
_V1 = re.compile(r"/v1(/models\b.*)?$")


def settings(
    url: str,
    headers: Mapping[str, str | bytes] | None,
    timeout: float | None,
    max_request_size: int | None,
    max_response_size: int | None,
    keep_alive: KeepAlive | None,
) -> Settings:
    """The settings of a client's transport.

    Raises:
        TypeError, ValueError: an argument is not what it should be.
    """
    endpoint = parse_url(url)
    _check_root(url, endpoint.base_path)
    check_timeout(timeout)
    largest, content = response_limits(max_response_size)
    given = dict(Options({} if headers is None else headers).headers)  # checks what it is
    if keep_alive is not None and not isinstance(keep_alive, KeepAlive):
        raise TypeError(f"keep_alive is {type(keep_alive).__name__}, expected KeepAlive or None")
    if keep_alive is not None and _AN_HOUR < keep_alive.time < math.inf:
        warn(
            f"keep_alive has time={keep_alive.time:g} s, which is {keep_alive.time / _AN_HOUR:.1f} "
            "hours; it counts seconds, not milliseconds"
        )
    if endpoint.protocol == "http":
        if keep_alive is not None:
            raise ValueError(f"keep_alive is given, but {url!r} is not gRPC, which alone has pings")
        return HttpSettings(endpoint, given, max_request_size, largest, content)
    from ..transport.grpc_call import GrpcSettings

    return GrpcSettings(endpoint, given, max_request_size, largest, keep_alive, content)


def _check_root(url: str, path: str) -> None:
    if first := _V1.search(path):
        raise ValueError(
            f"url {url!r} is one of the v1 protocol, and this client speaks v2; use "
            f"{url[: url.rindex(first[0])]!r}, if the server has both"
        )
    within = _WITHIN_PROTOCOL.search(path)
    if within is None:
        return
    root = url[: url.rindex(within[0])]
    if within[1]:
        raise ValueError(
            f"url {url!r} holds {within[0]!r}, which the client adds itself; use {root!r}"
        )
    raise ValueError(f"url {url!r} ends in /v2, which the client adds itself; use {root!r}")
