"""Errors about headers that can't be sent. They never show a value, which may be a secret."""

from __future__ import annotations

import re

_BEGINNING = re.compile(r":?[!#$%&'*+.^_`|~0-9A-Za-z-]*")


def shown_name(name: str) -> str:
    """Return a header's name as errors show it: up to where it ceases to be one, quoted.

    Behind that there may be a value, as in "authorization: Bearer ...".
    """
    match = _BEGINNING.match(name)
    beginning = match[0][:60] if match else ""
    return repr(beginning if beginning == name else f"{beginning}...")


def not_valid(name: str, value: str, *, name_fits: bool, charset: str) -> ValueError:
    """Return the error for a header that holds characters that it may not hold.

    Args:
        name_fits: whether the name alone is right.
        charset: the characters that values are made of, as "ASCII".
    """
    if not name_fits:
        return ValueError(
            f"header {shown_name(name)} is not valid: its name holds what no name may, such as a "
            "blank or a colon"
        )
    if value.endswith(("\r", "\n")):
        fault = "ends in a line break; remove it with .strip()"
    elif "\r" in value or "\n" in value:
        fault = "holds a line break"
    elif value.strip() != value:
        fault = "begins or ends with a blank; remove it with .strip()"
    elif any(character < " " or character == "\x7f" for character in value):
        fault = "holds a control character"
    else:
        fault = f"holds characters outside of {charset}"
    return ValueError(f"header {shown_name(name)} is not valid: its value {fault}")


def wrong_type(name: object, value: object, expected: str) -> TypeError:
    """Return the error for a header whose name or value is of a wrong type."""
    if not isinstance(name, str):
        return TypeError(f"headers has a name of type {type(name).__name__}, expected str")
    return TypeError(f"header {shown_name(name)} is {type(value).__name__}, expected {expected}")
