"""Base of the blocking and the asyncio client: everything except sending."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, TypeAlias, TypeVar

from .. import messages as m
from ..classic.arguments import check_version, request_parameters
from ..classic.calls import inputs_of, outputs_of, template_key
from ..classic.plugins import InferenceServerClientBase
from ..classic.secrets import Verbose, masked, masked_target
from ..client.templates import TemplateCache
from ..codec.rest_infer import HEAD_LENGTH
from ..datatypes import Buffer
from ..engine.coding import CODINGS, compress
from ..errors import InferenceServerException
from ..transport.call import NO_OPTIONS, Options
from ..transport.endpoint import Endpoint, parse_url
from ..transport.http_call import HttpSettings
from ..transport.settings import response_limits
from ..utils import raise_error
from ._calls import AwaitedResponse, InferCall, Raw, RawCall, RawResponse, encode_request
from ._infer_input import InferInput
from ._infer_result import InferResult
from ._requested_output import InferRequestedOutput
from ._utils import _get_inference_request

C = TypeVar("C", bound="RawCall | InferCall")
Query: TypeAlias = "Mapping[str, Any] | None"

#: Headers that frame the message, which is done here; programs may well have kept some of an
#: earlier call.
_FRAMING = frozenset(["connection", "content-length", "inference-header-content-length"])


class Post(NamedTuple):
    """Arguments of `_post`."""

    request_uri: str
    request_body: bytes
    headers: Mapping[str, Any] | None
    query_params: Query

    def __repr__(self) -> str:  # without headers and query, which may be secret
        return f"<Post to {self.request_uri}>"


class HttpClientBase(InferenceServerClientBase):
    """A client over HTTP, less the sending.

    Args:
        url: `host[:port][/base/path]`, without a scheme.
        secure: whether to use TLS.
        max_response_size: largest answer to accept, in bytes, also after decompression.
    """

    #: Error text for calls of a closed client.
    _CLOSED: ClassVar[str]
    #: The client's method `_post`, and its original, to see if a program replaced it.
    _post: Any
    _own_post: ClassVar[Any]

    def __init__(
        self, url: str, verbose: Verbose, secure: bool, max_response_size: int | None
    ) -> None:
        super().__init__()
        self._verbose = verbose
        self._closed = False
        # What `verbose` shows in front of each path.
        self._shown_url = ""
        # The official client receives responses of any size.
        largest, content = response_limits(max_response_size, sys.maxsize)
        self._settings = HttpSettings(
            _endpoint(url, secure), max_response_size=largest, max_content=content
        )
        self._templates: TemplateCache[InferCall] = TemplateCache()

    def _raw_call(
        self,
        method: str,
        uri: str,
        body: Buffer | str,
        headers: Mapping[Any, Any] | None,
        query_params: Mapping[str, Any] | None,
    ) -> RawCall:
        self._check_open()
        given = self._headers(headers)
        options = self._options(given, query_params)
        framing = {"Content-Type": "application/json"} if body else {}
        for name, value in given.items():
            lower = _text(name).lower()
            if lower == HEAD_LENGTH.lower():
                framing["Content-Type"] = "application/octet-stream"
                framing[HEAD_LENGTH] = _text(value)
            elif lower == _CODING.lower() and body:
                framing[_CODING] = _text(value)  # the body is encoded already, see `_as_post`
        data = body.encode() if isinstance(body, str) else body
        raw = Raw(method, f"/{uri}", framing, (data,) if data else ())
        call = self._made(RawCall, raw, options)
        if self._verbose:
            target = masked_target(call.target(), self._verbose)
            shown = masked(given, self._verbose)
            print(f"{method} {self._shown_url}{target}, headers {shown}")
            if method == "POST":
                print(body)
        return call

    def _infer_call(
        self,
        model_name: str,
        inputs: Sequence[InferInput],
        model_version: str,
        outputs: Sequence[InferRequestedOutput] | None,
        request_id: str,
        sequence_id: int | str,
        sequence_start: bool,
        sequence_end: bool,
        priority: int,
        timeout: int | None,
        headers: Mapping[str, str] | None,
        query_params: Mapping[str, Any] | None,
        request_compression_algorithm: str | None,
        response_compression_algorithm: str | None,
        parameters: Mapping[str, Any] | None,
    ) -> InferCall | Post:
        """Return the call for the arguments of `infer`, or the arguments of `_post`.

        A call of nothing but tensors is made of a template, if there was one of its form before.
        """
        self._check_open()
        inputs = inputs_of(inputs)
        outputs = outputs_of(outputs)
        seen = self._is_seen()
        check_version(model_version)
        key = None
        if not (
            request_id
            or sequence_id
            or priority
            or timeout is not None
            or headers
            or query_params
            or request_compression_algorithm
            or response_compression_algorithm
            or parameters
            or self._plugin is not None
            or seen
        ):
            key, data = template_key(model_name, model_version, inputs, outputs)
            template = self._templates.get(key)
            if template is not None:
                return template.with_data(data)
        request = m.Infer(
            model_name,
            tuple([tensor._tensor() for tensor in inputs]),
            model_version,
            tuple([output._requested() for output in outputs or ()]),
            request_id,
            request_parameters(
                sequence_id, sequence_start, sequence_end, priority, timeout, parameters
            ),
        )
        if seen:
            return _as_post(
                request,
                headers,
                query_params,
                request_compression_algorithm,
                response_compression_algorithm,
            )
        options = self._options(
            self._headers(headers),
            query_params,
            request_compression_algorithm,
            response_compression_algorithm,
        )
        call = self._made(InferCall, request, options)
        if key is not None:
            self._templates.store(key, call, m.Infer(model_name, (), model_version))
        return call

    def _made(self, kind: type[C], request: m.Request[Any], options: Options) -> C:
        try:
            call = kind(request, self._settings, options)
        except ValueError as error:
            raise InferenceServerException(str(error)) from error
        return call

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError(self._CLOSED)

    def _is_seen(self) -> bool:
        """True if inferences are sent by `_post`: for `verbose`, or for a program's own `_post`."""
        if self._verbose or "_post" in self.__dict__:
            return True
        kind = type(self)
        return kind._post is not kind._own_post

    @staticmethod
    def _options(
        headers: Mapping[Any, Any],
        query_params: Mapping[str, Any] | None,
        request_compression: str | None = None,
        response_compression: str | None = None,
    ) -> Options:
        given = {_text(name): _text(value) for name, value in headers.items()}
        for name in given:
            if name.lower() == "transfer-encoding":
                raise_error(
                    "Unsupported HTTP header: 'Transfer-Encoding' is not supported in the Python "
                    "client library. Use raw HTTP request libraries or the C++ client instead for "
                    "this header."
                )
        _check_compression(request_compression, response_compression)
        if not (given or query_params or request_compression or response_compression):
            return NO_OPTIONS
        return Options(
            {name: value for name, value in given.items() if name.lower() not in _FRAMING},
            query_params or {},
            request_compression or None,
            response_compression or None,
        )

    # Inference by other means

    @staticmethod
    def generate_request_body(
        inputs: Sequence[InferInput],
        outputs: Sequence[InferRequestedOutput] | None = None,
        request_id: str = "",
        sequence_id: int | str = 0,
        sequence_start: bool = False,
        sequence_end: bool = False,
        priority: int = 0,
        timeout: int | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> tuple[bytes, int | None]:
        """Return the body that `infer` sends for these arguments, for other HTTP clients.

        Returns:
            The body, and the length of the JSON at its beginning, which is the value of the header
            Inference-Header-Content-Length; None when all of it is JSON.
        """
        return _get_inference_request(
            inputs,
            request_id,
            outputs,
            sequence_id,
            sequence_start,
            sequence_end,
            priority,
            timeout,
            parameters,
        )

    @staticmethod
    def parse_response_body(
        response_body: Buffer,
        verbose: bool = False,
        header_length: int | None = None,
        content_encoding: str | None = None,
    ) -> InferResult:
        """Return the result in a body that another HTTP client received; see `InferResult`."""
        return InferResult.from_response_body(
            response_body, verbose, header_length, content_encoding
        )

    def _show(self, *shown: Any) -> None:
        """Print a text if `verbose` is set."""
        if self._verbose:
            print(
                *[
                    each.shown(self._verbose)
                    if isinstance(each, (RawResponse, AwaitedResponse))
                    else each
                    for each in shown
                ]
            )


_CODING = "Content-Encoding"


def _as_post(
    request: m.Infer,
    headers: Mapping[str, Any] | None,
    query_params: Query,
    request_compression: str | None,
    response_compression: str | None,
) -> Post:
    """Return the arguments of `_post` for an inference."""
    _check_compression(request_compression, response_compression)
    encoded = encode_request(request)
    body = b"".join(encoded.body)
    # A coding that callers pass on from another request says nothing about this body.
    given = {
        name: v for name, v in (headers or {}).items() if _text(name).lower() != _CODING.lower()
    }
    if request_compression:
        given[_CODING] = request_compression
        body = compress((body,), request_compression)
    if response_compression:
        given["Accept-Encoding"] = response_compression
    if HEAD_LENGTH in encoded.headers:
        given[HEAD_LENGTH] = int(encoded.headers[HEAD_LENGTH])
    return Post(encoded.path.lstrip("/"), body, given or headers, query_params)


def _check_compression(*algorithms: str | None) -> None:
    for algorithm in algorithms:
        if algorithm and algorithm not in CODINGS:
            raise_error(f"compression algorithm '{algorithm}' is not one of {', '.join(CODINGS)}")


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _endpoint(url: str, secure: bool) -> Endpoint:
    if not isinstance(url, str):
        raise TypeError(f"url is {type(url).__name__}, expected str")
    if "://" in url:
        raise_error("url should not include the scheme")
    # HTTP's own ports, as programs for the classic client expect.
    return parse_url(f"{'https' if secure else 'http'}://{url}", 443 if secure else 80)
