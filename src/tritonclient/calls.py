"""Calls from the arguments of `Client.infer`, made quickly when they look like an earlier one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from .datatypes import Buffer, view
from .inference import TensorLike, infer
from .messages import Infer, InferResponse, RequestedOutput
from .options import InferOptions, transport_options
from .transport.http import HttpCall, Options

InferCall: TypeAlias = HttpCall[InferResponse]
_CARRYING = ("headers", "query", "request_compression", "response_compression")
_MAX_REMEMBERED = 256


class InferCalls:
    """Makes inference calls, and remembers what they look like.

    Programs ask the same model again and again, with arrays of the same datatypes and shapes. Such
    a call differs from the one before in its data only; all else, from the checks to the encoded
    heads, is kept and used again. That is a third of what a small call costs.
    """

    def __init__(self, prepare: Callable[[Infer, Options], InferCall]) -> None:
        self._prepare = prepare
        self._remembered: dict[Any, InferCall] = {}

    def make(
        self,
        model: str,
        inputs: Mapping[str, TensorLike],
        version: str,
        outputs: Sequence[str | RequestedOutput] | None,
        options: InferOptions,
    ) -> InferCall:
        """The call that these arguments make; see `Client.infer` for them and the errors."""
        common = type(inputs) is dict and (outputs is None or type(outputs) in (list, tuple))
        if options or not common:
            return self._make(model, inputs, version, outputs, options)
        described: list[Any] = [model, version, outputs and tuple(outputs)]
        data: list[Buffer] = []
        for name, array in inputs.items():
            buffer = view(array) if type(array) is np.ndarray else None
            if buffer is None:
                return self._make(model, inputs, version, outputs, options)
            described += (name, array.dtype, array.shape)
            data.append(buffer)
        key = tuple(described)
        try:
            known = self._remembered.get(key)
        except TypeError:  # outputs with parameters, which can't be looked up
            return self._make(model, inputs, version, outputs, options)
        if known is not None:
            return known.with_data(data)
        call = self._make(model, inputs, version, outputs, options)
        if len(self._remembered) >= _MAX_REMEMBERED:
            self._remembered.clear()
        self._remembered[key] = call.without_data(Infer(model, (), version))
        return call

    def _make(
        self,
        model: str,
        inputs: Mapping[str, TensorLike],
        version: str,
        outputs: Sequence[str | RequestedOutput] | None,
        options: InferOptions,
    ) -> InferCall:
        arguments: dict[str, Any] = dict(options)
        carrying = {name: arguments.pop(name) for name in _CARRYING if name in arguments}
        request = infer(model, inputs, version=version, outputs=outputs, **arguments)
        return self._prepare(request, transport_options(**carrying))
