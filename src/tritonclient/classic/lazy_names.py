"""Names that modules of the official client have by their own imports, looked up when used.

Programs import them from there, or patch them there: `from tritonclient.grpc import grpc`,
`tritonclient.http.aio._get_inference_request`. Importing all of them with each module would make
the classic clients slow to import, and would need packages that they do without.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

_UTILS = "tritonclient.utils"
_GRPC = "tritonclient.grpc._utils"
_HTTP = "tritonclient.http._utils"
#: Where a name is: a module, or a module and the name in it. Keys with a package win in it.
_HOMES: dict[str, tuple[str, str | None]] = {
    **{
        name: (name, None)
        for name in (
            *("base64", "gzip", "json", "struct", "sys", "warnings", "zlib"),
            *("aiohttp", "gevent", "grpc", "ml_dtypes"),
        )
    },
    **{
        name: (_UTILS, name)
        for name in (
            "InferenceServerException",
            "TRITON_RESERVED_REQUEST_PARAMS",
            "TRITON_RESERVED_REQUEST_PARAMS_PREFIX",
            "deserialize_bf16_tensor",
            "deserialize_bytes_tensor",
            "np_to_triton_dtype",
            "raise_error",
            "serialize_bf16_tensor",
            "serialize_byte_tensor",
            "serialized_byte_size",
            "triton_to_np_dtype",
        )
    },
    **{
        f"{package}.{name}": (home, name)
        for package, home, names in (
            ("grpc", _GRPC, ("_get_inference_request", "_grpc_compression_type")),
            ("grpc", _GRPC, ("get_cancelled_error", "get_error_grpc", "raise_error_grpc")),
            ("http", _HTTP, ("_get_inference_request", "_get_query_string")),
        )
        for name in names
    },
    "ABC": ("abc", "ABC"),
    "HTTPClient": ("geventhttpclient", "HTTPClient"),
    "InferenceServerClientBase": ("tritonclient._client", "InferenceServerClientBase"),
    "InferenceServerClientPlugin": ("tritonclient._plugin", "InferenceServerClientPlugin"),
    "MessageToJson": ("google.protobuf.json_format", "MessageToJson"),
    "Request": ("tritonclient._request", "Request"),
    "URL": ("geventhttpclient", "URL"),
    "SharedMemoryTensor": ("tritonclient.shm.dlpack", "SharedMemoryTensor"),
    "_InferStream": ("tritonclient.grpc._infer_stream", "_InferStream"),
    "_RequestIterator": ("tritonclient.grpc._infer_stream", "_RequestIterator"),
    "_infer_stream": ("tritonclient.grpc._infer_stream", None),
    "abstractmethod": ("abc", "abstractmethod"),
    "mpshm": ("multiprocessing.shared_memory", None),
    "np": ("numpy", None),
    "quote": ("urllib.parse", "quote"),
    "quote_plus": ("urllib.parse", "quote_plus"),
    "service_pb2": ("tritonclient.grpc.service_pb2", None),
    "service_pb2_grpc": ("tritonclient.grpc.service_pb2_grpc", None),
    "model_config_pb2": ("tritonclient.grpc.model_config_pb2", None),
    "version": ("packaging.version", None),
}


#: The names of each module, without those that it has anyway.
_NAMES = {
    "_auth": "InferenceServerClientPlugin base64",
    "_client": "raise_error",
    "_plugin": "ABC abstractmethod",
    "grpc": "_infer_stream grpc ml_dtypes version warnings",
    "grpc._client": (
        "MessageToJson Request _InferStream _RequestIterator _get_inference_request "
        "_grpc_compression_type base64 get_cancelled_error get_error_grpc grpc json "
        "raise_error_grpc service_pb2 service_pb2_grpc struct"
    ),
    "grpc._infer_input": (
        "InferenceServerException TRITON_RESERVED_REQUEST_PARAMS "
        "TRITON_RESERVED_REQUEST_PARAMS_PREFIX deserialize_bytes_tensor ml_dtypes np "
        "np_to_triton_dtype raise_error serialize_byte_tensor serialized_byte_size "
        "service_pb2 struct triton_to_np_dtype"
    ),
    "grpc._infer_result": (
        "InferenceServerException MessageToJson TRITON_RESERVED_REQUEST_PARAMS "
        "TRITON_RESERVED_REQUEST_PARAMS_PREFIX deserialize_bytes_tensor json ml_dtypes np "
        "np_to_triton_dtype serialize_byte_tensor serialized_byte_size struct "
        "triton_to_np_dtype"
    ),
    "grpc._infer_stream": (
        "TRITON_RESERVED_REQUEST_PARAMS TRITON_RESERVED_REQUEST_PARAMS_PREFIX "
        "deserialize_bytes_tensor get_cancelled_error get_error_grpc grpc ml_dtypes np "
        "np_to_triton_dtype serialize_byte_tensor serialized_byte_size struct "
        "triton_to_np_dtype"
    ),
    "grpc._requested_output": "raise_error service_pb2",
    "grpc._utils": (
        "TRITON_RESERVED_REQUEST_PARAMS TRITON_RESERVED_REQUEST_PARAMS_PREFIX "
        "deserialize_bytes_tensor grpc ml_dtypes np np_to_triton_dtype "
        "serialize_byte_tensor serialized_byte_size service_pb2 struct triton_to_np_dtype"
    ),
    "grpc.aio": (
        "MessageToJson _get_inference_request _grpc_compression_type base64 grpc json "
        "model_config_pb2 service_pb2 service_pb2_grpc sys"
    ),
    "http": "ml_dtypes",
    "http._client": (
        "HTTPClient InferenceServerClientBase Request URL _get_inference_request "
        "_get_query_string base64 gevent gzip json quote raise_error zlib"
    ),
    "http._infer_input": "np_to_triton_dtype serialize_byte_tensor",
    "http._infer_result": "deserialize_bytes_tensor gzip zlib",
    "http._requested_output": "raise_error",
    "http._utils": (
        "TRITON_RESERVED_REQUEST_PARAMS TRITON_RESERVED_REQUEST_PARAMS_PREFIX json "
        "quote_plus raise_error struct"
    ),
    "http.aio": "_get_inference_request _get_query_string aiohttp base64 gzip json quote zlib",
    "utils": "ml_dtypes SharedMemoryTensor",
    "utils.shared_memory": "mpshm struct",
}


def lazy_names(module: str) -> Callable[[str], Any]:
    """Return the `__getattr__` of a module, which looks its names up when they are used.

    A name whose package is not installed is no attribute.
    """
    inner = module.removeprefix("tritonclient.")
    package = inner.partition(".")[0]
    names = _NAMES[inner].split()

    def look_up(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        home, attribute = _HOMES.get(f"{package}.{name}") or _HOMES[name]
        try:
            found = import_module(home)
        except ImportError as error:
            raise AttributeError(f"module {module!r} has no attribute {name!r}: {error}") from error
        return found if attribute is None else getattr(found, attribute)

    return look_up
