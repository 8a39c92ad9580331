"""Sending requests and keeping what was asked and answered."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable, Iterable

from scripts.record_vectors.requests import Json
from tests.data.recordings import Exchange, parse_head

SILENCE = 0.1  # seconds without a byte after which a connection counts as left open

Headers = Iterable[tuple[str, str]]


class Recorder:
    """Sends requests, one connection each, and keeps what went to and fro."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.exchanges: list[Exchange] = []

    def get(self, name: str, path: str, headers: Headers = ()) -> None:
        self.send(name, encode_head("GET", path, headers))

    def post(self, name: str, path: str, body: object = b"", headers: Headers = ()) -> None:
        """Send a body: bytes and text as they are, anything else as JSON."""
        data = encode_body(body)
        headers = [("Content-Length", str(len(data))), *headers]
        self.send(name, encode_head("POST", path, headers) + data)

    def post_until(self, wanted: bytes, name: str, path: str) -> None:
        """Send until the answer has `wanted` in it, and keep that exchange only."""
        while True:
            self.post(name, path)
            if wanted in self.exchanges[-1].response:
                return
            self.exchanges.pop()

    def infer(self, name: str, model: str, request: Json, headers: Headers = ()) -> None:
        self.post(name, f"/v2/models/{model}/infer", request, headers)

    def infer_binary(
        self,
        name: str,
        model: str,
        request: Json,
        data: bytes,
        headers: Headers = (),
        compress: Callable[[bytes], bytes] = bytes,
    ) -> None:
        text = encode_body(request)
        headers = [("Inference-Header-Content-Length", str(len(text))), *headers]
        self.post(name, f"/v2/models/{model}/infer", compress(text + data), headers)

    def send(self, name: str, request: bytes) -> None:
        """Send raw bytes as they are."""
        response, closed = _exchange(self.port, request)
        self.exchanges.append(Exchange(name, request, response, closed))


def encode_head(method: str, path: str, headers: Headers = (), version: str = "1.1") -> bytes:
    # A fixed name for the host, so that the port of the day is not recorded.
    lines = [f"{method} {path} HTTP/{version}", "Host: localhost:8000"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode()


def encode_body(body: object) -> bytes:
    if isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode()
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def _exchange(port: int, request: bytes) -> tuple[bytes, bool]:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(request)
        response = b""
        while not _is_complete(response):
            received = connection.recv(65536)
            response += received
            if not received:
                return response, True
        connection.settimeout(SILENCE)
        try:
            return response, connection.recv(1) == b""
        except TimeoutError:
            return response, False


def _is_complete(response: bytes) -> bool:
    if b"\r\n\r\n" not in response:
        return False
    first, headers, body = parse_head(response)
    if " 100 " in first:
        return _is_complete(body)
    if "transfer-encoding" in headers:
        return body.endswith(b"0\r\n\r\n")
    return len(body) >= int(headers.get("content-length", sys.maxsize))
