"""Status codes of gRPC and the errors of this package.

Source: gRPC documentation, "Status codes and their use in gRPC".
"""

from __future__ import annotations

from typing import Any

from .. import errors

#: The codes of gRPC from 1 on; names and classes.
_CODES: tuple[tuple[str, type[errors.InferenceServerException]], ...] = (
    ("CANCELLED", errors.Cancelled),
    ("UNKNOWN", errors.Unknown),
    ("INVALID_ARGUMENT", errors.InvalidArgument),
    ("DEADLINE_EXCEEDED", errors.DeadlineExceeded),
    ("NOT_FOUND", errors.NotFound),
    ("ALREADY_EXISTS", errors.AlreadyExists),
    ("PERMISSION_DENIED", errors.PermissionDenied),
    ("RESOURCE_EXHAUSTED", errors.ResourceExhausted),
    ("FAILED_PRECONDITION", errors.FailedPrecondition),
    ("ABORTED", errors.Aborted),
    ("OUT_OF_RANGE", errors.OutOfRange),
    ("UNIMPLEMENTED", errors.Unimplemented),
    ("INTERNAL", errors.Internal),
    ("UNAVAILABLE", errors.Unavailable),
    ("DATA_LOSS", errors.DataLoss),
    ("UNAUTHENTICATED", errors.Unauthenticated),
)
_UNKNOWN = 2
_CODE_OF: dict[type[errors.InferenceServerException], int] = {
    kind: code for code, (_, kind) in enumerate(_CODES, 1)
}


def error_of(code: int, message: str, details: Any = None) -> errors.InferenceServerException:
    """Return the error for a gRPC status; unassigned codes mean UNKNOWN."""
    name, kind = _CODES[(code if 0 < code <= len(_CODES) else _UNKNOWN) - 1]
    return kind(message, f"StatusCode.{name}", details)


def code_of(error: errors.InferenceServerException) -> int:
    """Return the status code for an error, by its class."""
    return _CODE_OF.get(type(error), _UNKNOWN)


def status_of(error: errors.InferenceServerException) -> str:
    """Return the name of an error's status."""
    return _CODES[code_of(error) - 1][0]


def refused(text: str) -> errors.InferenceServerException:
    """The error of a request that asks for what can't be."""
    return error_of(3, text)
