"""Warmup: the requests of `model_warmup`, executed on each instance before it takes others."""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import numpy as np

from ... import datatypes
from ...datatypes import Array
from ...errors import InvalidArgument, ServerError
from ..config import tensor_data
from ..config.specification import DATATYPES
from ..jobs.job import Job, JobOptions
from ..jobs.model_info import ModelInfo
from ..jobs.response import Response
from ..jobs.tensor import Tensor
from ..scheduling.sequence_controls import SequenceControls
from ..scheduling.sequence_states import SequenceStates
from ..tensors import inputs

#: Makes the requests of one instance.
Warmup: TypeAlias = "Callable[[], Iterator[WarmupBatch]]"
_log = logging.getLogger(__name__)
_REFUSED = "[request id: <id_unknown>] "


def plan(model: ModelInfo, config: Mapping[str, Any], directory: Path) -> Warmup:
    """Return what makes the warmup requests of one instance.

    Args:
        config: the model configuration in its JSON form.
        directory: the model's directory, which has the files of the data in `warmup`.

    Raises:
        ServerError: a request does not fit the model, or its data is not there.
    """
    samples = [_Sample(model, each, config, directory) for each in config["model_warmup"]]

    def batches() -> Iterator[WarmupBatch]:
        for sample in samples:
            for _ in range(sample.count):
                yield sample.batch()

    return batches


class WarmupBatch:
    """Requests that an instance executes together.

    Args:
        name: the name of the sample.

    Attributes:
        jobs: the requests; their responses are dropped.
    """

    def __init__(self, name: str, model: ModelInfo, inputs: Sequence[Tensor], count: int) -> None:
        self._name = name
        self._responses: queue.SimpleQueue[Response] = queue.SimpleQueue()
        options = JobOptions(outputs=tuple(model.outputs))
        self.jobs = [Job(model, inputs, options, 1, self._responses.put) for _ in range(count)]

    def wait(self) -> None:
        """Wait for all responses; raise ServerError with all errors among them."""
        pending = len(self.jobs)
        errors = ""
        while pending:
            response = self._responses.get()
            if response.error is not None:
                errors += f"{response.error.message()}; "
            pending -= response.final or not self.jobs[0].model.decoupled
        if errors:
            _refuse(f"failed to run warmup sample '{self._name}': {errors}")


class _Sample:
    """One entry of `model_warmup`."""

    def __init__(
        self,
        model: ModelInfo,
        sample: Mapping[str, Any],
        config: Mapping[str, Any],
        directory: Path,
    ) -> None:
        self._name = sample["name"]
        self._model = model
        # As in Triton, a batch is made of requests of the batch size 1.
        self._batch_size = sample["batch_size"]
        self.count = (sample["count"] or 1) if self._batch_size else 0
        if not self._batch_size:
            _log.warning(
                "warmup '%s' of model '%s' has no batch_size, so it executes nothing, as in Triton",
                sample["name"],
                model.name,
            )
        if self._batch_size > max(1, model.max_batch_size):
            _refuse(
                f"{_REFUSED}warmup '{sample['name']}' has the batch_size {self._batch_size}, which "
                f"must be <= {max(1, model.max_batch_size)} for '{model.name}'"
            )
        tensors = [
            _tensor(model, name, each, directory / "warmup")
            for name, each in sample["inputs"].items()
            if name in model.inputs
        ]
        try:
            self._inputs, _ = inputs.accept_all(model, tensors, "")
            if "sequence_batching" in config:
                controls = SequenceControls(config)
                self._inputs += SequenceStates(config, directory).begin().inputs()
                self._inputs += controls.tensors(1, start=True, end=True, ready=True)
        except InvalidArgument as error:
            raise ServerError(f"Invalid argument: {error.message()}", "400") from error

    def batch(self) -> WarmupBatch:
        """Return the requests of one execution."""
        return WarmupBatch(self._name, self._model, self._inputs, self._batch_size)


def _tensor(model: ModelInfo, name: str, given: Mapping[str, Any], files: Path) -> Tensor:
    datatype = DATATYPES.get(given["data_type"], "<invalid>")
    if any(size < 0 for size in given["dims"]):
        _refuse(
            f"warmup setting expects all variable-size dimensions are specified for input '{name}'"
        )
    if datatype != model.inputs[name].datatype:
        _refuse(
            f"{_REFUSED}inference input '{name}' data-type is '{datatype}', but model "
            f"'{model.name}' expects '{model.inputs[name].datatype}'"
        )
    shape = (1, *given["dims"]) if model.batches else tuple(given["dims"])
    try:
        return Tensor(name, datatype, _data(name, datatype, given, shape, files))
    except MemoryError:
        _refuse(f"{_REFUSED}warmup input '{name}' of shape {list(shape)} does not fit into memory")


def _data(
    name: str, datatype: str, given: Mapping[str, Any], shape: Sequence[int], files: Path
) -> Array:
    kind = "UINT16" if datatype == "BF16" else datatype
    if "input_data_file" in given:
        return tensor_data.read(given["input_data_file"], kind, shape, files, f"{_REFUSED}warmup")
    if "zero_data" not in given and "random_data" not in given:
        _refuse(f"{_REFUSED}warmup setting expects input '{name}' to have input_data_type set")
    if "random_data" not in given:
        return tensor_data.zeros(kind, shape)
    if kind == "BYTES":
        count = datatypes.element_count(tuple(shape))
        texts: Array = np.empty(count, object)
        texts[:] = [np.random.bytes(8).hex().encode() for _ in range(count)]
        return texts.reshape(shape)
    dtype = np.dtype(datatypes.NUMPY[kind])
    if dtype.kind == "f":
        return np.random.random(shape).astype(dtype)
    high = 2 if kind == "BOOL" else 256
    return np.random.randint(0, min(high, 1 << (8 * dtype.itemsize - 1)), shape).astype(dtype)


def _refuse(text: str) -> NoReturn:
    raise ServerError(f"Invalid argument: {text}", "400")
