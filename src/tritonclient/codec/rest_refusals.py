"""What a server rejects in the JSON of an inference request, in Triton's words and order."""

from __future__ import annotations

from typing import Any

from ..datatypes import DATATYPES
from ..errors import Internal, InvalidArgument
from .parameter_checks import check_parameters, unparsable

_KINDS: dict[str, tuple[type, str]] = {
    "string": (str, "non-string as string"),
    "boolean": (bool, "non-boolean as boolean"),
    "array": (list, "non-array as array"),
}
_UNSIGNED = "non-unsigned-integer as unsigned-integer"
_SIGNED = "non-signed-integer as signed-integer"
#: What the elements of JSON data are, by datatype, and the end of the error about others.
_ELEMENTS: dict[str, tuple[set[type], str]] = {
    "BOOL": ({bool}, "non-boolean as boolean"),
    "BYTES": ({str}, "non-string as string"),
    **{f"UINT{bits}": ({int}, _UNSIGNED) for bits in (8, 16, 32, 64)},
    **{f"INT{bits}": ({int}, _SIGNED) for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": ({int, float}, "non-number as double") for bits in (32, 64)},
}
#: What Triton's parser reads as such an integer; smaller types are checked later.
_BOUNDS = {
    **{f"UINT{bits}": (0, (1 << 64) - 1) for bits in (8, 16, 32, 64)},
    **{f"INT{bits}": (-1 << 63, (1 << 63) - 1) for bits in (8, 16, 32, 64)},
}
_SOURCES = ("data", "binary_data_size", "shared_memory_region")


def check_head(value: Any) -> None:
    """Raise an error if a member of a request is missing or has the wrong type.

    Raises:
        Internal: a member is missing or has the wrong type, for which Triton answers 500.
        InvalidArgument: a parameter is of no type that parameters have.
    """
    if not isinstance(value, dict):
        return
    _check(value, "id", "string")
    parameters = value.get("parameters", {})
    if not isinstance(parameters, dict):
        raise Internal(
            "failed to get request params.: attempt to get members for non-object", "500"
        )
    _check(parameters, "binary_data_output", "boolean")
    check_parameters(parameters)
    _require(value, "inputs", "array")


def check_input(value: Any) -> None:
    """Raise an error if a member of an input is missing or has the wrong type.

    Raises:
        Internal: a member is missing or has the wrong type.
        InvalidArgument: the datatype is unknown, or there is no data or several kinds of it.
    """
    if not isinstance(value, dict):
        value = {}
    parameters = _parameters(value)
    given = [each for each in _SOURCES if each in (value if each == "data" else parameters)]
    if len(given) != 1:
        what = f"But set {' '.join(map(repr, given))}" if given else "But no field is set"
        raise InvalidArgument(
            "Input must set only one of the following fields: 'data', 'binary_data_size' in "
            f"'parameters', 'shared_memory_region' in 'parameters'. {what}",
            "400",
        )
    for name, kind in (("name", "string"), ("datatype", "string"), ("shape", "array")):
        _require(value, name, kind)
    if not all(map(_is_unsigned, value["shape"])):
        raise unparsable("shape", _UNSIGNED)
    if not _is_unsigned(parameters.get("binary_data_size", 0)):
        raise unparsable("binary_data_size", _UNSIGNED)
    _check_shared_memory(parameters)
    _check(value, "data", "array")
    if value["datatype"] not in DATATYPES:
        raise InvalidArgument(f"invalid datatype for input {value['name']}", "400")
    if "data" in value:
        check_json_datatype(value["name"], value["datatype"])


def check_json_datatype(name: str, datatype: str) -> None:
    """Raise InvalidArgument if an input of this datatype has no JSON form."""
    if datatype in ("FP16", "BF16"):
        raise InvalidArgument(
            f"receiving {datatype} data via JSON is not supported. Please use the binary data "
            f"format for input {name}",
            "400",
        )


def check_outputs(value: dict[str, Any]) -> None:
    """Raise Internal if a member of a request's outputs is missing or has the wrong type."""
    _check(value, "outputs", "array")
    for each in value.get("outputs", ()):
        _check_output(each)


def _check_output(value: Any) -> None:
    if not isinstance(value, dict):
        value = {}
    _require(value, "name", "string")
    parameters = _parameters(value)
    if "classification" in parameters and not _is_unsigned(parameters["classification"]):
        raise Internal(f"Unable to set 'classification': attempt to access JSON {_UNSIGNED}", "500")
    _check(parameters, "binary_data", "boolean")
    _check_shared_memory(parameters)


def json_elements(datatype: str, values: list[Any]) -> list[Any]:
    """Return the elements in the JSON data of an input; as in Triton, nesting has no meaning.

    Raises:
        Internal: an element has the wrong type.
    """
    while list in (kinds := set(map(type, values))):
        values = [leaf for each in values for leaf in (each if type(each) is list else (each,))]
    expected, text = _ELEMENTS[datatype]
    if kinds - expected:
        if datatype == "BYTES":
            raise Internal(
                f"Unable to parse JSON bytes array: attempt to access JSON {text}", "500"
            )
        raise unparsable("data", text)
    if datatype in _BOUNDS and values:
        lowest, highest = _BOUNDS[datatype]
        if min(values) < lowest or max(values) > highest:
            raise unparsable("data", text)
    return values


def _check_shared_memory(parameters: dict[str, Any]) -> None:
    _check(parameters, "shared_memory_region", "string")
    for name in ("shared_memory_offset", "shared_memory_byte_size"):
        if name in parameters and not _is_unsigned(parameters[name]):
            raise unparsable(name, _UNSIGNED)


def _parameters(value: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of a tensor; as in Triton, what is no object counts as none."""
    parameters = value.get("parameters")
    if not isinstance(parameters, dict):
        value.pop("parameters", None)
        return {}
    return parameters


def _is_unsigned(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 64


def _require(value: dict[str, Any], name: str, kind: str) -> None:
    if name not in value:
        raise Internal(
            f"Unable to parse '{name}': attempt to access non-existing object member '{name}'",
            "500",
        )
    _check(value, name, kind)


def _check(value: dict[str, Any], name: str, kind: str) -> None:
    expected, text = _KINDS[kind]
    if name in value and not isinstance(value[name], expected):
        raise unparsable(name, text)
