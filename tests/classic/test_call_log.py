"""The classic clients write a record for each call at debug level, as the modern ones do."""

from __future__ import annotations

import asyncio
import logging
import queue

import numpy as np
import pytest

from tests.classic.grpc_server import GrpcServer, failed, simple
from tests.classic.runtimes import (
    AsyncRunner,
    Blocking,
    GrpcAsyncRunner,
    GrpcBlocking,
    Told,
    bare,
    grpc_pair,
    pair,
)
from tests.classic.test_own_stub import OwnChannel
from tests.support.peers.hostile_peers import free_port
from tritonclient.grpc import InferenceServerClient as GrpcClient
from tritonclient.grpc import aio
from tritonclient.http import InferenceServerClient as HttpClient
from tritonclient.utils import InferenceServerException

A = np.ones((1, 16), np.int32)


def records(caplog):
    return [
        record.getMessage().partition(" in ")[0]
        for record in caplog.records
        if record.name == "tritonclient" and record.getMessage().endswith(" ms")
    ]


@pytest.mark.parametrize("runtime", [Blocking, AsyncRunner])
def test_http(embedded, runtime, caplog):
    url = embedded.http_url
    with runtime(url) as client, caplog.at_level(logging.DEBUG):
        client.infer("simple", pair(A, A), request_id="r1")
        client.is_server_ready(query_params={"token": "secret"})
        for call in (client.get_model_config, lambda name: client.infer(name, pair(A, A))):
            with pytest.raises(InferenceServerException):
                call("nope")
    assert records(caplog) == [
        f"{url} Infer model 'simple' id 'r1': OK",
        f"{url} GET /v2/health/ready: OK",
        f"{url} GET /v2/models/nope/config: 404",
        f"{url} Infer model 'nope': 404",
    ]


@pytest.mark.parametrize("runtime", [GrpcBlocking, GrpcAsyncRunner])
def test_grpc(embedded, runtime, caplog):
    url = embedded.grpc_url
    with runtime(url) as client, caplog.at_level(logging.DEBUG):
        client.infer("simple", grpc_pair(A, A), request_id="r1")
        client.is_server_ready()
        with pytest.raises(InferenceServerException):
            client.get_model_config("nope")
    assert records(caplog) == [
        f"{url} Infer model 'simple' id 'r1': OK",
        f"{url} IsServerReady: OK",
        f"{url} GetModelConfig model 'nope': StatusCode.NOT_FOUND",
    ]


def test_calls_in_the_background(embedded, caplog):
    told = Told()
    with caplog.at_level(logging.DEBUG), GrpcClient(bare(embedded.grpc_url)) as client:
        client.async_infer("simple", grpc_pair(A, A), told, request_id="r1")
        told.queue.get(timeout=60)
    with caplog.at_level(logging.DEBUG), HttpClient(bare(embedded.http_url)) as http:
        http.async_infer("simple", pair(A, A), request_id="r2").get_result()
    assert records(caplog) == [
        f"{embedded.grpc_url} Infer model 'simple' id 'r1': OK",
        f"{embedded.http_url} Infer model 'simple' id 'r2': OK",
    ]


@pytest.mark.parametrize("runtime", [Blocking, AsyncRunner, GrpcBlocking, GrpcAsyncRunner])
def test_no_server(runtime, caplog):
    scheme = "grpc" if runtime in (GrpcBlocking, GrpcAsyncRunner) else "http"
    url = f"{scheme}://127.0.0.1:{free_port()}"
    with runtime(url) as client, caplog.at_level(logging.DEBUG):
        with pytest.raises(InferenceServerException):
            client.get_server_metadata()
    name = "GET /v2" if scheme == "http" else "GetServerMetadata"
    assert records(caplog) == [f"{url} {name}: ConnectionRefused"]


def stream(client, requests):
    """Run requests, each a name and an id, on a stream of a blocking client."""
    told = Told()
    client.start_stream(told)
    for name, id in requests:
        client.async_stream_infer(name, grpc_pair(A, A), request_id=id)
        told.queue.get(timeout=60)
    client.stop_stream()


@pytest.mark.parametrize(
    ("requests", "said"),
    [
        ([("simple", "r1")], "StreamInfer model 'simple' id 'r1': OK"),
        ([("simple", "r1"), ("simple", "r2")], "StreamInfer model 'simple': OK"),
        ([("nope", "r1")], "StreamInfer id 'r1': ServerError"),
        ([], "StreamInfer: OK"),
    ],
)
def test_streams(embedded, requests, said, caplog):
    url = embedded.grpc_url
    with caplog.at_level(logging.DEBUG), GrpcClient(bare(url)) as client:
        stream(client, requests)
    assert records(caplog) == [f"{url} {said}"]


def test_a_stream_that_is_cancelled(embedded, caplog):
    url = embedded.grpc_url
    with caplog.at_level(logging.DEBUG), GrpcClient(bare(url)) as client:
        client.start_stream(Told())
        client.stop_stream(cancel_requests=True)
    assert records(caplog) == [f"{url} StreamInfer: Cancelled"]


def test_a_stream_without_a_server(caplog):
    url, told = f"grpc://127.0.0.1:{free_port()}", Told()
    with caplog.at_level(logging.DEBUG), GrpcClient(bare(url)) as client:
        client.start_stream(told)
        told.queue.get(timeout=60)
    (said,) = records(caplog)
    assert said.startswith(f"{url} StreamInfer: ")


def test_streams_on_asyncio(embedded, caplog):
    async def run(cancel):
        async def requests():
            yield {"model_name": "simple", "inputs": grpc_pair(A, A), "request_id": "r1"}
            if cancel:
                await asyncio.Event().wait()  # keeps the stream open

        async with aio.InferenceServerClient(bare(embedded.grpc_url)) as client:
            responses = client.stream_infer(requests())
            _, error = await anext(responses)
            assert error is None
            if cancel:
                assert responses.cancel()
            else:
                assert [each async for each in responses] == []

    with caplog.at_level(logging.DEBUG):
        asyncio.run(run(False))
        asyncio.run(run(True))
    said = f"{embedded.grpc_url} StreamInfer model 'simple' id 'r1'"
    assert records(caplog) == [f"{said}: OK", f"{said}: Cancelled"]


def test_a_stub_of_the_program(caplog):
    told = queue.Queue()

    def call_back(result, error):
        told.put(error)

    with (
        caplog.at_level(logging.DEBUG),
        GrpcServer(ModelInfer=simple) as server,
        OwnChannel(server.address) as client,
    ):
        client.async_infer("simple", grpc_pair(A, A), call_back, request_id="r1")
        assert told.get(timeout=60) is None
    with (
        caplog.at_level(logging.DEBUG),
        GrpcServer(ModelInfer=failed("NOT_FOUND", "no such model")) as server,
        OwnChannel(server.address) as client,
    ):
        client.async_infer("nope", grpc_pair(A, A), call_back)
        assert told.get(timeout=60) is not None
    assert [said.partition(" ")[2] for said in records(caplog)] == [
        "Infer model 'simple' id 'r1': OK",
        "Infer model 'nope': StatusCode.NOT_FOUND",
    ]
