"""JSON of requests, as a server reads it: what Triton's parser refuses is refused."""

from __future__ import annotations

import json
import re
from typing import Any

_WORDS = {
    "Extra data": "The document root must not be followed by other values",
    "Expecting property name enclosed in double quotes": "Missing a name for object member",
    "Illegal trailing comma before end of object": "Missing a name for object member",
    "Illegal trailing comma before end of array": "Invalid value",
    "Expecting ':' delimiter": "Missing a colon after a name of object member",
    "Unterminated string starting at": "Missing a closing quotation mark in string",
    "Invalid control character at": "Invalid escape character in string",
    "Invalid \\escape": "Invalid escape character in string",
    "Invalid \\uXXXX escape": "Incorrect hex digit after \\u escape in string",
}
_COMMA = "Illegal trailing comma"
_BRACKET = re.compile(r'"(?:\\.|[^"\\])*"|[\[\]{}]', re.DOTALL)
#: A number that Python does not read, because it has too many digits.
_LONG_NUMBER = re.compile(r"-?[0-9]{4300,}")
_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)


def loads(text: bytes | bytearray) -> Any:
    """Return the value of a JSON text.

    Raises:
        json.JSONDecodeError: it is no JSON, or a string has half of a surrogate pair, which no
            encoding can write again.
    """
    # As in Triton, a text may hold bytes that are no UTF-8, and ends with a zero byte.
    text = text.partition(b"\0")[0]
    value = _parse(text.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape"))
    if b"\\ud" in text or b"\\uD" in text:
        _check_pairs(text)
    return value


class Repeating(dict[str, Any]):
    """An object in which several members have one name; as in Triton, the first of them counts.

    Attributes:
        names: the names of all members.
    """

    names: list[str]


def _first_of_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    repeating = Repeating(reversed(pairs))
    repeating.names = [name for name, _ in pairs]
    return repeating


_decoder = json.JSONDecoder(object_pairs_hook=_first_of_each)


def _parse(text: str) -> Any:
    try:
        return _decoder.decode(text)
    except json.JSONDecodeError as error:
        raise _in_triton_words(error, text) from error
    except ValueError as error:
        found = _LONG_NUMBER.search(text)
        place = found.start() if found else 0
        why = "Number too big to be stored in double"
        raise json.JSONDecodeError(why, "", place) from error


def _in_triton_words(error: json.JSONDecodeError, text: str) -> json.JSONDecodeError:
    message, place = error.msg, error.pos
    if message == "Expecting value":
        message = "Invalid value" if text.strip(" \t\r\n") else "The document is empty"
    elif message == "Expecting ',' delimiter":
        kind = (
            "'}' after an object member"
            if _in_object(text[:place])
            else "']' after an array element"
        )
        message = f"Missing a comma or {kind}"
    elif message.startswith("Unterminated string"):
        place = len(text)
    elif message.startswith(_COMMA):  # Python 3.13 names the comma, Triton what follows
        place = len(text) - len(text[place + 1 :].lstrip(" \t\r\n"))
    return json.JSONDecodeError(_WORDS.get(message, message), "", place)


def _in_object(text: str) -> bool:
    """Return True if the last bracket that is open at the end of a text begins an object."""
    stack = [""]
    for bracket in _BRACKET.findall(text):
        if bracket in "{[":
            stack.append(bracket)
        elif bracket in "}]":
            stack.pop()
    return stack[-1] == "{"


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
