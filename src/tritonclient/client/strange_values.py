"""Values that make no tensor: what they are, and how they become one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from inspect import isawaitable
from typing import Any

import numpy as np

from ..datatypes import Array, Buffer, datatype_of, pack
from .user_warnings import warn

_MADE_OF_OBJECTS = (
    " np.array(values, np.float32) makes numbers of them, np.array(values, str) texts"
)
_TEXTS = (str, bytes, bytearray, memoryview)


def excerpt(value: Any) -> str:
    """Return the type and the beginning of a value, for the text of an error."""
    text = " ".join(repr(value).split())  # tables have lines
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


def way_to_array(value: Any) -> str:
    """How a value that numpy does not understand becomes an array."""
    if value is None:
        return "; leave the input out if the model does without it"
    if isawaitable(value):
        return "; await it first"
    if isinstance(value, type):
        return "; it is a class, and an array would be an object of it"
    if callable(getattr(value, "as_numpy", None)):
        return "; give what its method as_numpy() returns"
    if callable(getattr(value, "set_data_from_numpy", None)):
        return "; it is for the classic clients; here the array itself is given"
    if is_json_tensor(value):
        return f"; {way_from_json(value)}"
    if isinstance(value, Mapping):
        return "; give one of its values, or each as an input of its own"
    if isinstance(value, Iterable):
        return "; list(...) makes a list of it"
    if callable(getattr(value, "numpy", None)):
        return "; give what its method numpy() returns"
    return "; expected an array, a list, a number or a text"


def no_datatype(array: Array) -> ValueError:
    """Return the error for an array whose dtype the protocol does not have."""
    try:
        datatype_of(array)
    except ValueError as error:
        return ValueError(f"{error}{_way_to_datatype(array.dtype)}")
    raise AssertionError(f"{array.dtype} has a datatype")


def is_number(dtype: np.dtype[Any]) -> bool:
    """True for a dtype whose elements numpy converts to numbers, also one of ml_dtypes."""
    return dtype.kind in "biuf" or (dtype.kind == "V" and np.can_cast(dtype, np.float64))


def _way_to_datatype(dtype: np.dtype[Any]) -> str:
    if dtype.kind in "mM":
        return "; array.astype(np.int64) gives counts of its unit, array.astype(str) texts"
    if dtype.kind == "c":
        return "; give array.real and array.imag, or array.view of its floats"
    if dtype.names:
        return f"; give each field as an input of its own, such as array[{dtype.names[0]!r}]"
    if is_number(dtype):
        return f"; array.astype({'np.float64' if dtype.kind == 'f' else 'np.float32'}) converts it"
    return "; array.astype(object) makes bytes of it" if dtype.kind == "V" else ""


def pack_objects(value: Any, array: Array) -> Buffer:
    """The wire bytes of an array of objects, which must all be texts or bytes.

    Args:
        value: what the array was made of.

    Raises:
        TypeError, ValueError: they are not.
    """
    try:
        return pack(array, "BYTES")
    except ValueError:
        raise objects_fault(value, array) from None


def objects_fault(value: Any, array: Array) -> TypeError | ValueError:
    """Return the error for an array of objects that are not all texts or bytes.

    Args:
        value: what the array was made of.
    """
    what = f"{type(value).__name__} of shape {list(array.shape)}"
    items = array.ravel().tolist()
    kinds = sorted({type(item).__name__ for item in items})
    if hasattr(value, "columns"):
        return TypeError(
            f"{what} has columns of different types ({', '.join(kinds)}); choose those of one "
            "type, as by frame[['a', 'b']].to_numpy(np.float32)"
        )
    odd = [index for index, item in enumerate(items) if not isinstance(item, _TEXTS)]
    if not odd:
        return _texts_fault(what, items)
    first = f"element {odd[0]} is {type(items[odd[0]]).__name__}"
    if kinds == ["int"]:
        largest = max(items, key=abs)
        if min(items) >= -(1 << 63) and largest < 1 << 64:
            return TypeError(f"{what} holds numbers as objects; .astype(np.int64) converts them")
        return ValueError(
            f"{what} holds {largest}, which has more than 64 bits; "
            "convert it to floats, or send it as text"
        )
    if len(odd) < len(items) and all(_is_missing(items[index]) for index in odd):
        return TypeError(f"{what} holds texts, but {first}; give a text for what is missing: ''")
    return TypeError(
        f"{what} holds objects ({', '.join(kinds)}; {first}), which are neither all numbers nor "
        f"all texts;{_way_to_elements(items[odd[0]], kinds)}"
    )


def _texts_fault(what: str, items: list[Any]) -> ValueError:
    for index, item in enumerate(items):
        try:
            item.encode() if isinstance(item, str) else bytes(item)
        except UnicodeEncodeError as error:
            return ValueError(
                f"{what} holds {item!r:.60} (element {index}), which has no UTF-8 form: surrogates "
                f"are not allowed (character {error.start}); decode bytes without "
                "errors='surrogateescape', or give the bytes themselves"
            )
    return ValueError(
        f"{what} holds texts, expected numbers; np.array(values, np.float32) reads numbers from "
        "texts, np.frombuffer(data, np.float32) takes the bytes of numbers"
    )


def _is_missing(item: Any) -> bool:
    if isinstance(item, (float, np.floating)):
        return bool(np.isnan(item))
    return item is None or type(item).__name__ in ("NAType", "NaTType")  # of pandas


def _way_to_elements(odd: Any, kinds: list[str]) -> str:
    if isinstance(odd, Mapping):
        return " json.dumps(...) makes a text of a dict"
    if isinstance(odd, (np.ndarray, list, tuple)):
        return " arrays of different shapes make no tensor: pad them, or send each on its own"
    if "NoneType" in kinds and len(kinds) > 1:
        return f" None is no number; use nan;{_MADE_OF_OBJECTS}"
    return _MADE_OF_OBJECTS


def refuse_masked(array: Array) -> None:
    """Raise ValueError for an array with masked elements: the server would get what is below."""
    masked = np.count_nonzero(getattr(array, "mask", False))
    if masked:
        raise ValueError(
            f"{type(array).__name__} of shape {list(array.shape)} has {masked} masked elements, "
            "and the protocol has no masks; array.filled(value) says what to send for them"
        )


def is_cut(array: Array) -> bool:
    """True if numpy has very likely cut zero bytes off the ends of all elements.

    Its dtype "S" is as wide as the longest element that it was made of, and can't tell zeros at
    the end from padding. So it was cut where no element fills it.
    """
    width = array.dtype.itemsize
    return array.dtype.kind == "S" and array.size > 0 and _longest(array) < width


def _longest(array: Array) -> int:
    return max(map(len, array.ravel().tolist()))


def warn_if_cut(name: str, array: Array) -> None:
    """Warn of an array whose elements have very likely lost zero bytes."""
    if is_cut(array):
        warn(
            f"input {name!r} has dtype {array.dtype}, but its longest element has "
            f"{_longest(array)} bytes: "
            "numpy drops zero bytes at the end of elements. Make the array with dtype=object to "
            "keep them; .astype(object) says that nothing is missing"
        )


def is_json_tensor(value: object) -> bool:
    """True for a tensor as the protocol's JSON has it."""
    return isinstance(value, Mapping) and "data" in value and "datatype" in value


def json_request(tensors: Sequence[Any]) -> TypeError | None:
    """Return the error for the inputs of a request in the protocol's JSON, if they are such."""
    if not tensors or not all(map(is_json_tensor, tensors)):
        return None
    names = ", ".join(f"{each.get('name', 'INPUT')!r}: array" for each in tensors[:4])
    return TypeError(
        "inputs holds tensors in the JSON of the protocol, expected a mapping of names to arrays: "
        f"{{{names}}}; {way_from_json(tensors[0])}"
    )


def way_from_json(tensor: Mapping[str, Any]) -> str:
    """Return how a tensor in JSON becomes one that a client takes."""
    return (
        f"Tensor(data, {tensor['datatype']!r}) makes one of the data, if they are nested as the "
        "shape says"
    )


def no_inputs(inputs: Any) -> TypeError:
    """Return the error for inputs that are not given by their names."""
    name, hint = "INPUT", ""
    if isinstance(inputs, (list, tuple)) and (error := json_request(inputs)):
        return error
    if isinstance(inputs, str) and inputs.lstrip()[:1] == "{":
        hint = "; the client makes the JSON itself"
    for each in inputs if isinstance(inputs, (list, tuple)) else ():
        if callable(getattr(each, "as_numpy", None)):
            name = str(getattr(each, "name", name))
            hint = f"; as_numpy() of {type(each).__name__} gives the array"
            break
        if callable(getattr(each, "set_data_from_numpy", None)):
            name, hint = each.name(), f"; {type(each).__name__} is for the classic clients"
            break
    return TypeError(
        f"inputs is {type(inputs).__name__}, expected a mapping of names to arrays, "
        f'such as {{"{name}": array}}{hint}'
    )
