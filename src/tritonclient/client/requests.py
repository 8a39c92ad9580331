"""Inference requests from arrays: conversion of values to tensors, and checks of arguments."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ..datatypes import NUMPY, Array, check, datatype_of, pack
from ..messages import (
    RESERVED_PARAMETERS,
    RESERVED_PREFIX,
    Infer,
    InferTensor,
    Parameter,
    RequestedOutput,
)

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
        check(self.datatype)


def request(
    model: str,
    inputs: Mapping[str, TensorLike],
    *,
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
) -> Infer:
    """Return the request of these arguments, which are those of `Client.infer`.

    Its type, for annotations, is `tritonclient.messages.Infer`.

    Args:
        empty_final_response: on a stream, also ask for the response of a decoupled model that
            holds no outputs and only says that it was the last.

    Raises:
        TypeError, ValueError: an argument is not what it should be.
    """
    _check_text(model=model, version=version, id=id)
    if not model:
        raise ValueError("model is '', expected the name of a model")
    if not isinstance(inputs, Mapping):
        raise TypeError(f"inputs is {type(inputs).__name__}, expected a mapping of names to arrays")
    given = _parameters(
        parameters, sequence_id, sequence_start, sequence_end, priority, server_timeout
    )
    if empty_final_response:
        given = {**given, "triton_enable_empty_final_response": True}
    return Infer(
        model,
        tuple([make_input(name, value, binary) for name, value in inputs.items()]),
        version,
        _requested(outputs, binary) if outputs else (),
        id,
        given,
        binary,
    )


def _check_text(**arguments: Any) -> None:
    for name, value in arguments.items():
        if not isinstance(value, str):
            raise TypeError(f"{name} is {value!r:.60}, expected a text")


def _requested(
    outputs: Sequence[str | RequestedOutput], binary: bool
) -> tuple[RequestedOutput, ...]:
    if isinstance(outputs, str) or not isinstance(outputs, Iterable):
        raise TypeError(f"outputs is {outputs!r:.60}, expected a sequence of names")
    requested = []
    for output in outputs:
        if isinstance(output, str):
            output = RequestedOutput(output, binary=binary)
        elif not isinstance(output, RequestedOutput):
            raise TypeError(
                f"outputs holds {output!r:.60}, expected names or RequestedOutput objects"
            )
        _check_text(output=output.name)
        if type(output.classes) is not int or output.classes < 0:
            raise ValueError(
                f"classes of output {output.name!r} is {output.classes!r:.60}, "
                "expected a number from 0"
            )
        requested.append(output)
    return tuple(requested)


def _parameters(
    custom: Mapping[str, Parameter] | None,
    sequence_id: int | str,
    sequence_start: bool,
    sequence_end: bool,
    priority: int,
    server_timeout: float | None,
) -> dict[str, Parameter]:
    parameters: dict[str, Parameter] = {}
    if sequence_id:
        if isinstance(sequence_id, bool) or not isinstance(sequence_id, (int, str)):
            raise TypeError(f"sequence_id is {sequence_id!r:.60}, expected a number or text")
        if isinstance(sequence_id, int) and sequence_id < 0:
            raise ValueError(f"sequence_id is {sequence_id}, expected a number from 0")
        parameters["sequence_id"] = sequence_id
        parameters["sequence_start"] = bool(sequence_start)
        parameters["sequence_end"] = bool(sequence_end)
    elif sequence_start or sequence_end:
        raise ValueError("sequence_start and sequence_end need a sequence_id")
    if priority:
        if isinstance(priority, bool) or not isinstance(priority, int) or priority < 0:
            raise ValueError(f"priority is {priority!r:.60}, expected a number from 0")
        parameters["priority"] = priority
    if server_timeout is not None:
        if not isinstance(server_timeout, (int, float)) or not 0 <= server_timeout < 2**43:
            raise ValueError(f"server_timeout is {server_timeout!r:.60}, expected seconds from 0")
        parameters["timeout"] = round(server_timeout * 1e6)
    if custom is not None and not isinstance(custom, Mapping):
        raise TypeError(f"parameters is {type(custom).__name__}, expected a mapping")
    for name, value in (custom or {}).items():
        _check_parameter(name, value)
        parameters[name] = value
    return parameters


def _check_parameter(name: str, value: Parameter) -> None:
    if not isinstance(name, str):
        raise TypeError(f"parameters has the key {name!r:.60}, expected a text")
    if name in RESERVED_PARAMETERS or name.startswith(RESERVED_PREFIX):
        raise ValueError(f"parameter {name!r} is reserved and can't be given in parameters")
    if not isinstance(value, (bool, int, float, str)):
        kind = type(value).__name__  # the value may be secret
        raise TypeError(f"parameter {name!r} is {kind}, expected bool, int, float or str")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"parameter {name!r} is {value}, which has no JSON form")


# Inputs


def make_input(name: str, value: TensorLike, binary: bool = True) -> InferTensor:
    """Return the tensor of a value given for an input.

    Raises:
        TypeError, ValueError: the value can't be a tensor; the message names the input.
    """
    if not isinstance(name, str):
        raise TypeError(f"inputs has the key {name!r:.60}, expected the name of an input")
    try:
        if hasattr(value, "as_input"):  # it lies in shared memory
            placed: InferTensor = value.as_input(name)
            return placed
        if isinstance(value, Tensor):
            datatype, binary = value.datatype, value.binary
            array = convert(value.array, datatype)
        else:
            array = as_array(value)
            datatype = datatype_of(array)
        if datatype == "FP16" and not binary:
            # Triton refuses it; what sends it nevertheless are classic programs, for other servers.
            raise ValueError("FP16 has no JSON form; send it as binary data")
        return InferTensor(name, datatype, array.shape, pack(array, datatype), binary=binary)
    except ValueError as error:
        raise ValueError(f"input {name!r}: {error}") from None


def as_array(value: TensorLike) -> Array:
    """Return the array of an array-like value, with all bytes; ragged lists are refused."""
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, (str, bytes)):
        return np.array(value, object)
    if hasattr(value, "__dlpack__"):
        return _from_dlpack(value)
    try:
        array = np.asarray(value)
    except UnicodeDecodeError:
        return np.array(value, object)  # texts and bytes mixed, which numpy tries to unify
    except ValueError as error:
        raise ValueError(f"{_excerpt(value)} makes no array: {error}") from None
    if array.dtype.kind in "SU":
        # numpy drops the trailing NUL bytes of these, so start again from the objects.
        array = np.array(value, object)
    return array


def _from_dlpack(value: Any) -> Array:
    try:
        return np.from_dlpack(value)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"{type(value).__name__} can't be read as a CPU array: {error}") from None


def convert(value: TensorLike, datatype: str) -> Array:
    """Return an array that can be sent as a datatype.

    Arrays must have a fitting dtype. Lists and scalars are converted when no value changes.

    Raises:
        ValueError: the value does not fit.
    """
    array = as_array(value)
    if isinstance(value, np.ndarray) or datatype in ("BYTES", "BF16"):
        return _floats(array) if _is_plain_float(value, array, datatype) else array
    check(datatype)
    expected = NUMPY[datatype]
    if array.dtype == expected or array.size == 0:
        return array.astype(expected, copy=False)
    kinds = {"b": "b", "i": "iu", "u": "iu", "f": "iuf"}[expected.kind]
    if array.dtype.kind in kinds:
        with np.errstate(over="ignore"):
            converted = array.astype(expected)
        if expected.kind == "f" or (converted == array).all():
            return converted
    raise ValueError(f"{_excerpt(value)} does not fit {datatype}")


def _floats(array: Array) -> Array:
    with np.errstate(over="ignore"):
        return array.astype(np.float32)


def _is_plain_float(value: TensorLike, array: Array, datatype: str) -> bool:
    return datatype == "BF16" and not isinstance(value, np.ndarray) and array.dtype.kind in "fi"


def _excerpt(value: Any) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"
