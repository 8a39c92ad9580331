"""A client of the v2 inference protocol, spoken by Triton, KServe and others."""

from importlib import import_module
from os.path import isdir
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client.aio import AsyncClient
    from .client.aio_stream import AsyncInferStream
    from .client.blocking import Client
    from .client.blocking_stream import InferStream
    from .client.mapping.results import MapResult
    from .client.models import AsyncModel, Model
    from .client.requests import Tensor, request
    from .client.results import Classification, InferResult
    from .client.shared_memory import AsyncSharedMemory, SharedMemory
    from .client.shared_tensor import SharedTensor
    from .errors import (
        Aborted,
        AlreadyExists,
        Cancelled,
        ConnectionFailed,
        ConnectionRefused,
        DataLoss,
        DeadlineExceeded,
        FailedPrecondition,
        InferenceServerException,
        Internal,
        InvalidArgument,
        NotFound,
        OutOfRange,
        PermissionDenied,
        ProtocolError,
        ResourceExhausted,
        ServerError,
        Unauthenticated,
        Unavailable,
        Unimplemented,
        Unknown,
    )
    from .messages import RequestedOutput
    from .transport.endpoint import TLS
    from .transport.settings import Grpcio, KeepAlive, RequestTooLarge

    __version__: str

__all__ = [
    "TLS",
    "Aborted",
    "AlreadyExists",
    "AsyncClient",
    "AsyncInferStream",
    "AsyncModel",
    "AsyncSharedMemory",
    "Cancelled",
    "Classification",
    "Client",
    "ConnectionFailed",
    "ConnectionRefused",
    "DataLoss",
    "DeadlineExceeded",
    "FailedPrecondition",
    "Grpcio",
    "InferResult",
    "InferStream",
    "InferenceServerException",
    "Internal",
    "InvalidArgument",
    "KeepAlive",
    "MapResult",
    "Model",
    "NotFound",
    "OutOfRange",
    "PermissionDenied",
    "ProtocolError",
    "RequestTooLarge",
    "RequestedOutput",
    "ResourceExhausted",
    "ServerError",
    "SharedMemory",
    "SharedTensor",
    "Tensor",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "Unknown",
    "request",
]

# Folders of the official client would hide the modules of these names.
for _name in ("shared_memory", "cuda_shared_memory"):
    if isdir(f"{__path__[0]}/utils/{_name}"):
        raise ImportError(
            f"{__path__[0]} mixes two packages: utils/{_name}/ belongs to another distribution of "
            "tritonclient. Run 'pip uninstall tritonclient' until nothing is left, delete what "
            "remains of the folder, and install one of the two; see docs/installing.md"
        )

_HOMES = {
    "AsyncClient": "client.aio",
    "AsyncInferStream": "client.aio_stream",
    "AsyncModel": "client.models",
    "AsyncSharedMemory": "client.shared_memory",
    "Classification": "client.results",
    "Client": "client.blocking",
    "Grpcio": "transport.settings",
    "InferResult": "client.results",
    "InferStream": "client.blocking_stream",
    "KeepAlive": "transport.settings",
    "MapResult": "client.mapping.results",
    "Model": "client.models",
    "RequestTooLarge": "transport.settings",
    "RequestedOutput": "messages",
    "SharedMemory": "client.shared_memory",
    "SharedTensor": "client.shared_tensor",
    "TLS": "transport.endpoint",
    "Tensor": "client.requests",
    "request": "client.requests",
}


def _get(name: str) -> Any:
    # Imported when first used: asyncio alone takes longer to import than all of a blocking client.
    if name == "__version__":
        from importlib.metadata import version

        return version(__name__)
    if name not in __all__:
        from .client.suggestions import no_name

        raise AttributeError(
            f"module {__name__!r} has no attribute {name!r}{no_name(name, __all__)}"
        )
    value = getattr(import_module(f".{_HOMES.get(name, 'errors')}", __name__), name)
    globals()[name] = value
    return value


if not TYPE_CHECKING:  # a type checker would take it that there is any name
    __getattr__ = _get


def __dir__() -> list[str]:
    return sorted({*__all__, "__version__", "__doc__", "__name__", "__file__", "__path__"})
