"""Where the body of an HTTP/1.1 answer ends, and whether its connection goes on (RFC 9112)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..errors import ProtocolError


def framing(status: int, headers: Mapping[str, str], old: bool) -> tuple[int | None, bool]:
    """Length of the body if known, and whether it is chunked (RFC 9112, section 6.3)."""
    if status < 200 or status in (204, 304):
        return 0, False
    encoding = headers.get("transfer-encoding")
    if encoding is not None:
        if encoding.lower() != "chunked" or old:
            raise ProtocolError(f"the answer has an unknown transfer coding {encoding!r:.40}")
        return None, True
    text = headers.get("content-length")
    if text is None:
        return None, False
    lengths = {part.strip() for part in text.split(",")}
    length = lengths.pop()
    if lengths or not re.fullmatch(r"[0-9]{1,18}", length):
        raise ProtocolError(f"the answer has an invalid Content-Length {text!r:.40}")
    return int(length), False


def keeps_alive(headers: Mapping[str, str], old: bool) -> bool:
    """Whether the connection can carry another exchange; `old` means HTTP/1.0."""
    options = {option.strip().lower() for option in headers.get("connection", "").split(",")}
    if "close" in options or ("transfer-encoding" in headers and "content-length" in headers):
        return False
    return "keep-alive" in options if old else True
