"""The embedded server: Triton's protocol and model repository in this process, for development.

    from tritonclient.server import Server

    with Server("models") as server:
        ...         # server.http_url is "http://127.0.0.1:<a free port>", server.grpc_url likewise

It serves ONNX models and Python-backend models on the CPU, needs no container and starts in
milliseconds. From a shell: `tritonclient serve --model-repository models`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import errors as _errors  # noqa: F401  # checks that no other distribution is mixed in

if TYPE_CHECKING:
    from .embedded import Server
    from .grpc_options import GrpcOptions

__all__ = ["GrpcOptions", "Server"]


def __getattr__(name: str) -> Any:
    # Imported when asked for: the pytest plug-in lives in this package and is imported by every
    # test run in an environment that has the package, whether it uses the server or not.
    if name == "Server":
        from .embedded import Server

        return Server
    if name == "GrpcOptions":
        from .grpc_options import GrpcOptions

        return GrpcOptions
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
