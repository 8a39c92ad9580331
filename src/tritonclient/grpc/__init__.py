"""The classic names for gRPC: `tritonclient.grpc.InferenceServerClient` and what it takes.

All of `tritonclient.utils` is here as well, as programs expect. The modules of messages are
imported when they are first used: a client that only runs models does without protobuf.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .. import utils
from ..classic.lazy_names import lazy_names
from ..classic.plugins import InferenceServerClientPlugin, Request
from ..utils import TRITON_RESERVED_REQUEST_PARAMS as TRITON_RESERVED_REQUEST_PARAMS
from ..utils import TRITON_RESERVED_REQUEST_PARAMS_PREFIX as TRITON_RESERVED_REQUEST_PARAMS_PREFIX
from ..utils import InferenceServerException
from ..utils import deserialize_bf16_tensor as deserialize_bf16_tensor
from ..utils import deserialize_bytes_tensor as deserialize_bytes_tensor
from ..utils import np as np
from ..utils import np_to_triton_dtype as np_to_triton_dtype
from ..utils import raise_error as raise_error
from ..utils import serialize_bf16_tensor as serialize_bf16_tensor
from ..utils import serialize_byte_tensor as serialize_byte_tensor
from ..utils import serialized_byte_size as serialized_byte_size
from ..utils import struct as struct
from ..utils import triton_to_np_dtype as triton_to_np_dtype
from ._channel import MAX_GRPC_MESSAGE_SIZE as MAX_GRPC_MESSAGE_SIZE
from ._client import InferenceServerClient, KeepAliveOptions
from ._infer_input import InferInput
from ._infer_result import InferResult
from ._requested_output import InferRequestedOutput
from ._utils import raise_error_grpc as raise_error_grpc

if TYPE_CHECKING:
    from . import model_config_pb2 as model_config_pb2
    from . import service_pb2 as service_pb2
    from . import service_pb2_grpc as service_pb2_grpc

__all__ = [
    "InferInput",
    "InferRequestedOutput",
    "InferResult",
    "InferenceServerClient",
    "InferenceServerClientPlugin",
    "InferenceServerException",
    "KeepAliveOptions",
    "Request",
]

_LAZY = frozenset(["model_config_pb2", "service_pb2", "service_pb2_grpc"])


_look_up = lazy_names(__name__)


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return import_module(f".{name}", __name__)
    # What few need, `utils` imports only for them.
    if name in utils.__all__:
        return getattr(utils, name)
    return _look_up(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
