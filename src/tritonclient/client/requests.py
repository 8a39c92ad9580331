"""Inference requests from arrays: conversion of values to tensors, and checks of arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

import numpy as np

from ..datatypes import DATATYPES, NUMPY, Array, check, datatype_for, pack
from ..messages import (
    Infer,
    InferTensor,
    Parameter,
    RequestedOutput,
)
from . import foreign_arrays
from .request_checks import (
    check_model,
    check_texts,
    check_utf8,
    request_parameters,
    requested_outputs,
)
from .strange_values import (
    excerpt,
    json_request,
    no_datatype,
    no_inputs,
    objects_fault,
    pack_objects,
    refuse_masked,
    warn_if_cut,
    way_to_array,
)
from .suggestions import by_keyword, unknown_argument

#: What can stand for a tensor: an array, or something numpy makes one of.
TensorLike: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input whose datatype is stated rather than taken from the array.

    For example `Tensor(bits, "BF16")` sends an array of uint16 bit patterns as BF16, and
    `Tensor([1, 2], "INT32")` makes INT32 of a list.

    Attributes:
        array: an array, or anything that numpy makes one of.
        datatype: one of the protocol's datatypes, such as "FP32".
        binary: False to send the elements as JSON over HTTP.
    """

    array: TensorLike
    datatype: str
    binary: bool = True

    def __post_init__(self) -> None:
        if isinstance(self.array, str) and self.array in DATATYPES:
            raise TypeError(f"array is {self.array!r}; the array comes first, then its datatype")
        check(self.datatype)


def request(
    model: str,
    inputs: Mapping[str, TensorLike],
    *surplus: NoReturn,
    version: str = "",
    outputs: Sequence[str | RequestedOutput] | None = None,
    id: str = "",
    sequence_id: int | str = 0,
    sequence_start: bool = False,
    sequence_end: bool = False,
    priority: int = 0,
    server_timeout: float | None = None,
    parameters: Mapping[str, Parameter] | None = None,
    binary: bool = True,
    empty_final_response: bool = False,
    **unknown: NoReturn,
) -> Infer:
    """The request that these arguments make; they are those of `Client.infer`.

    Its type, for annotations, is `tritonclient.messages.Infer`.

    Args:
        empty_final_response: on a stream, also ask for the response of a decoupled model that
            holds no outputs and only says that it was the last.

    Raises:
        TypeError, ValueError: an argument is not what it should be.
    """
    if surplus:
        raise by_keyword(surplus, request)
    if unknown:
        known = ("model", "inputs", *(request.__kwdefaults__ or ()))
        raise unknown_argument(next(iter(unknown)), known)
    if type(model) is not str:
        check_model(model)
    check_texts(model=model, version=version, id=id)
    if not model:
        raise ValueError("model is '', expected the name of a model")
    if not isinstance(inputs, Mapping):
        raise no_inputs(inputs)
    given = inputs.get("inputs")
    if isinstance(given, list) and (error := json_request(given)):
        raise error
    if not isinstance(binary, bool):
        raise TypeError(f"binary is {binary!r:.60}, expected True or False")
    given = request_parameters(
        parameters, sequence_id, sequence_start, sequence_end, priority, server_timeout
    )
    if empty_final_response:
        given = {**given, "triton_enable_empty_final_response": True}
    return Infer(
        model,
        tuple([make_input(name, value, binary) for name, value in inputs.items()]),
        version,
        requested_outputs(outputs, binary) if outputs else (),
        id,
        given,
        binary,
    )


# It finds out itself that these are missing: Python's error would come before that for the names
# that they were given instead, such as model_name.
request.__defaults__ = (None, None)


# Inputs


def make_input(name: str, value: TensorLike, binary: bool = True) -> InferTensor:
    """The tensor that a value given for an input makes.

    Raises:
        TypeError, ValueError: the value makes no tensor; the message names the input.
    """
    if not isinstance(name, str):
        raise TypeError(f"inputs has the key {name!r:.60}, expected the name of an input")
    check_utf8("a name in inputs", name)
    try:
        if hasattr(value, "as_input"):  # it lies in shared memory
            placed: InferTensor = value.as_input(name)
            return placed
        if isinstance(value, Tensor):
            datatype, binary = value.datatype, value.binary and binary
            array = convert(value.array, datatype)
        else:
            array = as_array(value)
            datatype = datatype_for(array.dtype) or ""
            if not datatype:
                raise no_datatype(array)
        warn_if_cut(name, array)
        if array.dtype == object and datatype == "BYTES":
            given = value.array if isinstance(value, Tensor) else value
            data = pack_objects(given, array)
        else:
            data = pack(array, datatype)
        return InferTensor(name, datatype, array.shape, data, binary=binary)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"input {name!r}: {error}") from None


def as_array(value: TensorLike) -> Array:
    """An array of an array-like value, without losing bytes or guessing at ragged lists.

    Raises:
        TypeError: numpy knows nothing of such values.
        ValueError: it holds what makes no array.
    """
    if isinstance(value, np.ndarray):
        if type(value) is not np.ndarray:
            refuse_masked(value)
        return value
    if isinstance(value, (str, bytes)):
        return np.array(value, object)
    if isinstance(value, (type, Mapping)):
        raise TypeError(f"{excerpt(value)} is not an array{way_to_array(value)}")
    try:
        array = foreign_arrays.read(value)
    except UnicodeDecodeError:
        return np.array(value, object)  # texts and bytes mixed
    if array.dtype == object and array.ndim == 0 and array.item() is value:
        raise TypeError(f"{excerpt(value)} is not an array{way_to_array(value)}")
    if array.dtype.kind in "SU":
        # numpy drops the trailing NUL bytes of these, so start again from the objects.
        array = np.array(value, object)
    return array


def convert(value: TensorLike, datatype: str) -> Array:
    """An array that can be sent as a datatype.

    Arrays must have a fitting dtype. Lists and scalars are converted when no value changes.

    Raises:
        ValueError: the value does not fit.
    """
    array = as_array(value)
    if array.dtype == object and datatype != "BYTES":
        raise objects_fault(value, array)
    if isinstance(value, np.ndarray) or datatype == "BYTES":
        return array.astype(object) if _is_empty_list(value, array) else array
    check(datatype)
    expected = np.dtype(np.float32) if datatype == "BF16" else NUMPY[datatype]
    if array.dtype == expected or array.size == 0:
        return array.astype(expected, copy=False)
    if datatype == "BF16" and array.dtype.kind not in "fi":
        return array  # bit patterns, or for `pack` to refuse
    kinds = {"b": "b", "i": "iu", "u": "iu", "f": "iuf"}[expected.kind]
    if array.dtype.kind in kinds:
        try:
            return change(array, expected, datatype)
        except NumberMisfit as error:
            raise NumberMisfit(f"{excerpt(value)}: {error}") from None
    raise ValueError(f"{excerpt(value)} does not fit {datatype}")


class NumberMisfit(ValueError):
    """A number is not one of a datatype, so that no conversion helps."""


def change(array: Array, dtype: np.dtype[Any], datatype: str) -> Array:
    """Return numbers as another dtype, rounded where it is one of less exact floats.

    Raises:
        NumberMisfit: a number does not fit, or would become another number.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        changed = array.astype(dtype)
    if dtype.kind == "f":
        fits = np.isfinite(changed) == np.isfinite(array)
    else:
        fits = (changed == array) & ((changed < 0) == (array < 0))
    if not fits.all():
        limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
        raise NumberMisfit(
            f"{array[~fits].flat[0]} does not fit {datatype}, "
            f"whose numbers are {limits.min} to {limits.max}"
        )
    return changed


def _is_empty_list(value: TensorLike, array: Array) -> bool:
    return array.size == 0 and not isinstance(value, np.ndarray)
