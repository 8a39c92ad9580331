"""The classic names for HTTP: `tritonclient.http.InferenceServerClient` and what it takes."""

from ..classic.plugins import InferenceServerClientPlugin, Request
from ..utils import *  # noqa: F403
from ..utils import InferenceServerException
from ._client import InferenceServerClient
from ._infer_result import InferAsyncRequest, InferResult
from ._tensors import InferInput, InferRequestedOutput

__all__ = [
    "InferAsyncRequest",
    "InferInput",
    "InferRequestedOutput",
    "InferResult",
    "InferenceServerClient",
    "InferenceServerClientPlugin",
    "InferenceServerException",
    "Request",
]
