"""Inferences that are started on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest

from tests.server.conftest import RepositoryMaker
from tritonclient import AsyncClient, Client
from tritonclient.errors import InvalidArgument
from tritonclient.server import Server

MANY = 300
#: Executes only when MANY requests wait.
BATCHED = f"""
backend: "python"
max_batch_size: {MANY}
input [ {{ name: "IN" data_type: TYPE_FP32 dims: [ -1 ] }} ]
output [ {{ name: "OUT" data_type: TYPE_FP32 dims: [ -1 ] }} ]
dynamic_batching {{
  preferred_batch_size: [ {MANY} ]
  max_queue_delay_microseconds: 60000000
}}
"""
#: Returns as many elements as its input says.
GROWING = """
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        size = int(pb_utils.get_input_tensor_by_name(requests[0], "IN").as_numpy()[0])
        output = pb_utils.Tensor("OUT", np.arange(size, dtype=np.float32))
        return [pb_utils.InferenceResponse([output])]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    repository = RepositoryMaker(tmp_path_factory.mktemp("starting") / "models")
    repository.python("batched", config=BATCHED)
    repository.python("growing", GROWING)
    with Server(repository.directory) as server:
        yield server


def url_of(server: Server, protocol: str) -> str:
    return server.http_url if protocol == "http" else server.grpc_url


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_waiting_request_takes_no_thread(server: Server, protocol: str) -> None:
    async def ask_all() -> list[float]:
        async with AsyncClient(
            url_of(server, protocol), timeout=50, max_connections=MANY
        ) as client:

            async def ask(number: int) -> float:
                result = await client.infer("batched", {"IN": np.full((1, 1), number, np.float32)})
                return float(result["OUT"][0, 0])

            return await asyncio.gather(*map(ask, range(MANY)))

    # More than there are threads for requests: all of them wait for the last one.
    assert asyncio.run(ask_all()) == list(range(MANY))


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("size", [0, 1, 1 << 12, (1 << 12) + 1, 1 << 20])
def test_a_response_may_be_larger_than_its_request(
    server: Server, protocol: str, size: int
) -> None:
    with Client(url_of(server, protocol)) as client:
        result = client.infer("growing", {"IN": np.array([size], np.float32)})
        np.testing.assert_array_equal(result["OUT"], np.arange(size, dtype=np.float32))
        with pytest.raises(InvalidArgument, match="unexpected inference input 'NO'"):
            client.infer("growing", {"NO": np.array([size], np.float32)})
