"""Calls whose responses are given as the classic clients give them."""

from __future__ import annotations

from typing import Any

from ..codec import rpc, rpc_infer
from ..datatypes import Buffer
from ..transport.grpc_call import GrpcCall
from ._infer_result import InferResult


class MessageCall(GrpcCall[Any]):
    """A call whose response is given as a protobuf message."""

    __slots__ = ()

    @property
    def method(self) -> str:
        """The procedure's name."""
        return self.path.rpartition("/")[2]

    def decode(self, message: Buffer) -> Any:
        try:
            return rpc.parse(f"{self.method}Response", message)
        except ValueError as error:
            raise rpc.unreadable(self.request, message, error) from error


class InferCall(GrpcCall[Any]):
    """A call of a model."""

    __slots__ = ()

    def decode(self, message: Buffer) -> InferResult:
        try:
            response = rpc_infer.decode_response(message)
        except ValueError as error:
            raise rpc.unreadable(self.request, message, error) from error
        return InferResult._of(response, message)
