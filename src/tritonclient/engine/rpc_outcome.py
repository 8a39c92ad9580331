"""Outcomes of gRPC calls: what trailers, HTTP statuses and RST_STREAM codes mean."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from ..errors import InferenceServerException, ProtocolError, StreamRefused
from .header_block import Fields, decode

#: Bytes of a body that is not gRPC, which are shown in errors.
EXCERPT = 2048
#: gRPC's own mapping (its document "HTTP to gRPC Status Code Mapping"), and what proxies say of
#: messages that are too large for them.
_CODES = {400: 13, 401: 16, 403: 7, 404: 12, 413: 8, 429: 14, 502: 14, 503: 14, 504: 14}


class Outcome(NamedTuple):
    """End of a call, as the server reported it.

    Attributes:
        code: the gRPC status; 0 for success.
        message: the server's text.
        details: its `google.rpc.Status` as bytes, if it sent one.
        headers: what came before the first message; lower-case names.
        trailers: what came after the last one.
    """

    code: int
    message: str
    details: bytes | None
    headers: Mapping[str, str]
    trailers: Mapping[str, str]


def is_grpc(fields: Fields) -> bool:
    """True if a response's first headers are those of gRPC."""
    kind = fields.headers.get("content-type", "")
    return fields.http_status == 200 and kind.startswith("application/grpc")


def not_grpc(first: Fields, body: bytes) -> Outcome | InferenceServerException:
    """Return the outcome of a response without a gRPC status, by its HTTP status.

    Args:
        first: its first headers.
        body: its beginning.
    """
    if is_grpc(first):
        return ProtocolError("the answer has no grpc-status")
    text = body[:EXCERPT].decode("utf-8", "replace")
    message = f"the server answered with HTTP status {first.http_status} instead of gRPC"
    if first.http_status == 200:
        kind = first.headers.get("content-type", "")
        return ProtocolError(f"the answer is not gRPC: its content-type is {kind!r}", None, text)
    code = _CODES.get(first.http_status or 0, 2)
    return Outcome(code, message, text.encode() or None, first.headers, {})


@lru_cache(maxsize=256)
def plain_outcome(first: bytes, last: bytes) -> Outcome | None:
    """Return the outcome of the header blocks before and after a message, if it is success."""
    try:
        headers, trailers = decode(first), decode(last)
    except ProtocolError:
        return None
    if not is_grpc(headers) or trailers.http_status is not None or trailers.code != 0:
        return None
    return Outcome(0, trailers.message, trailers.details(), headers.headers, trailers.headers)


def reset_error(code: int) -> InferenceServerException | Outcome:
    """Return the outcome of a RST_STREAM with this error code."""
    if code == 0x7:
        return StreamRefused("the server refused the stream")
    if code == 0x8:
        return Outcome(1, "the server cancelled the stream", None, {}, {})
    # gRPC's own mapping (section "Errors" of its HTTP/2 document).
    status = {0xB: 8, 0xC: 7}.get(code, 13)
    return Outcome(status, f"the server reset the stream with error code {code}", None, {}, {})
