"""Checks of what goes along with the tensors of a request: names, outputs and parameters."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np

from ..messages import Infer, Parameter, RequestedOutput
from ..operations import RESERVED_PARAMETERS, RESERVED_PREFIX


def check_texts(**arguments: Any) -> None:
    """Raise TypeError for an argument that is not str, ValueError for one without UTF-8 form."""
    for name, value in arguments.items():
        if not isinstance(value, str):
            raise TypeError(f"{name} is {value!r:.60}, expected str")
        check_utf8(name, value)


def check_model(model: Any) -> None:
    """Raise TypeError for what is given in place of a model's name."""
    if isinstance(model, (Mapping, list, tuple, np.ndarray)):
        hint = "the model's name comes first, then the inputs"
    elif isinstance(model, Infer):
        hint = "stream([request]) sends requests, and send takes what they are made of"
    elif callable(model):
        hint = "it is the name of a model, which the server runs"
    elif hasattr(model, "request"):
        hint = "infer_prepared sends what prepare returned"
    else:
        return
    raise TypeError(f"model is {model!r:.60}, expected str; {hint}")


def check_utf8(name: str, value: str) -> None:
    """Raise ValueError for text that can't be sent: it holds half of a surrogate pair."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{name} is {value!r:.60}, which has no UTF-8 form: character {error.start} is half "
            "of a surrogate pair; bytes are decoded without errors='surrogateescape'"
        ) from None


def whole_number(name: str, value: Any, least: int = 0, end: int = 1 << 63) -> int:
    """Return a whole number, also one of numpy, as an int of Python.

    Raises:
        TypeError: it is something else.
        ValueError: it is less than `least`, or not less than `end`.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} is {value!r:.60}, expected a number from {least}")
    if not least <= value < end:
        raise ValueError(
            f"{name} is {value}, expected a number from {least} below 2**{end.bit_length() - 1}"
        )
    return int(value)


def requested_outputs(
    outputs: Sequence[str | RequestedOutput], binary: bool
) -> tuple[RequestedOutput, ...]:
    """Return the outputs to ask for.

    Raises:
        TypeError, ValueError: they are neither names nor `RequestedOutput` objects.
    """
    if isinstance(outputs, str) or not isinstance(outputs, Iterable):
        raise TypeError(
            f"outputs is {outputs!r:.60}, expected a sequence of names, such as ['OUTPUT']"
        )
    if isinstance(outputs, Mapping):
        raise TypeError(
            f"outputs is {type(outputs).__name__}, expected a sequence of names, such as "
            "['OUTPUT']; RequestedOutput('OUTPUT', classes=3) asks for classes"
        )
    requested = []
    for output in outputs:
        if isinstance(output, str):
            output = RequestedOutput(output, binary=binary)
        elif not isinstance(output, RequestedOutput):
            classic = hasattr(output, "unset_shared_memory")
            hint = "; InferRequestedOutput is for the classic clients" if classic else ""
            raise TypeError(
                f"outputs holds {output!r:.60}, expected names or RequestedOutput objects{hint}"
            )
        check_texts(output=output.name)
        classes = whole_number(f"classes of output {output.name!r}", output.classes)
        if type(output.classes) is not int:
            output = output._replace(classes=classes)
        requested.append(output)
    return tuple(requested)


def request_parameters(
    custom: Mapping[str, Parameter] | None,
    sequence_id: int | str,
    sequence_start: bool,
    sequence_end: bool,
    priority: int,
    server_timeout: float | None,
) -> dict[str, Parameter]:
    """Return a request's parameters: those with arguments of their own, and the caller's.

    Raises:
        TypeError, ValueError: an argument is not what it should be.
    """
    parameters: dict[str, Parameter] = {}
    for name, flag in (("sequence_start", sequence_start), ("sequence_end", sequence_end)):
        if not isinstance(flag, (bool, np.bool_)):
            raise TypeError(f"{name} is {flag!r:.60}, expected True or False")
    if sequence_id:
        parameters["sequence_id"] = _sequence(sequence_id)
        parameters["sequence_start"] = bool(sequence_start)
        parameters["sequence_end"] = bool(sequence_end)
    elif sequence_start or sequence_end:
        raise ValueError("sequence_start and sequence_end need a sequence_id")
    if priority:
        parameters["priority"] = whole_number("priority", priority, end=1 << 64)
    if server_timeout is not None:
        if not isinstance(server_timeout, Real) or not 0 <= float(server_timeout) < 2**43:
            raise ValueError(f"server_timeout is {server_timeout!r:.60}, expected seconds from 0")
        parameters["timeout"] = round(float(server_timeout) * 1e6)
    if custom is not None and not isinstance(custom, Mapping):
        raise TypeError(f"parameters is {type(custom).__name__}, expected a mapping")
    for name, value in (custom or {}).items():
        if isinstance(value, np.generic):
            value = value.item()
        _check_parameter(name, value)
        parameters[name] = value
    return parameters


def _sequence(id: int | str) -> int | str:
    if isinstance(id, str):
        check_utf8("sequence_id", id)
        return id
    if isinstance(id, (bool, np.bool_)) or not isinstance(id, (int, np.integer)):
        raise TypeError(f"sequence_id is {id!r:.60}, expected int or str")
    return whole_number("sequence_id", id, end=1 << 64)


def _check_parameter(name: str, value: Parameter) -> None:
    if not isinstance(name, str):
        raise TypeError(f"parameters has the key {name!r:.60}, expected str")
    if name in RESERVED_PARAMETERS or name.startswith(RESERVED_PREFIX):
        raise ValueError(f"parameter {name!r} is reserved and can't be given in parameters")
    if not isinstance(value, (bool, int, float, str)):
        kind = type(value).__name__  # the value may be secret
        raise TypeError(f"parameter {name!r} is {kind}, expected bool, int, float or str")
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
        raise ValueError(f"parameter {name!r} is {value}, which does not fit into 64 bits")
    check_utf8("a name in parameters", name)
    if isinstance(value, str):
        check_utf8(f"parameter {name!r}", value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"parameter {name!r} is {value}, which has no JSON form")
