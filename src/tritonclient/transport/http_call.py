"""One call over HTTP: what to send for a request, and how to read its response.

Knows the codec and the engine, and nothing of sockets and loops: both runtimes share it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import quote_plus

from ..caches import LARGEST
from ..codec import rest
from ..codec.rest_infer import HEAD_LENGTH
from ..datatypes import Buffer
from ..engine.coding import MAX_CONTENT, Compressed, compress
from ..engine.header_faults import wrong_type
from ..engine.http1 import Http1, Response
from ..engine.http1_head import begin_head, encode_fields
from ..errors import ServerError
from ..messages import Request
from .call import NO_OPTIONS, Options
from .endpoint import Endpoint
from .settings import KeepAlive, check_limit, check_size

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T")

#: Templates of heads. They are without callers' headers and queries, which may hold secrets.
_begin_head = lru_cache(maxsize=512)(begin_head)
#: Headers that frame the message, or say what it is: a caller's are left out. Programs pass them on
#: with all other headers of a request that they serve.
_OWN_HEADERS = frozenset(
    [
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "inference-header-content-length",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]
)


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Settings that all calls of a client share.

    Attributes:
        headers: sent with every call.
        max_request_size: largest body to send, in bytes; None for no limit.
        max_response_size: largest body to accept, in bytes.
        max_content: largest content of a compressed body, in bytes.
    """

    endpoint: Endpoint
    headers: Mapping[str, str | bytes] = field(default_factory=dict, repr=False)
    max_request_size: int | None = None
    max_response_size: int = 2**31 - 1
    max_content: int = MAX_CONTENT

    def __post_init__(self) -> None:
        _check_headers(self.headers)
        encode_fields([(name, str(value)) for name, value in self.headers.items()])  # checks them
        check_limit("max_response_size", self.max_response_size)
        check_limit("max_content", self.max_content)
        if self.max_request_size is not None:
            check_limit("max_request_size", self.max_request_size)

    @property
    def keep_alive(self) -> KeepAlive | None:
        """Always None: HTTP/1.1 has no pings."""
        return None

    @property
    def alpn(self) -> str:
        """HTTP/1.1's name; servers without ALPN speak it as well."""
        return "http/1.1"

    def engine(self) -> Http1:
        """Return the state machine for a new connection."""
        return Http1(
            max_body=self.max_response_size,
            max_content=self.max_content,
            offset_header=HEAD_LENGTH.lower(),
        )

    def call(self, request: Request[T], options: Options) -> HttpCall[T]:
        """Return a request as bytes."""
        return HttpCall(request, self, options)


class HttpCall(Generic[T]):
    """A request as bytes; see `call.Call`.

    Raises:
        ValueError: the request has no form over HTTP, or is larger than the settings allow.
    """

    __slots__ = ("_body", "_head", "idempotent", "options", "request")
    protocol = "http"

    def __init__(
        self, request: Request[T], settings: HttpSettings, options: Options = NO_OPTIONS
    ) -> None:
        self.request = request
        self.options = options  # to make it again in another form
        encoded = self._encode()
        body = encoded.body
        headers = {"Host": settings.endpoint.authority, **encoded.headers}
        given = b""
        if settings.headers or options is not NO_OPTIONS:
            body = _apply_codings(options, headers, body)
            given = _apply_headers(options.headers, settings.headers, headers)
        size = sum(map(len, body))
        check_size(size, settings.max_request_size)
        if size or encoded.method != "GET":
            headers["Content-Length"] = str(size)
        target = settings.endpoint.base_path + encoded.path
        own = tuple(headers.items())
        if options.query:
            begun = begin_head(encoded.method, target + encode_query(options.query), own)
        elif len(target) + sum(map(len, headers.values())) > LARGEST:
            begun = begin_head(encoded.method, target, own)
        else:
            begun = _begin_head(encoded.method, target, own)
        self._head = b"".join((begun, given, b"\r\n"))
        self._body: tuple[Buffer, ...] = body
        self.idempotent = encoded.method == "GET"

    def _encode(self) -> rest.HttpRequest:
        return rest.encode_request(self.request)

    def without_data(self, request: Request[Any]) -> Self:
        """Return the call as a template: its heads, for a request without tensors."""
        call = copy.copy(self)
        call.request, call._head, call._body = request, b"".join((self._head, self._body[0])), ()
        return call

    @property
    def head_size(self) -> int:
        """Size in bytes of the call without its tensors."""
        return len(self._head)

    def with_data(self, data: list[Buffer]) -> Self:
        """Return a call made of this template and the tensors' data, of the original sizes."""
        call = object.__new__(type(self))
        call.request, call._head, call._body = self.request, self._head, tuple(data)
        call.idempotent = self.idempotent
        return call

    def start(self, engine: Http1, timeout: float | None) -> None:
        """Begin the exchange on an engine. HTTP has no header for the timeout."""
        engine.start(self._head, self._body)

    def compressed(self, response: Response) -> Compressed | None:
        """The body if it is to be decompressed before `finish`."""
        return response.body if isinstance(response.body, Compressed) else None

    def finish(self, response: Response) -> T:
        """Return the decoded response.

        Raises:
            ServerError: the server refused the request.
            ProtocolError: the response is not the protocol's.
        """
        received = rest.HttpResponse(response.status, response.headers, (response.content(),))
        return rest.decode_response(self.request, received)

    def connection_reusable_after(self, error: BaseException) -> bool:
        """True if an error's response is that of a v2 server, so that the connection is usable.

        A refusal is a JSON object or empty. A page of HTML comes from something in between, and
        a response that can't be read from who knows what. After an exception of its application,
        uvicorn, on which many servers are built, answers 500 and closes without saying so.
        """
        if not isinstance(error, ServerError) or error.status() == "500":
            return False
        return error.debug_details()[:1] in ("", "{")


def _check_headers(headers: Mapping[str, str | bytes]) -> None:
    for header, value in headers.items():
        if not isinstance(header, str) or not isinstance(value, str):
            raise wrong_type(header, value, "str")


def _apply_codings(
    options: Options, headers: dict[str, str], body: tuple[Buffer, ...]
) -> tuple[Buffer, ...]:
    """Put the codings that options ask for into the headers, and return the body so encoded."""
    if options.request_compression and body:
        headers["Content-Encoding"] = options.request_compression
        body = (compress(body, options.request_compression),)
    if options.response_compression:
        headers["Accept-Encoding"] = options.response_compression
    return body


def _apply_headers(
    given: Mapping[str, str | bytes],
    defaults: Mapping[str, str | bytes],
    headers: dict[str, str],
) -> bytes:
    """Return a call's headers and the client's as lines; what they replace leaves `headers`."""
    _check_headers(given)
    # HTTP's names have no case, so "host" must replace "Host".
    ours = {name.lower(): name for name in headers}
    lines: dict[str, tuple[str, str]] = {}
    for name, value in (*defaults.items(), *given.items()):
        lower = name.lower()
        if lower in _OWN_HEADERS:
            continue
        if lower in ours:
            headers.pop(ours[lower], None)
        lines[lower] = (name, str(value))
    return encode_fields(lines.values())


def encode_query(query: Mapping[str, Any]) -> str:
    """A query as it stands behind the path of a URL, with its question mark, or ""."""
    pairs = [
        f"{quote_plus(str(name))}={quote_plus(str(value))}"
        for name, values in query.items()
        for value in (
            values if isinstance(values, Sequence) and not isinstance(values, str) else [values]
        )
    ]
    return "?" + "&".join(pairs) if pairs else ""
