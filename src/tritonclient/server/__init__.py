"""The embedded server: Triton's protocol and model repository in this process, for development.

    from tritonclient.server import Server

    with Server("models") as server:
        ...         # server.http_url is "http://127.0.0.1:<a free port>", server.grpc_url likewise

It serves ONNX models and Python-backend models on the CPU, needs no container and starts in
milliseconds. A single model needs no repository: `Server(models={"iris": "iris.onnx"})`, and the
model may be a function: `Server(models={"double": lambda X: {"Y": 2 * X}})`. From a shell:
`tritonclient serve iris.onnx`, or `tritonclient serve --model-repository models`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import errors as _errors  # noqa: F401  # checks that no other distribution is mixed in

if TYPE_CHECKING:
    from .backends.function.model import FunctionModel
    from .embedded import Server
    from .frontends.grpc.options import GrpcOptions

__all__ = ["FunctionModel", "GrpcOptions", "Server"]


def __getattr__(name: str) -> Any:
    # Imported on first use: pytest imports this package, for its plug-in, in every test run of an
    # environment that has it installed.
    if name == "Server":
        from .embedded import Server

        return Server
    if name == "GrpcOptions":
        from .frontends.grpc.options import GrpcOptions

        return GrpcOptions
    if name == "FunctionModel":
        from .backends.function.model import FunctionModel

        return FunctionModel
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
