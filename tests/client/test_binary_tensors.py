"""Servers that take tensors as JSON only, as many that are not Triton do."""

from __future__ import annotations

import asyncio
import json

import numpy as np
import pytest

from tests.support.peers.hostile_peers import Server, answer_all, both_runtimes, http
from tritonclient import AsyncClient, Client, InvalidArgument

A = np.arange(4, dtype=np.float16).reshape(1, 4)


def server_of(extensions, status="422 Unprocessable Entity", metadata="200 OK"):
    """A server that answers the tensor it is sent as JSON, and refuses binary data."""

    def answer(head, body):
        line = head.split(b"\r\n")[0]
        if line.startswith(b"GET /v2 "):
            text = {"name": "s", "version": "1", "extensions": extensions}
            return http(json.dumps(text).encode(), status=metadata)
        if line.startswith(b"GET /v2/models/m "):
            tensor = {"name": "IN", "datatype": "FP16", "shape": [-1, 4]}
            text = {"name": "m", "platform": "x", "inputs": [tensor], "outputs": []}
            return http(json.dumps(text).encode())
        if line.startswith(b"GET"):
            return http(b'{"error":"no such path"}', status="404 Not Found")
        if b"inference-header-content-length" in head.lower():
            return http(b'{"detail":"not JSON"}', status=status)
        asked = json.loads(body)
        assert not asked.get("parameters", {}).get("binary_data_output")
        output = {**asked["inputs"][0], "name": "OUT"}
        return http(json.dumps({"model_name": "m", "outputs": [output]}).encode())

    return Server([answer_all(answer)])


def lines(server):
    return [head.split(b" HTTP")[0].decode() for _, head, _ in server.requests]


INFER = "POST /v2/models/m/infer"


@both_runtimes
@pytest.mark.parametrize("status", ["422 Unprocessable Entity", "500 Internal Server Error"])
@pytest.mark.parametrize("extensions", [[], ["other"]])
def test_json_where_the_extension_is_missing(runtime, status, extensions):
    """The server is asked once; later requests are JSON at once, FP16 too."""
    with server_of(extensions, status) as server, runtime(server.url) as client:
        for _ in range(3):
            result = client.infer("m", {"IN": A}, outputs=["OUT"], headers={"a": "b"})
            np.testing.assert_array_equal(result["OUT"], A)
            assert result["OUT"].dtype == np.float16
        assert lines(server) == [INFER, "GET /v2", INFER, INFER, INFER]
        assert all(b"\r\na: b" in head for _, head, _ in server.requests)


@both_runtimes
def test_prepared_and_submitted(runtime):
    with server_of([]) as server, runtime(server.url) as client:
        call = client.prepare("m", {"IN": A}, headers={"a": "b"})
        for _ in range(2):
            np.testing.assert_array_equal(client.infer_prepared(call)["OUT"], A)
        assert lines(server) == [INFER, "GET /v2", INFER, INFER, INFER]
        assert all(b"\r\na: b" in head for _, head, _ in server.requests)


def test_submitted():
    with server_of([]) as server, Client(server.url) as client:
        futures = [client.submit("m", {"IN": A}) for _ in range(3)]
        for future in futures:
            np.testing.assert_array_equal(future.result()["OUT"], A)

    async def submit():
        async with AsyncClient(server.url) as client:
            return await asyncio.gather(*[client.submit("m", {"IN": A}) for _ in range(3)])

    with server_of([]) as server:
        for result in asyncio.run(submit()):
            np.testing.assert_array_equal(result["OUT"], A)


def test_handles():
    with server_of([]) as server, Client(server.url) as client:
        model = client.model("m")
        np.testing.assert_array_equal(model(A)["OUT"], A)
    with server_of([]) as server, Client(server.url) as client:
        model = client.model("m")
        np.testing.assert_array_equal(model.infer({"IN": A}, binary=False)["OUT"], A)
        assert lines(server)[-1] == INFER
        assert lines(server).count(INFER) == 1


@both_runtimes
def test_where_the_extension_is_there(runtime):
    """The refusal is the answer, and the server is asked no second time."""
    with server_of(["binary_tensor_data"]) as server, runtime(server.url) as client:
        for _ in range(2):
            with pytest.raises(InvalidArgument, match="not JSON"):
                client.infer("m", {"IN": A})
        assert lines(server) == [INFER, "GET /v2", INFER]


@both_runtimes
def test_json_that_is_refused_too(runtime):
    """Both refusals are told, and the next request is binary again; so is what JSON can't hold."""
    metadata = http(b'{"name":"s","version":"1","extensions":[]}')

    def answer(head, body):
        if head.startswith(b"GET /v2 "):
            return metadata
        text = "no" if b"inference-header-content-length" in head.lower() else "nor so"
        return http(f'{{"error":"{text}"}}'.encode(), status="400 Bad Request")

    with Server([answer_all(answer)]) as server, runtime(server.url) as client:
        with pytest.raises(InvalidArgument) as caught:
            client.infer("m", {"IN": A})
        assert str(caught.value) == "[400] nor so (as binary data it was refused with: no)"
        with pytest.raises(InvalidArgument) as caught:
            client.infer("m", {"IN": np.array([np.nan])})
        assert str(caught.value).startswith("[400] no (it names no extension for binary data, and")
        assert (
            "NaN and infinities have no JSON form; the server's port for gRPC" in caught.value.hint
        )
        assert lines(server) == [INFER, "GET /v2", INFER, INFER]
        heads = [head.lower() for _, head, _ in server.requests]
        binary = [b"inference-header-content-length" in head for head in heads]
        assert binary == [True, False, False, True]


@both_runtimes
def test_a_server_that_does_not_tell(runtime):
    server = server_of([], metadata="503 Service Unavailable")
    with server, runtime(server.url) as client:
        for _ in range(2):
            with pytest.raises(InvalidArgument, match="not JSON"):
                client.infer("m", {"IN": A})
        assert lines(server) == [INFER, "GET /v2", INFER]


@both_runtimes
@pytest.mark.parametrize("given", ["client", "call"])
def test_what_was_chosen_stays(runtime, given):
    options = {"binary": True} if given == "client" else {}
    call = {"binary": True} if given == "call" else {}
    with server_of([]) as server, runtime(server.url, **options) as client:
        with pytest.raises(InvalidArgument, match="not JSON"):
            client.infer("m", {"IN": A}, **call)
        assert lines(server) == [INFER]
    with server_of([]) as server, runtime(server.url, binary=False) as client:
        np.testing.assert_array_equal(client.infer("m", {"IN": A})["OUT"], A)
        assert lines(server) == [INFER]
