"""Inference against MLServer and the server of KServe, which lack Triton's extensions."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
import tritonclient.http.aio
from tests.peers.environments import python_or_skip
from tests.support.peers.hostile_peers import free_port
from tests.support.waiting import eventually
from tritonclient import (
    AsyncClient,
    Client,
    DeadlineExceeded,
    NotFound,
    ServerError,
    Unimplemented,
)

PROGRAMS = Path(__file__).parent / "programs"
MODELS = ("double", "echo", "fail")
A = np.arange(4, dtype=np.float32).reshape(1, 4)


def mlserver(directory, http, grpc):
    python = python_or_skip("mlserver", ["mlserver"])
    shutil.copy(PROGRAMS / "mlserver_model.py", directory / "mlserver_model.py")
    for name in MODELS:
        model = {"name": name, "implementation": f"mlserver_model.{name.title()}"}
        (directory / name).mkdir()
        (directory / name / "model-settings.json").write_text(json.dumps(model))
    settings = {"host": "127.0.0.1", "http_port": http, "grpc_port": grpc, "parallel_workers": 0}
    settings["metrics_port"] = free_port()
    (directory / "settings.json").write_text(json.dumps(settings))
    # Not the script of this name, which knows its Python by where the environment was made.
    start = "from mlserver.cli import main; main()"
    return [python, "-c", start, "start", str(directory)]


def kserve(directory, http, grpc):
    python = python_or_skip("kserve", ["kserve"])
    return [python, str(PROGRAMS / "kserve_server.py"), str(http), str(grpc)]


@pytest.fixture(scope="module", params=[mlserver, kserve], ids=lambda server: server.__name__)
def server(request, tmp_path_factory):
    """The ports of a server with a model that doubles what it is given."""
    directory = tmp_path_factory.mktemp("server")
    ports = {"http": free_port(), "grpc": free_port()}
    command = request.param(directory, ports["http"], ports["grpc"])
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    with (
        (directory / "log").open("wb") as log,
        subprocess.Popen(
            command, cwd=directory, env=environment, stdout=log, stderr=log
        ) as process,
    ):
        try:
            for protocol, port in ports.items():
                with Client(f"{protocol}://127.0.0.1:{port}") as client:
                    eventually(
                        lambda: (
                            process.poll() is not None or all(map(client.is_model_ready, MODELS))
                        ),
                        120,
                    )
            assert process.poll() is None, (directory / "log").read_text()[-3000:]
            yield ports
        finally:
            process.terminate()


protocols = pytest.mark.parametrize("protocol", ["http", "grpc"])


@protocols
def test_modern(server, protocol):
    url = f"{protocol}://127.0.0.1:{server[protocol]}"
    with Client(url) as client:
        client.wait_until_ready("double", timeout=60)
        for _ in range(2):
            np.testing.assert_array_equal(client.infer("double", {"IN": A})["OUT"], 2 * A)
        np.testing.assert_array_equal(client.submit("double", {"IN": A}).result()["OUT"], 2 * A)
        np.testing.assert_array_equal(client.model("double")(IN=A)["OUT"], 2 * A)
        for array in (A.astype("i8"), A.astype("f8")):
            result = client.infer("double", {"IN": array})
            np.testing.assert_array_equal(result["OUT"], 2 * array)
        assert "binary_tensor_data" not in client.server_metadata().extensions
        assert client.model_metadata("double").name == "double"
        with pytest.raises(NotFound, match="doubel"):
            client.infer("doubel", {"IN": A})


@protocols
def test_modern_awaited(server, protocol):
    async def ask():
        async with AsyncClient(f"{protocol}://127.0.0.1:{server[protocol]}") as client:
            await client.wait_until_ready("double", timeout=60)
            answers = [client.submit("double", {"IN": A + i}) for i in range(4)]
            for i, answer in enumerate(answers):
                np.testing.assert_array_equal((await answer)["OUT"], 2 * (A + i))
            model = await client.model("double")
            np.testing.assert_array_equal((await model(IN=A))["OUT"], 2 * A)

    asyncio.run(ask())


VALUES = {
    "BOOL": np.array([[True, False]]),
    "INT8": np.array([[-1, 2]], np.int8),
    "INT64": np.array([[-(2**62), 2**62]]),
    "UINT64": np.array([[1, 2**64 - 1]], np.uint64),
    "FP64": np.array([[1.5, np.pi]]),
    "BYTES": np.array([["a", "gr\u00fc\u00df", ""]], object),
    "no elements": np.zeros((0, 4), np.float32),
    "many": np.arange(300_000, dtype=np.float32).reshape(3, -1),
}


@protocols
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_values(server, protocol, value):
    with Client(f"{protocol}://127.0.0.1:{server[protocol]}") as client:
        for _ in range(2):
            result = client.infer("echo", {"IN": value}, id="abc")
            found = result["OUT"]
            if value.dtype == object:
                found = np.array([text.decode() for text in found.ravel()], object)
            assert found.ravel().tolist() == value.ravel().tolist()
            assert (result.id, result.output("OUT").shape) == ("abc", value.shape)


@protocols
def test_errors(server, protocol):
    """A model that fails says so, each time, and leaves the client in order."""
    with Client(f"{protocol}://127.0.0.1:{server[protocol]}") as client:
        for _ in range(3):
            with pytest.raises(ServerError) as caught:
                client.infer("fail", {"IN": A})
            assert caught.value.status() in ("500", "StatusCode.INTERNAL")
            np.testing.assert_array_equal(client.infer("echo", {"IN": A})["OUT"], A)
        assert not client.is_model_ready("doubel")
        for ask in (client.trace_settings, client.statistics, lambda: client.model_config("echo")):
            with pytest.raises((NotFound, Unimplemented), match="does not offer this operation"):
                ask()
        with pytest.raises(TypeError, match=r"does not say which inputs .* model\(NAME=array\)"):
            client.model("echo")(A)
        with pytest.raises(DeadlineExceeded, match=r"'doubel' was not ready after .*doubel"):
            client.wait_until_ready("doubel", timeout=1)


@protocols
def test_mapped(server, protocol):
    with Client(f"{protocol}://127.0.0.1:{server[protocol]}") as client:
        items = [{"IN": A + i} for i in range(20)]
        for i, result in enumerate(client.map("echo", items)):
            np.testing.assert_array_equal(result["OUT"], A + i)


def test_streams(server):
    """MLServer's have no envelope; KServe's server has none."""
    with Client(f"grpc://127.0.0.1:{server['grpc']}") as client:
        stream = client.stream("echo", {"IN": A})
        if client.server_metadata().name == "mlserver":
            assert [result["OUT"].tolist() for result in stream] == [A.tolist()] * 3
        else:
            with pytest.raises(Unimplemented, match="does not offer this operation"):
                next(stream)


def tensors(module):
    """Over HTTP, classic programs say themselves that tensors are JSON."""
    how = {"binary_data": False} if module is tritonclient.http else {}
    given = module.InferInput("IN", [1, 4], "FP32")
    given.set_data_from_numpy(A, **how)
    return [given], [module.InferRequestedOutput("OUT", **how)]


@pytest.mark.parametrize("module", [tritonclient.http, tritonclient.grpc])
def test_classic(server, module):
    protocol = module.__name__.rpartition(".")[2]
    with module.InferenceServerClient(f"127.0.0.1:{server[protocol]}") as client:
        assert client.is_server_live()
        assert client.is_model_ready("double")
        inputs, outputs = tensors(module)
        result = client.infer("double", inputs, outputs=outputs)
        np.testing.assert_array_equal(result.as_numpy("OUT"), 2 * A)


@pytest.mark.parametrize("module", [tritonclient.http, tritonclient.grpc])
def test_classic_awaited(server, module):
    protocol = module.__name__.rpartition(".")[2]

    async def ask():
        awaited = module.aio.InferenceServerClient(f"127.0.0.1:{server[protocol]}")
        async with awaited as client:
            inputs, outputs = tensors(module)
            result = await client.infer("double", inputs, outputs=outputs)
            np.testing.assert_array_equal(result.as_numpy("OUT"), 2 * A)

    asyncio.run(ask())
