"""Drives packages that depend on the official client; says what went wrong, and ends with 1."""

import asyncio
import sys

import numpy as np

A = np.arange(16, dtype=np.int32).reshape(1, 16)


def check(result, name="OUTPUT0"):
    np.testing.assert_array_equal(np.asarray(result[name]).reshape(-1), (2 * A).reshape(-1))


def pytriton(urls):
    from pytriton.client import AsyncioModelClient, FuturesModelClient, ModelClient
    from pytriton.client.exceptions import PyTritonClientTimeoutError

    for url in urls:
        with ModelClient(url, "simple") as client:
            check(client.infer_batch(INPUT0=A, INPUT1=A))
            check(client.infer_sample(A[0], A[0]))
            assert client.model_config.model_name == "simple"
        with FuturesModelClient(url, "simple") as client:
            check(client.infer_batch(INPUT0=A, INPUT1=A).result(timeout=60))

        async def ask(url=url):
            async with AsyncioModelClient(url, "simple") as client:
                check(await client.infer_batch(A, A))

        asyncio.run(ask())
    try:
        with ModelClient("http://127.0.0.1:9", "simple", init_timeout_s=1) as client:
            client.infer_batch(A, A)
    except PyTritonClientTimeoutError:
        pass
    else:
        raise AssertionError("nobody listens, and an answer has come")


def late(urls):
    from pytriton.client import ModelClient
    from pytriton.client.exceptions import PyTritonClientTimeoutError

    delay = np.full(1, 8000, np.int32)
    for url in urls:
        with ModelClient(url, "slow_identity", inference_timeout_s=1) as client:
            try:
                client.infer_sample(INPUT0=np.ones(1, np.int32), DELAY_MS=delay)
            except PyTritonClientTimeoutError:
                pass
            else:
                raise AssertionError("the answer was not late")


def tritony(urls):
    from tritony import InferenceClient

    for url in urls:
        protocol, _, address = url.partition("://")
        client = InferenceClient.create_with("simple", address, protocol=protocol)
        first, second = client({"INPUT0": A, "INPUT1": A})
        np.testing.assert_array_equal(first, 2 * A)
        assert not second.any()


def shm_client(urls):
    from triton_shm_client import TritonSHMClient

    tensors = [[(f"{kind}PUT{i}", (16,), np.int32) for i in (0, 1)] for kind in ("IN", "OUT")]
    client = TritonSHMClient(urls[1].partition("://")[2])
    client.register_shm_model("simple", *tensors, max_batch_size=4, pool_size=2)
    many = np.arange(160, dtype=np.int32).reshape(10, 16)
    result = client.infer_shm("simple", {"INPUT0": many, "INPUT1": many})
    np.testing.assert_array_equal(result["OUTPUT0"], 2 * many)
    client.unregister_shm_model("simple")
    client.close()


def model_analyzer(urls):
    from model_analyzer.triton.client.grpc_client import TritonGRPCClient
    from model_analyzer.triton.client.http_client import TritonHTTPClient
    from model_analyzer.triton.model.model_config import ModelConfig

    http, grpc = urls
    for client in (TritonHTTPClient(http), TritonGRPCClient(grpc.partition("://")[2])):
        client.wait_for_server_ready(num_retries=3, sleep_time=0)
        assert client.wait_for_model_ready("simple", num_retries=3) is None
        config = ModelConfig.create_from_triton_api(client, "simple", num_retries=3)
        assert config.get_field("name") == "simple"
        assert config.max_batch_size() == 8
        assert [each["name"] for each in config.to_dict()["input"]] == ["INPUT0", "INPUT1"]
        config.set_field("name", "copy")
        group = {"count": 2, "kind": "KIND_CPU"}
        changed = ModelConfig.from_dict({**config.get_config(), "instance_group": [group]})
        assert changed.get_config()["name"] == "copy"
        assert changed.instance_group_string(0) == "2:CPU"
        assert client.load_model("nope") == -1
    assert any(each["name"] == "simple" for each in client.get_model_repository_index())
    assert client.is_model_ready("simple")


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2:])
