"""Streams of events: what ends them, and what they count as."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from tests.support.waiting import eventually
from tritonclient.server import Server
from tritonclient.server.frontends.http import application

Serve = Callable[..., Server]


class Endless:
    """A model that sends as many numbers as it is asked for until nobody waits for them."""

    def __init__(self) -> None:
        self.running = 0
        self.sent = 0
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def function(self, SIZE: Any) -> Iterator[dict[str, Any]]:
        self.running += 1
        try:
            while True:
                self.sent += 1
                yield {"NUMBERS": np.full(int(SIZE[0]), self.sent)}
                self.may_go_on.wait(60)
        finally:
            self.running -= 1


@pytest.fixture
def model() -> Endless:
    return Endless()


@pytest.fixture
def serve(model: Endless) -> Iterator[Serve]:
    """Serve the endless model and one that repeats its input and its parameters."""
    started: list[Server] = []

    def once(X: Any, *, parameters: Any) -> dict[str, Any]:
        return {"Y": json.dumps(dict(parameters))}

    def make(**options: Any) -> Server:
        models = {"endless": model.function, "once": once}
        server = Server(models=models, grpc_port=None, **options).start()
        started.append(server)
        return server

    yield make
    model.may_go_on.set()
    for server in started:
        server.stop()


@contextmanager
def stream(server: Server, size: int = 1) -> Iterator[http.client.HTTPResponse]:
    """The response of the endless model, which the client leaves at the end."""
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=30)
    try:
        body = json.dumps({"SIZE": [size]})
        connection.request("POST", "/v2/models/endless/generate_stream", body)
        yield connection.getresponse()
    finally:
        connection.close()


def once(server: Server, headers: dict[str, str] | None = None, **members: Any) -> tuple[int, Any]:
    """Return status and JSON of a request to the other model."""
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=30)
    try:
        body = json.dumps({"X": [1], **members})
        connection.request("POST", "/v2/models/once/generate", body, headers or {})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_a_stream_ends_when_its_client_leaves(serve: Serve, model: Endless) -> None:
    with stream(serve()) as response:
        assert json.loads(response.readline().removeprefix(b"data: "))["NUMBERS"] > 0
        assert model.running == 1
    eventually(lambda: model.running == 0)


def test_a_client_that_does_not_read_slows_the_model(serve: Serve, model: Endless) -> None:
    server = serve()
    with stream(server, size=100_000):
        for _ in range(100):
            assert once(server)[0] == 200
        # Sockets hold a few megabytes, and the queues some more.
        assert model.sent < 200
    eventually(lambda: model.running == 0)


def test_the_end_of_the_server_ends_its_streams(serve: Serve, model: Endless) -> None:
    server = serve(exit_timeout=0)
    with stream(server) as response:
        assert response.readline().startswith(b"data: {")
        ending = threading.Thread(target=server.stop)
        ending.start()
        *_, last, _ = iter(response.readline, b"")
        ending.join()
    assert last == b'data: {"error":"the server is shutting down"}\n'


def test_a_stream_counts_as_a_request_until_its_end(serve: Serve) -> None:
    server = serve(max_requests=1)
    with stream(server) as response:
        response.readline()
        assert once(server)[0] == 503
    eventually(lambda: once(server)[0] == 200)


def test_no_thread_waits_for_a_model(
    serve: Serve, model: Endless, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "_THREADS", 1)
    server = serve()
    model.may_go_on.clear()
    with stream(server) as response:
        assert response.readline().startswith(b"data: {")
        assert once(server)[0] == 200
        model.may_go_on.set()


def test_headers_are_not_forwarded_to_the_model(serve: Serve) -> None:
    server = serve(forwarded_headers="^X-")
    status, answer = once(server, {"X-User": "me"}, priority="high")
    assert status == 200
    assert json.loads(answer["Y"]) == {"priority": "high"}
