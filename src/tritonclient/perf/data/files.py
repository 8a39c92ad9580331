"""Data from folders, from numpy's files, and from Python generators."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ...datatypes import Array, datatype_for, pack
from ..exits import SetupError
from ..options.settings import Settings
from .dataset import Dataset, Step, Tensor
from .generated import check_shape, shape_of
from .json_values import Place, from_bytes
from .model import ModelInfo, TensorInfo

#: Steps that a generator may give; they are all made before the measurement.
_MOST_STEPS = 100_000


def load_folder(folder: str, model: ModelInfo, settings: Settings) -> Dataset:
    """One step from a folder with a file for each input.

    A file holds wire bytes of batch 1; for BYTES a text with an element in each line.
    """
    known = {*model.inputs, *model.outputs}
    for name in sorted(os.listdir(folder)):
        if name not in known:
            raise SetupError(
                f"{folder}: the file {name!r} is named like no tensor of model {model.name!r}, "
                f"expected {', '.join(model.inputs)}"
            )
    inputs = {}
    for name, tensor in model.inputs.items():
        path = os.path.join(folder, name)
        if not os.path.isfile(path):
            if tensor.optional:
                continue
            raise SetupError(f"{folder}: there is no file {name!r} for the input of this name")
        inputs[name] = _from_file(path, tensor, shape_of(tensor, settings))
    return Dataset([[Step(inputs)]], loaded=True, summary=folder)


def _from_file(path: str, tensor: TensorInfo, shape: tuple[int, ...]) -> Tensor:
    with open(path, "rb") as file:
        data = file.read()
    place = Place(path, "the file", tensor.name)
    if tensor.datatype == "BYTES":
        lines = data.split(b"\n")
        if lines[-1] == b"":
            lines.pop()
        texts = np.empty(len(lines), object)
        texts[:] = lines
        data = bytes(pack(texts, "BYTES"))
    return from_bytes(place, tensor, data, shape)


def load_arrays(paths: list[str], model: ModelInfo, settings: Settings) -> Dataset:
    """Steps from .npz files (an array for each input) and .npy files (the only input).

    An .npz file is one step; an array "weight" in it says how often it comes.
    """
    steps = []
    for path in paths:
        try:
            loaded = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise SetupError(f"{path} can't be read: {error}") from None
        if isinstance(loaded, np.ndarray):
            if len(model.inputs) != 1:
                raise SetupError(
                    f"{path}: a .npy file holds one array, but model {model.name!r} has the inputs "
                    f"{', '.join(model.inputs)}; expected an .npz file"
                )
            arrays = {next(iter(model.inputs)): loaded}
        else:
            try:
                arrays = {name: loaded[name] for name in loaded.files}
            except (ValueError, OSError) as error:
                raise SetupError(f"{path} can't be read: {error}") from None
        steps.append(_step(path, arrays, model))
    return Dataset([steps], loaded=True, summary=", ".join(map(os.path.basename, paths)))


def _step(path: str, arrays: Mapping[str, Any], model: ModelInfo, where: str = "") -> Step:
    weight = 1
    inputs = {}
    for name, value in arrays.items():
        if name == "weight" and name not in model.inputs:
            weight = int(value)
            if not 1 <= weight <= 10_000:
                raise SetupError(f"{path}: weight is {weight}, expected 1 to 10000")
            continue
        tensor = model.inputs.get(name)
        if tensor is None:
            raise SetupError(
                f"{path}: {where}the array {name!r} is no input of model {model.name!r}, expected "
                f"{', '.join(model.inputs)}"
            )
        inputs[name] = _from_array(f"{path}: {where}array {name!r}", tensor, np.asarray(value))
    for name, tensor in model.inputs.items():
        if name not in inputs and not tensor.optional:
            raise SetupError(
                f"{path}: {where}there is no array {name!r} for the input of this name"
            )
    return Step(inputs, weight=weight)


def _from_array(what: str, tensor: TensorInfo, array: Array) -> Tensor:
    # A shape that fits in all but a first 1 is a batch of one.
    if array.ndim == len(tensor.shape) + 1 and array.shape[0] == 1:
        array = array[0]
    check_shape(f"{what}: the shape", tensor, array.shape)
    given = datatype_for(array.dtype)
    if given != tensor.datatype and tensor.datatype not in ("BYTES", "BF16"):
        raise SetupError(f"{what} is {given or array.dtype}, expected {tensor.datatype}")
    try:
        return Tensor(tensor.datatype, array.shape, bytes(pack(array, tensor.datatype)))
    except ValueError as error:
        raise SetupError(f"{what}: {error}") from None


def load_generator(path: str, model: ModelInfo, settings: Settings) -> Dataset:
    """Steps that the function `generate(model, count, seed)` of a Python file gives.

    It is called before the measurement with the model's inputs (name -> datatype and shape), how
    many steps are wanted and the seed; it gives dicts of arrays or lists, by input.
    """
    spec = importlib.util.spec_from_file_location("perf_input_generator", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        function = module.generate
    except AttributeError:
        raise SetupError(
            f"{path} has no function generate, expected def generate(inputs, count, seed)"
        ) from None
    except Exception as error:
        raise SetupError(f"{path} can't be run: {type(error).__name__}: {error}") from error
    count = settings.data_pool or 32
    inputs = {name: (each.datatype, each.shape) for name, each in model.inputs.items()}
    steps = []
    try:
        made: Iterable[Mapping[str, Any]] = function(inputs, count, settings.seed)
        for index, arrays in enumerate(made):
            if index >= min(_MOST_STEPS, max(count, 1)):
                break
            steps.append(_generated(path, index, arrays, model))
    except SetupError:
        raise
    except Exception as error:
        raise SetupError(f"{path}: generate failed: {type(error).__name__}: {error}") from error
    if not steps:
        raise SetupError(f"{path}: generate gave nothing, expected dicts of arrays by input")
    return Dataset([steps], loaded=True, summary=os.path.basename(path))


def _generated(path: str, index: int, arrays: Any, model: ModelInfo) -> Step:
    if not isinstance(arrays, Mapping):
        raise SetupError(
            f"{path}: generate gave {arrays!r:.40}, expected a dict of arrays by input"
        )
    typed: dict[str, Any] = {}
    for name, value in arrays.items():
        tensor = model.inputs.get(name)
        if tensor is not None and not isinstance(value, np.ndarray):
            from ...datatypes import NUMPY

            dtype: Any = object if tensor.datatype == "BYTES" else NUMPY[tensor.datatype]
            value = np.asarray(value, np.float32 if tensor.datatype == "BF16" else dtype)
        typed[name] = value
    return _step(path, typed, model, f"step {index}: ")
