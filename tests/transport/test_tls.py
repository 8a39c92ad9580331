"""TLS, unix sockets, IPv6 and base paths: the ways of reaching a server."""

from __future__ import annotations

import datetime
import json
import socket
import ssl
import threading

import numpy as np
import pytest
import trustme

from tests.support.certificates import encrypted
from tests.support.peers.echo import check, infer, over_http
from tests.support.peers.grpc_peers import GrpcServer, answer, greet, raw, read_call
from tests.support.peers.h2peer import goaway
from tests.support.peers.hostile_peers import (
    PATIENCE,
    AsyncRunner,
    Server,
    answer_all,
    both_runtimes,
    close,
    deadline_guard,
    http,
    read_body,
    read_head,
    read_request,
    send,
    stall,
    wait_for,
)
from tritonclient import TLS, ConnectionFailed, DeadlineExceeded, ProtocolError
from tritonclient.transport.alpn import announced

TOMORROW = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
YESTERDAY = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority, tmp_path_factory):
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def server_context(authority, *names, **options):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*(names or ("127.0.0.1",)), **options).configure_cert(context)
    return context


def secure(server):
    return server.url.replace("http:", "https:")


@pytest.fixture
def server(authority):
    with Server([answer_all(over_http)], tls=server_context(authority)) as server:
        yield server


@both_runtimes
def test_own_authority(server, runtime, ca_file):
    with runtime(secure(server), tls=TLS(ca_file=ca_file)) as client:
        for number in range(3):
            check(infer(client, number), number)
    assert server.connections == 1


@both_runtimes
def test_verified_by_default(server, runtime):
    with runtime(secure(server)) as client:
        with pytest.raises(ConnectionFailed, match="certificate verify failed") as caught:
            infer(client, 1)
        assert "TLS handshake" in str(caught.value)
        assert (caught.value.endpoint, caught.value.model) == (secure(server), "echo")
    assert not server.requests


@both_runtimes
def test_wrong_authority(server, runtime, tmp_path):
    path = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(path))
    with runtime(secure(server), tls=TLS(ca_file=str(path))) as client:
        with pytest.raises(ConnectionFailed, match="certificate verify failed"):
            infer(client, 1)


@both_runtimes
@pytest.mark.parametrize("times", [{"not_after": YESTERDAY}, {"not_before": TOMORROW}])
def test_out_of_its_time(authority, runtime, ca_file, times):
    context = server_context(authority, "127.0.0.1", **times)
    with Server([answer_all(over_http)], tls=context) as server:
        with runtime(secure(server), tls=TLS(ca_file=ca_file)) as client:
            with pytest.raises(ConnectionFailed, match=r"expired|not yet valid") as caught:
                infer(client, 1)
    assert "needs a new certificate, unless the clock" in caught.value.hint


@both_runtimes
def test_wrong_name(authority, runtime, ca_file):
    with Server([answer_all(over_http)], tls=server_context(authority, "triton.example")) as server:
        with runtime(secure(server), tls=TLS(ca_file=ca_file)) as client:
            with pytest.raises(ConnectionFailed, match=r"127\.0\.0\.1"):
                infer(client, 1)
        settings = TLS(ca_file=ca_file, server_name="triton.example")
        with runtime(secure(server), tls=settings) as client:
            check(infer(client, 1), 1)
        with runtime(secure(server), tls=TLS(ca_file=ca_file, server_name="other")) as client:
            with pytest.raises(ConnectionFailed, match="other"):
                infer(client, 1)


@both_runtimes
def test_expired(authority, runtime, ca_file):
    context = server_context(authority, not_after=YESTERDAY)
    with Server([answer_all(over_http)], tls=context) as server:
        with runtime(secure(server), tls=TLS(ca_file=ca_file)) as client:
            with pytest.raises(ConnectionFailed, match="expired"):
                infer(client, 1)


@both_runtimes
def test_unverified(server, runtime):
    with runtime(secure(server), tls=TLS(verify=False)) as client:
        check(infer(client, 1), 1)


@both_runtimes
def test_ready_context(server, runtime, ca_file):
    context = ssl.create_default_context(cafile=ca_file)
    with runtime(secure(server), tls=TLS(context=context)) as client:
        check(infer(client, 1), 1)


def context_for(ca_file, *protocols):
    context = ssl.create_default_context(cafile=ca_file)
    context.set_alpn_protocols(protocols)
    return context


@both_runtimes
def test_contexts_are_not_changed(authority, runtime, ca_file):
    """A server that prefers HTTP/2 goes on to answer an HTTP client in HTTP/1.1."""
    context = server_context(authority)
    context.set_alpn_protocols(["h2", "http/1.1"])
    shared = ssl.create_default_context(cafile=ca_file)
    with Server([answer_all(over_http)], tls=context) as server:
        with pytest.raises(ValueError, match=r"does not announce HTTP/2.*set_alpn_protocols"):
            runtime(f"grpcs://127.0.0.1:{server.port}", tls=shared)
        assert announced(shared, "a") == []
        with runtime(secure(server), tls=shared) as client:
            check(infer(client, 1), 1)
        with runtime(secure(server), tls=TLS(ca_file=ca_file)) as client:
            check(infer(client, 1), 1)


@both_runtimes
def test_context_for_the_other_protocol(runtime, ca_file):
    with pytest.raises(ValueError, match=r"announces h2.*another context"):
        runtime("https://127.0.0.1:1", tls=context_for(ca_file, "h2", "http/1.1"))
    with pytest.raises(ValueError, match="none for clients"):
        runtime("https://127.0.0.1:1", tls=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    with runtime("grpcs://127.0.0.1:1", tls=context_for(ca_file, "http/1.1", "h2")):
        pass


@pytest.mark.parametrize("protocols", [[], ["h2"], ["http/1.1", "h2"], ["x" * 255, "y"]])
def test_what_a_context_announces(protocols):
    context = ssl.create_default_context()
    context.set_alpn_protocols(protocols)
    for host in ("127.0.0.1", "a.example", "a" * 60):
        assert announced(context, host) == protocols


@both_runtimes
@pytest.mark.parametrize("scheme", ["http", "grpc"])
@pytest.mark.parametrize("tls", [True, TLS(), ssl.create_default_context()], ids=str)
def test_tls_on_a_clear_text_url(runtime, scheme, tls):
    with pytest.raises(ValueError, match=f"tls is given.* use {scheme}s://127.0.0.1:9"):
        runtime(f"{scheme}://127.0.0.1:9", tls=tls)
    with pytest.raises(ValueError, match=r"tls is given.* unix socket"):
        runtime("unix:/a" if scheme == "http" else "grpc+unix:/a", tls=tls)
    for none in (None, False):
        with runtime(f"{scheme}://127.0.0.1:9", tls=none):
            pass


@both_runtimes
def test_tls_as_true_or_a_context(server, runtime, ca_file):
    with runtime(secure(server), tls=ssl.create_default_context(cafile=ca_file)) as client:
        check(infer(client, 1), 1)
    with runtime(secure(server), tls=True) as client:
        with pytest.raises(ConnectionFailed, match="certificate verify failed"):
            infer(client, 1)
    with pytest.raises(ValueError, match="tls is False, but url"):
        runtime(secure(server), tls=False)
    with pytest.raises(TypeError, match="tls is str, expected TLS"):
        runtime(secure(server), tls="yes")


@pytest.fixture
def strict_server(authority):
    context = server_context(authority)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    with Server([answer_all(over_http)], tls=context) as server:
        yield server


@both_runtimes
def test_client_certificate(authority, strict_server, runtime, ca_file, tmp_path):
    own = authority.issue_cert("client@example.com")
    chain, key, both = (str(tmp_path / name) for name in ("cert.pem", "key.pem", "both.pem"))
    own.cert_chain_pems[0].write_to_path(chain)
    own.private_key_pem.write_to_path(key)
    own.private_key_and_cert_chain_pem.write_to_path(both)
    for settings in (
        TLS(ca_file=ca_file, cert_file=chain, key_file=key),
        TLS(ca_file=ca_file, cert_file=both),
    ):
        with runtime(secure(strict_server), tls=settings) as client:
            check(infer(client, 1), 1)


@both_runtimes
def test_client_certificate_missing(strict_server, runtime, ca_file):
    with runtime(secure(strict_server), tls=TLS(ca_file=ca_file)) as client:
        with deadline_guard(), pytest.raises(ConnectionFailed) as caught:
            infer(client, 1)
    assert not strict_server.requests
    if "alert" in caught.value.message():  # a reset may overtake it
        assert "tls=TLS(cert_file=..., key_file=...)" in caught.value.hint


@both_runtimes
def test_settings_that_make_no_sense(runtime, tmp_path):
    with pytest.raises(FileNotFoundError):
        runtime("https://127.0.0.1:1", tls=TLS(ca_file=str(tmp_path / "none.pem")))
    key = tmp_path / "key.pem"
    key.touch()
    with pytest.raises(ValueError, match="key_file but no cert_file"):
        runtime("https://127.0.0.1:1", tls=TLS(key_file=str(key)))
    with pytest.raises(ValueError, match="context and ca_file"):
        TLS(ca_file="unused", context=ssl.create_default_context())


@both_runtimes
def test_large_tensors(server, runtime, ca_file):
    tensor = np.arange(3 << 20, dtype=np.int64)
    with runtime(secure(server), tls=TLS(ca_file=ca_file), timeout=PATIENCE) as client:
        for _ in range(2):
            result = client.infer("echo", {"IN": tensor})
            assert (result["OUT"] == tensor).all()
    assert server.connections == 1


@both_runtimes
def test_handshake_that_stalls(runtime):
    with Server([stall], [stall]) as server, runtime(secure(server)) as client:
        with deadline_guard(), pytest.raises(DeadlineExceeded) as caught:
            client.infer("m", {"IN": [1]}, timeout=0.1)
        assert caught.value.model == "m"
        assert server.peers[0].gone.wait(PATIENCE)


@both_runtimes
@pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
def test_server_without_tls(runtime, greeting):
    with Server([send(greeting)]) as server, runtime(secure(server)) as client:
        with deadline_guard(), pytest.raises(ConnectionFailed):
            infer(client, 1)


@both_runtimes
def test_client_without_tls(server, runtime):
    with runtime(server.url) as client, deadline_guard(), pytest.raises(ConnectionFailed):
        infer(client, 1)


@both_runtimes
def test_idle_connection_closed(authority, runtime, ca_file):
    go, done = threading.Event(), threading.Event()

    def answer_once(peer):
        peer.sock.sendall(over_http(*peer.read_request()))

    def hang_up(peer):
        peer.sock.close()
        done.set()

    script = [answer_once, wait_for(go), hang_up]
    with Server(script, [answer_all(over_http)], tls=server_context(authority)) as server:
        with runtime(secure(server), tls=TLS(ca_file=ca_file)) as client:
            check(infer(client, 1), 1)
            go.set()
            assert done.wait(PATIENCE)
            check(infer(client, 2), 2)
        assert server.connections == 2


@both_runtimes
def test_answer_decrypted_while_sending(authority, runtime, ca_file):
    """An early answer whose last bytes TLS holds back, when nothing more comes from the network."""
    size = 16384 + 10 - len(http(b"x" * 16384))  # so that the second part is one full record
    name = "m" * (16384 + size - len('{"model_name":""}'))
    answer = http(b'{"model_name":"%s"}' % name.encode())
    first, second = answer[:10], answer[10:]
    assert len(second) == 16384  # 10 bytes more than what room is then left for
    script = [read_head, send(first), send(second), read_body, stall]
    big = {"IN": np.zeros(8 << 20, np.uint8)}
    with Server(script, tls=server_context(authority)) as server:
        with runtime(secure(server), tls=TLS(ca_file=ca_file), timeout=PATIENCE / 2) as client:
            assert client.infer("m", big).model_name == name


#: What asyncio decrypts at once, and more than an engine takes at once.
LARGE = 200_000


@both_runtimes
def test_connection_closed_behind_a_large_answer(authority, runtime, ca_file):
    """All of it was received by then, and nothing is lost on the way through the event loop."""
    names = json.dumps({"name": "x", "version": "1", "extensions": ["y" * 100] * (LARGE // 100)})
    pieces = [names[start : start + 50] for start in range(0, len(names), 50)]
    chunks = "".join(f"{len(piece):x}\r\n{piece}\r\n" for piece in pieces)
    head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    script = [read_request, send(f"{head}{chunks}0\r\n\r\n".encode()), close]
    with Server(script, tls=server_context(authority)) as server:
        with runtime(secure(server), tls=TLS(ca_file=ca_file)) as client:
            for _ in range(5):
                assert len(client.server_metadata().extensions) == LARGE // 100


@both_runtimes
def test_connection_closed_behind_a_large_answer_over_grpc(authority, runtime, ca_file):
    context = server_context(authority)
    context.set_alpn_protocols(["h2"])
    array = np.arange(LARGE // 8)

    def hang_up(peer):
        peer.sock.shutdown(socket.SHUT_WR)
        peer.wait_until_gone()  # a close would be a reset, since the client goes on sending

    script = [greet, read_call, raw(goaway(1)), answer(), hang_up]
    with GrpcServer(script, tls=context) as server:
        with runtime(server.url.replace("grpc:", "grpcs:"), tls=TLS(ca_file=ca_file)) as client:
            for _ in range(5):
                assert (client.infer("echo", {"IN": array})["OUT"] == array).all()


# Other ways


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no unix sockets here")
@both_runtimes
@pytest.mark.parametrize("scheme", ["unix:", "http+unix:"])
def test_unix_socket(runtime, scheme, tmp_path):
    path = str(tmp_path / "a socket")
    with Server([answer_all(over_http)], family=socket.AF_UNIX, address=path) as server:
        with runtime(scheme + path.replace(" ", "%20")) as client:
            for number in range(3):
                check(infer(client, number), number)
        assert server.connections == 1
        assert b"\r\nHost: localhost\r\n" in server.requests[0][1]
    with runtime(f"unix:{tmp_path}/none") as client:
        with pytest.raises(ConnectionFailed, match="can't connect"):
            infer(client, 1)


def _has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6")
@both_runtimes
def test_ipv6(runtime):
    with Server([answer_all(over_http)], family=socket.AF_INET6, address=("::1", 0)) as server:
        with runtime(f"http://[::1]:{server.port}") as client:
            check(infer(client, 1), 1)
        assert f"\r\nHost: [::1]:{server.port}\r\n".encode() in server.requests[0][1]


@both_runtimes
def test_name_with_several_addresses(runtime):
    """Where localhost is also ::1, at which nobody listens, 127.0.0.1 is tried as well."""
    with Server([answer_all(over_http)]) as server:
        with runtime(f"http://localhost:{server.port}") as client:
            check(infer(client, 1), 1)


@both_runtimes
def test_base_path(runtime):
    ready = http(b"")
    with Server([read_request, send(ready), answer_all(ready)]) as server:
        for base in ("/gateway/triton", "/gateway/triton/"):
            with runtime(server.url + base) as client:
                assert client.is_server_ready()
        for _, head, _ in server.requests:
            assert head.startswith(b"GET /gateway/triton/v2/health/ready HTTP/1.1\r\n")


def responses(client):
    """Ask for a stream on either runtime."""
    inputs = {"INPUT0": np.zeros((1, 16), np.int32), "INPUT1": np.zeros((1, 16), np.int32)}
    if not isinstance(client, AsyncRunner):
        return list(client.client.stream("simple", inputs))

    async def collect():
        return [response async for response in client.client.stream("simple", inputs)]

    return client.loop.run_until_complete(collect())


@both_runtimes
def test_the_port_of_another_protocol(embedded, runtime):
    grpc_at_http = embedded.http_url.replace("http:", "grpc:")
    http_at_grpc = embedded.grpc_url.replace("grpc:", "http:")
    for _ in range(5):  # whether sending or receiving fails first is a matter of luck
        with runtime(grpc_at_http) as client:
            with pytest.raises(ProtocolError, match="HTTP/1; is this its port for HTTP"):
                client.server_metadata()
            with pytest.raises(ProtocolError, match="HTTP/1; is this its port for HTTP"):
                responses(client)
        with runtime(http_at_grpc) as client:
            with pytest.raises(ProtocolError, match="HTTP/2; is this its port for gRPC"):
                client.server_metadata()


@both_runtimes
@pytest.mark.parametrize("scheme", ["https", "grpcs"])
def test_a_port_without_tls(embedded, runtime, scheme):
    url = embedded.http_url if scheme == "https" else embedded.grpc_url
    with runtime(f"{scheme}{url[4:]}") as client:
        with pytest.raises(ConnectionFailed, match=r"TLS handshake .* is this a port without TLS"):
            client.server_metadata()


@pytest.mark.parametrize("name", ["ca_file", "cert_file"])
def test_the_file_that_is_not_right_is_named(tmp_path, name):
    path = tmp_path / "note.pem"
    path.write_text("no certificate")
    with pytest.raises(ssl.SSLError, match=f"{name} '{path}' of TLS is not right: "):
        TLS(**{name: str(path)}).make_context()


def test_what_a_client_certificate_lacks(tmp_path, authority):
    """The error says what is expected; nothing waits at the terminal for a password."""
    issued = authority.issue_cert("localhost")
    text, cert, key, other, locked = (tmp_path / f"{n}.pem" for n in range(5))
    text.write_text("no certificate")
    cert.write_bytes(issued.cert_chain_pems[0].bytes())
    key.write_bytes(issued.private_key_pem.bytes())
    other.write_bytes(authority.issue_cert("localhost").private_key_pem.bytes())
    locked.write_bytes(encrypted(key.read_bytes(), b"secret"))
    for given, words in (
        ({"ca_file": text}, "expected PEM certificates, which begin with -----BEGIN CERT"),
        ({"cert_file": key}, "expected PEM certificates"),
        ({"cert_file": cert}, "expected also a PEM key, which begins with -----BEGIN PRIVATE KEY"),
        ({"cert_file": cert, "key_file": other}, "the key is not the one of this certificate"),
        ({"cert_file": cert, "key_file": locked}, "is encrypted, and its password is missing"),
        ({"cert_file": cert, "key_file": locked, "key_password": "x"}, "missing or wrong"),
    ):
        settings = {k: v if k == "key_password" else str(v) for k, v in given.items()}
        with pytest.raises(ssl.SSLError, match=f"of TLS is not right: .*{words}"):
            TLS(**settings).make_context()
    TLS(cert_file=str(cert), key_file=str(locked), key_password="secret").make_context()


@both_runtimes
@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_port_with_tls(runtime, scheme):
    alert = [send(b"\x15\x03\x01\x00\x02\x02\x46")]
    with Server(alert) as server, runtime(f"{scheme}://127.0.0.1:{server.port}") as client:
        with pytest.raises(ProtocolError, match=f"answers with TLS; expected .* {scheme}s://"):
            client.server_metadata()
