"""The C++ client over TLS and through proxies, and where hosts are dead and servers restart."""

from __future__ import annotations

import contextlib
import http.server
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.support import cpp_build
from tests.support.peers import http_proxies
from tritonclient.server import GrpcOptions, Server

MODELS = cpp_build.ROOT / "models"


@pytest.fixture(scope="module")
def built() -> Path:
    """The folder of the programs."""
    return cpp_build.built()


def test_dead_hosts_frozen_servers_and_restarts(built: Path) -> None:
    cpp_build.run(built / "tests" / "network_test", "--gtest_brief=1")


# Reverse proxies


@pytest.fixture(scope="module", params=["nginx", "haproxy"])
def proxy(request, embedded, authority, tmp_path_factory) -> Iterator[dict[str, str]]:
    """The addresses of a proxy's listeners, by what is special about them."""
    program = getattr(http_proxies, request.param)
    directory = tmp_path_factory.mktemp(request.param)
    with program(directory, embedded.http_address, authority) as addresses:
        yield addresses


def check_server(built: Path, protocol: str, address: str) -> None:
    name = f"TRITON_{protocol.upper()}"
    only = f"--gtest_filter=ServerTest/{protocol}.*"
    said = cpp_build.run(built / "tests" / "server_test", only, **{name: address})
    assert "[  PASSED  ] 5 tests." in said


def test_http_through_reverse_proxies(built: Path, proxy: dict[str, str]) -> None:
    ways = [proxy[name] for name in proxy if name not in ("tls", "small")]
    for address in (*ways, f"{proxy['plain']}/gateway"):
        check_server(built, "HTTP", address)


@pytest.mark.parametrize("program", ["nginx", "haproxy", "nghttpx"])
def test_grpc_through_reverse_proxies(
    built: Path, grpc_proxy: Callable[[str], tuple[str, Any]], program: str
) -> None:
    url, _ = grpc_proxy(f"{program} plain")
    check_server(built, "gRPC", url.partition("://")[2])


# TLS


def execute(program: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, *arguments],
        env={"GRPC_VERBOSITY": "NONE", **variables},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_http_over_tls(built: Path, proxy: dict[str, str], ca_file: str, tmp_path: Path) -> None:
    program = built / "examples" / "simple_http_infer_client"
    url = ("-u", f"https://{proxy['tls']}")
    trusting = ("--ca-certs", ca_file)
    for options in (trusting, ("--verify-peer", "0", "--verify-host", "0")):
        done = execute(program, *url, *options)
        assert done.returncode == 0, done.stderr
    stranger = tmp_path / "stranger.pem"
    trustme.CA().cert_pem.write_to_path(stranger)
    for options in ((), ("--ca-certs", str(stranger))):
        refused = execute(program, *url, *options)
        assert refused.returncode == 1
        assert "certificate" in refused.stderr
        assert url[1] in refused.stderr


@pytest.fixture(scope="module")
def certificates(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with key.pem and cert.pem of localhost, and those of a client."""
    folder = tmp_path_factory.mktemp("certificates")
    for name, who in (("", "localhost"), ("client-", "client@example.org")):
        issued = authority.issue_cert(who)
        issued.private_key_pem.write_to_path(folder / f"{name}key.pem")
        issued.cert_chain_pems[0].write_to_path(folder / f"{name}cert.pem")
    return folder


def test_http_with_a_clients_certificate(built: Path, certificates: Path, ca_file: str) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = b'{"error":"your certificate is fine"}'
            self.send_response(400)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ca_file)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")

    class TlsServer(http.server.ThreadingHTTPServer):
        def get_request(self) -> tuple[socket.socket, Any]:
            plain, address = super().get_request()
            plain.settimeout(60)
            return context.wrap_socket(plain, server_side=True), address

    with TlsServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            program = built / "examples" / "simple_http_infer_client"
            url = ("-u", f"https://localhost:{server.server_port}", "--ca-certs", ca_file)
            own = [str(certificates / f"client-{name}.pem") for name in ("cert", "key")]
            known = execute(program, *url, "--cert-file", own[0], "--key-file", own[1])
            unknown = execute(program, *url)
        finally:
            server.shutdown()
            thread.join()
    assert "your certificate is fine" in known.stderr
    assert unknown.stderr.startswith("error: ")
    assert "HTTP client failed" in unknown.stderr


def test_grpc_over_tls_on_both_sides(built: Path, certificates: Path, ca_file: str) -> None:
    options = GrpcOptions(
        certfile=certificates / "cert.pem",
        keyfile=certificates / "key.pem",
        client_ca_file=Path(ca_file),
    )
    program = built / "examples" / "simple_grpc_infer_client"
    with Server(MODELS, host="localhost", http_port=None, grpc=options) as server:
        own = [str(certificates / f"client-{name}.pem") for name in ("key", "cert")]
        trusting = ("-u", server.grpc_address, "--ssl", "--root-certificates", ca_file)
        known = execute(program, *trusting, "--private-key", own[0], "--certificate-chain", own[1])
        assert known.returncode == 0, known.stderr
        wrong = [trusting, ("-u", server.grpc_address), trusting[:3]]
        for flags in wrong:
            refused = execute(program, *flags, "-t", "60000000")
            assert refused.returncode == 1
            assert server.grpc_address in refused.stderr


# Forward proxies, which the environment names


@contextlib.contextmanager
def forward_proxy(upstream: str) -> Iterator[tuple[str, list[str]]]:
    """A proxy that always reaches one server: its address, and what it was asked for."""
    asked: list[str] = []

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def handle(client: socket.socket) -> None:
        host, _, port = upstream.rpartition(":")
        with client, socket.create_connection((host, int(port)), timeout=60) as server:
            client.settimeout(60)
            first = b""
            while b"\r\n\r\n" not in first and (data := client.recv(1 << 16)):
                first += data
            line = first.partition(b"\r\n")[0].decode("latin-1")
            asked.append(line)
            if line.startswith("CONNECT "):
                client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            else:
                server.sendall(first)
            back = threading.Thread(target=pump, args=(server, client))
            back.start()
            pump(client, server)
            back.join()

    def accept(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                thread = threading.Thread(target=handle, args=(listener.accept()[0],))
                threads.append(thread)
                thread.start()

    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=accept, args=(listener,))
        accepting.start()
        try:
            yield "http://{}:{}".format(*listener.getsockname()), asked
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for thread in threads:
                thread.join()


def test_forward_proxies(built: Path, embedded: Server) -> None:
    """The name of the host is the proxy's to resolve."""
    for protocol, upstream, wanted in (
        ("http", embedded.http_address, "POST http://model.example:8000/v2/models/simple/infer"),
        ("grpc", embedded.grpc_address, "CONNECT model.example:8000"),
    ):
        program = built / "examples" / f"simple_{protocol}_infer_client"
        with forward_proxy(upstream) as (url, asked):
            done = execute(program, "-u", "model.example:8000", http_proxy=url)
        assert done.returncode == 0, done.stderr
        assert asked[0].startswith(wanted)
        assert done.stdout.rstrip().endswith("PASS : Infer")
