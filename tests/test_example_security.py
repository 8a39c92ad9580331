"""The example programs over TLS, where they should and should not trust, and their compression."""

from __future__ import annotations

import datetime
import select
import socket
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests import proxies
from tests.test_official_examples import EXAMPLES
from tritonclient.server import Server

MODELS = Path(__file__).resolve().parent.parent / "models"
YESTERDAY = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
HTTP = ("simple_http_infer_client", "simple_http_aio_infer_client")
GRPC = ("simple_grpc_infer_client", "simple_grpc_aio_infer_client")


def run(name: str, address: str, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, f"{name}.py", "-u", address, *flags],
        cwd=EXAMPLES,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, authority: trustme.CA) -> Path:
    """Certificates of the authority, and of one that nobody should trust."""
    folder = tmp_path_factory.mktemp("certificates")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    trustme.CA().cert_pem.write_to_path(str(folder / "stranger.pem"))
    client = authority.issue_cert("client@example.org")
    client.private_key_pem.write_to_path(str(folder / "client-key.pem"))
    client.cert_chain_pems[0].write_to_path(str(folder / "client.pem"))
    return folder


@contextmanager
def secured(folder: Path, certificate: trustme.LeafCert, **options: Any) -> Iterator[Server]:
    """The embedded server with both protocols over TLS."""
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(folder / "certificate.pem"))
    with Server(
        MODELS,
        model_control_mode="explicit",
        load_models=["simple"],
        certfile=folder / "certificate.pem",
        keyfile=folder / "key.pem",
        **options,
    ) as server:
        yield server


def trusts(protocol: str, ca: Path) -> list[str]:
    return ["--ssl", "--ca-certs" if protocol == "http" else "-r", str(ca)]


@pytest.mark.parametrize(
    ("certificate", "trusted"),
    [
        ({"identity": "127.0.0.1"}, True),
        ({"identity": "example.org"}, False),
        ({"identity": "127.0.0.1", "not_after": YESTERDAY}, False),
    ],
    ids=["right", "wrong name", "expired"],
)
def test_certificates(
    folder: Path, authority: trustme.CA, certificate: dict[str, Any], trusted: bool
) -> None:
    options = dict(certificate)
    issued = authority.issue_cert(options.pop("identity"), **options)
    with secured(folder, issued) as server:
        addresses = {"http": server.http_address, "grpc": server.grpc_address}
        for name in (*HTTP, *GRPC):
            protocol = "http" if "http" in name else "grpc"
            done = run(name, addresses[protocol], *trusts(protocol, folder / "ca.pem"))
            assert (done.returncode == 0) == trusted, (name, done.stderr)
            if not trusted:
                assert "ertificate" in done.stderr or "handshake" in done.stderr
            if protocol == "http":
                assert run(name, addresses["http"], "--ssl", "--insecure").returncode == 0


def test_authorities_that_are_not_known(folder: Path, authority: trustme.CA) -> None:
    with secured(folder, authority.issue_cert("127.0.0.1")) as server:
        addresses = {"http": server.http_address, "grpc": server.grpc_address}
        for name in (*HTTP, *GRPC):
            protocol = "http" if "http" in name else "grpc"
            for flags in (["--ssl"], trusts(protocol, folder / "stranger.pem")):
                done = run(name, addresses[protocol], *flags)
                assert done.returncode == 1
                assert "error: " in done.stderr
            assert run(name, addresses[protocol]).returncode == 1  # without TLS


def test_through_nginx(embedded: Any, folder: Path, authority: trustme.CA, tmp_path: Path) -> None:
    with proxies.nginx(tmp_path, embedded.http_address, authority) as addresses:
        for name in HTTP:
            done = run(name, addresses["tls"], *trusts("http", folder / "ca.pem"))
            assert done.returncode == 0, done.stderr
            assert run(name, addresses["tls"], "--ssl").returncode == 1


def test_clients_with_certificates_of_their_own(folder: Path, authority: trustme.CA) -> None:
    from tritonclient.server import GrpcOptions

    options = GrpcOptions(client_ca_file=folder / "ca.pem")
    with secured(folder, authority.issue_cert("127.0.0.1"), grpc=options) as server:
        own = ["-p", str(folder / "client-key.pem"), "-x", str(folder / "client.pem")]
        for name in GRPC:
            flags = trusts("grpc", folder / "ca.pem")
            assert run(name, server.grpc_address, *flags).returncode == 1
            done = run(name, server.grpc_address, *flags, *own)
            assert done.returncode == 0, done.stderr


# Compression


class Wire:
    """Passes on what a program and a server send each other, and keeps it."""

    def __init__(self, upstream: str) -> None:
        host, _, port = upstream.rpartition(":")
        self._upstream = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "{}:{}".format(*self._listener.getsockname())
        self.sent, self.received = bytearray(), bytearray()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Wire:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._upstream) as server:
            ways = {client: (server, self.sent), server: (client, self.received)}
            while True:
                for source in select.select(list(ways), [], [])[0]:
                    data = source.recv(1 << 16)
                    if not data:
                        return
                    target, kept = ways[source]
                    kept += data
                    target.sendall(data)


def body_of(message: bytes) -> tuple[bytes, bytes]:
    """Head and body of the first message with a coding."""
    start = message.index(b"ontent-Encoding") if b"ontent-Encoding" in message else 0
    head, _, rest = message[start:].partition(b"\r\n\r\n")
    return head, rest


@pytest.mark.parametrize(("coding", "bits"), [("gzip", 31), ("deflate", 15)])
@pytest.mark.parametrize("name", HTTP)
def test_http_compression(embedded: Any, name: str, coding: str, bits: int) -> None:
    with Wire(embedded.http_address) as wire:
        flags = ["--request-compression-algorithm", coding]
        flags += ["--response-compression-algorithm", coding]
        assert run(name, wire.address, *flags).returncode == 0
    for message, word in ((wire.sent, b'"inputs"'), (wire.received, b'"outputs"')):
        text = bytes(message).replace(b"content-encoding", b"Content-Encoding")
        head, body = body_of(text)
        assert f"ontent-Encoding: {coding}".encode() in head
        assert word in zlib.decompressobj(bits).decompress(body)


@pytest.mark.parametrize(("coding", "magic"), [("gzip", b"\x1f\x8b"), ("deflate", b"\x78")])
@pytest.mark.parametrize("name", GRPC)
def test_grpc_compression(embedded: Any, name: str, coding: str, magic: bytes) -> None:
    with Wire(embedded.grpc_address) as wire:
        assert run(name, wire.address, "-C", coding).returncode == 0
    sent = bytes(wire.sent)
    assert b"grpc-encoding" in sent
    start = sent.index(magic, sent.index(b"grpc-encoding"))
    # The flag and the length that precede the message.
    assert sent[start - 5] == 1
    size = int.from_bytes(sent[start - 4 : start], "big")
    content = zlib.decompress(sent[start : start + size], 31 if coding == "gzip" else 15)
    assert b"INPUT0" in content
