"""Backends by name."""

from __future__ import annotations

import sys

from ..jobs.host import Host
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


def release(host: Host) -> None:
    """Release what backends keep for the models of a server, which are closed."""
    # Not imported for a server that has no such models.
    template = sys.modules.get(f"{__package__}.python.process.template")
    if template is not None:
        template.TEMPLATES.release(host)
