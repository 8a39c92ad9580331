"""Parameters of requests and responses, as models give them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .....messages import Parameter
from .errors import TritonModelException


def checked(parameters: Mapping[str, Any] | None) -> dict[str, Parameter]:
    """Return a copy of parameters.

    Raises:
        TypeError: they are no mapping.
        TritonModelException: a key is not str, or a value is not bool, int or str, or is an int
            of more than 64 bits.
    """
    if parameters is None:
        return {}
    if not isinstance(parameters, Mapping):
        raise TypeError(f"parameters is {type(parameters).__name__}, expected dict")
    for key, value in parameters.items():
        if not isinstance(key, str):
            raise TritonModelException(
                f"Expect parameters keys to have type str, found type {type(key)}"
            )
        if type(value) not in (bool, int, str):
            raise TritonModelException(
                f"Expect parameters values to have type bool/int/str, found type {type(value)}"
            )
        if type(value) is int and not -(1 << 63) <= value < 1 << 63:
            raise TritonModelException(
                f"parameter {key!r:.100} is {value:#x}, expected an int of 64 bits; use a str"
            )
    return dict(parameters)
