"""Answers to inference over gRPC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..classic.lazy_names import lazy_names
from ..codec import rpc, rpc_infer
from ..datatypes import Array, Buffer, unpack
from ..errors import ProtocolError
from ..extras import optional_import
from ..messages import InferResponse
from ..utils import raise_error


class InferResult:
    """A model's answer.

    Args:
        result: a message ModelInferResponse.
    """

    _parsed: Any = None
    _message: Buffer
    _response: InferResponse | None = None
    _streamed = False

    def __init__(self, result: Any) -> None:
        self._parsed = result
        self._message = bytearray(result.SerializeToString())

    @classmethod
    def _of(cls, response: InferResponse, message: Buffer, streamed: bool = False) -> InferResult:
        """The result of a response that was read from a message, of a stream or not."""
        result: InferResult = object.__new__(cls)
        result._response, result._message = response, message
        if streamed:
            result._streamed = True
        return result

    def as_numpy(self, name: str) -> Array | None:
        """An output as an array, or None when there is no output of that name.

        Arrays are views of the response's memory and may be written to. BYTES come as arrays of
        `bytes`, BF16 as `ml_dtypes.bfloat16` where that package is installed, otherwise as float32.

        Raises:
            InferenceServerException: the output was written to shared memory, or can't be read.
        """
        response = self._response
        if response is None:
            response = self._response = self._read()
        for tensor in response.outputs:
            if tensor.name == name:
                if tensor.data is None:
                    raise_error(f"output '{name}' has no data here: it is in shared memory")
                try:
                    return unpack(tensor.data, tensor.datatype, tensor.shape)
                except ValueError as error:
                    raise ProtocolError(f"output '{name}' can't be read: {error}") from error
        return None

    def _read(self) -> InferResponse:
        try:
            return rpc_infer.decode_response(self._message)
        except ValueError as error:
            raise ProtocolError(f"the answer can't be read: {error}") from error

    def get_output(self, name: str, as_json: bool = False) -> Any:
        """An output as the message InferOutputTensor, or None when there is no such output.

        Args:
            as_json: give it as a dictionary.
        """
        for output in self.get_response().outputs:
            if output.name == name:
                return as_dict(output) if as_json else output
        return None

    def get_response(self, as_json: bool = False) -> Any:
        """The response as the message ModelInferResponse.

        It is made when it is first asked for, and has the tensors' contents as they are by then.

        Args:
            as_json: give it as a dictionary, in protobuf's JSON form with the fields' own names:
                numbers of 64 bits are texts, and bytes are base64.
        """
        if self._parsed is None:
            kind = "ModelStreamInferResponse" if self._streamed else "ModelInferResponse"
            message = rpc.parse(kind, self._message)
            self._parsed = message.infer_response if self._streamed else message
        return as_dict(self._parsed) if as_json else self._parsed

    @property
    def _result(self) -> Any:
        """The message, under the name by which programs read it."""
        return self.get_response()

    def __getstate__(self) -> dict[str, Any]:
        return {"_message": bytes(self._message), "_streamed": self._streamed}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._message, self._streamed = bytearray(state["_message"]), state["_streamed"]


def as_dict(message: Any) -> dict[str, Any]:
    """A message in protobuf's JSON form with the fields' own names."""
    with optional_import("protobuf", "gRPC", "grpc"):
        from google.protobuf import json_format

    return json_format.MessageToDict(message, preserving_proto_field_name=True)


if not TYPE_CHECKING:  # a type checker would accept any name
    __getattr__ = lazy_names(__name__)
