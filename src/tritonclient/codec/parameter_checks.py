"""What a server rejects in parameters of requests and tensors, in Triton's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import Internal, InvalidArgument, Unimplemented
from ..messages import Parameter
from ..operations import RESERVED_PREFIX

#: Longest correlation id, in bytes.
LONGEST_ID = 128


def check_parameters(parameters: Mapping[str, Any]) -> Mapping[str, Parameter]:
    """Return the parameters if all have valid types and values.

    Raises:
        InvalidArgument, Internal, Unimplemented: one is invalid.
    """
    for name, value in parameters.items():
        _check(name, value)
    return parameters


def _check(name: str, value: Any) -> None:
    kind = type(value)
    if name in ("sequence_start", "sequence_end"):
        if kind is not bool:
            raise unparsable(name, "non-boolean as boolean")
    elif name in ("priority", "timeout"):
        unsigned(name, value)
    elif name == "sequence_id":
        if kind is not str and (kind is not int or not 0 <= value < 1 << 64):
            raise unparsable(name, "non-string as string")
        if kind is str and len(value.encode()) > LONGEST_ID:
            raise Unimplemented(
                f"string correlation ID cannot be longer than {LONGEST_ID} characters", "501"
            )
    elif name.startswith(RESERVED_PREFIX):
        raise InvalidArgument(
            f"parameter keys starting with '{RESERVED_PREFIX}' are reserved for Triton usage and "
            "should not be specified.",
            "400",
        )
    elif kind not in (bool, int, float, str):
        raise InvalidArgument(
            f"parameter '{name}' has invalid type. It should be either 'int', 'bool', or 'string'.",
            "400",
        )


def unsigned(name: str, value: Any) -> int:
    """Return the parameter if it is an integer from 0; raise Internal if it is not."""
    if type(value) is not int or not 0 <= value < 1 << 64:
        raise unparsable(name, "non-unsigned-integer as unsigned-integer")
    return value


def unparsable(name: str, why: str) -> Internal:
    """Return the error for a parameter whose JSON value has the wrong type."""
    return Internal(f"Unable to parse '{name}': attempt to access JSON {why}", "500")
