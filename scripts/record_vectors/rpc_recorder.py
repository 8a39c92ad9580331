"""Making calls over gRPC, with messages of the protobuf classes, and keeping what was said."""

from __future__ import annotations

from typing import Any

import grpc
from tests.data.recordings.rpc import Call

from tritonclient.codec import messages_pb

SERVICE = "inference.GRPCInferenceService"
DEADLINE = 30  # seconds

#: A message as keyword arguments of its class; bytes are sent as they are.
Message = dict[str, Any] | bytes


class Recorder:
    """Makes calls, and keeps their messages."""

    def __init__(self, port: int) -> None:
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self.calls: list[Call] = []

    def close(self) -> None:
        self._channel.close()

    def call(self, name: str, method: str, message: Message | None = None) -> None:
        """A call with one request."""
        data = encode(f"{method}Request", {} if message is None else message)
        path = f"/{SERVICE}/{method}"
        responses: tuple[bytes, ...] = ()
        code, text = 0, ""
        try:
            responses = (self._channel.unary_unary(path)(data, timeout=DEADLINE),)
        except grpc.RpcError as error:
            code, text = error.code().value[0], error.details()
        self.calls.append(Call(name, method, (data,), responses, code, text))

    def call_until(self, wanted: bytes, name: str, method: str) -> None:
        """Call until the answer has `wanted` in it, and keep that call only."""
        while True:
            self.call(name, method)
            if wanted in b"".join(self.calls[-1].responses):
                return
            self.calls.pop()

    def stream(self, name: str, *messages: Message) -> None:
        """A stream of inference with all requests sent at once."""
        data = tuple(encode("ModelInferRequest", message) for message in messages)
        call = self._channel.stream_stream(f"/{SERVICE}/ModelStreamInfer")(
            iter(data), timeout=DEADLINE
        )
        responses: list[bytes] = []
        code, text = 0, ""
        try:
            responses.extend(call)
        except grpc.RpcError as error:
            code, text = error.code().value[0], error.details()
        self.calls.append(Call(name, "ModelStreamInfer", data, tuple(responses), code, text))


def encode(kind: str, message: Message) -> bytes:
    """The bytes of a message."""
    if isinstance(message, bytes):
        return message
    built = messages_pb.message(kind)()
    _fill(built, message)
    data: bytes = built.SerializeToString()
    return data


def _fill(message: Any, values: dict[str, Any]) -> None:
    for name, value in values.items():
        member = getattr(message, name)
        if isinstance(value, dict) and hasattr(member, "keys"):
            for key, item in value.items():
                member[key].SetInParent()
                _fill(member[key], item)
        elif isinstance(value, dict):
            member.SetInParent()
            _fill(member, value)
        elif isinstance(value, (list, tuple)):
            for item in value:
                _fill(member.add(), item) if isinstance(item, dict) else member.append(item)
        else:
            setattr(message, name, value)
