"""Errors as `model.py` sees them."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar

from ..... import errors


class TritonModelException(Exception):
    """What a model raises to fail its requests."""


class TritonErrorCode(IntEnum):
    """The codes that an error may have, by their numbers in Triton."""

    UNKNOWN = 0
    INTERNAL = 1
    NOT_FOUND = 2
    INVALID_ARG = 3
    UNAVAILABLE = 4
    UNSUPPORTED = 5
    ALREADY_EXISTS = 6
    CANCELLED = 7


class TritonError:
    """Why one request failed."""

    UNKNOWN: ClassVar = TritonErrorCode.UNKNOWN
    INTERNAL: ClassVar = TritonErrorCode.INTERNAL
    NOT_FOUND: ClassVar = TritonErrorCode.NOT_FOUND
    INVALID_ARG: ClassVar = TritonErrorCode.INVALID_ARG
    UNAVAILABLE: ClassVar = TritonErrorCode.UNAVAILABLE
    UNSUPPORTED: ClassVar = TritonErrorCode.UNSUPPORTED
    ALREADY_EXISTS: ClassVar = TritonErrorCode.ALREADY_EXISTS
    CANCELLED: ClassVar = TritonErrorCode.CANCELLED

    def __init__(self, message: str, code: TritonErrorCode = TritonErrorCode.INTERNAL) -> None:
        self._message = message
        self._code = TritonErrorCode(code)

    def message(self) -> str:
        return self._message

    def code(self) -> TritonErrorCode:
        return self._code

    def __str__(self) -> str:
        return self._message


ERROR_OF_CODE: dict[int, tuple[type[errors.InferenceServerException], str]] = {
    TritonError.UNKNOWN: (errors.Unknown, "500"),
    TritonError.INTERNAL: (errors.Internal, "500"),
    TritonError.NOT_FOUND: (errors.NotFound, "404"),
    TritonError.INVALID_ARG: (errors.InvalidArgument, "400"),
    TritonError.UNAVAILABLE: (errors.Unavailable, "503"),
    TritonError.UNSUPPORTED: (errors.Unimplemented, "501"),
    TritonError.ALREADY_EXISTS: (errors.AlreadyExists, "409"),
    TritonError.CANCELLED: (errors.Cancelled, "499"),
}
