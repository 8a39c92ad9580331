"""Calls from the arguments of `Client.infer`, made quickly when they look like an earlier one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from .datatypes import Buffer, is_wire
from .inference import TensorLike
from .inference import request as make_request
from .messages import Infer, InferResponse, RequestedOutput
from .options import InferOptions, split
from .transport.call import Call, Options

InferCall: TypeAlias = Call[InferResponse]
_MAX_REMEMBERED = 256
#: Arrays up to this size are copied, since they are joined with what goes along anyway.
_COPIED_SIZE = 4096


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
        """The call that these arguments make, to be sent soon: small arrays may have been copied.

        See `Client.infer` for the arguments and the errors.
        """
        key, data = (None, []) if options else _looks(model, inputs, version, outputs)
        try:
            known = self._remembered.get(key)
        except TypeError:  # outputs with parameters, which can't be looked up
            key = known = None
        if known is not None:
            return known.with_data(data)
        call = self.make_lasting(model, inputs, version, outputs, options)
        # Only arrays whose memory is what is sent; of others a look does not tell what they hold.
        if key is not None and all(map(is_wire, inputs.values())):
            if len(self._remembered) >= _MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[key] = call.without_data(Infer(model, (), version))
        return call

    def make_lasting(
        self,
        model: str,
        inputs: Mapping[str, TensorLike],
        version: str,
        outputs: Sequence[str | RequestedOutput] | None,
        options: InferOptions,
    ) -> InferCall:
        """The same, whose data are what the arrays hold when it is sent."""
        arguments, carrying = split(options)
        request = make_request(model, inputs, version=version, outputs=outputs, **arguments)
        return self._prepare(request, carrying)


def _looks(
    model: str,
    inputs: Mapping[str, TensorLike],
    version: str,
    outputs: Sequence[str | RequestedOutput] | None,
) -> tuple[Any, list[Buffer]]:
    """What a call looks like, or None if it is out of the common, and its data."""
    data: list[Buffer] = []
    if type(inputs) is not dict or not (outputs is None or type(outputs) in (list, tuple)):
        return None, data
    described: list[Any] = [model, version, outputs and tuple(outputs)]
    for name, array in inputs.items():
        if type(array) is not np.ndarray:
            return None, data
        described += (name, array.dtype, array.shape)
        if array.nbytes <= _COPIED_SIZE:
            data.append(array.tobytes())  # in less time than a view takes
            continue
        try:
            data.append(array.data.cast("B"))
        except (TypeError, ValueError):  # it is not contiguous, or has no plain memory
            return None, data
    return tuple(described), data
