"""Requests leave no circles of objects, in which tensors would wait for the garbage collector."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from tests.server.conftest import FP32_CONFIG, RepositoryMaker
from tests.support.waiting import eventually
from tritonclient import Client
from tritonclient.errors import Internal, InvalidArgument, NotFound, ServerError
from tritonclient.server import Server

#: Types that hold tensors of requests and responses.
HOLDERS = {"ndarray", "memoryview", "InferTensor", "Infer", "Job", "Inference", "InferResponse"}


#: Raises for every request.
FAILS = """
class TritonPythonModel:
    def execute(self, requests):
        arrays = [request.inputs()[0].as_numpy() for request in requests]
        raise ValueError(f"{len(arrays)} requests are refused")
"""


#: Sends the input back several times.
REPEATS = """
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            array = request.inputs()[0].as_numpy()
            for _ in range(3):
                sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("OUT", array)]))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""
DECOUPLED = FP32_CONFIG + "model_transaction_policy { decoupled: true }"


@pytest.fixture(scope="module", params=[True, False], ids=["in-process", "processes"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    repository = RepositoryMaker(tmp_path_factory.mktemp("models"))
    repository.python("a")
    repository.python("fails", FAILS)
    repository.python("repeats", REPEATS, DECOUPLED)
    with Server(repository.directory, in_process=request.param) as server:
        yield server


def unary(client: Client, size: int) -> None:
    array = np.ones(size, np.float32)
    assert client.infer("a", {"IN": array})["OUT"].shape == (size,)


def streamed(client: Client, size: int) -> None:
    (result,) = client.stream("a", {"IN": np.ones(size, np.float32)})
    assert result["OUT"].shape == (size,)


def repeated(client: Client, size: int) -> None:
    results = list(client.stream("repeats", {"IN": np.ones(size, np.float32)}))
    assert [result["OUT"].shape for result in results] == [(size,)] * 3


def unknown(client: Client, size: int) -> None:
    with pytest.raises(NotFound):
        client.infer("nope", {"IN": np.ones(size, np.float32)})


def misnamed(client: Client, size: int) -> None:
    with pytest.raises(InvalidArgument):
        client.infer("a", {"NOPE": np.ones(size, np.float32)})


def mistyped(client: Client, size: int) -> None:
    with pytest.raises(InvalidArgument):
        client.infer("a", {"IN": np.ones(size, np.int32)})


def unknown_output(client: Client, size: int) -> None:
    with pytest.raises(InvalidArgument):
        client.infer("a", {"IN": np.ones(size, np.float32)}, outputs=["NOPE"])


def failing(client: Client, size: int) -> None:
    with pytest.raises(Internal):
        client.infer("fails", {"IN": np.ones(size, np.float32)})


def refused_stream(client: Client, size: int) -> None:
    with pytest.raises(ServerError):
        list(client.stream("a", {"IN": np.ones(size, np.int32)}))


def failing_stream(client: Client, size: int) -> None:
    with pytest.raises(ServerError):
        list(client.stream("fails", {"IN": np.ones(size, np.float32)}))


#: They end with an error; the client ends its connection, and leaves the buffers to the collector.
BROKEN_STREAMS = (refused_stream, failing_stream)
REFUSED = (unknown, misnamed, mistyped, unknown_output, failing)


@pytest.mark.parametrize("size", [16, 1 << 20], ids=["small", "large"])
@pytest.mark.parametrize(
    ("protocol", "deed"),
    [
        *(("http", unary), ("grpc", unary), ("grpc", streamed), ("grpc", repeated)),
        *((protocol, deed) for protocol in ("http", "grpc") for deed in REFUSED),
        *(("grpc", deed) for deed in BROKEN_STREAMS),
    ],
)
def test_requests_leave_no_circles(
    server: Server, protocol: str, deed: Callable[[Client, int], None], size: int
) -> None:
    holders = HOLDERS - {"memoryview"} if deed in BROKEN_STREAMS else HOLDERS
    url = server.http_url if protocol == "http" else server.grpc_url

    def circles() -> list[str]:
        """Return the types of what only the collector frees, of those that hold tensors."""
        gc.collect()
        deed(client, size)
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            gc.collect()
            return [type(each).__name__ for each in gc.garbage if type(each).__name__ in holders]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()

    gc.disable()
    try:
        with Client(url) as client:
            deed(client, size)
            # The server may still be at work on the end of the last request.
            eventually(lambda: circles() == [])
            assert circles() == []
    finally:
        gc.enable()


def test_a_failed_stream_gives_its_connection_back(server: Server) -> None:
    """It is dropped with its error, without the collector."""
    gc.disable()
    try:
        with Client(server.grpc_url, max_connections=1) as client:
            for _ in range(3):
                with pytest.raises(ServerError):
                    list(client.stream("fails", {"IN": np.ones(3, np.float32)}, timeout=20))
    finally:
        gc.enable()
