"""Clients on grpcio's asyncio API: many calls at once, deadlines, compression, large messages."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import grpc
import grpc.aio
import numpy as np
import pytest
from scripts.record_vectors.rpc_recorder import encode

from tests.server.frontends.grpc.raw import INFER, STREAM_INFER, nothing_left
from tests.server.frontends.grpc.support import LIMITLESS, fp32
from tests.support.waiting import eventually
from tritonclient.codec import messages_pb
from tritonclient.server import FunctionModel, GrpcOptions, Server

SPEC = {"IN": ("FP32", [-1])}
OUT = {"OUT": ("FP32", [-1])}


def _until_cancelled(IN: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    while True:
        yield {"OUT": IN}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    models = {
        "echo": FunctionModel(lambda IN: {"OUT": IN}, inputs=SPEC, outputs=OUT, instances=2),
        "endless": FunctionModel(_until_cancelled, inputs=SPEC, outputs=OUT, instances=5),
    }
    grpc = GrpcOptions(compression_level="low", forwarded_headers="^x-")
    with Server(models=models, http_port=None, grpc=grpc) as server:
        yield server


def run(
    server: Server,
    work: Callable[[grpc.aio.Channel], Awaitable[None]],
    compression: grpc.Compression = grpc.Compression.NoCompression,
) -> None:
    """Do something over a channel, after which nothing may be left in the server."""

    async def main() -> None:
        async with grpc.aio.insecure_channel(
            server.grpc_address, LIMITLESS, compression
        ) as channel:
            await work(channel)

    asyncio.run(main())
    gc.collect()  # grpcio keeps a connection while there are objects of its calls
    assert server._grpc is not None
    connections = server._grpc._connections
    eventually(lambda: not connections)


def request(values: Any, model: str = "echo") -> bytes:
    return encode("ModelInferRequest", fp32(model, values))


def values_of(response: bytes) -> Any:
    message = messages_pb.message("ModelInferResponse").FromString(response)
    return np.frombuffer(message.raw_output_contents[0], "<f4")


@pytest.mark.parametrize(
    "compression",
    [grpc.Compression.NoCompression, grpc.Compression.Gzip, grpc.Compression.Deflate],
)
@pytest.mark.parametrize("size", [0, 1, 5000, 5_000_000])
def test_sizes_and_compression(server: Server, size: int, compression: grpc.Compression) -> None:
    async def work(channel: grpc.aio.Channel) -> None:
        infer = channel.unary_unary(INFER)
        values = np.arange(size, dtype="<f4") % 100
        for _ in range(2):
            assert np.array_equal(values_of(await infer(request(values), timeout=60)), values)

    run(server, work, compression)


def test_many_at_once(server: Server) -> None:
    async def work(channel: grpc.aio.Channel) -> None:
        infer = channel.unary_unary(INFER)
        sizes = [number % 7 * 3000 for number in range(300)]
        calls = [infer(request(np.full(size + 1, size)), timeout=60) for size in sizes]
        for size, response in zip(sizes, await asyncio.gather(*calls), strict=True):
            assert np.array_equal(values_of(response), np.full(size + 1, size, "<f4"))

    with nothing_left(server):
        run(server, work)


def test_many_that_are_cancelled_and_late(server: Server) -> None:
    """Among others that go on, on the same connection."""

    async def work(channel: grpc.aio.Channel) -> None:
        infer, stream = channel.unary_unary(INFER), channel.stream_stream(STREAM_INFER)
        streams = [stream(iter([request([1.0], "endless")]), timeout=60) for _ in range(4)]
        late = stream(iter([request([1.0], "endless")]), timeout=0.3)
        for each in streams:
            assert await each.read()
        calls = [infer(request(np.zeros(10_000)), timeout=60) for _ in range(100)]
        for number, call in enumerate(calls):
            if number % 3 == 0:
                call.cancel()
        for number, call in enumerate(calls):
            if number % 3:
                assert len(values_of(await call)) == 10_000
        for each in streams:
            assert await each.read()
            each.cancel()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            while True:
                await late.read()
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED

    with nothing_left(server):
        run(server, work)


def test_metadata(server: Server) -> None:
    """With binary values, some of them large, and the same ones in many calls."""

    async def work(channel: grpc.aio.Channel) -> None:
        infer = channel.unary_unary(INFER)
        for number in range(100):
            metadata = (
                ("x-number", str(number % 10)),
                ("x-large", "v" * 3000 + str(number % 3)),
                ("binary-bin", bytes(range(256)) * (number % 5)),
                ("x-twice", "1"),
                ("x-twice", "2"),
            )
            assert await infer(request([1.0]), metadata=metadata, timeout=60)

    run(server, work)


def test_a_long_stream(server: Server) -> None:
    async def work(channel: grpc.aio.Channel) -> None:
        async def requests() -> AsyncIterator[bytes]:
            for number in range(500):
                yield request(np.full(number % 5 * 5000 + 1, number))

        call = channel.stream_stream(STREAM_INFER)(requests(), timeout=120)
        numbers = []
        async for response in call:
            message = messages_pb.message("ModelStreamInferResponse").FromString(response)
            assert not message.error_message
            raw = message.infer_response.raw_output_contents[0]
            numbers.append(int(np.frombuffer(raw, "<f4")[0]))
        assert numbers == list(range(500))

    with nothing_left(server):
        run(server, work)
