"""The classic clients write a record for each call at debug level, as the modern ones do."""

from __future__ import annotations

import logging

import numpy as np
import pytest

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
from tests.support.peers.hostile_peers import free_port
from tritonclient.grpc import InferenceServerClient as GrpcClient
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
