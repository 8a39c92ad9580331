"""Backends by name."""

from __future__ import annotations

from .base import Backend


def find(name: str) -> Backend:
    """Return the backend with this name.

    Raises:
        ValueError: there is none.
    """
    if name == "onnxruntime":
        from .onnx import OnnxBackend

        return OnnxBackend()
    if name == "python":
        from .python.backend import PythonBackend

        return PythonBackend()
    if name == "function":
        from .function.backend import FunctionBackend

        return FunctionBackend()
    raise ValueError(
        f"unable to find backend library for backend '{name}', "
        "this server has the backends 'onnxruntime' and 'python'"
    )
