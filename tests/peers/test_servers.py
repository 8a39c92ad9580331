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
from tritonclient import AsyncClient, Client, NotFound

PROGRAMS = Path(__file__).parent / "programs"
A = np.arange(4, dtype=np.float32).reshape(1, 4)


def mlserver(directory, http, grpc):
    python = python_or_skip("mlserver", ["mlserver"])
    shutil.copy(PROGRAMS / "mlserver_model.py", directory / "mlserver_model.py")
    model = {"name": "double", "implementation": "mlserver_model.Double"}
    (directory / "model-settings.json").write_text(json.dumps(model))
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
                        lambda: process.poll() is not None or client.is_model_ready("double"), 120
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
