"""Describe a package's public names: their kinds, and what they are called with.

It runs in the official client's environment (see `record`) and in ours, and so imports nothing of
either.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
import types
from typing import Any

MODULES = (
    "tritonclient.http",
    "tritonclient.http.aio",
    "tritonclient.http.auth",
    "tritonclient.http.aio.auth",
    "tritonclient.grpc",
    "tritonclient.grpc.aio",
    "tritonclient.grpc.auth",
    "tritonclient.grpc.aio.auth",
    "tritonclient.grpc.model_config_pb2",
    "tritonclient.grpc.service_pb2",
    "tritonclient.grpc.service_pb2_grpc",
    "tritonclient.utils",
    "tritonclient.utils.shared_memory",
    "tritonclient.utils.cuda_shared_memory",
)
#: Of modules with an underscore, those names that others use all the same.
PRIVATE = {
    "tritonclient.http._client": ("InferenceServerClient", "_raise_if_error"),
    "tritonclient.http._utils": (
        "_get_error",
        "_get_inference_request",
        "_get_query_string",
        "_raise_if_error",
    ),
    "tritonclient.grpc._client": ("CallContext", "InferenceServerClient", "KeepAliveOptions"),
    "tritonclient.grpc._infer_stream": ("_InferStream", "_RequestIterator"),
    "tritonclient.grpc._utils": ("_get_inference_request", "get_error_grpc", "raise_error_grpc"),
}
#: Modules with an underscore, all of whose names are held against ours.
INNER = (
    *(
        "tritonclient._auth",
        "tritonclient._client",
        "tritonclient._plugin",
        "tritonclient._request",
    ),
    *(
        f"tritonclient.{protocol}.{name}"
        for protocol in ("grpc", "http")
        for name in ("_client", "_infer_input", "_infer_result", "_requested_output", "_utils")
    ),
    "tritonclient.grpc._infer_stream",
)
_SPECIAL = frozenset(
    f"__{name}__" for name in ("init", "enter", "exit", "aenter", "aexit", "call", "str", "dlpack")
) | {"__dlpack_device__"}
#: Methods with an underscore that tests of others call.
_INNER = frozenset(["_get", "_post"])


def describe(module: str) -> dict[str, Any]:
    """A module's public names, and `__all__` as a list where it has one."""
    loaded = importlib.import_module(module)
    names = PRIVATE.get(module) or [name for name in dir(loaded) if not name.startswith("_")]
    found: dict[str, Any] = {name: _describe(getattr(loaded, name)) for name in names}
    if module not in PRIVATE and hasattr(loaded, "__all__"):
        found["__all__"] = sorted(loaded.__all__)
    return found


def _describe(value: Any) -> str | dict[str, str]:
    """A name's kind and what it is called with; for classes that of all members."""
    if isinstance(value, types.ModuleType):
        return f"module {value.__name__}"
    origin = getattr(value, "__module__", None)
    if callable(value) and origin is not None and not _is_own(origin):
        return f"from {origin}"
    if inspect.isclass(value):
        if hasattr(value, "DESCRIPTOR"):
            return {}  # a message, whose fields test_messages_pb holds against the official ones
        return {name: member for name in dir(value) if (member := _member(value, name))}
    if callable(value):
        return f"def {_arguments(value)}"
    plain = isinstance(value, (int, float, str, list, tuple, type(None)))
    return f"value {value!r}" if plain else f"a {type(value).__name__}"


def _is_own(module: str) -> bool:
    return module.split(".")[0] in ("tritonclient", "grpc_service_pb2", "model_config_pb2")


def _member(kind: type, name: str) -> str | None:
    found = inspect.getattr_static(kind, name)
    origins = [base for base in kind.__mro__ if name in vars(base)]
    public = not name.startswith("_") or name in _INNER or name in _SPECIAL
    # What object, Exception and protobuf's base bring along says nothing.
    if not public or not origins or not origins[0].__module__.startswith("tritonclient"):
        return None
    value = getattr(kind, name)
    if not callable(value):
        return f"a {type(found).__name__}"
    bound = f"{type(found).__name__} " if isinstance(found, (staticmethod, classmethod)) else ""
    awaited = "async " if inspect.iscoroutinefunction(value) else ""
    return f"{bound}{awaited}def {_arguments(value)}"


def _arguments(function: Any) -> str:
    """The parameters as they are written, without annotations."""
    signature = inspect.signature(function)
    parameters = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    return str(signature.replace(parameters=parameters, return_annotation=signature.empty))


class _StandIn(types.ModuleType):
    """A module that has every name."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return int


def _stand_in_for_cuda() -> None:
    """Make modules importable that import the CUDA bindings without using them."""
    for name in ("cuda", "cuda.bindings", "cuda.bindings.driver", "cuda.bindings.runtime"):
        parent, _, child = name.rpartition(".")
        module = sys.modules[name] = _StandIn(name)
        if parent:
            setattr(sys.modules[parent], child, module)


def all_names(module: str) -> list[str]:
    """All names of a module, with those that it imports and those with an underscore."""
    return [name for name in dir(importlib.import_module(module)) if not name.endswith("__")]


def main() -> None:
    """Print the signatures as JSON, or with an argument all names of the modules."""
    _stand_in_for_cuda()
    if len(sys.argv) > 1:
        found: Any = {module: all_names(module) for module in (*MODULES, *INNER)}
    else:
        found = {module: describe(module) for module in (*MODULES, *PRIVATE)}
    json.dump(found, sys.stdout, indent=1, sort_keys=True)


if __name__ == "__main__":
    main()
