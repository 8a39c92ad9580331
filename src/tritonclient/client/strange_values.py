"""Values that make no tensor: what they are, and how they become one."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..datatypes import Array, Buffer, pack

_TEXTS = (str, bytes, bytearray, memoryview)


def excerpt(value: Any) -> str:
    """Return the type and the beginning of a value, for the text of an error."""
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


def way_to_array(value: Any) -> str:
    """How a value that numpy does not understand becomes an array."""
    if value is None:
        return "; leave the input out if the model does without it"
    if isinstance(value, type):
        return "; it is a class, and an array would be an object of it"
    if isinstance(value, Mapping):
        return "; give one of its values, or each as an input of its own"
    if isinstance(value, Iterable):
        return "; list(...) makes a list of it"
    if callable(getattr(value, "numpy", None)):
        return "; give what its method numpy() returns"
    return "; expected an array, a list, a number or a text"


def pack_objects(value: Any, array: Array) -> Buffer:
    """The wire bytes of an array of objects, which must all be texts or bytes.

    Raises:
        TypeError: they are not.
    """
    try:
        return pack(array, "BYTES")
    except ValueError:
        items = array.ravel().tolist()
        odd = [index for index, item in enumerate(items) if not isinstance(item, _TEXTS)]
        if not odd:
            raise  # a text that is not valid
    kinds = sorted({type(item).__name__ for item in items})
    what = f"{type(value).__name__} of shape {list(array.shape)}"
    if hasattr(value, "columns"):
        raise TypeError(
            f"{what} has columns of different types ({', '.join(kinds)}); choose those of one "
            "type, as by frame[['a', 'b']].to_numpy(np.float32)"
        )
    if kinds == ["int"]:
        raise ValueError(
            f"{what} holds {max(items, key=abs)}, which has more than 64 bits; "
            "convert it to floats, or send it as text"
        )
    missing = " None is no number; use nan;" if "NoneType" in kinds and len(kinds) > 1 else ""
    raise TypeError(
        f"{what} holds objects ({', '.join(kinds)}; element {odd[0]} is "
        f"{type(items[odd[0]]).__name__}), which are neither all numbers nor all texts;"
        f"{missing} .astype(np.float32) makes numbers of numbers, .astype(str) texts"
    )


def refuse_masked(array: Array) -> None:
    """Raise ValueError for an array with masked elements: the server would get what is below."""
    masked = np.count_nonzero(getattr(array, "mask", False))
    if masked:
        raise ValueError(
            f"{type(array).__name__} of shape {list(array.shape)} has {masked} masked elements, "
            "and the protocol has no masks; array.filled(value) says what to send for them"
        )


def warn_of_cut_zeros(name: str, array: Array) -> None:
    """Warn when numpy has very likely cut zero bytes off the ends of all elements.

    Its dtype "S" is as wide as the longest element that it was made of, and can't tell zeros at
    the end from padding. So it was cut where no element fills it.
    """
    width = array.dtype.itemsize
    longest = max(map(len, array.ravel().tolist()), default=width)
    if longest < width:
        warnings.warn(
            f"input {name!r} has dtype {array.dtype}, but its longest element has {longest} bytes: "
            "numpy drops zero bytes at the end of elements. Make the array with dtype=object to "
            "keep them; .astype(object) says that nothing is missing",
            stacklevel=2,
        )
