"""Errors for inference requests over gRPC that a server rejects, with Triton's texts.

These are the checks that need no model, and that need to know in which fields of the message the
values stood.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..operations import RESERVED_PREFIX
from . import contents
from .rpc_head import BOOL, DOUBLE, INT64, STRING, UINT64, Choice, Choices
from .rpc_status import refused

_FINAL = f"{RESERVED_PREFIX}enable_empty_final_response"
_CUSTOM = (BOOL, INT64, STRING, DOUBLE)
#: Fields that a parameter may stand in, and how Triton names them.
_KINDS = {
    "sequence_id": ((INT64, STRING), "int64_param or string_param."),
    "sequence_start": ((BOOL,), "bool_param."),
    "sequence_end": ((BOOL,), "bool_param."),
    "priority": ((INT64, UINT64), "int64_param or uint64_param."),
    "timeout": ((INT64,), "int64_param."),
    _FINAL: ((BOOL,), "bool_param."),
}
_REGION = "shared_memory_region"
_SIZE = "shared_memory_byte_size"
_OFFSET = "shared_memory_offset"


def check_parameters(parameters: Choices) -> None:
    """Raise InvalidArgument for parameters of a request that are of a wrong kind."""
    for name, choice in parameters.items():
        if name.startswith(RESERVED_PREFIX) and name != _FINAL:
            raise refused(
                f"parameter keys starting with '{RESERVED_PREFIX}' are reserved for Triton usage. "
                f"Only the following keys starting with '{RESERVED_PREFIX}' are allowed: {_FINAL}"
            )
        allowed, kinds = _KINDS.get(name, (_CUSTOM, "int64_param, bool_param, or string_param."))
        if choice.field not in allowed:
            raise refused(f"invalid value type for '{name}' parameter, expected {kinds}")
        if name == "priority" and choice.value < 0:  # type: ignore[operator]
            raise refused("invalid value for 'priority', expected value >= 0.")


def check_memory(name: str, parameters: Choices) -> bool:
    """True if a tensor is in shared memory; raise InvalidArgument for wrong parameters."""
    region = parameters.get(_REGION, Choice())
    if _REGION in parameters and region.field != STRING:
        raise refused(
            f"invalid value type for '{_REGION}' parameter for tensor '{name}', "
            "expected string_param."
        )
    for member in (_OFFSET, _SIZE):
        if member not in parameters:
            continue
        if region.field != STRING:
            raise refused(
                f"'{member}' can not be specified without '{_REGION}' parameter for tensor '{name}'"
            )
        if parameters[member].field != INT64:
            raise refused(
                f"invalid value type for '{member}' parameter for tensor '{name}', "
                "expected int64_param."
            )
        if parameters[member].value < 0:  # type: ignore[operator]
            what = "offset" if member == _OFFSET else "offset + byte size"
            raise refused(f"Invalid {what} for shared memory region: '{region.value}'")
    if region.field == STRING and _SIZE not in parameters:
        raise refused(
            f"'{_SIZE}' must be specified along with '{_REGION}' parameter for tensor '{name}'"
        )
    return region.field == STRING


def classes_of(parameters: Choices) -> int:
    """How many classes are asked for instead of an output, 0 for the output itself."""
    choice = parameters.get("classification")
    if choice is None:
        return 0
    if choice.field != INT64:
        raise refused("invalid value type for 'classification' parameter, expected int64_param")
    if choice.value < 1:  # type: ignore[operator]
        raise refused("invalid value for 'classification' parameter, expected >= 0")
    return choice.value  # type: ignore[return-value]


def check_contents(
    tensor: str, model: str, datatype: str, fields: Iterable[contents.Field]
) -> None:
    """Raise InvalidArgument when typed contents are not in the one field of their datatype."""
    where = f"unexpected explicit tensor data for input tensor '{tensor}' for model '{model}'"
    for index, field in enumerate(fields):
        if index:
            raise refused(f"{where}, binary data was already supplied.")
        if datatype not in field.datatypes:
            raise refused(
                f"{where} of type '{field.datatypes[-1]}', expected datatype '{datatype}'"
            )


def unparsable(error: ValueError) -> str:
    """Return the text for a message that cannot be parsed, without the words of Python."""
    text = "Unable to parse request"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, UnicodeError):
            return f"{text}: a text is not UTF-8"
        if type(cause).__name__ == "DecodeError":  # of protobuf, which has different words for it
            return f"{text}: it is no message of this kind"
        cause = cause.__cause__
    return f"{text}: {error!s:.500}"
