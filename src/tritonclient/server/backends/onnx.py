"""The onnxruntime backend: ONNX models on the CPU."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...datatypes import Array, datatype_of
from ...errors import Internal, InvalidArgument, ServerError
from ..config import scheduling
from ..config.specification import enum_name
from ..extras import optional_import
from ..jobs.job import Job
from ..jobs.tensor import Tensor
from ..telemetry.statistics import Stopwatch
from .base import Backend, InstanceFactory, LocalInstance, ModelSource
from .batches import concatenate, split
from .execution import Result

_TYPES = {
    "tensor(bool)": "TYPE_BOOL",
    "tensor(uint8)": "TYPE_UINT8",
    "tensor(uint16)": "TYPE_UINT16",
    "tensor(uint32)": "TYPE_UINT32",
    "tensor(uint64)": "TYPE_UINT64",
    "tensor(int8)": "TYPE_INT8",
    "tensor(int16)": "TYPE_INT16",
    "tensor(int32)": "TYPE_INT32",
    "tensor(int64)": "TYPE_INT64",
    "tensor(float16)": "TYPE_FP16",
    "tensor(float)": "TYPE_FP32",
    "tensor(double)": "TYPE_FP64",
    "tensor(string)": "TYPE_STRING",
}
_log = logging.getLogger(__name__)

#: The largest batch size that Triton sets if the configuration has none.
DEFAULT_MAX_BATCH_SIZE = 4


class OnnxBackend(Backend):
    """Loads ONNX models. The instances of a version share one session, which is thread-safe."""

    def __init__(self) -> None:
        self._session: Any = None

    def complete(self, source: ModelSource) -> None:
        """Fill in inputs, outputs and the largest batch size; check those that are given."""
        self._session = _session(source)
        config = source.config
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        batches = all(
            len(tensor.shape) > 0 and not isinstance(tensor.shape[0], int)
            for tensor in (*inputs, *outputs)
        )
        if not (config.input and config.output):
            _complete_batching(config, batches)
        skip = 1 if config.max_batch_size > 0 else 0
        if config.input:
            _check_count(config, len(inputs))
        added = _added(config)
        _fill(config.input, [each for each in inputs if each.name not in added], skip)
        _fill(config.output, [each for each in outputs if each.name not in added], skip)
        for given in (config, _states(config)):
            for tensors, found in ((given.input, inputs), (given.output, outputs)):
                _check(given, tensors, {tensor.name: tensor for tensor in found})

    def instances(self, source: ModelSource, config: dict[str, Any]) -> list[InstanceFactory]:
        """Return as many factories as all instance groups count."""
        count = sum(group["count"] for group in config["instance_group"])
        return [lambda: _OnnxInstance(self._session)] * count


def _session(source: ModelSource) -> Any:
    with optional_import("onnxruntime"):
        import onnxruntime  # type: ignore[import-untyped]  # it has no types
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Idle threads of onnxruntime would spin and take CPU time from other processes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    for key, name in (
        ("intra_op_thread_count", "intra_op_num_threads"),
        ("inter_op_thread_count", "inter_op_num_threads"),
    ):
        text = source.config.parameters[key].string_value if key in source.config.parameters else ""
        if text.isdecimal():
            setattr(options, name, int(text))
    try:
        return onnxruntime.InferenceSession(
            str(source.path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's classes have no narrower base
        raise ValueError(f"onnx runtime error: {error}") from error


def _complete_batching(config: Any, batches: bool) -> None:
    if not batches and config.max_batch_size:
        raise ValueError(
            f"autofill failed for model '{config.name}': model does not support batching while "
            "non-zero max_batch_size is specified"
        )
    if batches and not config.max_batch_size:
        config.max_batch_size = DEFAULT_MAX_BATCH_SIZE
        if config.WhichOneof("scheduling_choice") is None:
            config.dynamic_batching.SetInParent()
            scheduling.complete(config)


def _fill(tensors: Any, found: Sequence[Any], skip: int) -> None:
    if tensors:
        return
    for tensor in found:
        item = tensors.add(name=tensor.name)
        item.data_type = _data_type(item, tensor)
        item.dims.extend(_dims(tensor, skip) or [1])
        if not _dims(tensor, skip):  # a configuration has no scalars, but can reshape to one
            item.reshape.SetInParent()


def _data_type(item: Any, tensor: Any) -> int:
    name = _TYPES.get(tensor.type)
    if name is None:
        cure = ""
        if tensor.type.startswith(("seq(map(", "map(")):
            cure = (
                "; scikit-learn's classifiers have it unless they are converted with "
                "options={'zipmap': False}, as in to_onnx(model, X, options={'zipmap': False})"
            )
        raise ValueError(f"tensor '{tensor.name}' is {tensor.type}, which has no v2 datatype{cure}")
    number: int = item.DESCRIPTOR.fields_by_name["data_type"].enum_type.values_by_name[name].number
    return number


def _dims(tensor: Any, skip: int) -> list[int]:
    return [size if isinstance(size, int) else -1 for size in tensor.shape[skip:]]


def _added(config: Any) -> set[str]:
    """Return the names of tensors that a configuration has elsewhere: of sequences."""
    sequences = config.sequence_batching
    names = {each.name for each in sequences.control_input}
    names |= {each.input_name for each in sequences.state}
    return names | {each.output_name for each in sequences.state}


def _states(config: Any) -> Any:
    """Return a configuration with the implicit state as its inputs and outputs."""
    states = type(config)(name=config.name, max_batch_size=config.max_batch_size)
    for each in config.sequence_batching.state:
        states.input.add(name=each.input_name, data_type=each.data_type, dims=each.dims)
        states.output.add(name=each.output_name, data_type=each.data_type, dims=each.dims)
    return states


def _check_count(config: Any, provided: int) -> None:
    """Raise ValueError if a configuration does not have all inputs of the model."""
    # The inputs for controls and state of sequences are not among those of the configuration.
    sequences = config.sequence_batching
    count = len(config.input) + len(sequences.control_input) + len(sequences.state)
    if count != provided:
        raise ValueError(
            f"unable to load model '{config.name}', configuration expects {count} inputs, model "
            f"provides {provided}"
        )


def _check(config: Any, tensors: Any, found: dict[str, Any]) -> None:
    kind = "input" if tensors is config.input else "output"
    for item in tensors:
        tensor = found.get(item.name)
        if tensor is None:
            raise ValueError(
                f"unexpected inference {kind} '{item.name}', allowed {kind}s are: "
                f"{', '.join(sorted(found))}"
            )
        if item.data_type not in (0, _data_type(item, tensor)):
            raise ValueError(
                f"unable to load model '{config.name}', configuration expects datatype "
                f"{enum_name(item, 'data_type')} for {kind} '{item.name}', model provides "
                f"{_TYPES[tensor.type]}"
            )
        shape = list(item.reshape.shape if item.HasField("reshape") else item.dims)
        if config.max_batch_size > 0:
            shape.insert(0, -1)
        has = _dims(tensor, 0)
        if tensor.shape and (
            len(shape) != len(has)
            or any(a != b and -1 not in (a, b) for a, b in zip(shape, has, strict=True))
        ):
            what = "shape"
            if config.max_batch_size > 0:
                what = (
                    "an initial batch dimension because max_batch_size > 0 followed by the "
                    "explicit tensor shape, making complete shape"
                )
            raise ValueError(
                f"model '{config.name}', tensor '{item.name}': the model expects "
                f"{len(has)} dimensions (shape {_text(has)}) but the model configuration specifies "
                f"{len(shape)} dimensions ({what} {_text(shape)})"
            )


def _text(shape: list[int]) -> str:
    return f"[{','.join(map(str, shape))}]"


class _OnnxInstance(LocalInstance):
    def __init__(self, session: Any) -> None:
        self._session: Any = session
        self._output_names = [tensor.name for tensor in session.get_outputs()]

    def execute(self, jobs: Sequence[Job], watch: Stopwatch) -> Sequence[Result]:
        try:
            return self._execute(jobs, watch)
        except ServerError as error:
            if len(jobs) == 1:
                raise
            # The error may concern one job only, and does not say which.
            _log.debug("executing %d requests one by one: %s", len(jobs), error)
            return [self._alone(job) for job in jobs]

    def _alone(self, job: Job) -> Result:
        try:
            return self._execute([job], Stopwatch())[0]
        except ServerError as error:
            return error

    def _execute(self, jobs: Sequence[Job], watch: Stopwatch) -> Sequence[Result]:
        wanted = {name for job in jobs for name in job.options.outputs}
        wanted.update(name for job in jobs if job.state for name in job.state.outputs)
        names = [name for name in self._output_names if name in wanted]
        feeds = concatenate([{each.name: _feed(each) for each in job.inputs} for job in jobs])
        watch.lap()
        try:
            arrays = self._session.run(names, feeds)
        except Exception as error:  # onnxruntime's classes have no narrower base
            raise Internal(f"onnx runtime error: {error}") from error
        watch.lap()
        tensors = [_output(name, array) for name, array in zip(names, arrays, strict=True)]
        results = split(tensors, [job.batch_size for job in jobs])
        for job, outputs in zip(jobs, results, strict=True):
            if job.state is not None:
                job.state.keep(outputs)
        return results

    def close(self) -> None:
        self._session = None


def _feed(tensor: Tensor) -> Array:
    if tensor.datatype == "BYTES":
        try:
            texts = [item.decode() for item in tensor.array.ravel().tolist()]
        except UnicodeDecodeError as error:
            raise InvalidArgument(
                f"input '{tensor.name}' holds bytes that are not UTF-8, which ONNX strings must be"
            ) from error
        array: Array = np.empty(len(texts), object)
        array[:] = texts
        return array.reshape(tensor.array.shape)
    return np.require(tensor.array, requirements=["C", "A"])


def _output(name: str, array: Array) -> Tensor:
    if array.dtype == object:
        encoded: Array = np.empty(array.size, object)
        encoded[:] = [str(item).encode() for item in array.ravel().tolist()]
        return Tensor(name, "BYTES", encoded.reshape(array.shape))
    return Tensor(name, datatype_of(array), array)
