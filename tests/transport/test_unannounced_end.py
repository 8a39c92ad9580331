"""Servers that close a connection after an error without announcing it, as uvicorn does."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.peers.hostile_peers import (
    Server,
    answer_all,
    both_runtimes,
    http,
    read_request,
    send,
)
from tritonclient import ServerError

FINE = http(b'{"name": "peer", "version": "1", "extensions": []}')
ERROR = b'{"error": "boom"}'


@both_runtimes
@pytest.mark.parametrize(
    ("status", "connection"),
    [("500 Internal Server Error", 1), ("400 Bad Request", 0), ("503 Service Unavailable", 0)],
)
def test_the_connection_of_the_next_call(runtime: Any, status: str, connection: int) -> None:
    """Whatever the system says of the connection: it is left alone after a 500 and no other."""
    scripts = [[read_request, send(http(ERROR, status=status)), answer_all(FINE)]]
    with Server(*scripts, [answer_all(FINE)]) as server, runtime(server.url) as client:
        with pytest.raises(ServerError, match="boom"):
            client.server_metadata()
        assert client.server_metadata().name == "peer"
        assert [index for index, _, _ in server.requests] == [0, connection]


@both_runtimes
def test_inference_goes_on_after_it(runtime: Any) -> None:
    """Binary tensors are refused with 500; the request as JSON is sent on a new connection."""
    answer = http(b'{"outputs": [{"name": "Y", "datatype": "FP32", "shape": [1], "data": [2]}]}')

    def respond(head: bytes, body: bytes) -> bytes:
        return answer if b"/infer" in head else FINE

    first = [read_request, send(http(ERROR, status="500 Internal Server Error"))]
    with Server(first, [answer_all(respond)]) as server, runtime(server.url) as client:
        assert client.infer("m", {"X": [1.0]})["Y"] == [2]
        assert [index for index, _, _ in server.requests] == [0, 1, 1]
