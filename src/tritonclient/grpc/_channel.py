"""Endpoint and transport settings from the arguments of the classic clients.

Channel arguments have grpcio's names. This package implements those that programs use. For other
arguments, and for credentials of grpcio, a channel of grpcio is used.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from os import PathLike
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from ..classic.arguments import warn_of_no_tls
from ..extras import optional_import
from ..transport.call import log_debug
from ..transport.endpoint import TLS, Endpoint, parse_url, without_secrets
from ..transport.grpc_call import GrpcSettings
from ..transport.settings import Grpcio, KeepAlive, response_limits
from ..utils import raise_error

if TYPE_CHECKING:
    import ssl as ssl_module

MAX_GRPC_MESSAGE_SIZE = 2**31 - 1
_NEVER = 2**31 - 1  # milliseconds, to grpcio

_SEND, _RECEIVE = "grpc.max_send_message_length", "grpc.max_receive_message_length"
_KEEP_ALIVE_TIME, _KEEP_ALIVE_TIMEOUT = "grpc.keepalive_time_ms", "grpc.keepalive_timeout_ms"
_WITHOUT_CALLS = "grpc.keepalive_permit_without_calls"
_MAX_PINGS = "grpc.http2.max_pings_without_data"
_TARGET_NAME, _AUTHORITY = "grpc.ssl_target_name_override", "grpc.default_authority"
_USER_AGENT = ("grpc.primary_user_agent", "grpc.secondary_user_agent")
_DONE = {
    _SEND, _RECEIVE, _KEEP_ALIVE_TIME, _KEEP_ALIVE_TIMEOUT, _WITHOUT_CALLS, _MAX_PINGS,
    _TARGET_NAME, _AUTHORITY, *_USER_AGENT,
}  # fmt: skip
#: Arguments without effect: each client has its own connections, which are opened when needed.
_MEANINGLESS = {
    "grpc.use_local_subchannel_pool",
    "grpc.initial_reconnect_backoff_ms",
    "grpc.min_reconnect_backoff_ms",
    "grpc.max_reconnect_backoff_ms",
    "grpc.http2.bdp_probe",
    "grpc.http2.lookahead_bytes",
    "grpc.http2.min_time_between_pings_ms",
    "grpc.http2.min_ping_interval_without_data_ms",
    "grpc.optimization_target",
}
#: Values that match this package's behaviour.
_DEFAULTS = {("grpc.enable_retries", 0), ("grpc.enable_http_proxy", 0)} | {
    ("grpc.lb_policy_name", "pick_first")
}

_SCHEMES_ABOVE = ("http://", "https://", "grpc://", "grpcs://")


class KeepAliveOptions:
    """When to look whether a silent server still lives, by HTTP/2 pings.

    Attributes:
        keepalive_time_ms: milliseconds of silence after which a ping is sent; the default, grpcio's
            largest number, is never.
        keepalive_timeout_ms: milliseconds that its response may take.
        keepalive_permit_without_calls: whether pings are also sent while no call is in work.
        http2_max_pings_without_data: how many pings may be sent in a row; 0 for any number.
    """

    def __init__(
        self,
        keepalive_time_ms: int = _NEVER,
        keepalive_timeout_ms: int = 20000,
        keepalive_permit_without_calls: bool = False,
        http2_max_pings_without_data: int = 2,
    ) -> None:
        self.keepalive_time_ms = keepalive_time_ms
        self.keepalive_timeout_ms = keepalive_timeout_ms
        self.keepalive_permit_without_calls = keepalive_permit_without_calls
        self.http2_max_pings_without_data = http2_max_pings_without_data


class Route(NamedTuple):
    """How to reach a server; `grpcio` is None where that is left to our own transport."""

    settings: GrpcSettings
    tls: TLS
    grpcio: Grpcio | None


def make_route(
    url: str,
    ssl: bool,
    root_certificates: str | None,
    private_key: str | None,
    certificate_chain: str | None,
    creds: Any,
    keepalive_options: KeepAliveOptions | None,
    channel_args: Iterable[tuple[str, Any]] | None,
    max_response_size: int | None = None,
    *,
    through_grpcio: bool = False,
) -> Route:
    """The route that a client's arguments make; see `InferenceServerClient`.

    Args:
        through_grpcio: use a channel of grpcio, whatever the arguments are.

    Raises:
        InferenceServerException: the URL has a scheme that is none of gRPC's.
        OSError: a file can't be read; `ssl.SSLError` if it is invalid.
    """
    given = _arguments(keepalive_options) if channel_args is None else list(channel_args)
    arguments = dict(given)
    if max_response_size is not None:
        given = [pair for pair in given if pair[0] != _RECEIVE]
    elif channel_args is not None:
        max_response_size = _limit(arguments.get(_RECEIVE)) or None
    largest, content = response_limits(max_response_size)
    secure = ssl or creds is not None
    endpoint = _endpoint(url, secure)
    others = [pair for pair in given if not _is_done(*pair)]
    for argument in arguments:
        if argument in _MEANINGLESS:
            log_debug("the channel argument %s has no effect: it is done in another way", argument)
    grpcio = None
    if (
        through_grpcio
        or endpoint is None
        or others
        or creds is not None
        or endpoint.secure != secure
    ):
        if not through_grpcio:
            what = f"the url {without_secrets(url)!r}"
            what = f"the channel argument {others[0][0]!r}" if others else what
            with optional_import("grpcio", "creds" if creds is not None else what, "grpcio"):
                import grpc  # noqa: F401
        grpcio = Grpcio(given, creds, url)
    if endpoint is None:
        endpoint = Endpoint(without_secrets(url), "grpc", secure, "", "", 0)
    if endpoint.secure != secure:  # TLS on a unix socket, which URLs have no scheme for
        endpoint = replace(endpoint, secure=secure)
    name = arguments.get(_TARGET_NAME)
    authority = arguments.get(_AUTHORITY) or name
    if authority:
        endpoint = replace(endpoint, authority=authority)
    files = (root_certificates, certificate_chain, private_key) if ssl else (None, None, None)
    _check_paths(files)
    tls = TLS(*files, server_name=name or None)
    if ssl and grpcio is None:
        tls = TLS(context=_context(tls), server_name=authority or None)
    # Through grpcio the argument itself does it.
    agents = [] if grpcio else [arguments[name] for name in _USER_AGENT if arguments.get(name)]
    settings = GrpcSettings(
        endpoint,
        {"user-agent": " ".join(agents)} if agents else {},
        _limit(arguments.get(_SEND)),
        largest,
        _keep_alive(arguments),
        content,
    )
    return Route(settings, tls if ssl else TLS(), grpcio)


def warn_of_ignored(
    ssl: bool,
    creds: Any,
    keepalive_options: KeepAliveOptions | None,
    channel_args: Iterable[tuple[str, Any]] | None,
    **files: str | None,
) -> None:
    """Warn of a client's arguments that others replace, as they do in the official client."""
    if creds is not None:
        for name, path in files.items():
            if path is not None:
                warnings.warn(f"{name} has no effect: creds are used instead", stacklevel=4)
    elif not ssl:
        warn_of_no_tls(stacklevel=5, **files)
    if keepalive_options is not None and channel_args is not None:
        warnings.warn("keepalive_options have no effect: channel_args replace them", stacklevel=4)


def _arguments(options: KeepAliveOptions | None) -> list[tuple[str, Any]]:
    options = options or KeepAliveOptions()
    return [
        (_SEND, MAX_GRPC_MESSAGE_SIZE),
        (_RECEIVE, MAX_GRPC_MESSAGE_SIZE),
        (_KEEP_ALIVE_TIME, options.keepalive_time_ms),
        (_KEEP_ALIVE_TIMEOUT, options.keepalive_timeout_ms),
        (_WITHOUT_CALLS, options.keepalive_permit_without_calls),
        (_MAX_PINGS, options.http2_max_pings_without_data),
    ]


def _is_done(name: str, value: Any) -> bool:
    return name in _DONE or name in _MEANINGLESS or (name, value) in _DEFAULTS


def _limit(size: int | None) -> int | None:
    return None if size is None or size < 0 else size


def _keep_alive(arguments: Mapping[str, Any]) -> KeepAlive | None:
    time = arguments.get(_KEEP_ALIVE_TIME, _NEVER)
    if time >= _NEVER:
        return None
    timeout = arguments.get(_KEEP_ALIVE_TIMEOUT, 20000)
    return KeepAlive(
        time / 1000,
        math.inf if timeout >= _NEVER else timeout / 1000,
        bool(arguments.get(_WITHOUT_CALLS, False)),
        arguments.get(_MAX_PINGS, 2),
    )


def _endpoint(url: str, secure: bool) -> Endpoint | None:
    """The endpoint of a target of gRPC, or None if it is one for grpcio.

    Source: gRPC documentation, "gRPC Name Resolution".
    """
    if not isinstance(url, str):
        raise TypeError(f"url is {type(url).__name__}, expected str")
    if url.lower().startswith(_SCHEMES_ABOVE):
        raise_error("url should not include the scheme")
    scheme, _, rest = url.partition(":")
    if scheme == "unix":
        return parse_url(f"grpc+unix:{quote(rest.removeprefix('//'))}")
    if scheme in ("dns", "ipv4", "ipv6", "passthrough"):
        url = rest.removeprefix("///")
        if "/" in url or "," in url:
            return None  # a name server, or several addresses
    elif "://" in url or scheme in ("unix-abstract", "vsock", "xds"):
        return None
    if url.count(":") > 1 and not url.startswith("["):
        url = f"[{url}]"
    # Without a port, TLS's own, as grpcio has it.
    if ":" not in url.rpartition("]")[2]:
        url = f"{url}:443"
    return parse_url(f"{'grpcs' if secure else 'grpc'}://{url}")


#: The arguments for the files of `TLS`, in the order of its attributes.
_FILES = {
    "ca_file": "root_certificates",
    "cert_file": "certificate_chain",
    "key_file": "private_key",
}


def _check_paths(files: Iterable[object]) -> None:
    """Raise TypeError for what is no path, such as what grpcio's own credentials take."""
    for name, file in zip(_FILES.values(), files, strict=True):
        if file is not None and not isinstance(file, (str, PathLike)):
            raise TypeError(
                f"{name} is {type(file).__name__}, expected the path of a PEM file as str; "
                "creds=grpc.ssl_channel_credentials(...) takes what is in such files"
            )


def _context(tls: TLS) -> ssl_module.SSLContext:
    """The `ssl.SSLContext` that trusts what grpcio would.

    Certificates that people made for themselves often lack what is asked of public ones.
    """
    import ssl  # takes longer to import than a client without TLS

    context = tls.make_context("h2", arguments=_FILES)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
