"""Heads of HTTP/1.1: encoding those of requests, parsing those of responses.

Parsing is strict where leniency lets a response be read in two ways (RFC 9112, sections 5.1 and
6.3): no bare line feeds, no folded headers, one length only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from ..errors import ProtocolError
from .header_faults import not_valid

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?\Z")
#: The blanks around a value are stripped afterwards, as a pattern would try all ways to share them.
HEADER = re.compile(rb"(" + _TOKEN + rb"):([\t\x20-\x7e\x80-\xff]*)\Z")
_METHOD = re.compile(r"[A-Z]+\Z")
_TARGET = re.compile(r"[\x21-\x7e]+\Z")
_NAME = re.compile(_TOKEN.decode() + r"\Z")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*\Z")


class Headers(dict[str, str]):
    """Headers by their names in lower case.

    Attributes:
        sent: the headers by the names that the server wrote.
    """

    sent: Mapping[str, str]


class Head(NamedTuple):
    """The head of a response, as far as it concerns the reading of the body.

    Attributes:
        length: of the body, in bytes; None if it is unknown.
        chunked: whether the body is chunked.
        keep_alive: whether the connection can carry another exchange.
        offset: of the tensors in the body, in bytes.
    """

    status: int
    headers: Headers
    length: int | None
    chunked: bool
    keep_alive: bool
    offset: int


def encode_head(method: str, target: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """Return request line and headers, with the empty line that ends them.

    Raises:
        ValueError: a part holds characters that would end it early.
    """
    return begin_head(method, target, headers) + b"\r\n"


def begin_head(method: str, target: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """Return request line and headers, without the empty line that ends them."""
    if not _METHOD.match(method) or not _TARGET.match(target):
        path = target.partition("?")[0]  # queries may hold secrets
        raise ValueError(f"{method!r} {path!r} is not a valid request line")
    return f"{method} {target} HTTP/1.1\r\n".encode("latin-1") + encode_fields(headers)


def encode_fields(headers: Iterable[tuple[str, str]]) -> bytes:
    """Return headers as lines.

    Raises:
        ValueError: one holds characters that would end it early.
    """
    lines = []
    for name, value in headers:
        if not _NAME.match(name) or not _VALUE.match(value):
            fits = _NAME.match(name) is not None
            raise not_valid(name, value, name_fits=fits, charset="Latin-1")
        lines.append(f"{name}: {value}\r\n")
    return "".join(lines).encode("latin-1")


def parse_head(head: bytes, offset_header: str) -> Head:
    """Return the parsed head of a response.

    Args:
        head: status line and headers, without the empty line that ends them.
        offset_header: name, in lower case, of the header with the offset of the tensors.

    Raises:
        ProtocolError: it is not a valid head of HTTP/1.
    """
    status_line, *lines = head.split(b"\r\n")
    match = _STATUS_LINE.match(status_line)
    if match is None:
        raise ProtocolError(
            f"the answer is not HTTP/1: it begins with {status_line!r:.80}; "
            "is this a port for HTTP?"
        )
    headers = Headers()
    written: dict[str, str] = {}
    for line in lines:
        field = HEADER.match(line)
        if field is None:
            raise ProtocolError(f"the answer has an invalid header {line!r:.80}")
        written_name, value = field[1].decode("ascii"), field[2].strip(b" \t").decode("latin-1")
        name = written_name.lower()
        written.setdefault(name, written_name)
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    headers.sent = {written[name]: value for name, value in headers.items()}
    status = int(match[2])
    length, chunked = _framing(status, headers, old=match[1] == b"0")
    text = headers.get(offset_header, "")
    offset = int(text) if text.isdecimal() and len(text) < 10 else 0
    keep_alive = _keep_alive(headers, match[1] == b"0")
    return Head(status, headers, length, chunked, keep_alive, offset)


def refuse_non_http(data: memoryview) -> None:
    """Refuse what can't be the beginning of a head.

    This happens at once, not after a deadline: the port may speak another protocol.

    Raises:
        ProtocolError: it belongs to another protocol.
    """
    begin = bytes(data[:7])
    if b"HTTP/1.".startswith(begin):
        return
    if begin[3:5] == b"\x04\0":  # HTTP/2 begins with a frame of settings
        raise ProtocolError("the server answers with HTTP/2; is this its port for gRPC?")
    if begin[:2] == b"\x15\x03":  # an alert
        raise ProtocolError("the server answers with TLS; expected a URL with https://")
    begin = bytes(data[:40])
    raise ProtocolError(
        f"the answer is not HTTP/1: it begins with {begin!r}; is this a port for HTTP?"
    )


#: Heads of responses differ little from call to call.
head_template = lru_cache(maxsize=256)(parse_head)


def _framing(status: int, headers: Mapping[str, str], old: bool) -> tuple[int | None, bool]:
    """Return the body's length if known, and whether it is chunked (RFC 9112, section 6.3)."""
    text = headers.get("content-length")
    length = None if text is None else _content_length(text)
    if status < 200 or status in (204, 304):
        return 0, False
    encoding = headers.get("transfer-encoding")
    if encoding is not None:
        if encoding.lower() != "chunked" or old:
            raise ProtocolError(f"the answer has an unknown transfer coding {encoding!r:.40}")
        return None, True
    return length, False


def _content_length(text: str) -> int:
    lengths = {part.strip() for part in text.split(",")}
    length = lengths.pop()
    if lengths or not re.fullmatch(r"[0-9]{1,18}", length):
        raise ProtocolError(f"the answer has an invalid Content-Length {text!r:.40}")
    return int(length)


def _keep_alive(headers: Mapping[str, str], old: bool) -> bool:
    options = {option.strip().lower() for option in headers.get("connection", "").split(",")}
    if "close" in options or ("transfer-encoding" in headers and "content-length" in headers):
        return False
    return "keep-alive" in options if old else True
