"""Arguments that the methods of both clients share, and what clients check when they are made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeAlias, TypedDict

from .inference import InferOptions
from .messages import LoadModel
from .transport.endpoint import parse_url
from .transport.http import HttpSettings, Options, check_timeout


class _ClientDefault:
    """Stands for an argument's value that the client was made with."""

    def __repr__(self) -> str:
        return "<the client's>"


CLIENT_DEFAULT = _ClientDefault()

#: Seconds for a whole call, None for no limit.
Timeout: TypeAlias = "float | _ClientDefault | None"


class CallOptions(TypedDict, total=False):
    """What every method that asks the server takes.

    timeout: seconds for the whole call, None for no limit; the client's own by default.
    headers: further HTTP headers; they win over the client's.
    query: query parameters of the URL; a list gives a parameter several times.
    """

    timeout: Timeout
    headers: Mapping[str, str] | None
    query: Mapping[str, Any] | None


class InferCallOptions(InferOptions, CallOptions, total=False):
    """What `infer` takes besides model and inputs; see `Client.infer`."""

    request_compression: str | None
    response_compression: str | None


def transport_options(
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, Any] | None = None,
    request_compression: str | None = None,
    response_compression: str | None = None,
) -> Options:
    """The transport's options that these arguments make."""
    return Options(headers or {}, query or {}, request_compression, response_compression)


def split_options(options: InferCallOptions) -> tuple[InferOptions, Options, Timeout]:
    """Take apart what concerns the request, its carrying and its deadline."""
    rest: dict[str, Any] = dict(options)
    timeout = rest.pop("timeout", CLIENT_DEFAULT)
    names = ("headers", "query", "request_compression", "response_compression")
    carrying = {name: rest.pop(name) for name in names if name in rest}
    return rest, transport_options(**carrying), timeout  # type: ignore[return-value]


def load_request(
    model: str,
    config: str | Mapping[str, Any] | None,
    files: Mapping[str, bytes] | None,
) -> LoadModel:
    """The request that the arguments of `Client.load_model` make.

    Raises:
        TypeError, ValueError: an argument is not what it should be.
    """
    if files and config is None:
        raise ValueError("files need a config, which describes the model that they make")
    for path, content in (files or {}).items():
        if not isinstance(content, (bytes, bytearray, memoryview)):
            raise TypeError(f"file {path!r} is {type(content).__name__}, expected bytes")
    if config is not None and not isinstance(config, str):
        config = json.dumps(config)
    return LoadModel(model, config, files or {})


def http_settings(
    url: str,
    headers: Mapping[str, str] | None,
    timeout: float | None,
    max_request_size: int | None,
    max_response_size: int,
) -> HttpSettings:
    """The settings of a client's transport.

    Raises:
        TypeError, ValueError: an argument is not what it should be.
    """
    endpoint = parse_url(url)
    if endpoint.protocol != "http":
        raise ValueError(f"url {url!r}: gRPC is not available yet; use http:// or https://")
    check_timeout(timeout)
    headers = Options(headers or {}).headers  # checks them
    return HttpSettings(endpoint, dict(headers), max_request_size, max_response_size)
