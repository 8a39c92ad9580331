"""JSON of requests, as a server reads it: what Triton's parser refuses is refused."""

from __future__ import annotations

import json
import re
from typing import Any

_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)


def loads(text: bytes | bytearray) -> Any:
    """Return the value of a JSON text.

    Raises:
        json.JSONDecodeError: it is no JSON, or a string has half of a surrogate pair, which no
            encoding can write again.
    """
    # As in Triton, a text may hold bytes that are no UTF-8, and ends with a zero byte.
    text = text.partition(b"\0")[0]
    value = json.loads(text.decode("utf-8", "surrogateescape"))
    if b"\\ud" in text or b"\\uD" in text:
        _check_pairs(text)
    return value


def _check_pairs(text: bytes | bytearray) -> None:
    high: re.Match[bytes] | None = None  # the first half of a pair
    for escape in _ESCAPE.finditer(text):
        code = int(escape[1], 16) if escape[1] else 0
        is_low = 0xDC00 <= code < 0xE000
        if high is not None and (not is_low or escape.start() != high.end()):
            raise _lone(high)
        if is_low and high is None:
            raise _lone(escape)
        high = escape if 0xD800 <= code < 0xDC00 else None
    if high is not None:
        raise _lone(high)


def _lone(escape: re.Match[bytes]) -> json.JSONDecodeError:
    return json.JSONDecodeError("The surrogate pair in string is invalid", "", escape.start())
