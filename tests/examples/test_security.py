"""The example programs over TLS, where they should and should not trust, and their compression."""

from __future__ import annotations

import datetime
import gzip
import re
import sys
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import h11
import hpack
import pytest
import trustme
from hyperframe.frame import DataFrame, Frame, HeadersFrame

from tests.conftest import MODELS
from tests.support.example_programs import run, run_all
from tests.support.peers import http_proxies
from tests.support.peers.fault_proxy import Proxy
from tests.support.servers import triton as real_triton
from tritonclient.server import GrpcOptions, Server

YESTERDAY = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
HTTP = ("simple_http_infer_client", "simple_http_aio_infer_client")
GRPC = ("simple_grpc_infer_client", "simple_grpc_aio_infer_client")
SERVERS = ("embedded", "triton")


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, authority: trustme.CA) -> Path:
    """Certificates of the authority and of one that nobody should trust, and a client's own."""
    folder = tmp_path_factory.mktemp("certificates")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    trustme.CA().cert_pem.write_to_path(str(folder / "stranger.pem"))
    client = authority.issue_cert("client@example.org")
    client.private_key_pem.write_to_path(str(folder / "client-key.pem"))
    client.cert_chain_pems[0].write_to_path(str(folder / "client.pem"))
    return folder


@contextmanager
def secured(
    kind: str,
    folder: Path,
    certificate: trustme.LeafCert,
    request: pytest.FixtureRequest,
    mutual: bool = False,
    model: bool = True,
) -> Iterator[dict[str, str]]:
    """The addresses of a server that speaks TLS; a real Triton does over gRPC only.

    Args:
        mutual: let clients need a certificate of the same authority, over gRPC.
        model: load what the programs ask for, which takes a real Triton some seconds to end.
    """
    key, own, ca = folder / "key.pem", folder / "certificate.pem", folder / "ca.pem"
    certificate.private_key_pem.write_to_path(str(key))
    certificate.cert_chain_pems[0].write_to_path(str(own))
    if kind == "embedded":
        with Server(
            MODELS,
            model_control_mode="explicit",
            load_models=["simple"] if model else [],
            certfile=own,
            keyfile=key,
            grpc=GrpcOptions(client_ca_file=ca if mutual else None),
        ) as server:
            yield {"http": server.http_address, "grpc": server.grpc_address}
    else:
        flags = ["--grpc-use-ssl=true", f"--grpc-server-cert={own}", f"--grpc-server-key={key}"]
        if mutual:
            flags += ["--grpc-use-ssl-mutual=true", f"--grpc-root-cert={ca}"]
        if model:
            flags.append("--load-model=simple")
        repository = request.getfixturevalue("triton").repository
        with real_triton.start(repository, control_mode="explicit", extra_args=flags) as running:
            yield {"grpc": f"127.0.0.1:{running.grpc_port}"}


def programs(addresses: Mapping[str, str]) -> list[tuple[str, str]]:
    """The programs for a server's protocols, and where each finds it."""
    return [
        (name, address)
        for protocol, address in addresses.items()
        for name in (HTTP if protocol == "http" else GRPC)
    ]


def trusting(name: str, ca: Path) -> list[str]:
    return ["--ssl", "--ca-certs" if name in HTTP else "-r", str(ca)]


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize(
    ("certificate", "reason"),
    [
        ({"identity": "127.0.0.1"}, ""),
        ({"identity": "example.org"}, "certificate|hostname"),
        ({"identity": "127.0.0.1", "not_after": YESTERDAY}, "certificate"),
    ],
    ids=["right", "wrong name", "expired"],
)
def test_certificates(
    certificate: dict[str, Any],
    reason: str,
    kind: str,
    folder: Path,
    authority: trustme.CA,
    official_python: str,
    request: pytest.FixtureRequest,
) -> None:
    options = dict(certificate)
    issued = authority.issue_cert(options.pop("identity"), **options)
    pythons = (sys.executable, official_python)
    with secured(
        kind, folder, issued, request, model=not reason or kind == "embedded"
    ) as addresses:
        verifying = run_all(
            (python, name, address, *trusting(name, folder / "ca.pem"))
            for name, address in programs(addresses)
            for python in pythons
        )
        blind = run_all(
            (python, name, address, "--ssl", "--insecure")
            for name, address in programs(addresses)
            for python in pythons
            if name in HTTP
        )
    for done in verifying:
        assert done.returncode == (1 if reason else 0), (done.args, done.stderr)
        if reason:
            assert done.stderr.startswith("error: ")
            assert re.search(reason, done.stderr.lower())
    for done in blind:
        assert done.returncode == 0, (done.args, done.stderr)


@pytest.mark.parametrize("kind", SERVERS)
def test_authorities_that_are_not_known(
    kind: str, folder: Path, authority: trustme.CA, request: pytest.FixtureRequest
) -> None:
    issued = authority.issue_cert("127.0.0.1")
    with secured(kind, folder, issued, request, model=False) as addresses:
        results = run_all(
            (sys.executable, name, address, *flags)
            for name, address in programs(addresses)
            # The last speaks no TLS at all.
            for flags in (["--ssl"], trusting(name, folder / "stranger.pem"), [])
        )
    for done in results:
        assert done.returncode == 1, done.args
        assert done.stderr.startswith("error: ")
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("kind", SERVERS)
def test_clients_with_certificates_of_their_own(
    kind: str, folder: Path, authority: trustme.CA, request: pytest.FixtureRequest
) -> None:
    own = ["-p", str(folder / "client-key.pem"), "-x", str(folder / "client.pem")]
    issued = authority.issue_cert("127.0.0.1")
    with secured(kind, folder, issued, request, mutual=True) as addresses:
        commands = [
            (sys.executable, name, addresses["grpc"], *trusting(name, folder / "ca.pem"))
            for name in GRPC
        ]
        for done in run_all(commands):
            assert done.returncode == 1
            assert done.stderr.startswith("error: ")
        for done in run_all((*command, *own) for command in commands):
            assert done.returncode == 0, done.stderr


def test_through_nginx(
    embedded: Any,
    folder: Path,
    authority: trustme.CA,
    official_python: str,
    tmp_path: Path,
) -> None:
    with http_proxies.nginx(tmp_path, embedded.http_address, authority) as addresses:
        for name in HTTP:
            refused, *served = run_all(
                [
                    (sys.executable, name, addresses["tls"], "--ssl"),
                    (sys.executable, name, addresses["tls"], "--ssl", "--insecure"),
                    (sys.executable, name, addresses["tls"], *trusting(name, folder / "ca.pem")),
                    (official_python, name, addresses["tls"], *trusting(name, folder / "ca.pem")),
                ]
            )
            assert refused.returncode == 1
            assert "certificate" in refused.stderr
            assert [done.returncode for done in served] == [0, 0, 0], served


# Compression, as the bytes on the wire have it


class Message(NamedTuple):
    """A request or an answer.

    Attributes:
        headers: by name, in lower case.
        body: as it was sent, so perhaps compressed.
    """

    headers: dict[str, str]
    body: bytes


@pytest.fixture(scope="module", params=SERVERS)
def compressing(request: pytest.FixtureRequest) -> Iterator[dict[str, tuple[str, int]]]:
    """Where a server listens that compresses its answers over gRPC as well."""
    if request.param == "embedded":
        with Server(
            MODELS,
            model_control_mode="explicit",
            load_models=["simple"],
            grpc=GrpcOptions(compression_level="high"),
        ) as server:
            yield {
                "http": ("127.0.0.1", server.http_port),
                "grpc": ("127.0.0.1", server.grpc_port),
            }
    else:
        flags = ["--load-model=simple", "--grpc-infer-response-compression-level=high"]
        repository = request.getfixturevalue("triton").repository
        with real_triton.start(repository, control_mode="explicit", extra_args=flags) as running:
            yield {
                "http": ("127.0.0.1", running.http_port),
                "grpc": ("127.0.0.1", running.grpc_port),
            }


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.parametrize("name", HTTP)
def test_http_compression(
    name: str, coding: str, compressing: dict[str, tuple[str, int]], official_python: str
) -> None:
    for python in (sys.executable, official_python):
        with Proxy(compressing["http"]) as proxy:
            address = f"127.0.0.1:{proxy.port}"
            flags = ["--request-compression-algorithm", coding]
            flags += ["--response-compression-algorithm", coding]
            done = run(name, address, *flags, python=python)
            assert done.returncode == 0, done.stderr
        exchanges = [pair for each in proxy.recorded for pair in http_exchanges(*each)]
        inferences = [
            pair for pair in exchanges if pair[0].headers[":path"].split("?")[0].endswith("/infer")
        ]
        assert len(inferences) >= 3
        for request, answer in inferences:
            assert request.headers["content-encoding"] == coding
            assert b'"inputs"' in plain(request.body)
            assert request.headers["accept-encoding"] == coding
            if answer.headers[":status"] == "200":
                assert answer.headers["content-encoding"] == coding
                assert b'"outputs"' in plain(answer.body)


@pytest.mark.parametrize("name", GRPC)
@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_grpc_compression(
    name: str, coding: str, compressing: dict[str, tuple[str, int]], official_python: str
) -> None:
    for python in (sys.executable, official_python):
        with Proxy(compressing["grpc"]) as proxy:
            done = run(name, f"127.0.0.1:{proxy.port}", "-C", coding, python=python)
            assert done.returncode == 0, done.stderr
        assert proxy.recorded
        inferences = 0
        for sent, received in proxy.recorded:
            requests, answers = grpc_messages(sent), grpc_messages(received)
            for stream, request in requests.items():
                if request.headers[":path"].endswith("/ModelInfer"):
                    inferences += 1
                    assert request.headers["grpc-encoding"] == coding
                    assert b"INPUT0" in grpc_content(request)
                    assert answers[stream].headers["grpc-encoding"] in ("gzip", "deflate")
                    assert b"OUTPUT0" in grpc_content(answers[stream])
        assert inferences >= 2


def plain(body: bytes) -> bytes:
    return gzip.decompress(body) if body.startswith(b"\x1f\x8b") else zlib.decompress(body)


def http_exchanges(sent: bytes, received: bytes) -> list[tuple[Message, Message]]:
    """The requests of a connection with their answers."""
    server, client = h11.Connection(h11.SERVER), h11.Connection(h11.CLIENT)
    server.receive_data(bytes(sent))
    client.receive_data(bytes(received))
    exchanges = []
    while isinstance(head := server.next_event(), h11.Request):
        client.send(head)
        body = b""
        while isinstance(event := server.next_event(), h11.Data):
            client.send(event)
            body += event.data
        client.send(h11.EndOfMessage())
        request = Message({**text_of(head.headers), ":path": head.target.decode()}, body)

        answer = client.next_event()
        assert isinstance(answer, h11.Response)
        body = b""
        while isinstance(event := client.next_event(), h11.Data):
            body += event.data
        headers = {**text_of(answer.headers), ":status": str(answer.status_code)}
        exchanges.append((request, Message(headers, body)))

        # The server's side has to say something before it can go on.
        server.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
        server.send(h11.EndOfMessage())
        if server.our_state is not h11.DONE or client.our_state is not h11.DONE:
            break
        server.start_next_cycle()
        client.start_next_cycle()
    return exchanges


def text_of(headers: Any) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in headers}


def grpc_messages(data: bytes) -> dict[int, Message]:
    """Return the headers, trailers included, and data that one side sent, by HTTP/2 stream."""
    decoder = hpack.Decoder()
    messages: dict[int, Message] = {}
    rest = memoryview(bytes(data).removeprefix(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
    while len(rest) >= 9:
        frame, length = Frame.parse_frame_header(rest[:9])
        frame.parse_body(rest[9 : 9 + length])
        rest = rest[9 + length :]
        before = messages.get(frame.stream_id, Message({}, b""))
        if isinstance(frame, HeadersFrame):
            assert "END_HEADERS" in frame.flags
            headers = {**before.headers, **dict(decoder.decode(frame.data))}
            messages[frame.stream_id] = before._replace(headers=headers)
        elif isinstance(frame, DataFrame):
            messages[frame.stream_id] = before._replace(body=before.body + frame.data)
    return messages


def grpc_content(message: Message) -> bytes:
    """The one message of a call, which has to be compressed."""
    assert message.body[0] == 1
    assert int.from_bytes(message.body[1:5], "big") == len(message.body) - 5
    return plain(message.body[5:])
