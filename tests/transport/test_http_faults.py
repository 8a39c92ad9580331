"""Faults of HTTP servers and proxies: each gives one error, no hang, and a usable client."""

from __future__ import annotations

import asyncio
import json
import socket
import threading

import numpy as np
import pytest

from tests.data import recordings
from tests.support.peers.hostile_peers import (
    PATIENCE,
    Server,
    answer_all,
    both_runtimes,
    close,
    deadline_guard,
    http,
    ignore,
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
from tests.support.peers.protocols import INPUTS
from tests.support.peers.protocols import check_simple as check
from tests.support.peers.protocols import infer_simple as infer
from tritonclient import (
    AsyncClient,
    ConnectionFailed,
    DeadlineExceeded,
    Internal,
    ProtocolError,
    ResourceExhausted,
    ServerError,
    Unavailable,
)
from tritonclient.engine import http1

REAL = next(e.response for e in recordings.load("infer") if e.name == "binary to binary")
RECORDED_BODY = recordings.parse_head(REAL)[2]
BIG = {"INPUT0": np.zeros(32 << 20, np.uint8)}
HTML = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


# Answers in strange pieces


@both_runtimes
def test_every_byte_apart(runtime):
    with Server([read_request, send_split(REAL), read_request, send_split(REAL)]) as server:
        with runtime(server.url) as client:
            check(infer(client))
            check(infer(client))
        assert server.connections == 1


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
            with deadline_guard(), pytest.raises(ProtocolError) as caught:
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
            with deadline_guard(), pytest.raises((DeadlineExceeded, ProtocolError)):
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
        # One that fails may lack an extension: it is asked which it has.
        assert server.asked_on == ([0, 1, 2] if kind is Internal else [0, 1])


@both_runtimes
def test_garbage_behind_answer(runtime):
    with Server([read_request, send(REAL + b"HTTP/1.1 200 OK\r\n"), stall]) as server:
        with runtime(server.url) as client:
            check(infer(client))
            server.peers[0].gone.wait(PATIENCE)
        assert server.connections == 1


@both_runtimes
def test_late_garbage_is_no_answer(runtime):
    """Data on an idle connection is not taken as the next response."""
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
        with deadline_guard(), pytest.raises(ResourceExhausted, match="too large"):
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
            with deadline_guard(), pytest.raises(ResourceExhausted):
                client.infer("simple", body)
            if size >= 5 << 20:  # more than the kernel's buffers hold
                check(infer(client))
                assert server.connections == 2


# Ends of connections


@both_runtimes
@pytest.mark.parametrize("answer", [b"HTTP/1.0 200 OK\r\n\r\n", http(b"", "Connection: close")])
def test_connection_that_ends_with_the_answer(runtime, answer):
    with Server([read_request, send(answer)]) as server, runtime(server.url) as client:
        for _ in range(3):
            assert client.is_server_ready()
        assert server.connections == 3


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


@both_runtimes
def test_forty_runs_of_garbage_leave_a_working_client(runtime):
    bad = [[read_request, send(answer), close] for answer in list(GARBAGE.values())[:40]]
    with Server(*bad, [answer_all(REAL)]) as server:
        with runtime(server.url, max_connections=1, timeout=PATIENCE) as client:
            for _ in bad:
                with pytest.raises((ProtocolError, ConnectionFailed)):
                    infer(client)
            check(infer(client))
