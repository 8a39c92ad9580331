"""Error classes of `triton_python_backend_utils`."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar

from ..... import errors


class TritonModelException(Exception):
    """Raised by a model to fail all requests of an `execute` call."""


class TritonErrorCode(IntEnum):
    """Error codes, with Triton's numbers."""

    UNKNOWN = 0
    INTERNAL = 1
    NOT_FOUND = 2
    INVALID_ARG = 3
    UNAVAILABLE = 4
    UNSUPPORTED = 5
    ALREADY_EXISTS = 6
    CANCELLED = 7


class TritonError:
    """The error of one request."""

    UNKNOWN: ClassVar = TritonErrorCode.UNKNOWN
    INTERNAL: ClassVar = TritonErrorCode.INTERNAL
    NOT_FOUND: ClassVar = TritonErrorCode.NOT_FOUND
    INVALID_ARG: ClassVar = TritonErrorCode.INVALID_ARG
    UNAVAILABLE: ClassVar = TritonErrorCode.UNAVAILABLE
    UNSUPPORTED: ClassVar = TritonErrorCode.UNSUPPORTED
    ALREADY_EXISTS: ClassVar = TritonErrorCode.ALREADY_EXISTS
    CANCELLED: ClassVar = TritonErrorCode.CANCELLED

    def __init__(self, message: str, code: TritonErrorCode = TritonErrorCode.INTERNAL) -> None:
        if not isinstance(message, str):
            raise TypeError(f"message is {type(message).__name__}, expected str")
        if not isinstance(code, TritonErrorCode):
            raise TypeError(
                f"code is {code!r}, expected a code of TritonError, such as TritonError.NOT_FOUND"
            )
        self._message = message
        self._code = code

    def message(self) -> str:
        return self._message

    def code(self) -> TritonErrorCode:
        return self._code

    def __str__(self) -> str:
        return self._message


#: The errors by code, with the status that Triton 2.51 answers over HTTP.
ERROR_OF_CODE: dict[int, tuple[type[errors.InferenceServerException], str]] = {
    TritonError.UNKNOWN: (errors.Unknown, "400"),
    TritonError.INTERNAL: (errors.Internal, "500"),
    TritonError.NOT_FOUND: (errors.NotFound, "404"),
    TritonError.INVALID_ARG: (errors.InvalidArgument, "400"),
    TritonError.UNAVAILABLE: (errors.Unavailable, "503"),
    TritonError.UNSUPPORTED: (errors.Unimplemented, "501"),
    TritonError.ALREADY_EXISTS: (errors.AlreadyExists, "400"),
    TritonError.CANCELLED: (errors.Cancelled, "400"),
}
