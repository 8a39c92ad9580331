"""Operations of the v2 protocol as values: a `Request[T]` has a response of type T.

Field names are the protocol's own, so that the codecs can fill most of these from JSON or
protobuf by name. Requests are frozen dataclasses. Responses are named tuples, which are faster
to define and to make.

Sources: KServe v2 REST and gRPC specification; Triton's extensions (model repository, model
configuration, statistics, trace, logging, system and CUDA shared memory).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, NamedTuple, TypeAlias

from .datatypes import Buffer
from .model_statistics import InferBatchStatistics as InferBatchStatistics
from .model_statistics import InferResponseStatistics as InferResponseStatistics
from .model_statistics import InferStatistics as InferStatistics
from .model_statistics import MemoryUsage as MemoryUsage
from .model_statistics import ModelStatistics as ModelStatistics
from .model_statistics import StatisticDuration as StatisticDuration
from .operations import NO_PARAMETERS, has_attributes, names_arguments, operation
from .operations import Parameter as Parameter
from .operations import Request as Request

# Health


@operation
class IsServerLive(Request[bool]):
    """Ask if the server process is live."""


@operation
class IsServerReady(Request[bool]):
    """Ask if the server accepts inference requests."""


@operation
class IsModelReady(Request[bool]):
    """Ask if a model accepts inference requests."""

    model: str
    version: str = ""


# Metadata and configuration


@has_attributes
class ServerMetadata(NamedTuple):
    """Name, version and extensions of the server.

    Attributes:
        extensions: names of the protocol extensions it supports.
    """

    name: str = ""
    version: str = ""
    extensions: tuple[str, ...] = ()


@operation
class GetServerMetadata(Request[ServerMetadata]):
    """Name, version and extensions of the server."""


@has_attributes
class TensorMetadata(NamedTuple):
    """A model's input or output; a dimension of -1 takes any size."""

    name: str = ""
    datatype: str = ""
    shape: tuple[int, ...] = ()


@has_attributes
class ModelMetadata(NamedTuple):
    """A model's tensors; for a batching model each shape begins with the batch dimension."""

    name: str = ""
    versions: tuple[str, ...] = ()
    platform: str = ""
    inputs: tuple[TensorMetadata, ...] = ()
    outputs: tuple[TensorMetadata, ...] = ()


@operation
class GetModelMetadata(Request[ModelMetadata]):
    """A model's inputs and outputs."""

    model: str
    version: str = ""


@operation
class GetModelConfig(Request[dict[str, Any]]):
    """A model's whole configuration, as the JSON form of the `ModelConfig` message."""

    model: str
    version: str = ""


# Statistics


@operation
class GetStatistics(Request[tuple[ModelStatistics, ...]]):
    """Statistics of one model, or of all when no name is given."""

    model: str = ""
    version: str = ""


# Model repository


@has_attributes
class ModelIndex(NamedTuple):
    """One version of a model in the repository.

    Attributes:
        version: "" for a model that was never loaded.
        state: READY, UNAVAILABLE, LOADING, UNLOADING, or "".
        reason: why it is not ready.
    """

    name: str = ""
    version: str = ""
    state: str = ""
    reason: str = ""


@operation
class GetRepositoryIndex(Request[tuple[ModelIndex, ...]]):
    """Every model in the repository, or only the ready ones."""

    ready: bool = False


@operation
class LoadModel(Request[None]):
    """Load or reload a model.

    Attributes:
        config: a model configuration as JSON text, instead of the repository's.
        files: contents by path ("1/model.onnx"), instead of the repository's directory.
    """

    model: str
    config: str | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)


@operation
class UnloadModel(Request[None]):
    """Unload a model, and with `unload_dependents` also those that an ensemble brought along."""

    model: str
    unload_dependents: bool = False


# Trace and log settings

#: A trace setting is a text or a list of texts; None resets it to the outer default.
TraceValue: TypeAlias = "str | tuple[str, ...] | None"
LogValue: TypeAlias = "bool | int | str"


@operation
class GetTraceSettings(Request[dict[str, Any]]):
    """Trace settings of a model, or the global ones."""

    model: str = ""


@operation
class UpdateTraceSettings(Request[dict[str, Any]]):
    """Change trace settings; answered with the settings that are then in force."""

    settings: Mapping[str, TraceValue]
    model: str = ""


@operation
class GetLogSettings(Request[dict[str, Any]]):
    """The server's log settings."""


@operation
class UpdateLogSettings(Request[dict[str, Any]]):
    """Change log settings; answered with the settings that are then in force."""

    settings: Mapping[str, LogValue]


# Shared memory


@has_attributes
class SystemSharedMemoryRegion(NamedTuple):
    """A registered region: `byte_size` bytes at `offset` of the POSIX object `key`."""

    name: str = ""
    key: str = ""
    offset: int = 0
    byte_size: int = 0


@operation
class GetSystemSharedMemoryStatus(Request[tuple[SystemSharedMemoryRegion, ...]]):
    """One registered region, or all when no name is given."""

    name: str = ""


@operation
class RegisterSystemSharedMemory(Request[None]):
    """Register a POSIX shared memory object."""

    name: str
    key: str
    byte_size: int
    offset: int = 0


@operation
class UnregisterSystemSharedMemory(Request[None]):
    """Unmap one region, or all when no name is given."""

    name: str = ""


@has_attributes
class CudaSharedMemoryRegion(NamedTuple):
    """A registered region of device memory."""

    name: str = ""
    device_id: int = 0
    byte_size: int = 0


@operation
class GetCudaSharedMemoryStatus(Request[tuple[CudaSharedMemoryRegion, ...]]):
    """One registered region, or all when no name is given."""

    name: str = ""


@operation
class RegisterCudaSharedMemory(Request[None]):
    """Register GPU memory by its 64-byte CUDA IPC handle."""

    name: str
    raw_handle: bytes
    device_id: int
    byte_size: int


@operation
class UnregisterCudaSharedMemory(Request[None]):
    """Close one region, or all when no name is given."""

    name: str = ""


# Inference


class InferTensor(NamedTuple):
    """A tensor of a message: an input of a request or an output of a response.

    Attributes:
        data: wire bytes (see `datatypes`), or None if the tensor is in the shared memory that
            `parameters` name.
        binary: True to send it over HTTP as binary data, False as JSON.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: Buffer | None = None
    parameters: Mapping[str, Parameter] = NO_PARAMETERS
    binary: bool = True


@names_arguments
class RequestedOutput(NamedTuple):
    """An output to return.

    Attributes:
        classes: return this many best classes as "value:index:label" texts, not the tensor;
            0 for the tensor itself.
        binary: whether HTTP returns it as binary data, or as JSON.
        parameters: further parameters, such as the shared memory to put the tensor in.
    """

    name: str
    classes: int = 0
    binary: bool = True
    parameters: Mapping[str, Parameter] = NO_PARAMETERS


class InferResponse(NamedTuple):
    """A model's answer as it came over the wire.

    Attributes:
        parameters: the response's own.
        outputs: a sequence, which may make its tensors when they are asked for.
    """

    model_name: str = ""
    model_version: str = ""
    id: str = ""
    parameters: Mapping[str, Parameter] = NO_PARAMETERS
    outputs: Sequence[InferTensor] = ()


class InferStreamResponse(NamedTuple):
    """One message of a gRPC stream: a model's answer, or why it failed.

    Attributes:
        error: the reason of a failure, and the response then holds the request's id only; or "".
    """

    error: str = ""
    response: InferResponse = InferResponse()


@operation
class Infer(Request[InferResponse]):
    """Run a model.

    Attributes:
        outputs: what to return; empty for all outputs.
        parameters: everything the protocol sends as request parameters, sequence, priority and
            timeout among them.
        binary: how outputs come back over HTTP when `outputs` is empty.
    """

    model: str
    inputs: tuple[InferTensor, ...]
    version: str = ""
    outputs: tuple[RequestedOutput, ...] = ()
    id: str = ""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    binary: bool = True
