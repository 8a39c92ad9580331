"""Placement of tensors in registered shared memory, for both runtimes.

Calls place their tensors in blocks of regions that are registered with the server. A block is used
again when nothing refers to it. If no block is free, one more region is created and registered.
Operations that send requests are flows.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from numbers import Integral
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy.typing as npt

from ..datatypes import NUMPY
from ..errors import (
    AlreadyExists,
    InferenceServerException,
    InvalidArgument,
    NotFound,
    ProtocolError,
    ServerError,
    Unavailable,
    Unknown,
)
from ..messages import Infer, InferResponse, InferTensor, RequestedOutput
from ..shm.blocks import ALIGNMENT, Block, Segment, new_segment, take
from ..transport.call import Options, log_debug
from ..transport.settings import check_limit
from .flows import Flow, describe_model
from .model_spec import ModelSpec
from .options import split
from .request_checks import check_texts, whole_number
from .requests import TensorLike, make_input
from .requests import request as make_request
from .results import InferResult
from .shared_tensor import (
    OnGpu,
    SharedOutput,
    SharedTensor,
    checked_shape,
    datatype_named,
    is_on_gpu,
    size_of,
)
from .signatures import explains_arguments
from .suggestions import SHARED_MEMORY_NAMES, no_attribute, not_picklable
from .user_warnings import warn

#: The seconds that are left for a call, None for no limit.
_Left: TypeAlias = Callable[[], "float | None"]

_LARGEST_STEP = 1 << 28
_CLOSE_PATIENCE = 5.0
#: Models whose interfaces are remembered.
_MAX_SPECS = 256


class RegistrationRefused(Exception):
    """The server does not register memory."""

    def __init__(self, error: ServerError) -> None:
        super().__init__(str(error))
        self.error = error


@explains_arguments
class BasePlacement:
    """Base of `SharedMemory` and `AsyncSharedMemory`: all but the sending of requests."""

    _segments: Sequence[Segment] = ()

    def __init__(
        self, url: str, timeout: float | None, byte_size: int, device: int | None, mode: int
    ) -> None:
        check_limit("byte_size", byte_size)
        if device is not None:
            device = whole_number("device", device)
        self._url = url
        self._timeout = timeout
        self._next_size = int(byte_size)
        self._device = device
        self._mode = whole_number("mode", mode, end=1 << 9)
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._segments = []
        self._closed = False
        self._refused = False
        self._specs: dict[tuple[str, str], ModelSpec | None] = {}

    @property
    def regions(self) -> tuple[str, ...]:
        """The names by which its regions are registered with the server."""
        return tuple(segment.name for segment in self._segments)

    def output(
        self, name: str, size: int | Sequence[int], datatype: npt.DTypeLike | None = None
    ) -> RequestedOutput:
        """Return a requested output whose size is not known from the model's metadata.

        Args:
            size: bytes that it takes at most, or its shape.
            datatype: its datatype or numpy dtype; needed with a shape.
        """
        check_texts(name=name)
        given: Any = size
        if isinstance(given, Sequence) and not isinstance(given, str):
            if datatype is None:
                raise TypeError("datatype is missing, which a shape needs: 'FP32', for instance")
            given = size_of(datatype_named(datatype), checked_shape(given, "size"))
        elif not isinstance(given, Integral):
            raise TypeError(f"size is {given!r:.60}, expected a number of bytes, or a shape")
        check_limit("size", int(given))
        return SharedOutput(name, byte_size=int(given))

    if not TYPE_CHECKING:  # a type checker would take it that there is any name

        def __getattr__(self, name: str) -> Any:
            raise no_attribute(self, name, SHARED_MEMORY_NAMES)

    def __reduce__(self) -> Any:
        raise not_picklable(
            self, "it is memory of this process and its server", "make one in each process"
        )

    def __del__(self) -> None:
        if self._segments and self._pid == os.getpid():
            warnings.warn(f"{self!r} was not closed", ResourceWarning, stacklevel=1, source=self)

    def __repr__(self) -> str:
        where = "system memory" if self._device is None else f"GPU {self._device}"
        count = "closed" if self._closed else f"{len(self._segments)} regions"
        return f"<{type(self).__name__} in {where}, {count}>"

    # Inference

    def inference(
        self,
        url: str,
        model: str,
        inputs: Mapping[str, TensorLike],
        version: str,
        outputs: Sequence[str | RequestedOutput] | None,
        options: Mapping[str, Any],
        seconds: float | None,
    ) -> tuple[Flow[InferResult], Options]:
        """Return the flow of the arguments of `Client.infer`, and the options of its transport.

        Raises:
            TypeError, ValueError: an argument has a wrong type or value.
        """
        if url != self._url:
            raise ValueError(f"shared_memory is shared with {self._url}, not with {url}")
        arguments, transport_options = split(options)
        if isinstance(inputs, Mapping) and self._device is not None:
            inputs = {n: OnGpu(v) if is_on_gpu(v) else v for n, v in inputs.items()}
        request = make_request(model, inputs, version=version, outputs=outputs, **arguments)
        on_gpu = {n: v.producer for n, v in inputs.items() if isinstance(v, OnGpu)}
        return self._infer(request, on_gpu, seconds), transport_options

    def _infer(
        self, request: Infer, on_gpu: Mapping[str, Any], seconds: float | None
    ) -> Flow[InferResult]:
        end = None if seconds is None else monotonic() + seconds

        def left() -> float | None:
            return None if end is None else max(end - monotonic(), 1e-3)

        blocks: list[Block] = []
        if not self._refused:
            try:
                request = yield from self._place_inputs(request, on_gpu, blocks, left)
            except RegistrationRefused as refusal:
                self._refuse(refusal.error)
        if self._refused and on_gpu:
            raise ValueError(
                f"inputs {', '.join(on_gpu)} are on a GPU, and can't travel from there"
            )
        blocks += [o.place for o in request.outputs if isinstance(o, SharedOutput) and o.place]
        try:
            response = yield from self._ask(request, left)
        except BaseException as error:
            self._specs.pop((request.model, request.version), None)
            # A refusal ends a request; otherwise the server may still be at it.
            if not isinstance(error, ServerError) or isinstance(error, (Unavailable, Unknown)):
                for block in blocks:
                    block.abandon()
            raise
        return InferResult(response, self._url, request)

    def _ask(self, request: Infer, left: _Left) -> Flow[InferResponse]:
        """Send the request; register the regions again if the server has lost them."""
        response: InferResponse
        try:
            response = yield request, left()
            return response
        except NotFound as error:
            if not any(name in str(error) for name in self.regions):
                raise
        for segment in self._segments:
            with suppress(AlreadyExists, InvalidArgument):  # it still has this one
                yield segment.registration(), left()
        response = yield request, left()
        return response

    def _refuse(self, error: ServerError) -> None:
        self._refused = True
        warn(
            f"the server does not take shared memory ({error}), so tensors travel as usual. A "
            "server in a container needs --ipc=host, and --pid=host for CUDA; one that runs as "
            "another user needs a mode such as 0o666.",
            RuntimeWarning,
        )

    def _place_inputs(
        self,
        request: Infer,
        on_gpu: Mapping[str, Any],
        blocks: list[Block],
        left: _Left,
    ) -> Flow[Infer]:
        """Put all inputs into the memory, and make room for the outputs."""
        inputs = []
        for tensor in request.inputs:
            if tensor.data or (tensor.data is None and tensor.name in on_gpu):
                size = len(tensor.data) if tensor.data else size_of(tensor.datatype, tensor.shape)
                block = yield from self._reserve(size, left())
                blocks.append(block)
                if tensor.data:
                    block.write(tensor.data)
                else:
                    block.write_tensor(on_gpu[tensor.name])
                tensor = tensor._replace(data=None, parameters=block.parameters())
            inputs.append(tensor)
        outputs = yield from self._place_outputs(request, left)
        return replace(request, inputs=tuple(inputs), outputs=outputs)

    def _place_outputs(self, request: Infer, left: _Left) -> Flow[tuple[RequestedOutput, ...]]:
        requested = request.outputs
        sizes: dict[str, int] = {}
        if not requested or any(map(_is_plain, requested)):
            spec = yield from self._spec(request.model, request.version, left)
            sizes = {} if spec is None else _sizes(spec, request.inputs)
            if sizes and spec is not None and not requested:
                requested = tuple(RequestedOutput(n, 0, request.binary) for n in spec.outputs)
        outputs = []
        for output in requested:
            size = sizes.get(output.name) if _is_plain(output) else _wanted(output)
            if size:
                block = yield from self._reserve(size, left())
                output = SharedOutput(output.name, place=block)
            outputs.append(output)
        return tuple(outputs)

    def _spec(self, model: str, version: str, left: _Left) -> Flow[ModelSpec | None]:
        """Return the interface of a model; None if the server does not provide it."""
        key = model, version
        if key in self._specs:
            return self._specs[key]
        try:
            spec = yield from describe_model(model, version, left())
        except (ProtocolError, ServerError):
            spec = None
        if len(self._specs) >= _MAX_SPECS:
            self._specs.clear()
        self._specs[key] = spec
        return spec

    # Memory

    def _reserve(self, size: int, timeout: float | None) -> Flow[Block]:
        """Room for that many bytes, in a new region when there is no other."""
        block = self._take(size)
        if block is not None:
            return block
        segment = new_segment(max(size + ALIGNMENT, self._next_size), self._device, self._mode)
        try:
            yield segment.registration(), timeout
        except ServerError as error:
            segment.close()
            raise RegistrationRefused(error) from error
        except BaseException:
            segment.close()
            raise
        block = take(segment, size)
        assert block is not None
        with self._lock:
            if self._closed:
                segment.close()
                raise ValueError("the shared memory was closed meanwhile")
            self._segments = [*self._segments, segment]
            self._next_size = max(self._next_size, min(2 * self._next_size, _LARGEST_STEP))
        return block

    def _take(self, size: int) -> Block | None:
        if self._pid != os.getpid():
            # A forked child would share the regions of its parent without knowing what is free.
            self._pid, self._lock, self._segments = os.getpid(), threading.Lock(), []
        if self._closed:
            raise ValueError(
                "the shared memory is closed; make another with client.shared_memory(), or use "
                "this one before close() and inside of its `with` block"
            )
        return next(filter(None, (take(segment, size) for segment in self._segments)), None)

    def _put(self, value: TensorLike) -> Flow[SharedTensor]:
        on_gpu = self._device is not None and is_on_gpu(value)
        tensor = make_input("value", OnGpu(value) if on_gpu else value)
        data = tensor.data or b""
        size = size_of(tensor.datatype, tensor.shape) if on_gpu else len(data)
        block = yield from self._allocate(size)
        if block is not None and on_gpu:
            block.write_tensor(value)
        elif block is not None:
            block.write(data)
        return SharedTensor(block, tensor.datatype, tensor.shape)

    def _empty(
        self, shape: Sequence[int], datatype: npt.DTypeLike, byte_size: int | None
    ) -> Flow[SharedTensor]:
        sizes = checked_shape(shape)
        name = datatype_named(datatype)
        size = size_of(name, sizes) if byte_size is None else whole_number("byte_size", byte_size)
        block = yield from self._allocate(size)
        return SharedTensor(block, name, sizes)

    def _allocate(self, size: int) -> Flow[Block | None]:
        if size == 0:
            return None
        try:
            return (yield from self._reserve(size, self._timeout))
        except RegistrationRefused as refusal:
            raise refusal.error from None

    def _close(self) -> Flow[None]:
        segments: Sequence[Segment] = ()
        with self._lock:
            self._closed = True
            if self._pid == os.getpid():
                segments = self._segments
            self._segments = []
        for segment in segments:
            segment.close()
        for segment in segments:
            try:
                yield segment.unregistration(), _CLOSE_PATIENCE
            except InferenceServerException as error:
                log_debug("region %s was not unregistered: %s", segment.name, error)


def _is_plain(output: RequestedOutput) -> bool:
    """True if only the name of an output is given."""
    return not output.classes and not output.parameters and _wanted(output) is None


def _wanted(output: RequestedOutput) -> int | None:
    return output.byte_size if isinstance(output, SharedOutput) else None


def _sizes(spec: ModelSpec, inputs: Sequence[InferTensor]) -> dict[str, int]:
    """Return the sizes in bytes of outputs, where the model's interface determines them."""
    batch = inputs[0].shape[:1] if spec.max_batch_size and inputs else ()
    sizes = {}
    for output in spec.outputs.values():
        shape = output.shape
        if batch and shape[:1] == (-1,):
            shape = (*batch, *shape[1:])
        if -1 not in shape and output.datatype in NUMPY:
            sizes[output.name] = size_of(output.datatype, shape)
    return sizes
