"""A client whose arguments are compared, all the way down, before and after each call."""

from __future__ import annotations

import copy
import inspect
import types
from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np

import tritonclient.grpc
import tritonclient.http
from tritonclient import messages
from tritonclient.client.requests import Tensor

#: Objects that are their attributes; others are compared by what they are.
_RECORDS = (
    *(tritonclient.http.InferInput, tritonclient.http.InferRequestedOutput),
    *(tritonclient.grpc.InferInput, tritonclient.grpc.InferRequestedOutput),
    *(messages.RequestedOutput, messages.InferTensor, messages.Request, Tensor),
)


def snapshot(value: Any) -> Any:
    """Return what a value is now, in a form that compares by contents."""
    if isinstance(value, np.ndarray):
        contents = copy.deepcopy(value.tolist()) if value.dtype.hasobject else value.tobytes()
        return "array", id(value), value.dtype, value.shape, value.strides, contents
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "bytes", bytes(value)
    if isinstance(value, (str, int, float, bool, type(None), type)):
        return type(value), repr(value)
    if isinstance(value, Mapping):
        return "mapping", [(snapshot(k), snapshot(v)) for k, v in value.items()]
    if isinstance(value, _RECORDS):
        slots = [n for kind in type(value).__mro__ for n in getattr(kind, "__slots__", ())]
        names = [*getattr(value, "__dict__", ()), *slots]
        return "record", [(name, snapshot(getattr(value, name, None))) for name in names]
    if isinstance(value, (Sequence, Set)):
        return "items", type(value), [snapshot(each) for each in value]
    return "object", id(value)


class Unchanged:
    """Stands for a client and fails when a call changes what it was given."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._client, name)
        if not isinstance(attribute, (types.MethodType, types.FunctionType)):
            return attribute

        def checked(*arguments: Any, **named: Any) -> Any:
            before = snapshot((arguments, named))

            def compare() -> None:
                assert snapshot((arguments, named)) == before, f"{name} changed an argument"

            try:
                result = attribute(*arguments, **named)
            except BaseException:
                compare()
                raise
            if not inspect.isawaitable(result) or hasattr(result, "add_done_callback"):
                compare()
                return result

            async def awaited() -> Any:
                try:
                    return await result
                finally:
                    compare()

            return awaited()

        return checked
