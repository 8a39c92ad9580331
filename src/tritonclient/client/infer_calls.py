"""Inference calls from the arguments of `Client.infer`, made of templates where possible."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from numpy import ndarray

from ..datatypes import Buffer, is_wire
from ..messages import Infer, InferResponse, RequestedOutput
from ..transport.call import Call, Options
from .options import InferOptions, split
from .requests import TensorLike
from .requests import request as make_request
from .templates import TemplateCache

InferCall: TypeAlias = Call[InferResponse]
#: Arrays up to this size are copied, since they are joined with what goes along anyway.
_COPIED_SIZE = 4096
_OUTPUTS = (type(None), list, tuple)


class InferCalls:
    """Builds inference calls, of a template where an earlier call had the same form."""

    def __init__(self, prepare: Callable[[Infer, Options], InferCall]) -> None:
        self._prepare = prepare
        self._templates: TemplateCache[InferCall] = TemplateCache()

    def build(
        self,
        model: str,
        inputs: Mapping[str, TensorLike],
        version: str,
        outputs: Sequence[str | RequestedOutput] | None,
        options: InferOptions,
    ) -> InferCall:
        """Return the call of these arguments, to be sent soon: small arrays may have been copied.

        See `Client.infer` for the arguments and the errors.
        """
        if options or type(inputs) is not dict or type(outputs) not in _OUTPUTS:
            return self.build_prepared(model, inputs, version, outputs, options)
        parts: list[Any] = [model, version, outputs and tuple(outputs)]
        data: list[Buffer] = []
        try:
            for name, array in inputs.items():
                if type(array) is not ndarray:
                    return self.build_prepared(model, inputs, version, outputs, options)
                parts += (name, array.dtype, array.shape)
                # Small ones are copied in less time than a view takes.
                data.append(
                    array.tobytes() if array.nbytes <= _COPIED_SIZE else array.data.cast("B")
                )
            key = tuple(parts)
            template = self._templates.get(key)
        except (TypeError, ValueError):
            # An array is not contiguous or has no plain memory, or outputs have parameters, which
            # are not hashable.
            return self.build_prepared(model, inputs, version, outputs, options)
        if template is not None:
            return template.with_data(data)
        call = self.build_prepared(model, inputs, version, outputs, options)
        # Only arrays whose memory is sent as it is: the key does not tell the contents of others.
        if all(map(is_wire, inputs.values())):
            self._templates.store(key, call, Infer(model, (), version))
        return call

    def build_prepared(
        self,
        model: str,
        inputs: Mapping[str, TensorLike],
        version: str,
        outputs: Sequence[str | RequestedOutput] | None,
        options: InferOptions,
    ) -> InferCall:
        """Return a call that sends the current contents of the arrays each time."""
        arguments, transport_options = split(options)
        request = make_request(model, inputs, version=version, outputs=outputs, **arguments)
        return self._prepare(request, transport_options)
