"""The HTTP front, end to end over the standard library's client."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import ssl
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.server.conftest import MODELS
from tritonclient.server import Server
from tritonclient.server.frontends.http import compression

ROW = list(range(16))
DATA = struct.pack("<16i", *ROW)
HEAD_LENGTH = "Inference-Header-Content-Length"
INFER = "/v2/models/simple/infer"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(MODELS, model_control_mode="explicit", load_models=["*"]) as server:
        yield server


class Answer:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@pytest.fixture(scope="module")
def ask(server: Server) -> Iterator[Callable[..., Answer]]:
    """Sends requests over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=30)

    def send(
        method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        connection.request(method, path, body, headers or {})
        return Answer(connection.getresponse())

    yield send
    connection.close()


Ask = Callable[..., Answer]


def json_body(**more: object) -> bytes:
    inputs = [
        {"name": name, "shape": [1, 16], "datatype": "INT32", "data": ROW}
        for name in ("INPUT0", "INPUT1")
    ]
    return json.dumps({"inputs": inputs, **more}).encode()


def binary_body(**more: object) -> tuple[bytes, dict[str, str]]:
    inputs = [
        {
            "name": name,
            "shape": [1, 16],
            "datatype": "INT32",
            "parameters": {"binary_data_size": 64},
        }
        for name in ("INPUT0", "INPUT1")
    ]
    head = json.dumps({"inputs": inputs, **more}).encode()
    return head + DATA + DATA, {HEAD_LENGTH: str(len(head))}


def test_health_and_metadata(ask: Ask) -> None:
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/simple/ready"):
        assert ask("GET", path).status == 200
    assert ask("GET", "/v2/models/nope/ready").status == 400
    assert ask("GET", "/v2").json["name"] == "triton"
    assert ask("GET", "/v2/models/versioned").json["versions"] == ["1", "2"]
    assert ask("GET", "/v2/models/versioned/versions/1/config").json["name"] == "versioned"
    assert ask("GET", "/v2/models/versioned/versions/01/ready").status == 200
    for version in ("-1", "1.5", "1x", "+1", "%201"):
        for rest in ("", "/ready", "/config", "/stats"):
            answer = ask("GET", f"/v2/models/versioned/versions/{version}{rest}")
            assert (answer.status, answer.json) == (404, {"error": "Not Found"})
    assert ask("GET", "/v2/models/simple/stats").json["model_stats"][0]["name"] == "simple"
    answer = ask("GET", "/v2/models/nope")
    assert answer.status == 404
    assert answer.json == {"error": "Request for unknown model: 'nope' is not found"}
    assert answer.headers["content-type"] == "application/json"


def test_no_such_path_or_method(ask: Ask) -> None:
    assert ask("GET", "/v3").status == 404
    assert ask("POST", "/v2", b"").status == 405
    assert ask("PUT", INFER, b"").json == {"error": "Method Not Allowed"}
    assert ask("GET", "/v2").status == 200


def test_the_empty_final_response_is_for_grpc_alone(ask: Ask) -> None:
    # As a real Triton answers.
    body = json_body(parameters={"triton_enable_empty_final_response": True})
    answer = ask("POST", INFER, body)
    assert answer.status == 400
    assert answer.json["error"].startswith("parameter keys starting with 'triton_' are reserved")


def test_json_both_ways(ask: Ask) -> None:
    answer = ask("POST", INFER, json_body(id="seven"))
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["id"] == "seven"
    assert answer.json["outputs"][0]["data"] == [2 * x for x in ROW]


def test_binary_both_ways(ask: Ask) -> None:
    outputs = [
        {"name": "OUTPUT0", "parameters": {"binary_data": True}},
        {"name": "OUTPUT1", "parameters": {"binary_data": False}},
    ]
    body, headers = binary_body(outputs=outputs)
    answer = ask("POST", INFER, body, headers)
    assert answer.headers["content-type"] == "application/octet-stream"
    length = int(answer.headers[HEAD_LENGTH])
    first, second = json.loads(answer.body[:length])["outputs"]
    assert first["parameters"] == {"binary_data_size": 64}
    assert second["data"] == [0] * 16
    assert answer.body[length:] == struct.pack("<16i", *[2 * x for x in ROW])


def test_all_outputs_binary(ask: Ask) -> None:
    body, headers = binary_body(parameters={"binary_data_output": True})
    answer = ask("POST", INFER, body, headers)
    assert len(answer.body) == int(answer.headers[HEAD_LENGTH]) + 128


def test_classification(ask: Ask) -> None:
    outputs = [{"name": "OUTPUT0", "parameters": {"classification": 2}}]
    (output,) = ask("POST", INFER, json_body(outputs=outputs)).json["outputs"]
    assert output == {
        "name": "OUTPUT0",
        "datatype": "BYTES",
        "shape": [1, 2],
        "data": ["30:15", "28:14"],
    }


def test_chunked_body(ask: Ask) -> None:
    body = json_body()
    chunks = (body[i : i + 100] for i in range(0, len(body), 100))
    assert ask("POST", INFER, chunks).status == 200


def test_large_body(ask: Ask) -> None:
    count = 2 << 20
    tensor = {"name": "INPUT0", "shape": [count], "datatype": "FP32"}
    parameters = {"binary_data_size": 4 * count}
    request = {
        "inputs": [{**tensor, "parameters": parameters}],
        "parameters": {"binary_data_output": True},
    }
    head, data = json.dumps(request).encode(), bytes(range(256)) * (count // 64)
    headers = {HEAD_LENGTH: str(len(head))}
    answer = ask("POST", "/v2/models/identity_fp32/infer", head + data, headers)
    assert answer.body[int(answer.headers[HEAD_LENGTH]) :] == data


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_compressed_request(ask: Ask, coding: str, pack: Callable[[bytes], bytes]) -> None:
    body, headers = binary_body()
    answer = ask("POST", INFER, pack(body), {**headers, "Content-Encoding": coding})
    assert answer.json["outputs"][0]["data"] == [2 * x for x in ROW]


@pytest.mark.parametrize(("coding", "wbits"), [("gzip", 31), ("deflate", 15)])
def test_compressed_response(ask: Ask, coding: str, wbits: int) -> None:
    body, headers = binary_body(parameters={"binary_data_output": True})
    answer = ask("POST", INFER, body, {**headers, "Accept-Encoding": coding})
    assert answer.headers["content-encoding"] == coding
    plain = zlib.decompress(answer.body, wbits)
    assert len(plain) == int(answer.headers[HEAD_LENGTH]) + 128
    refused = ask("POST", INFER, b"{}", {"Accept-Encoding": coding})
    assert refused.status >= 400
    assert refused.headers["content-encoding"] is None


@pytest.mark.parametrize(
    ("coding", "body", "status"),
    [
        ("br", b"x", 501),
        ("gzip", b"no gzip", 400),
        ("gzip", gzip.compress(b"{}" * 99)[:-9], 400),
        ("gzip", gzip.compress(b"{}") * 2, 400),
    ],
)
def test_bad_compression(ask: Ask, coding: str, body: bytes, status: int) -> None:
    answer = ask("POST", INFER, body, {"Content-Encoding": coding})
    assert answer.status == status
    assert answer.json["error"]


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        ("", None),
        ("identity, br", None),
        ("*", None),
        ("gzip;q=0", None),
        ("gzip;q=x", None),
        ("gzip, deflate", "gzip"),
        ("deflate,gzip", "deflate"),
        ("gzip;q=0.5, deflate;q=0.9", "deflate"),
    ],
)
def test_negotiation(accepted: str, expected: str | None) -> None:
    assert compression.negotiate(accepted) == expected


def test_decompression_keeps_nobody_waiting(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []
    decompress = compression.decompress

    def record(*arguments: Any) -> bytes:
        threads.append(threading.current_thread().name)
        return decompress(*arguments)

    monkeypatch.setattr(compression, "decompress", record)
    for method, path in (("POST", "/v2/repository/index"), ("GET", "/v2/health/live")):
        headers = {"Content-Encoding": "gzip"}
        assert ask(method, path, gzip.compress(b"{}"), headers).status == 200
    assert [name.startswith("tritonclient-request") for name in threads] == [True, True]


def test_limits() -> None:
    with Server(MODELS, max_input_size=1000) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=30)
        bodies: list[tuple[Any, dict[str, str]]] = [
            (b"x" * 1001, {}),
            (iter([b"x" * 1000, b"x"]), {}),
            (gzip.compress(b"x" * 1001), {"Content-Encoding": "gzip"}),
        ]
        for body, headers in bodies:
            connection.request("POST", INFER, body, headers)
            answer = Answer(connection.getresponse())
            assert answer.status == 413
            assert "limit of 1000 bytes" in answer.json["error"]
            connection.close()


def test_model_control(ask: Ask) -> None:
    assert ask("POST", "/v2/repository/models/versioned/unload", b"{}").status == 200
    index = ask("POST", "/v2/repository/index", b"").json
    rows = [row for row in index if row["name"] == "versioned"]
    assert [row["reason"] for row in rows] == ["unloaded", "unloaded"]
    assert ask("POST", "/v2/repository/models/versioned/load", b"{}").body == b""
    assert ask("GET", "/v2/models/versioned/ready").status == 200


def test_settings(ask: Ask) -> None:
    settings = ask("POST", "/v2/logging", b'{"log_verbose_level": 1, "log_format": "ISO8601"}').json
    assert settings == ask("GET", "/v2/logging").json
    assert settings["log_verbose_level"] == 1
    refused = ask("POST", "/v2/logging", b'{"log_format": "zz"}')
    assert refused.status == 503
    assert refused.json == {"error": "invalid argument for --log_format, got: zz"}
    trace = ask("POST", "/v2/models/simple/trace/setting", b'{"trace_count": "4"}').json
    assert trace["trace_count"] == "4"
    assert ask("GET", "/v2/trace/setting").json["trace_count"] == "-1"
    for wrong in ("x", "9" * 5000):
        refused = ask("POST", "/v2/trace/setting", json.dumps({"trace_rate": wrong}))
        assert refused.status == 400
        assert refused.json == {"error": f"Unable to parse 'trace_rate', got: {wrong:.100}"}


def test_a_client_that_leaves_cancels_its_request(server: Server) -> None:
    """The model would take ten seconds, and the next requests find both its instances idle."""
    inputs = [
        {"name": "INPUT0", "shape": [1], "datatype": "INT32", "data": [1]},
        {"name": "DELAY_MS", "shape": [1], "datatype": "INT32", "data": [10_000]},
    ]
    body = json.dumps({"inputs": inputs}).encode()
    head = f"POST /v2/models/slow_identity/infer HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
    for _ in range(2):
        with socket.create_connection(("127.0.0.1", server.http_port)) as connection:
            connection.sendall(head.encode() + body)
    inputs[1]["data"] = [0]
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=5)
    connection.request("POST", "/v2/models/slow_identity/infer", json.dumps({"inputs": inputs}))
    assert connection.getresponse().status == 200
    connection.close()


def test_many_at_once(server: Server) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=30)
            for _ in range(20):
                connection.request("POST", INFER, json_body())
                assert Answer(connection.getresponse()).json["outputs"][0]["data"][1] == 2
            connection.close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_https(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with Server(
        MODELS, host="localhost", certfile=tmp_path / "cert.pem", keyfile=tmp_path / "key.pem"
    ) as server:
        assert server.http_url == f"https://localhost:{server.http_port}"
        connection = http.client.HTTPSConnection("localhost", server.http_port, context=context)
        connection.request("GET", "/v2/health/ready")
        assert Answer(connection.getresponse()).status == 200
        connection.close()
