"""Random and zero tensors: valid values, different from request to request, the same each run."""

from __future__ import annotations

import string
from collections.abc import Mapping

import numpy as np

from ...datatypes import NUMPY, Array, byte_size, element_count, pack
from ..exits import SetupError
from ..options.settings import Settings
from .dataset import Dataset, Step, Tensor
from .model import ModelInfo, TensorInfo

_POOL = 32
_POOL_BYTES = 64 << 20
#: Integers are small, as models take them for indices, lengths and delays too.
_INTEGERS = 128
_LETTERS = np.frombuffer((string.ascii_letters + string.digits).encode(), np.uint8)


def shape_of(tensor: TensorInfo, settings: Settings) -> tuple[int, ...]:
    """The shape to send of an input: its own, or that of --shape where it has open dimensions."""
    given = dict(settings.shape).get(tensor.name)
    if given is None:
        if -1 in tensor.shape:
            raise SetupError(
                f"input {tensor.name} contains dynamic shape, provide shapes to send along with "
                f"the request, such as --shape {tensor.name}:"
                + ",".join("1" if size == -1 else str(size) for size in tensor.shape)
            )
        return tensor.shape
    check_shape(f"--shape of input {tensor.name!r}", tensor, given)
    return given


def check_shape(what: str, tensor: TensorInfo, given: tuple[int, ...]) -> None:
    """Raise for a shape that the model does not take."""
    fits = len(given) == len(tensor.shape) and all(
        size in (-1, asked) for size, asked in zip(tensor.shape, given, strict=True)
    )
    if not fits:
        raise SetupError(
            f"{what} is {list(given)}, which is incompatible with the model's input shape "
            f"{list(tensor.shape)} (-1 is any size, the batch is left out)"
        )


def check_names(model: ModelInfo, settings: Settings) -> None:
    """Raise for a --shape of an input that the model does not have."""
    for name, _ in settings.shape:
        if name not in model.inputs:
            raise SetupError(
                f"--shape names the input {name!r}, but model {model.name!r} has "
                f"{', '.join(model.inputs) or 'none'}"
            )


def generate(model: ModelInfo, settings: Settings, kinds: Mapping[str, str]) -> Dataset:
    """Steps of random or zero tensors.

    Args:
        kinds: by input "random" or "zero"; "" for all others.

    Raises:
        SetupError: an input has an open shape, or its values are a shape.
    """
    for name in kinds:
        if name and name not in model.inputs:
            raise SetupError(
                f"--input-data names the input {name!r}, but model {model.name!r} has "
                f"{', '.join(model.inputs) or 'none'}"
            )
    shapes = {}
    for each in model.inputs.values():
        if each.shape_tensor:
            raise SetupError(f"input {each.name!r} is a shape tensor, which needs --input-data")
        shapes[each.name] = shape_of(each, settings)
    rng = np.random.default_rng(settings.seed)
    default = kinds.get("", "random")
    count = _pool(model, settings, shapes)
    steps = []
    for index in range(count):
        inputs = {
            each.name: make(
                each, shapes[each.name], kinds.get(each.name, default), settings, rng, index
            )
            for each in model.inputs.values()
        }
        steps.append(Step(inputs))
    if len({tuple(bytes(t.data) for t in step.inputs.values()) for step in steps}) == 1:
        steps = steps[:1]
    return Dataset([steps], summary=default)


def _pool(model: ModelInfo, settings: Settings, shapes: Mapping[str, tuple[int, ...]]) -> int:
    if settings.data_pool:
        return settings.data_pool
    size = 0
    for each in model.inputs.values():
        count = element_count(shapes[each.name])
        size += byte_size(each.datatype, count) or count * (4 + settings.string_length)
    return max(1, min(_POOL, _POOL_BYTES // max(1, size * settings.batch_size)))


def make(
    tensor: TensorInfo,
    shape: tuple[int, ...],
    kind: str,
    settings: Settings,
    rng: np.random.Generator,
    index: int,
) -> Tensor:
    """A tensor of valid values.

    Args:
        index: of the request; single integers count on from it, so that requests differ.
    """
    count = element_count(shape)
    datatype = tensor.datatype
    array: Array
    if datatype == "BYTES":
        return Tensor(datatype, shape, pack(_texts(count, settings, rng), datatype))
    dtype = NUMPY[datatype]
    if kind == "zero":
        array = np.zeros(count, dtype)
    elif datatype == "BOOL":
        array = rng.integers(0, 2, count).astype(dtype)
    elif datatype == "BF16":
        array = rng.random(count, np.float32)
    elif dtype.kind == "f":
        array = rng.random(count).astype(dtype)
    elif count == 1:
        array = np.array([index % _INTEGERS], dtype)
    else:
        array = rng.integers(0, _INTEGERS, count).astype(dtype)
    return Tensor(datatype, shape, bytes(pack(array, datatype)))


def _texts(count: int, settings: Settings, rng: np.random.Generator) -> Array:
    texts = np.empty(count, object)
    if settings.string_data:
        texts[:] = settings.string_data.encode()
    else:
        letters = _LETTERS[rng.integers(0, len(_LETTERS), (count, settings.string_length))]
        texts[:] = [row.tobytes() for row in letters]
    return texts
