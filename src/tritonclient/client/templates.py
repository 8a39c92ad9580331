"""Calls from the arguments of `Client.infer`, made quickly when they look like an earlier one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from numpy import ndarray

from ..codec.rest_infer import encode_request
from ..datatypes import Buffer, is_wire
from ..messages import Infer, InferResponse, RequestedOutput
from ..transport.call import Call, Options, remember
from .binary_tensors import BinaryTensors, in_json
from .inference import TensorLike
from .inference import request as make_request
from .options import InferOptions, split

InferCall: TypeAlias = Call[InferResponse]
#: Model, inputs, version, outputs and options of `Client.infer`.
InferArguments: TypeAlias = "tuple[str, Mapping[str, TensorLike], str, Outputs, InferOptions]"
Outputs: TypeAlias = "Sequence[str | RequestedOutput] | None"
#: Arrays up to this size are copied, since they are joined with what goes along anyway.
_COPIED_SIZE = 4096
_OUTPUTS = (type(None), list, tuple)


class InferCalls:
    """Makes inference calls, and remembers what they look like.

    Programs ask the same model again and again, with arrays of the same datatypes and shapes. Such
    a call differs from the one before in its data only; all else, from the checks to the encoded
    heads, is kept and used again. That is a third of what a small call costs.
    """

    def __init__(
        self, prepare: Callable[[Infer, Options], InferCall], binary: BinaryTensors | None = None
    ) -> None:
        self._prepare = prepare
        self.binary = binary or BinaryTensors(True, "")
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
        if (
            options
            or not self.binary.sent
            or type(inputs) is not dict
            or type(outputs) not in _OUTPUTS
        ):
            return self.make_lasting(model, inputs, version, outputs, options)
        described: list[Any] = [model, version, outputs and tuple(outputs)]
        data: list[Buffer] = []
        try:
            for name, array in inputs.items():
                if type(array) is not ndarray:
                    return self.make_lasting(model, inputs, version, outputs, options)
                described += (name, array.dtype, array.shape)
                # Small ones are copied in less time than a view takes.
                data.append(
                    array.tobytes() if array.nbytes <= _COPIED_SIZE else array.data.cast("B")
                )
            looks = tuple(described)
            known = self._remembered.get(looks)
        except (TypeError, ValueError):
            # An array is not contiguous or has no plain memory, or outputs have parameters and
            # can't be looked up.
            return self.make_lasting(model, inputs, version, outputs, options)
        if known is not None:
            return known.with_data(data)
        call = self.make_lasting(model, inputs, version, outputs, options)
        # Only arrays whose memory is what is sent; of others a look does not tell what they hold.
        if all(map(is_wire, inputs.values())):
            remember(self._remembered, looks, call, Infer(model, (), version))
        return call

    def request_in_json(self, call: InferCall, arguments: InferArguments | None) -> Infer | None:
        """The request of a call, or of the arguments that it was made from, with JSON tensors.

        None where JSON can't hold them.
        """
        try:
            request = self._in_json(call, arguments)
            encode_request(request)
        except ValueError:
            return None
        return request

    def _in_json(self, call: InferCall, arguments: InferArguments | None) -> Infer:
        if arguments is None:
            assert isinstance(call.request, Infer)
            return in_json(call.request)
        model, inputs, version, outputs, options = arguments
        request = make_request(model, inputs, version=version, outputs=outputs, **split(options)[0])
        return in_json(request)

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
        if not self.binary.sent and "binary" not in arguments:
            request = in_json(request)
        return self._prepare(request, carrying)
