"""What public programs do with the classic clients."""

from __future__ import annotations

import asyncio
import copy
import pickle
import warnings

import numpy as np
import pytest

import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
import tritonclient.http.aio
from tests.classic.runtimes import AsyncRunner, Blocking, GrpcAsyncRunner, GrpcBlocking
from tests.support.peers.hostile_peers import Server, read_request, stall
from tritonclient import Client
from tritonclient.utils import InferenceServerException

BOTH = pytest.mark.parametrize("module", [tritonclient.http, tritonclient.grpc])
EVERY = pytest.mark.parametrize("runtime", [Blocking, AsyncRunner, GrpcBlocking, GrpcAsyncRunner])


@BOTH
@pytest.mark.parametrize(
    ("datatype", "meant"),
    [
        ("TYPE_FP32", "FP32"),
        ("float32", "FP32"),
        ("<f4", "FP32"),
        ("fp32", "FP32"),
        ("TYPE_STRING", "BYTES"),
        ("<U16", "BYTES"),
        ("bfloat16", "BF16"),
    ],
)
def test_what_is_no_datatype(module, datatype, meant):
    tensor = module.InferInput("IN", [1], datatype)
    with pytest.raises(InferenceServerException) as caught:
        tensor.set_data_from_numpy(np.ones(1, np.float32))
    text = caught.value.message()
    assert text.startswith("got unexpected datatype FP32 from numpy array, expected ")
    assert f"{datatype!r} is not one of BF16, BOOL, BYTES" in text
    assert text.endswith(f"; did you mean {meant!r}?")


@EVERY
def test_a_configuration_as_a_mapping(embedded, runtime):
    grpc = "Grpc" in runtime.__name__
    url = embedded.grpc_url if grpc else embedded.http_url
    with runtime(url) as client:
        client.load_model("simple", config={"backend": "onnxruntime", "max_batch_size": 4})
        config = client.get_model_config("simple", **({"as_json": True} if grpc else {}))
        assert (config["config"] if grpc else config)["max_batch_size"] == 4
        client.unload_model("simple")  # until then, as in Triton, the configuration stays
        client.load_model("simple")
        with pytest.raises(InferenceServerException, match="config is list, expected JSON text"):
            client.load_model("simple", config=[1])


@pytest.mark.parametrize(
    "kind",
    [
        tritonclient.http.InferenceServerClient,
        tritonclient.grpc.InferenceServerClient,
        tritonclient.grpc.aio.InferenceServerClient,
    ],
)
def test_clients_can_not_be_pickled(kind):
    client = kind("127.0.0.1:9")
    for ask in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="holds connections; make one in each process"):
            ask(client)


def test_a_late_answer_timed_out():
    with Server([read_request, stall]) as server:
        url = f"127.0.0.1:{server.port}"
        with tritonclient.http.InferenceServerClient(url, network_timeout=0.3) as client:
            with pytest.raises(TimeoutError, match="timed out"):
                client.get_server_metadata()

        async def ask():
            async with tritonclient.http.aio.InferenceServerClient(url, conn_timeout=0.3) as client:
                await client.get_server_metadata()

        with pytest.raises(TimeoutError, match="timed out"):
            asyncio.run(ask())


def test_zero_bytes_that_numpy_drops(embedded):
    with Client(embedded.http_url) as client:
        cut = np.array([b"a\0", b"b\0"])
        with pytest.warns(UserWarning, match=r"\|S2, but its longest element has 1 bytes"):
            client.infer("identity_bytes", {"INPUT0": cut})
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for whole in (np.array([b"a", b"bc"]), cut.astype(object), np.array([], "S2")):
                if whole.size:
                    client.infer("identity_bytes", {"INPUT0": whole})
