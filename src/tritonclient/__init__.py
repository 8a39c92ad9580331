"""A client of the v2 inference protocol, spoken by Triton, KServe and others."""

from .aio import AsyncClient, AsyncModel
from .client import Client, Model
from .errors import (
    Aborted,
    AlreadyExists,
    Cancelled,
    ConnectionFailed,
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
from .inference import Classification, InferResult, Tensor
from .messages import RequestedOutput
from .transport.endpoint import TLS

__all__ = [
    "TLS",
    "Aborted",
    "AlreadyExists",
    "AsyncClient",
    "AsyncModel",
    "Cancelled",
    "Classification",
    "Client",
    "ConnectionFailed",
    "DataLoss",
    "DeadlineExceeded",
    "FailedPrecondition",
    "InferResult",
    "InferenceServerException",
    "Internal",
    "InvalidArgument",
    "Model",
    "NotFound",
    "OutOfRange",
    "PermissionDenied",
    "ProtocolError",
    "RequestedOutput",
    "ResourceExhausted",
    "ServerError",
    "Tensor",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "Unknown",
]
