"""Calls of the gRPC frontend, and models for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import numpy as np
import pytest
from scripts.record_vectors.rpc_inference import raw, tensor
from scripts.record_vectors.rpc_recorder import encode

from tests.server.conftest import RepositoryMaker
from tritonclient.codec import messages_pb, rpc
from tritonclient.server import Server

LIMITLESS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


#: Tells when it executes, and ends when its request is cancelled.
PATIENT = """
import time
class TritonPythonModel:
    def execute(self, requests):
        open(__file__ + ".executing", "w").close()
        while not requests[0].is_cancelled():
            time.sleep(0.001)
        open(__file__ + ".cancelled", "w").close()
        raise ValueError("cancelled")
"""


Ask = Callable[..., Any]


def asking(channel: grpc.Channel) -> Ask:
    """Makes unary calls, with the fields of their requests; gives the answers' messages."""

    def ask(method: str, timeout: float = 30, /, **fields: Any) -> Any:
        data = procedure(channel, method)(encode(f"{method}Request", fields), timeout=timeout)
        return messages_pb.message(f"{method}Response").FromString(data)

    return ask


def procedure(channel: grpc.Channel, method: str) -> grpc.UnaryUnaryMultiCallable[bytes, bytes]:
    return channel.unary_unary(f"/{rpc.SERVICE}/{method}")


@contextmanager
def refused(code: grpc.StatusCode, text: str = "") -> Iterator[None]:
    with pytest.raises(grpc.RpcError) as caught:
        yield
    assert caught.value.code() is code
    if text:
        assert caught.value.details() == text


def stream(
    channel: grpc.Channel, *messages: bytes, metadata: Any = None, timeout: float = 30
) -> Any:
    """A stream with all requests sent at once; the call, which gives bytes."""
    callable = channel.stream_stream(f"/{rpc.SERVICE}/ModelStreamInfer")
    return callable(iter(messages), metadata=metadata, timeout=timeout)


def fp32(model: str, values: Any) -> dict[str, Any]:
    data = np.asarray(values, "<f4")
    return raw(model, [tensor("IN", "FP32", data.shape)], data.tobytes())


@contextmanager
def patient(repository: RepositoryMaker, **options: Any) -> Iterator[tuple[Server, Path]]:
    """A server whose model ends when its request is cancelled, and tells by files."""
    directory = repository.python("patient", PATIENT)
    with Server(repository.directory, **options) as server:
        yield server, directory / "1"
