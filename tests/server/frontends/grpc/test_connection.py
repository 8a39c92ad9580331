"""Connections of clients that are slow, hostile, or gone: each phase ends, and nothing is left."""

from __future__ import annotations

import gc
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trustme

from tests.server.frontends.grpc.raw import (
    CANCEL,
    INFER,
    READY,
    STREAM_INFER,
    WATCH,
    RawClient,
    infer_message,
    nothing_left,
    serves,
)
from tests.support.peers.h2client import OPENING, PREFACE, head, without
from tests.support.peers.h2peer import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    PING,
    RST_STREAM,
    data,
    frame,
    message,
    reset,
    settings,
    window_update,
)
from tests.support.waiting import eventually
from tritonclient.server import FunctionModel, GrpcOptions, Server
from tritonclient.server.frontends.grpc.health import Health

#: Python 3.10 says this of each TLS handshake that fails, though the socket is closed.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed transport <asyncio.sslproto:ResourceWarning"
)

DEADLINE, INTERNAL, UNAVAILABLE = 4, 13, 14
SPEC = {"IN": ("FP32", [-1])}
OUT = {"OUT": ("FP32", [-1])}


class Held:
    """A model that executes until it is released."""

    def __init__(self) -> None:
        self.executing = threading.Semaphore(0)
        self.release = threading.Semaphore(0)

    def __call__(self, IN: np.ndarray) -> dict[str, np.ndarray]:
        self.executing.release()
        assert self.release.acquire(timeout=60)
        return {"OUT": IN}


def _many(IN: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    for _ in range(int(IN[0])):
        yield {"OUT": np.zeros(25_000, np.float32)}


def make(held: Held | None = None, **options: Any) -> Server:
    """A server with the models "echo", "many" (decoupled) and "held"."""
    models: dict[str, Any] = {
        "echo": FunctionModel(lambda IN: {"OUT": IN}, inputs=SPEC, outputs=OUT),
        "many": FunctionModel(_many, inputs=SPEC, outputs=OUT),
    }
    if held is not None:
        models["held"] = FunctionModel(held, inputs=SPEC, outputs=OUT, instances=2)
    arguments = options.pop("arguments", {})
    grpc = options.pop("grpc", None) or GrpcOptions(channel_arguments=arguments)
    return Server(models=models, http_port=None, grpc=grpc, **options)


@pytest.fixture(scope="module")
def usual() -> Iterator[Server]:
    with make() as server:
        yield server


@pytest.fixture(scope="module")
def impatient() -> Iterator[Server]:
    with make(receive_timeout=0.5) as server:
        yield server


@pytest.fixture
def held() -> Iterator[Held]:
    held = Held()
    yield held
    held.release.release(1000)


# Streams that the server ends first


def test_a_stream_that_ended_is_reset_at_once(usual):
    """The client may still be sending: RFC 9113, 8.1."""
    with RawClient(usual) as client:
        first = client.begin(STREAM_INFER, data=infer_message())
        client.until(lambda frame: frame.kind == DATA and frame.stream == first)
        client.send(data(message(b"no request"), first))
        assert client.status(first)[0] == INTERNAL
        client.until(lambda frame: frame.kind == RST_STREAM and frame.stream == first)
        assert client.status(client.call()) == (0, "")


def test_open_streams_are_reset_when_the_server_stops():
    """It closes a connection whose client leaves a reset unread only after a time."""
    with make() as server, RawClient(server) as client, ThreadPoolExecutor(1) as reader:
        first = client.begin(STREAM_INFER, data=infer_message())
        client.until(lambda frame: frame.kind == DATA and frame.stream == first)
        rest = reader.submit(client.closed)
        server.stop()
        assert (RST_STREAM, first) in [(frame.kind, frame.stream) for frame in rest.result()]


# Clients that send slowly, or not at all


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        (path, sent)
        for path in (INFER, STREAM_INFER, READY, WATCH)
        for sent in (b"", b"\0", b"\0\0\0\0\x64", b"\0\0\0\0\x64half")
        if sent or path != STREAM_INFER  # which may wait before its first message
    ],
)
def test_half_sent_messages(impatient: Server, path: str, sent: bytes) -> None:
    with nothing_left(impatient), RawClient(impatient) as client:
        status = client.status(client.begin(path, data=sent))
        assert status == (DEADLINE, "nothing of the request came for 0.5 s; send it again")
        assert client.status(client.call()) == (0, "")  # the connection stays


def test_a_frame_of_data_that_stops(impatient: Server) -> None:
    with nothing_left(impatient), RawClient(impatient) as client:
        stream = client.begin()
        client.send(data(infer_message(values=np.zeros(1000)), stream)[:2000])
        assert client.status(stream)[0] == DEADLINE
        client.closed()  # since nothing else can come


@pytest.mark.parametrize(
    "opening",
    [
        b"",
        PREFACE[:10],
        PREFACE,
        PREFACE + settings(initial_window_size=1)[:12],
        OPENING + b"\0\0",
        OPENING + head()[:20],
        OPENING + head(flags=0),
        OPENING + head(flags=0) + frame(CONTINUATION, 0, 1, b"\x00")[:9],
        OPENING + head(fields=without(path="/nowhere")) + data(bytes(100))[:50],
        OPENING + frame(99, 0, 0, bytes(100))[:50],
        OPENING + head() + data(b"\x30" + bytes(0x40), 1, 0x8)[:40],
    ],
)
def test_what_stops_outside_of_calls(impatient: Server, opening: bytes) -> None:
    with nothing_left(impatient), RawClient(impatient, opening) as client:
        client.closed()


def test_an_idle_connection_stays(impatient: Server) -> None:
    with RawClient(impatient) as idle:
        with RawClient(impatient) as other:
            for _ in range(3):
                assert other.status(other.begin())[0] == DEADLINE
        assert idle.status(idle.call()) == (0, "")


def test_a_stream_that_waits_stays(impatient: Server) -> None:
    with nothing_left(impatient), RawClient(impatient) as client:
        waiting = client.begin(STREAM_INFER)
        for _ in range(3):
            assert client.status(client.begin())[0] == DEADLINE
        client.send(data(infer_message(), waiting, END_STREAM))
        assert client.status(waiting) == (0, "")


# Clients that do not read


def test_a_client_that_does_not_read_holds_up_nobody(usual: Server) -> None:
    with nothing_left(usual):
        with RawClient(usual, receive_buffer=4096) as lazy:
            lazy.send(settings(initial_window_size=1 << 30), window_update(1 << 30))
            stream = lazy.begin(STREAM_INFER)
            lazy.send(data(infer_message("many", [1000.0]), stream, END_STREAM))
            for _ in range(20):
                lazy.call()
            with RawClient(usual) as client:
                for _ in range(3):
                    assert client.status(client.call()) == (0, "")


def test_a_lazy_client_that_is_broken_is_closed(impatient: Server) -> None:
    """Its error is not read either."""
    with nothing_left(impatient):
        with RawClient(impatient, receive_buffer=4096) as lazy:
            lazy.send(settings(initial_window_size=1 << 30), window_update(1 << 30))
            stream = lazy.begin(STREAM_INFER)
            lazy.send(data(infer_message("many", [1000.0]), stream, END_STREAM))
            lazy.until(lambda each: each.kind == DATA)
            lazy.send(head(2))
            connections = impatient._grpc._connections  # type: ignore[union-attr]
            eventually(lambda: not connections)


def test_windows_of_one_byte(usual: Server) -> None:
    with nothing_left(usual), RawClient(usual) as client:
        client.send(settings(initial_window_size=1))
        stream = client.call()
        got = b""
        while not got.endswith(b"\0\0\x80?"):
            got += client.until(lambda each: each.kind == DATA).payload
            client.send(window_update(1, stream))
        assert client.status(stream) == (0, "")


# Pings


def test_pings_too_often(usual: Server) -> None:
    with nothing_left(usual), RawClient(usual) as client:
        assert client.status(client.call()) == (0, "")
        for _ in range(4):
            client.send(frame(PING, 0, 0, bytes(8)))
        assert client.goaway() == (11, "too_many_pings")


def test_pings_that_are_allowed() -> None:
    arguments = {"grpc.http2.max_ping_strikes": 0}
    with make(arguments=arguments) as server, nothing_left(server), RawClient(server) as client:
        for number in range(100):
            client.send(frame(PING, 0, 0, number.to_bytes(8, "big")))
            pong = client.until(lambda each: each.kind == PING)
            assert (pong.flags, pong.payload) == (ACK, number.to_bytes(8, "big"))
        assert client.status(client.call()) == (0, "")


def test_pings_of_the_server() -> None:
    arguments = {
        "grpc.keepalive_time_ms": 50,
        "grpc.keepalive_timeout_ms": 2000,
        "grpc.keepalive_permit_without_calls": 1,
        "grpc.http2.max_pings_without_data": 0,
    }
    with make(arguments=arguments) as server, nothing_left(server), RawClient(server) as client:
        for _ in range(3):
            ping = client.until(lambda each: each.kind == PING)
            assert not ping.flags & ACK
            client.send(frame(PING, ACK, 0, ping.payload))
        assert client.status(client.call()) == (0, "")
        client.closed()  # when no ping is answered


def test_no_pings_without_calls(held: Held) -> None:
    arguments = {"grpc.keepalive_time_ms": 50, "grpc.keepalive_timeout_ms": 60_000}
    with make(held, arguments=arguments) as server, RawClient(server) as idle:
        with RawClient(server) as client:
            stream = client.call(data=infer_message("held"))
            client.until(lambda each: each.kind == PING)
            held.release.release()
            assert client.status(stream) == (0, "")
        assert idle.status(idle.call()) == (0, "")


# Age


def test_an_old_connection_ends_behind_its_calls(held: Held) -> None:
    arguments = {"grpc.max_connection_age_ms": 1000}
    with make(held, arguments=arguments) as server, RawClient(server) as client:
        stream = client.call(data=infer_message("held"))
        goaway = client.until(lambda each: each.kind == GOAWAY)
        assert goaway.payload == b"\0\0\0\1" + bytes(4) + b"max_age"
        refused = client.call()
        assert client.status(refused) == (-7, "")
        held.release.release()
        assert client.status(stream) == (0, "")
        client.closed()


def test_an_old_connection_ends_after_its_grace(held: Held) -> None:
    arguments = {"grpc.max_connection_age_ms": 100, "grpc.max_connection_age_grace_ms": 200}
    with make(held, arguments=arguments) as server, RawClient(server) as client:
        client.call(data=infer_message("held"))
        client.closed()
        held.release.release()


# Numbers


def test_calls_of_a_connection_are_bounded(held: Held) -> None:
    arguments = {"grpc.max_concurrent_streams": 2}
    with make(held, arguments=arguments) as server, nothing_left(server):
        with RawClient(server) as client:
            one, two = (client.call(data=infer_message("held")) for _ in range(2))
            assert client.status(client.call()) == (-7, "")
            held.release.release(2)
            assert {client.status(one), client.status(two)} == {(0, "")}
            assert client.status(client.call()) == (0, "")


def test_resets_do_not_evade_the_bound_of_requests(held: Held) -> None:
    """What was given to models counts until they are done with it."""
    with make(held, max_requests=2) as server, nothing_left(server):
        with RawClient(server) as client:
            for _ in range(2):
                stream = client.call(data=infer_message("held"))
                assert held.executing.acquire(timeout=30)
                client.send(reset(CANCEL, stream))
            status = client.status(client.call())
            assert status == (8, "Concurrent RPC limit exceeded!")
            held.release.release(2)
            eventually(lambda: client.status(client.call()) == (0, ""))


# Other protocols


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /v2/models/echo/infer HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        bytes(100_000),
        OPENING + bytes(100_000),
    ],
)
def test_other_protocols(usual: Server, sent: bytes) -> None:
    with nothing_left(usual), RawClient(usual, sent) as client:
        frames = client.closed()
        assert not frames or frames[-1].kind == GOAWAY


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[Server, ssl.SSLContext]]:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    context.set_alpn_protocols(["h2"])
    grpc = GrpcOptions(certfile=tmp_path / "cert.pem", keyfile=tmp_path / "key.pem")
    with make(grpc=grpc, receive_timeout=1.5, exit_timeout=0) as server:
        yield server, context


def tls(server: Server, context: ssl.SSLContext) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", server.grpc_port), timeout=30)
    return context.wrap_socket(plain, server_hostname="localhost")


@pytest.mark.parametrize("sent", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01", OPENING, bytes(1000)])
def test_tls_clients_that_do_not_shake_hands(
    secure: tuple[Server, ssl.SSLContext], sent: bytes
) -> None:
    server, context = secure
    with RawClient(server, sent) as client:
        client.closed()
    with tls(server, context) as connection:
        assert connection.selected_alpn_protocol() == "h2"
        connection.sendall(OPENING + frame(PING, 0, 0, b"whatever"))
        received = b""
        while b"whatever" not in received:
            received += connection.recv(1000)
    with tls(server, context) as connection:  # which sends nothing behind the handshake
        while connection.recv(1000):
            pass


def test_shutdown_while_hands_are_shaken(secure: tuple[Server, ssl.SSLContext]) -> None:
    server, context = secure
    with RawClient(server, b"") as silent, RawClient(server, b"\x16\x03\x01") as half:
        with tls(server, context):
            server.stop()
            silent.closed()
            half.closed()
    gc.collect()  # which warns of what was not closed


# Deadlines


@pytest.mark.parametrize("path", [INFER, STREAM_INFER, WATCH])
def test_deadlines(held: Held, path: str) -> None:
    with make(held) as server, nothing_left(server), RawClient(server) as client:
        message_of = {INFER: infer_message("held"), STREAM_INFER: infer_message("held")}
        wire = message_of.get(path, message(b""))
        for begin, more in ((client.begin, b""), (client.call, wire)):
            stream = begin(path, ("grpc-timeout", "200m"), data=more)
            assert client.status(stream) == (DEADLINE, "Deadline Exceeded")
        stream = client.call(path, ("grpc-timeout", "0n"), data=wire)
        assert client.status(stream) == (DEADLINE, "Deadline Exceeded")
        held.release.release(10)


# The end of calls and connections, in each phase


def _response(client: RawClient) -> None:
    client.until(lambda each: each.kind == DATA)


#: What a client sends, and what it waits for, until it is in a phase.
PHASES: dict[str, list[Callable[[RawClient], object]]] = {
    "connected": [],
    "half of the headers": [lambda client: client.send(head(flags=0))],
    "headers": [lambda client: client.begin()],
    "half a message": [lambda client: client.begin(data=b"\0\0\0\1\0half")],
    "a message": [lambda client: client.begin(data=infer_message())],
    "a request": [lambda client: client.call()],
    "a request in work": [lambda client: client.call(data=infer_message("held"))],
    "a large request": [lambda client: client.call(data=infer_message(values=range(4000)))],
    "a stream": [lambda client: client.begin(STREAM_INFER)],
    "a stream with requests": [
        lambda client: client.begin(STREAM_INFER, data=20 * infer_message("held"))
    ],
    "a stream with responses": [
        lambda client: client.begin(STREAM_INFER, data=infer_message("many", [100.0])),
        _response,
    ],
    "a stream with responses that are not read": [
        lambda client: client.begin(STREAM_INFER, data=infer_message("many", [1000.0]))
    ],
    "a watch": [lambda client: client.call(WATCH, data=message(b""))],
    "a watch with a response": [
        lambda client: client.call(WATCH, data=message(b"")),
        _response,
    ],
}
PHASES["calls of all kinds"] = [
    *PHASES["headers"],
    *PHASES["a request in work"],
    *PHASES["a stream with requests"],
    *PHASES["a watch"],
]


@pytest.fixture(scope="module")
def holding() -> Iterator[tuple[Server, Held]]:
    held = Held()
    with make(held) as server:
        yield server, held
        held.release.release(1000)


@pytest.mark.parametrize("how", ["close", "reset", "cancel", "broken"])
@pytest.mark.parametrize("phase", PHASES)
def test_the_end_in_each_phase(holding: tuple[Server, Held], phase: str, how: str) -> None:
    server, held = holding
    with nothing_left(server):
        with RawClient(server) as client:
            for step in PHASES[phase]:
                step(client)
            if how == "reset":  # by TCP
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            elif how == "cancel" and phase != "half of the headers":
                for stream in range(1, client._next, 2):
                    client.send(reset(CANCEL, stream))
                if not phase.startswith("a stream with responses"):
                    assert client.status(client.call()) == (0, "")
            elif how == "broken":
                client.send(head(2))
                client.closed()
        held.release.release(30)


@pytest.mark.parametrize("exit_timeout", [0, 1])
def test_shutdown_in_each_phase(exit_timeout: int) -> None:
    held = Held()
    server = make(held, exit_timeout=exit_timeout)
    server.start()
    clients = []
    try:
        for steps in PHASES.values():
            clients.append(RawClient(server))
            for step in steps:
                step(clients[-1])
        held.release.release(1000)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        stopping.join(60)
        assert not stopping.is_alive()
        for client in clients:
            client.closed()
    finally:
        held.release.release(1000)
        for client in clients:
            client.close()
        server.stop()
    gc.collect()  # which warns of what was not closed


def test_shutdown_lets_calls_end(held: Held) -> None:
    server = make(held, exit_timeout=30)
    server.start()
    with RawClient(server) as client, RawClient(server) as idle:
        stream = client.call(data=infer_message("held"))
        assert held.executing.acquire(timeout=30)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        goaway = client.until(lambda each: each.kind == GOAWAY)
        assert goaway.payload[8:] == b"the server is shutting down"
        assert idle.goaway() == (0, "the server is shutting down")
        assert client.status(client.call()) == (-7, "")
        held.release.release()
        assert client.status(stream) == (0, "")
        client.closed()
        stopping.join(60)
        assert not stopping.is_alive()


def test_shutdown_cancels_calls_that_take_too_long(held: Held) -> None:
    server = make(held, exit_timeout=0)
    server.start()
    with RawClient(server) as client:
        stream = client.call(data=infer_message("held"))
        assert held.executing.acquire(timeout=30)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        assert client.status(stream) == (UNAVAILABLE, "the server is shutting down")
        client.closed()
        held.release.release()
        stopping.join(60)
        assert not stopping.is_alive()


# Errors that nobody foresaw


class Broken(Exception):
    """What no handler expects."""


@pytest.mark.parametrize("path", ["/grpc.health.v1.Health/Check", WATCH])
def test_a_health_check_that_fails(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    def fail(self: Health) -> bytes:
        raise Broken

    with make() as server, nothing_left(server), RawClient(server) as client:
        monkeypatch.setattr(Health, "_status", fail)
        with caplog.at_level(logging.CRITICAL, "tritonclient.server.grpc"):
            assert client.status(client.call(path, data=message(b"")))[0] == INTERNAL
        assert client.status(client.call()) == (0, "")


@pytest.mark.parametrize("where", ["accept", "_begin", "_decoded", "_stream", "_serve"])
def test_a_handler_that_fails(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, where: str
) -> None:
    def fail(*arguments: object) -> None:
        raise Broken

    from tritonclient.server.frontends.grpc.service import GrpcService

    monkeypatch.setattr(GrpcService, where, fail)
    with make() as server, caplog.at_level(logging.CRITICAL, "tritonclient.server.grpc"):
        with RawClient(server) as client:
            path = STREAM_INFER if where in ("_stream", "_serve") else INFER
            assert client.status(client.call(path))[0] == INTERNAL
            assert client.status(client.call(path))[0] == INTERNAL


def test_requests_without_messages(usual: Server) -> None:
    with nothing_left(usual), RawClient(usual) as client:
        fields = without(path=INFER)
        client.send(head(1, fields=fields, flags=END_HEADERS | END_STREAM))
        client._next = 3
        assert client.status(1)[0] == INTERNAL
        stream = client.begin(INFER)
        client.send(data(b"", stream, END_STREAM))
        assert client.status(stream)[0] == INTERNAL
        stream = client.begin(INFER, data=2 * infer_message())
        assert client.status(stream)[0] == INTERNAL
        stream = client.begin(STREAM_INFER)
        client.send(data(b"", stream, END_STREAM))
        assert client.status(stream) == (0, "")
    serves(usual)
