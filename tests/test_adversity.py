"""What servers, proxies and networks do wrong: one error each, no hang, and life goes on."""

from __future__ import annotations

import asyncio
import errno
import gc
import json
import os
import signal
import socket
import threading

import numpy as np
import pytest

from tests import recordings
from tests.adversity import (
    PATIENCE,
    Proxy,
    Server,
    answer_all,
    both_runtimes,
    close,
    http,
    ignore,
    no_hang,
    read_body,
    read_head,
    read_request,
    reset,
    send,
    send_split,
    signal_to,
    stall,
    wait_for,
)
from tests.waiting import eventually
from tritonclient import (
    AsyncClient,
    Client,
    ConnectionFailed,
    ConnectionRefused,
    DeadlineExceeded,
    InferenceServerException,
    Internal,
    ProtocolError,
    ResourceExhausted,
    ServerError,
    Unavailable,
)
from tritonclient.engine import http1

REAL = next(e.response for e in recordings.load("infer") if e.name == "binary to binary")
RECORDED_BODY = recordings.parse_head(REAL)[2]
INPUTS = {
    "INPUT0": np.arange(16, dtype=np.int32)[None],
    "INPUT1": np.ones((1, 16), np.int32),
}
SUM = INPUTS["INPUT0"] + 1
BIG = {"INPUT0": np.zeros(32 << 20, np.uint8)}
READY = http(b"")
HTML = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


def infer(client, **options):
    return client.infer("simple", INPUTS, id="7", **options)


def check(result):
    assert (result["OUTPUT0"] == SUM).all()


@pytest.fixture(scope="module")
def upstream():
    with Server([answer_all(REAL)]) as server:
        yield server


# Harm at every byte


@both_runtimes
@pytest.mark.parametrize("harm", ["truncate", "reset"])
def test_cut_at_every_byte(upstream, runtime, harm):
    with Proxy(upstream.address) as proxy, runtime(proxy.url, timeout=PATIENCE) as client:
        for offset in range(len(REAL)):
            proxy.harm = harm, offset
            with pytest.raises(ConnectionFailed) as caught:
                infer(client)
            error = caught.value
            assert (error.endpoint, error.model, error.request_id) == (proxy.url, "simple", "7")
            assert proxy.connections == offset + 1  # each on a connection of its own
        proxy.harm = None
        check(infer(client))


@both_runtimes
def test_split_at_every_byte(upstream, runtime):
    with Proxy(upstream.address) as proxy, runtime(proxy.url, timeout=PATIENCE) as client:
        for offset in range(len(REAL)):
            proxy.harm = "split", offset
            check(infer(client))
            proxy.peers[-1].sock.shutdown(socket.SHUT_RDWR)  # the next begins at byte 0 again


@both_runtimes
def test_every_byte_apart(runtime):
    with Server([read_request, send_split(REAL), read_request, send_split(REAL)]) as server:
        with runtime(server.url) as client:
            check(infer(client))
            check(infer(client))
        assert server.connections == 1


@both_runtimes
@pytest.mark.parametrize("offset", [0, 1, 30, REAL.index(b"\r\n\r\n") + 4, len(REAL) - 1])
def test_stall(upstream, runtime, offset):
    with Proxy(upstream.address, ("stall", offset)) as proxy, runtime(proxy.url) as client:
        with no_hang(), pytest.raises(DeadlineExceeded) as caught:
            infer(client, timeout=0.05)
        assert (caught.value.endpoint, caught.value.model) == (proxy.url, "simple")
        assert proxy.peers[0].gone.wait(PATIENCE)  # the connection was closed
        proxy.harm = None
        check(infer(client))


# Answers that are none


def _describe(size: object, shape: object = (1, 16), **more: object) -> bytes:
    tensor = {"name": "OUTPUT0", "datatype": "INT32", "shape": shape, **more}
    tensor["parameters"] = {"binary_data_size": size}
    return json.dumps({"outputs": [tensor]}).encode()


def _binary(head: bytes, data: bytes, length: object = None) -> bytes:
    length = len(head) if length is None else length
    return http(head + data, f"Inference-Header-Content-Length: {length}")


GARBAGE = {
    "no http": b"220 mail.example.com ESMTP\r\n",
    "http/2": b"\x00\x00\x12\x04\x00\x00\x00\x00\x00",
    "tls": b"\x15\x03\x01\x00\x02\x02\x28",
    "nothing but line ends": b"\r\n\r\n\r\n\r\n",
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "broken header": b"HTTP/1.1 200 OK\r\nnot a header\r\n\r\n",
    "space before colon": b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
    "folded header": b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n",
    "endless head": b"HTTP/1.1 200 OK\r\nA: " + b"a" * (http1.MAX_HEAD_SIZE + 20000),
    "negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "huge length": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999\r\n\r\n",
    "longer length": b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999999999999\r\n\r\n",
    "broken chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "lying chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n",
    "unknown transfer coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n{}",
    "unknown content coding": http(b"{}", "Content-Encoding: br"),
    "broken gzip": http(b"{}", "Content-Encoding: gzip"),
    "switched protocols": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "endless interim": b"HTTP/1.1 100 Continue\r\n\r\n" * 1000,
    "no body": http(b""),
    "no json": http(b"{"),
    "not utf-8": http(b"\xff{}"),
    "html": http(HTML, "Content-Type: text/html"),
    "deep json": http(b"[" * 100000),
    "another json": http(b"[]"),
    "outputs of a wrong kind": http(b'{"outputs": 1}'),
    "head length beyond body": _binary(b"{}", b"", 3),
    "negative head length": _binary(b"{}", b"", -1),
    "head length in words": _binary(b"{}", b"", "two"),
    "head cut short": _binary(_describe(64), b"\0" * 64, 10),
    "size beyond body": _binary(_describe(64), b"\0" * 63),
    "size below body": _binary(_describe(64), b"\0" * 65),
    "size against shape": _binary(_describe(60), b"\0" * 60),
    "negative size": _binary(_describe(-64), b"\0" * 64),
    "size in words": _binary(_describe("64"), b"\0" * 64),
    "negative shape": _binary(_describe(64, [-1, 16]), b"\0" * 64),
    "overflowing shape": _binary(_describe(64, [1 << 32, 1 << 32]), b"\0" * 64),
    "huge shape": _binary(_describe(64, [1 << 62] * 60), b"\0" * 64),
    "unknown datatype": _binary(_describe(64, datatype="INT33"), b"\0" * 64),
}


@both_runtimes
@pytest.mark.parametrize("answer", GARBAGE.values(), ids=GARBAGE)
def test_garbage(runtime, answer):
    with Server([read_request, send(answer), stall], [answer_all(REAL)]) as server:
        with runtime(server.url) as client:
            with no_hang(), pytest.raises(ProtocolError) as caught:
                infer(client)
            error = caught.value
            assert (error.endpoint, error.model, error.request_id) == (server.url, "simple", "7")
            assert error.message()
            assert len(str(error)) < 1000
            check(infer(client))
            assert server.peers[0].gone.wait(PATIENCE)
        assert server.asked_on == [0, 1]


@both_runtimes
@pytest.mark.parametrize("size", [1, 15, 17, 100])
def test_lying_length(runtime, size):
    """A body shorter or longer than its Content-Length, on a connection that stays open."""
    body = RECORDED_BODY
    told = len(body) + (size if size % 2 else -size)
    answer = REAL.replace(b"Content-Length: %d" % len(body), b"Content-Length: %d" % told)
    assert answer != REAL
    with Server([read_request, send(answer), stall], [answer_all(REAL)]) as server:
        with runtime(server.url) as client:
            with no_hang(), pytest.raises((DeadlineExceeded, ProtocolError)):
                infer(client, timeout=0.1)
            check(infer(client))


@both_runtimes
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("502 Bad Gateway", Unavailable),
        ("503 Service Unavailable", Unavailable),
        ("500 Internal Server Error", Internal),
        ("302 Found", ServerError),
        ("418 I'm a teapot", ServerError),
        ("504 Gateway Timeout", DeadlineExceeded),
    ],
)
def test_html_error_page(runtime, status, kind):
    page = http(HTML, "Content-Type: text/html", status=status)
    with Server([read_request, send(page), stall], [answer_all(REAL)]) as server:
        with runtime(server.url) as client:
            with pytest.raises(kind, match="502 Bad Gateway") as caught:
                infer(client)
            assert caught.value.status() == status[:3]
            assert (caught.value.endpoint, caught.value.model) == (server.url, "simple")
            check(infer(client))
        assert server.asked_on == [0, 1]


@both_runtimes
def test_error_keeps_connection(runtime):
    refusal = http(b'{"error":"no such thing"}', status="400 Bad Request")
    with Server([read_request, send(refusal), answer_all(REAL)]) as server:
        with runtime(server.url) as client:
            with pytest.raises(ServerError, match="no such thing"):
                infer(client)
            check(infer(client))
        assert server.connections == 1


@both_runtimes
def test_garbage_behind_answer(runtime):
    with Server([read_request, send(REAL + b"HTTP/1.1 200 OK\r\n"), stall]) as server:
        with runtime(server.url) as client:
            check(infer(client))
            server.peers[0].gone.wait(PATIENCE)
        assert server.connections == 1


@both_runtimes
def test_late_garbage_is_no_answer(runtime):
    """What arrives on an idle connection does not answer the next request."""
    poison = http(b'{"model_name":"poison"}')
    late = threading.Event()
    sent = threading.Event()
    script = [read_request, send(REAL), wait_for(late), send(poison), signal_to(sent), stall]
    with Server(script, [answer_all(REAL)]) as server, runtime(server.url) as client:
        check(infer(client))
        late.set()
        assert sent.wait(PATIENCE)
        check(infer(client))
        assert server.connections == 2


# Early answers


@both_runtimes
@pytest.mark.parametrize("after", [read_body, ignore, close, reset])
def test_early_answer(runtime, after):
    """The server refuses a large request while it is still being sent."""
    refusal = http(b'{"error":"too large"}', status="413 Payload Too Large")
    first = [read_head, send(refusal), after]
    if after is read_body:
        first.append(answer_all(REAL))  # the same connection may go on, when all of it was sent
    with Server(first, [answer_all(REAL)]) as server, runtime(server.url) as client:
        with no_hang(), pytest.raises(ResourceExhausted, match="too large"):
            client.infer("simple", BIG)
        check(infer(client))
        assert server.connections == 2 or after is read_body


@both_runtimes
@pytest.mark.parametrize("size", [100 << 10, 200 << 10, 300 << 10, 5 << 20])
def test_answered_before_all_was_sent(runtime, size):
    """A connection on which a request was left unfinished is not used again."""
    refusal = http(b'{"error":"too large"}', status="413 Payload Too Large")

    def narrow(peer):
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

    body = {"INPUT0": np.zeros(size, np.uint8)}
    with Server([narrow, read_head, send(refusal), ignore], [answer_all(REAL)]) as server:
        with runtime(server.url, timeout=PATIENCE / 2) as client:
            with no_hang(), pytest.raises(ResourceExhausted):
                client.infer("simple", body)
            if size >= 5 << 20:  # more than the kernel's buffers hold
                check(infer(client))
                assert server.connections == 2


@both_runtimes
def test_reset_while_sending(runtime):
    with Server([read_head, reset], [answer_all(REAL)]) as server, runtime(server.url) as client:
        with no_hang(), pytest.raises(ConnectionFailed):
            client.infer("simple", BIG)
        check(infer(client))


@both_runtimes
def test_server_that_does_not_read(runtime):
    with Server([ignore], [answer_all(REAL)]) as server, runtime(server.url) as client:
        with no_hang(), pytest.raises(DeadlineExceeded):
            client.infer("simple", BIG, timeout=0.1)
        check(infer(client))


@both_runtimes
def test_large_both_ways(runtime):
    """Server and client both send more than buffers hold; neither waits for the other."""
    tensor = np.arange(4 << 20, dtype=np.int32)

    def echo(head, body):
        length = int(
            recordings.parse_head(head + b"\r\n\r\n")[1]["inference-header-content-length"]
        )
        answer = {
            "outputs": [
                {
                    "name": "OUT",
                    "datatype": "INT32",
                    "shape": [tensor.size],
                    "parameters": {"binary_data_size": tensor.nbytes},
                }
            ]
        }
        return _binary(json.dumps(answer).encode(), body[length:])

    with Server([answer_all(echo)]) as server, runtime(server.url) as client:
        result = client.infer("m", {"IN": tensor})
        assert (result["OUT"] == tensor).all()
        assert result["OUT"].flags.writeable


# Connections that went idle


@both_runtimes
@pytest.mark.parametrize("end", [close, reset])
def test_idle_connection_closed(runtime, end):
    """The server has hung up between two calls: even an inference, never sent twice, works."""
    go, done = threading.Event(), threading.Event()
    script = [read_request, send(REAL), wait_for(go), end, signal_to(done)]
    with Server(script, [answer_all(REAL)]) as server, runtime(server.url) as client:
        check(infer(client))
        go.set()
        assert done.wait(PATIENCE)
        check(infer(client))
        assert server.asked_on == [0, 1]


@both_runtimes
@pytest.mark.parametrize("end", [close, reset])
def test_get_that_raced_is_repeated(runtime, end):
    script = [read_request, send(READY), read_request, end]
    with Server(script, [answer_all(READY)]) as server, runtime(server.url) as client:
        assert client.ask(_ready()) is True
        assert client.ask(_ready()) is True
        assert server.asked_on == [0, 0, 1]


def _ready():
    from tritonclient.messages import IsServerReady

    return IsServerReady()


@both_runtimes
@pytest.mark.parametrize("end", [close, reset])
def test_infer_that_raced_is_not_repeated(runtime, end):
    script = [read_request, send(REAL), read_request, end]
    with Server(script, [answer_all(REAL)]) as server, runtime(server.url) as client:
        check(infer(client))
        with pytest.raises(ConnectionFailed):
            infer(client)
        assert server.asked_on == [0, 0]
        check(infer(client))


@both_runtimes
def test_get_is_repeated_once_only(runtime):
    script = [read_request, send(READY), read_request, close]
    with Server(script, [read_request, close]) as server, runtime(server.url) as client:
        assert client.ask(_ready()) is True
        with pytest.raises(ConnectionFailed):
            client.ask(_ready())
        assert len(server.requests) == 3


@both_runtimes
def test_get_on_new_connection_is_not_repeated(runtime):
    with Server([read_request, close]) as server, runtime(server.url) as client:
        with pytest.raises(ConnectionFailed):
            client.server_metadata()
        assert len(server.requests) == 1


@both_runtimes
@pytest.mark.parametrize("answer", [b"HTTP/1.0 200 OK\r\n\r\n", http(b"", "Connection: close")])
def test_connection_that_ends_with_the_answer(runtime, answer):
    with Server([read_request, send(answer)]) as server, runtime(server.url) as client:
        for _ in range(3):
            assert client.is_server_ready()
        assert server.connections == 3


# Reaching the server


@both_runtimes
def test_nobody_listens(runtime, unused_url):
    with runtime(unused_url) as client:
        with pytest.raises(ConnectionRefused, match="can't connect") as caught:
            infer(client)
        assert isinstance(caught.value, ConnectionFailed)
        assert (caught.value.endpoint, caught.value.model) == (unused_url, "simple")
        assert client.is_server_live() is False


@pytest.fixture
def unused_url():
    # Bound and not listening: refuses, and nobody else can get the port.
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"


@pytest.fixture
def unreachable_url():
    """A listener whose queue is full, so that connecting takes for ever."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = []
        try:
            for _ in range(10):
                sock = socket.socket()
                waiting.append(sock)
                sock.settimeout(0.2)
                try:
                    sock.connect(listener.getsockname())
                except TimeoutError:
                    break
            else:
                pytest.skip("this system does not let connections wait")
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            for sock in waiting:
                sock.close()


@both_runtimes
def test_connecting_takes_too_long(runtime, unreachable_url):
    with runtime(unreachable_url, timeout=0.1) as client:
        with no_hang(), pytest.raises(DeadlineExceeded) as caught:
            infer(client)
        assert (caught.value.endpoint, caught.value.model) == (unreachable_url, "simple")


@both_runtimes
@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".com", "nowhere.invalid"])
def test_name_that_is_no_host(runtime, host):
    with runtime(f"http://{host}:1") as client, pytest.raises(ConnectionFailed, match="connect"):
        infer(client)


# Interruptions


def test_cancelling_a_task_closes_its_connection():
    begun = threading.Event()

    async def main(server):
        loop = asyncio.get_running_loop()
        async with AsyncClient(server.url, max_connections=1) as client:
            task = asyncio.create_task(client.infer("simple", INPUTS))
            assert await loop.run_in_executor(None, begun.wait, PATIENCE)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await loop.run_in_executor(None, server.peers[0].gone.wait, PATIENCE)
            check(await client.infer("simple", INPUTS))

    with Server([read_request, signal_to(begun), stall], [answer_all(REAL)]) as server:
        asyncio.run(main(server))
        assert server.connections == 2


def test_cancelling_while_sending():
    begun = threading.Event()

    async def main(server):
        loop = asyncio.get_running_loop()
        async with AsyncClient(server.url, max_connections=1) as client:
            task = asyncio.create_task(client.infer("simple", BIG))
            assert await loop.run_in_executor(None, begun.wait, PATIENCE)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            check(await client.infer("simple", INPUTS))

    with Server([read_head, signal_to(begun), ignore], [answer_all(REAL)]) as server:
        asyncio.run(main(server))


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signals to threads here")
@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("inputs", [INPUTS, BIG], ids=["receiving", "sending"])
def test_ctrl_c(inputs):
    main = threading.main_thread().ident

    def interrupt(peer):
        signal.pthread_kill(main, signal.SIGINT)

    script = [read_head, interrupt, ignore] if inputs is BIG else [read_request, interrupt, stall]
    with Server(script, [answer_all(REAL)]) as server:
        with Client(server.url, max_connections=1, timeout=PATIENCE) as client:
            with pytest.raises(KeyboardInterrupt):
                client.infer("simple", inputs)
            check(infer(client))
        assert server.connections == 2


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no /proc here")
@both_runtimes
def test_failures_leak_no_descriptors(upstream, runtime):
    gc.collect()
    before = _descriptors()
    with Proxy(upstream.address) as proxy, runtime(proxy.url, timeout=PATIENCE) as client:
        for harm in (("truncate", 0), ("reset", 9), ("truncate", len(REAL) - 1), None) * 3:
            proxy.harm = harm
            try:
                infer(client)
            except InferenceServerException:
                assert harm is not None
    gc.collect()
    # The shared upstream notices later that the proxy's connections are gone.
    for peer in upstream.peers:
        assert peer.gone.wait(PATIENCE)
    eventually(lambda: _descriptors() <= before, 5)


@both_runtimes
def test_forty_runs_of_garbage_leave_a_working_client(runtime):
    bad = [[read_request, send(answer), close] for answer in list(GARBAGE.values())[:40]]
    with Server(*bad, [answer_all(REAL)]) as server:
        with runtime(server.url, max_connections=1, timeout=PATIENCE) as client:
            for _ in bad:
                with pytest.raises((ProtocolError, ConnectionFailed)):
                    infer(client)
            check(infer(client))


def test_timeout_of_the_network_is_no_deadline(monkeypatch):
    """When the system gives up connecting, before any deadline of ours, that is what is said."""

    async def main():
        async def give_up(*arguments, **options):
            raise TimeoutError(errno.ETIMEDOUT, "Connection timed out")

        monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", give_up)
        async with AsyncClient("http://127.0.0.1:1") as client:
            with pytest.raises(ConnectionFailed, match=r"can't connect.*timed out"):
                await client.infer("simple", INPUTS)

    asyncio.run(main())
