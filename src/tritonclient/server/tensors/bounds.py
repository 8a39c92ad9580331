"""Bounds of inference requests, above all that a model needs; Triton has none."""

from __future__ import annotations

from typing import NoReturn

from ...errors import InvalidArgument
from ...messages import Infer

#: Characters of a name; error messages repeat names.
MAX_NAME = 1 << 16
#: Inputs, outputs, and parameters of a request.
MAX_COUNT = 1 << 17


def check(request: Infer) -> None:
    """Raise InvalidArgument if a request is beyond the bounds."""
    counts = {
        "inputs": len(request.inputs),
        "outputs": len(request.outputs),
        "parameters": len(request.parameters),
    }
    for what, count in counts.items():
        if count > MAX_COUNT:
            _refuse(f"the request has {count} {what}, and this server takes {MAX_COUNT}")
    names = {
        "model": (request.model,),
        "input": (each.name for each in request.inputs),
        "output": (each.name for each in request.outputs),
        "parameter": request.parameters,
    }
    for what, given in names.items():
        for name in given:
            if len(name) > MAX_NAME:
                _refuse(
                    f"the name of the {what} {name[:20]!r}... has {len(name)} characters, and this "
                    f"server takes {MAX_NAME}"
                )


def _refuse(text: str) -> NoReturn:
    raise InvalidArgument(text, "400")
