"""Inference calls from the arguments of `Client.infer`, made of templates where possible."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from numpy import ndarray

from ..codec.rest_infer import SEND_BINARY, NoJsonForm, encode_request
from ..datatypes import Buffer, is_wire
from ..messages import Infer, InferResponse, RequestedOutput
from ..transport.call import Call, Options
from .binary_tensors import BinaryTensors, in_json
from .options import InferOptions, split
from .requests import TensorLike
from .requests import request as make_request
from .templates import TemplateCache

InferCall: TypeAlias = Call[InferResponse]
#: Model, inputs, version, outputs and options of `Client.infer`.
InferArguments: TypeAlias = "tuple[str, Mapping[str, TensorLike], str, Outputs, InferOptions]"
Outputs: TypeAlias = "Sequence[str | RequestedOutput] | None"
#: Arrays up to this size are copied, since they are joined with what goes along anyway.
_COPIED_SIZE = 4096
_OUTPUTS = (type(None), list, tuple)


class InferCalls:
    """Builds inference calls, of a template where an earlier call had the same form."""

    def __init__(
        self, prepare: Callable[[Infer, Options], InferCall], binary: BinaryTensors | None = None
    ) -> None:
        self._prepare = prepare
        self.binary = binary or BinaryTensors(True, "")
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
        if (
            options
            or not self.binary.sent
            or type(inputs) is not dict
            or type(outputs) not in _OUTPUTS
        ):
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
            # An array is not contiguous or has no plain memory, or outputs have parameters and
            # can't be looked up.
            return self.build_prepared(model, inputs, version, outputs, options)
        if template is not None:
            return template.with_data(data)
        call = self.build_prepared(model, inputs, version, outputs, options)
        # Only arrays whose memory is sent as it is: the key does not tell the contents of others.
        if all(map(is_wire, inputs.values())):
            self._templates.store(key, call, Infer(model, (), version))
        return call

    def request_in_json(self, call: InferCall, arguments: InferArguments | None) -> Infer:
        """Return the request of a call, or of its arguments, with JSON tensors.

        Raises:
            NoJsonForm: JSON can't hold them.
        """
        request = self._in_json(call, arguments)
        try:
            encode_request(request)
        except NoJsonForm as misfit:
            raise self._only_json(misfit) from None
        return request

    def _only_json(self, misfit: NoJsonForm) -> NoJsonForm:
        """Return the error for what can't be sent to a server that takes no binary data."""
        text = str(misfit).removesuffix(SEND_BINARY)
        return NoJsonForm(f"{text}; the server's port for gRPC may take it: Client('grpc://...')")

    def _in_json(self, call: InferCall, arguments: InferArguments | None) -> Infer:
        if arguments is None:
            assert isinstance(call.request, Infer)
            return in_json(call.request)
        model, inputs, version, outputs, options = arguments
        request = make_request(model, inputs, version=version, outputs=outputs, **split(options)[0])
        return in_json(request)

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
        if self.binary.sent or "binary" in arguments:
            return self._prepare(request, transport_options)
        try:
            return self._prepare(in_json(request), transport_options)
        except NoJsonForm as misfit:
            raise (self._only_json(misfit) if self.binary.lacking else misfit) from None
