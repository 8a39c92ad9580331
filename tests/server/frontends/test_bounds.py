"""Bounds of requests: each refuses with its reason, and others go on."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator

import numpy as np
import pytest

import tritonclient
from tests.server.conftest import RepositoryMaker, fp32
from tests.support.peers import h2peer
from tests.support.waiting import eventually
from tritonclient import messages as m
from tritonclient.errors import InvalidArgument, ResourceExhausted, Unavailable
from tritonclient.server import FunctionModel, Server
from tritonclient.server.frontends.limits import Limits
from tritonclient.server.tensors import bounds

HEAD = b"POST /v2/models/echo/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"


def received(connection: socket.socket) -> bytes:
    """Return what comes until the server closes the connection."""
    parts = []
    while part := connection.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


@pytest.fixture(scope="module")
def impatient() -> Iterator[Server]:
    with Server(models={"echo": lambda X: {"Y": X}}, grpc_port=None, receive_timeout=0.3) as server:
        yield server


@pytest.mark.parametrize("sent", [b"P", HEAD, HEAD + b"\r\n", HEAD + b"\r\n{"])
def test_a_half_sent_request_is_refused_after_a_time(impatient: Server, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", impatient.http_port), timeout=30) as connection:
        connection.sendall(sent)
        answer = received(connection)
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    text = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
    assert text == "nothing of the request came for 0.3 s; send it again"


def test_a_connection_without_a_request_stays(impatient: Server) -> None:
    with socket.create_connection(("127.0.0.1", impatient.http_port), timeout=30) as idle:
        with socket.create_connection(("127.0.0.1", impatient.http_port), timeout=30) as half:
            half.sendall(HEAD)
            assert received(half)
        request = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n"
        for _ in range(2):
            idle.sendall(request)
            assert idle.recv(1 << 16).startswith(b"HTTP/1.1 200 OK")


GRPC_HEAD = (
    *((":method", "POST"), (":scheme", "http"), (":authority", "x")),
    *((":path", "/inference.GRPCInferenceService/ModelInfer"), ("te", "trailers")),
    ("content-type", "application/grpc"),
)


@pytest.mark.parametrize("sent", [0, 3, 5, 50], ids=lambda size: f"{size} bytes")
def test_a_half_sent_message_over_grpc_is_refused_after_a_time(sent: int) -> None:
    """The connection stays, with its other calls."""
    models = {"echo": lambda X: {"Y": X}}
    with (
        Server(models=models, receive_timeout=0.3) as server,
        socket.create_connection(("127.0.0.1", server.grpc_port), timeout=30) as connection,
    ):
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + h2peer.HELLO)
        connection.sendall(h2peer.head(fields=h2peer.block(*GRPC_HEAD)))
        if sent:
            connection.sendall(h2peer.frame(h2peer.DATA, 0, 1, h2peer.message(bytes(100))[:sent]))
        answer = b""
        while b"send it again" not in answer:
            part = connection.recv(1 << 16)
            assert part, "the connection was closed"
            answer += part
        assert b"nothing of the request came for 0.3 s; send it again" in answer
        # A call of the server's state, on the same connection.
        ready = (":path", "/inference.GRPCInferenceService/ServerReady")
        head = [ready if each[0] == ":path" else each for each in GRPC_HEAD]
        connection.sendall(h2peer.head(3, fields=h2peer.block(*head)))
        connection.sendall(h2peer.frame(h2peer.DATA, h2peer.END_STREAM, 3, h2peer.message(b"")))
        answer = b""
        while b"\x08\x01" not in answer:  # ready
            part = connection.recv(1 << 16)
            assert part, "the connection was closed"
            answer += part


class Holding:
    """A model that executes until it is released."""

    def __init__(self) -> None:
        self.executing = threading.Semaphore(0)
        self.release = threading.Event()

    def __call__(self, X: np.ndarray) -> dict[str, np.ndarray]:
        self.executing.release()
        assert self.release.wait(60)
        return {"Y": X}


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_requests_in_work_are_bounded(protocol: str) -> None:
    holding = Holding()
    spec = {"X": ("FP32", [-1])}
    model = FunctionModel(holding, inputs=spec, outputs={"Y": ("FP32", [-1])}, instances=2)
    array = np.ones(1, np.float32)
    with Server(models={"held": model}, max_requests=2) as server:
        url = server.http_url if protocol == "http" else server.grpc_url
        with tritonclient.Client(url) as client:
            running = [client.submit("held", {"X": array}) for _ in range(2)]
            for _ in running:
                assert holding.executing.acquire(timeout=60)
            try:
                error = Unavailable if protocol == "http" else ResourceExhausted
                with pytest.raises(error, match=r"2 requests in work, its limit|limit exceeded"):
                    client.infer("held", {"X": array})
                assert protocol == "grpc" or client.is_server_live()
            finally:
                holding.release.set()
            assert all(each.result()["Y"].tolist() == [1] for each in running)
            eventually(lambda: client.infer("held", {"X": array})["Y"].tolist() == [1])


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (m.Infer("a" * 65_537, ()), "name of the model 'a{20}'.* has 65537 characters"),
        (m.Infer("a", (fp32("n" * 65_537, [1]),)), "name of the input 'n{20}'"),
        (m.Infer("a", (), outputs=(m.RequestedOutput("n" * 65_537),)), "name of the output 'n"),
        (m.Infer("a", (), parameters={"n" * 65_537: 1}), "name of the parameter 'n"),
        (m.Infer("a", (fp32("IN", [1]),) * 131_073), "has 131073 inputs, and this server takes"),
        (m.Infer("a", (), outputs=(m.RequestedOutput("n"),) * 131_073), "has 131073 outputs"),
        (m.Infer("a", (), parameters={str(n): 1 for n in range(131_073)}), "131073 parameters"),
    ],
    ids=["model", "input", "output", "parameter", "inputs", "outputs", "parameters"],
)
def test_names_and_counts(
    serve, repository: RepositoryMaker, request_: m.Infer, message: str
) -> None:
    repository.python("a")
    core = serve()
    with pytest.raises(InvalidArgument, match=message) as found:
        core.handle(request_)
    assert len(found.value.message() or "") < 200
    (item,) = core.stream(request_)
    assert isinstance(item, InvalidArgument)


def test_what_triton_takes_is_let_through() -> None:
    """5,000 tensors and a name of 64 KiB: Triton 2.51 refuses only that the model has none."""
    outputs = (m.RequestedOutput("n"),) * 5000
    bounds.check(m.Infer("a", (fp32("n" * 65_536, [1]),) * 5000, outputs=outputs))


@pytest.mark.parametrize(
    "name", ["max_input_size", "max_requests", "receive_timeout", "min_receive_rate"]
)
@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan")])
def test_bounds_are_above_0(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} is .*, expected a number above 0"):
        Limits(**{name: value})  # type: ignore[arg-type]
