"""The HTTP listener: what a peer can make it keep."""

from __future__ import annotations

import socket

import pytest

import tritonclient as tc
from tritonclient.server import Server


@pytest.fixture
def server():
    with Server(models={"same": lambda X: {"Y": X}}, grpc_port=None) as running:
        yield running


def _exchange(server: Server, parts) -> bytes:
    """Send the parts until the server closes; return all that it sent."""
    host, port = server.http_url.removeprefix("http://").rsplit(":", 1)
    received = b""
    with socket.create_connection((host, int(port)), timeout=20) as peer:
        try:
            for part in parts:
                peer.sendall(part)
        except OSError:
            pass  # it closed, and has sent its response before
        try:
            while data := peer.recv(65536):
                received += data
        except OSError:
            pass
    return received


def _live(*headers: str) -> bytes:
    lines = ["GET /v2/health/live HTTP/1.1", "Host: x", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def test_large_heads_pass_up_to_the_bound(server):
    assert b" 200 " in _exchange(server, [_live("X-Long: " + "a" * 60_000)])


@pytest.mark.parametrize(
    "headers",
    [["X-Long: " + "a" * 70_000], [f"X-{each}: {'a' * 100}" for each in range(700)]],
    ids=["one", "many"],
)
def test_larger_heads_are_refused(server, headers):
    received = _exchange(server, [_live(*headers)])
    assert received.startswith(b"HTTP/1.1 431 ")
    assert b"larger than 65536 bytes" in received


@pytest.mark.parametrize("begin", [b"GET /", b"GET / HTTP/1.1\r\nX-Long: "], ids=["url", "value"])
def test_heads_that_never_end_are_refused(server, begin):
    sent = 0

    def parts():
        nonlocal sent
        yield begin
        for _ in range(2_000):
            sent += 1
            yield b"a" * 100_000

    _exchange(server, parts())
    assert sent < 1_000  # what the sockets hold, not the 200 MB
    with tc.Client(server.http_url) as client:
        assert client.is_server_live()


def test_large_bodies_behind_small_heads_pass(server):
    head = b"POST /v2/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    body = b"a" * 300_000
    received = _exchange(server, [head + b"Content-Length: %d\r\n\r\n" % len(body) + body])
    assert b" 431 " not in received
    assert received.startswith(b"HTTP/1.1 ")
