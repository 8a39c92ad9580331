"""JSON data files: streams of steps, with the outputs that are expected."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

from ..exits import SetupError
from ..options.settings import Settings
from .dataset import Dataset, Step, Tensor
from .generated import shape_of
from .json_values import Place, read
from .model import ModelInfo

#: Names in a step that are no tensors.
_SPECIAL = {"model", "timestamp", "session_id", "delay", "payload", "TORCHSERVE_INPUT", "weight"}
_EXAMPLE = '{"data": [{"INPUT0": [1, 2]}, {"INPUT0": [3, 4]}]}'


def load(paths: list[str], model: ModelInfo, settings: Settings) -> Dataset:
    """The steps of JSON files, those of later files behind those of earlier ones.

    Raises:
        SetupError: a file is not what it should be.
    """
    streams: list[list[Step]] = []
    nested: bool | None = None
    for path in paths:
        document = _document(path)
        data = _list(path, document, "data")
        expected = document.get("validation_data")
        if expected is not None:
            expected = _list(path, document, "validation_data")
            if len(expected) != len(data):
                raise SetupError(
                    f"{path}: validation_data has {len(expected)} entries, expected {len(data)}, "
                    "as many as data"
                )
        if not data:
            raise SetupError(f"{path}: data is empty, expected at least one step, as {_EXAMPLE}")
        own = _is_nested(path, data)
        if nested is not None and own != nested:
            raise SetupError(
                f"{path}: some files have steps and some have streams of steps in data, expected "
                "one form"
            )
        nested = own
        if own:
            for index, stream in enumerate(data):
                outputs = None if expected is None else expected[index]
                if outputs is not None and (
                    not isinstance(outputs, list) or len(outputs) != len(stream)
                ):
                    raise SetupError(
                        f"{path}: validation_data of stream {index} has another length than data"
                    )
                streams.append(list(_steps(path, f"stream {index}, ", stream, outputs, model,
                                           settings)))  # fmt: skip
        else:
            steps = list(_steps(path, "", data, expected, model, settings))
            if streams:
                streams[0] += steps
            else:
                streams.append(steps)
    return Dataset(streams, loaded=True, summary=", ".join(map(os.path.basename, paths)))


def _document(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
    except OSError as error:
        raise SetupError(f"{path} can't be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise SetupError(f"{path} is not JSON: {error}; expected {_EXAMPLE}") from None
    if not isinstance(document, dict):
        raise SetupError(f"{path}: the document is no object, expected {_EXAMPLE}")
    return document


def _list(path: str, document: dict[str, Any], name: str) -> list[Any]:
    value = document.get(name)
    if not isinstance(value, list):
        raise SetupError(f"{path}: {name!r} is {value!r:.40}, expected a list, as {_EXAMPLE}")
    return value


def _is_nested(path: str, data: list[Any]) -> bool:
    kinds = {type(each) for each in data}
    if kinds == {dict}:
        return False
    if kinds == {list}:
        if not all(data):
            raise SetupError(f"{path}: a stream in data is empty, expected at least one step")
        return True
    raise SetupError(
        f"{path}: data mixes steps and streams, or holds what is neither, expected objects, or "
        f"lists of objects, as {_EXAMPLE}"
    )


def _steps(
    path: str,
    prefix: str,
    steps: list[Any],
    expected: list[Any] | None,
    model: ModelInfo,
    settings: Settings,
) -> Iterator[Step]:
    for index, value in enumerate(steps):
        where = f"{prefix}step {index}"
        if not isinstance(value, dict):
            raise SetupError(f"{path}: {where} is {value!r:.40}, expected an object, as {_EXAMPLE}")
        outputs = {} if expected is None else _expected(path, where, expected[index], model)
        yield _step(path, where, value, outputs, model, settings)


def _step(
    path: str,
    where: str,
    value: dict[str, Any],
    expected: dict[str, Tensor],
    model: ModelInfo,
    settings: Settings,
) -> Step:
    kind = settings.service_kind
    inputs: dict[str, Tensor] = {}
    payload: Any = None
    if kind == "openai":
        payload = _single(path, where, value, "payload", dict, '"payload": [{"model": "m"}]')
    elif kind == "torchserve":
        example = '"TORCHSERVE_INPUT": ["kitten.jpg"]'
        payload = _single(path, where, value, "TORCHSERVE_INPUT", str, example)
    else:
        inputs = _inputs(path, where, value, model, settings)
    stamp = _number(path, where, value, "timestamp")
    if settings.fixed_schedule and stamp is None:
        raise SetupError(
            f'{path}: {where} has no timestamp, expected one in ms, such as "timestamp": [120]'
        )
    weight = value.get("weight", 1)
    if "weight" not in model.inputs and (type(weight) is not int or not 1 <= weight <= 10_000):
        raise SetupError(f"{path}: {where}: weight is {weight!r:.40}, expected 1 to 10000")
    session = value.get("session_id", "")
    if isinstance(session, list):
        session = session[0] if session else ""
    return Step(
        inputs,
        expected,
        stamp,
        payload,
        str(session),
        _number(path, where, value, "delay") or 0.0,
        1 if "weight" in model.inputs else weight,
    )


def _inputs(
    path: str, where: str, value: dict[str, Any], model: ModelInfo, settings: Settings
) -> dict[str, Tensor]:
    unknown = [name for name in value if name not in model.inputs and name not in _SPECIAL]
    if unknown:
        raise SetupError(
            f"{path}: {where} names the input {unknown[0]!r}, expected only inputs of model "
            f"{model.name!r}: {', '.join(model.inputs)}"
        )
    inputs = {}
    for name, tensor in model.inputs.items():
        if name not in value:
            if tensor.optional:
                continue
            raise SetupError(
                f"{path}: {where} lacks the input {name!r}, expected a value for each of "
                f"{', '.join(n for n, t in model.inputs.items() if not t.optional)}"
            )
        shape = tensor.shape
        if -1 in shape and name in dict(settings.shape):
            shape = shape_of(tensor, settings)
        inputs[name] = read(Place(path, where, name), tensor, value[name], shape)
    return inputs


def _expected(path: str, where: str, value: Any, model: ModelInfo) -> dict[str, Tensor]:
    if not isinstance(value, dict):
        raise SetupError(f"{path}: validation_data of {where} is no object of outputs")
    found = {}
    for name, content in value.items():
        tensor = model.outputs.get(name)
        if tensor is None:
            raise SetupError(
                f"{path}: validation_data of {where} names the output {name!r}, expected "
                f"{', '.join(model.outputs)}"
            )
        found[name] = read(
            Place(path, f"validation_data of {where}", name), tensor, content, tensor.shape
        )
    return found


def _single(
    path: str, where: str, value: dict[str, Any], name: str, kind: type, example: str
) -> Any:
    given = value.get(name)
    if isinstance(given, list) and len(given) == 1 and isinstance(given[0], kind):
        return given[0]
    raise SetupError(
        f"{path}: {where}: {name} is {given!r:.60}, expected a list of one "
        f"{'object' if kind is dict else 'file name'}; for example {example}"
    )


def _number(path: str, where: str, value: dict[str, Any], name: str) -> float | None:
    given: Any = value.get(name)
    if isinstance(given, list) and len(given) == 1:
        (given,) = given
    if given is None:
        return None
    if not isinstance(given, (int, float)) or not 0 <= given < 1e12:
        raise SetupError(f"{path}: {where}: {name} is {given!r:.40}, expected milliseconds from 0")
    return float(given)
