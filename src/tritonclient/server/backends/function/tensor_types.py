"""`TensorType`: datatype and shape of a function's input or output, from whatever states them."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .... import datatypes

#: Datatypes of Python's own types, as numpy has them.
_PYTHON = {bool: "BOOL", int: "INT64", float: "FP64", str: "BYTES", bytes: "BYTES"}


class TensorType(NamedTuple):
    """Datatype and shape of an input or output.

    Attributes:
        shape: dimensions without the batch dimension, -1 for a variable one; None for any shape.
    """

    datatype: str = "FP32"
    shape: tuple[int, ...] | None = None


#: The class of the aliases that `type` statements make, from Python 3.12 on.
_ALIAS: Any = getattr(typing, "TypeAliasType", ())


def tensor_type(stated: Any, name: str) -> TensorType:
    """Return the type that an annotation or an argument states.

    Args:
        stated: a datatype such as "FP32", a dtype such as `np.float32`, `NDArray[np.float32]`, a
            pair of one of these and a shape, or `Annotated[type, shape]`.
        name: the name of the input or output, for error messages.

    Raises:
        TypeError: it states none.
    """
    if isinstance(stated, TensorType):
        return stated
    stated = _without_aliases(_without_none(stated))
    if typing.get_origin(stated) is typing.Annotated:
        inner, *extra = typing.get_args(stated)
        shapes = [each for each in extra if _is_shape(each)]
        return TensorType(_datatype(inner, name), tuple(shapes[0]) if shapes else None)
    if isinstance(stated, Sequence) and not isinstance(stated, str):
        if len(stated) != 2 or not _is_shape(stated[1]):
            raise _unknown(stated, name)
        return TensorType(_datatype(stated[0], name), tuple(stated[1]))
    return TensorType(_datatype(stated, name))


def typed_fields(annotation: Any) -> dict[str, TensorType] | None:
    """Return the types of a TypedDict's fields; None for any other annotation."""
    if not typing.is_typeddict(annotation):
        return None
    fields = typing.get_type_hints(annotation, include_extras=True)
    return {name: tensor_type(stated, name) for name, stated in fields.items()}


def given_types(given: Mapping[str, Any], argument: str) -> dict[str, TensorType]:
    """Return the types in an argument such as `inputs={"X": "FP32"}`."""
    if not isinstance(given, Mapping):
        raise TypeError(
            f"{argument} is {type(given).__name__}, expected a mapping of names to datatypes, "
            'such as {"X": "FP32"} or {"X": ("FP32", [-1, 4])}'
        )
    for name in given:
        if not isinstance(name, str) or not name:
            raise TypeError(f"{argument} has the key {name!r:.60}, expected a name")
    return {name: tensor_type(stated, name) for name, stated in given.items()}


def _is_shape(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and all(
        type(size) is int and (size >= 1 or size == -1) for size in value
    )


def _datatype(stated: Any, name: str) -> str:
    if isinstance(stated, str) and stated in datatypes.DATATYPES:
        return stated
    if isinstance(stated, type) and stated in _PYTHON:
        return _PYTHON[stated]
    stated = _without_aliases(stated)
    if typing.get_origin(stated) is np.ndarray:  # NDArray[T] is ndarray[shape, dtype[T]]
        arguments = typing.get_args(typing.get_args(stated)[-1])
        stated = arguments[0] if arguments else np.ndarray
    if stated is np.ndarray or stated is Any:
        return TensorType().datatype
    try:
        found = datatypes.datatype_for(np.dtype(stated))
    except TypeError:
        found = None
    # numpy takes None for float64, and any class for an array of objects.
    other = isinstance(stated, type) and not issubclass(stated, np.generic) and found == "BYTES"
    if found is None or stated is None or (other and stated is not object):
        raise _unknown(stated, name)
    return found


def _without_none(stated: Any) -> Any:
    """Return the type that `type | None` has besides None, which annotates a default of None."""
    if typing.get_origin(stated) in (typing.Union, types.UnionType):
        others = [each for each in typing.get_args(stated) if each is not type(None)]
        return others[0] if len(others) == 1 else stated
    return stated


def _without_aliases(stated: Any) -> Any:
    """Return what a `type` statement's alias stands for; from numpy 2.5 on NDArray is one."""
    while True:
        origin = typing.get_origin(stated)
        if isinstance(origin, _ALIAS):
            stated = origin.__value__[typing.get_args(stated)]
        elif isinstance(stated, _ALIAS):
            stated = stated.__value__
        else:
            return stated


def _unknown(stated: Any, name: str) -> TypeError:
    return TypeError(
        f"the type of {name!r} is {stated!r:.80}, expected a datatype such as 'FP32', a dtype such "
        "as np.float32, NDArray[np.float32], or a pair of one of these and a shape"
    )
