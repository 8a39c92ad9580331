"""Faults of gRPC servers and proxies: each gives one error, no hang, and a usable client."""

from __future__ import annotations

import asyncio
import socket
import threading

import numpy as np
import pytest

from tests.support.peers.echo import check, infer, located, over_grpc
from tests.support.peers.grpc_peers import (
    GrpcServer,
    answer,
    answer_calls,
    greet,
    raw,
    read_call,
    read_calls,
    refuse,
    serve,
    session,
    until_gone,
)
from tests.support.peers.h2peer import (
    ACK,
    END_STREAM,
    HELLO,
    SETTINGS,
    block,
    data,
    frame,
    goaway,
    head,
    message,
    trailers,
)
from tests.support.peers.h2peer import answer as answer_frames
from tests.support.peers.h2peer import reset as reset_frame
from tests.support.peers.hostile_peers import (
    PATIENCE,
    both_runtimes,
    close,
    deadline_guard,
    stall,
)
from tests.support.peers.protocols import GRPC
from tritonclient import (
    AsyncClient,
    ConnectionFailed,
    InferenceServerException,
    Internal,
    PermissionDenied,
    ProtocolError,
    ResourceExhausted,
    Unavailable,
    Unknown,
)
from tritonclient.codec import rpc
from tritonclient.messages import Infer, InferResponse, InferTensor

THREE = np.full(3, 7)
BODY = b"".join(
    rpc.encode_response(
        Infer("echo", ""),
        InferResponse("echo", "1", "7", {}, (InferTensor("OUT", "INT64", (3,), THREE.tobytes()),)),
    )
)
ACKNOWLEDGED = frame(SETTINGS, ACK)
# Answers that are none


def _of_infer(*outputs, raw=()):
    """The message of an answer, whatever its outputs are."""
    fields = b"".join(b"\x2a" + bytes([len(each)]) + each for each in outputs)
    return b"\x0a\x01m" + fields + b"".join(b"\x32" + bytes([len(r)]) + r for r in raw)


def _tensor(datatype=b"INT32", shape=b"\x1a\x01\x04"):
    return b"\x0a\x01a\x12" + bytes([len(datatype)]) + datatype + shape


def _answers(payload):
    return head() + data(payload) + trailers()


def _page(status, kind="text/html", body=b"<html>502 Bad Gateway</html>"):
    fields = block((":status", status), ("content-type", kind))
    return head(fields=fields) + data(body, flags=END_STREAM)


GARBAGE = {
    "no protobuf": _answers(message(b"\xff\xff\xff")),
    "half a message of protobuf": _answers(message(BODY[:-1])),
    "a group of protobuf": _answers(message(b"\x0b\x0c")),
    "names that are not UTF-8": _answers(message(b"\x0a\x01\xff")),
    "no output for the data": _answers(message(_of_infer(raw=[b"abcd"]))),
    "no data for the output": _answers(message(_of_infer(_tensor()))),
    "too little data": _answers(message(_of_infer(_tensor(), raw=[bytes(15)]))),
    "too much data": _answers(message(_of_infer(_tensor(), raw=[bytes(17)]))),
    "an unknown datatype": _answers(message(_of_infer(_tensor(b"INT33"), raw=[bytes(16)]))),
    "a negative shape": _answers(
        message(_of_infer(_tensor(shape=b"\x1a\x0a" + b"\xff" * 9 + b"\x01"), raw=[bytes(16)]))
    ),
    "a huge shape": _answers(
        message(_of_infer(_tensor(shape=b"\x1a\x12" + (b"\xff" * 8 + b"\x7f") * 2), raw=[b""]))
    ),
    "no message": head() + trailers(),
    "two messages": _answers(message(BODY) + message(BODY)),
    "an end inside a message": _answers(message(BODY)[:-1]),
    "strange flags": _answers(b"\x02" + message(BODY)[1:]),
    "no status": head() + data(message(BODY), flags=END_STREAM),
    "a page": _page("200"),
    "a compressed message without a coding": _answers(message(BODY, 1)),
    "not gzip": head(
        fields=block(
            (":status", "200"), ("content-type", "application/grpc"), ("grpc-encoding", "gzip")
        )
    )
    + data(message(BODY, 1))
    + trailers(),
    "an invalid status": head(fields=block((":status", "abc"))),
}
FATAL = {
    "HTTP/1": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "TLS": b"\x15\x03\x01\x00\x02\x02\x28\x00\x00\x00",
    "SMTP": b"220 mail.example.com ESMTP\r\n",
    "zeros": bytes(100),
    "no settings": answer_frames(BODY),
    "an invalid header block": HELLO + head(fields=b"\xff\xff\xff"),
    "data of a stream that is not": HELLO + data(b"", 99),
    "a push": HELLO + frame(5, 4, 1, b"\0\0\0\x02\x88"),
    "endless headers": HELLO + head(flags=0) + frame(9, 0, 1, b"") * 100,
    "endless settings": HELLO * 20_000,
}


@both_runtimes
@pytest.mark.parametrize("wire", GARBAGE.values(), ids=GARBAGE)
def test_garbage(runtime, wire):
    """An answer that is none is one call's trouble: the connection goes on."""
    script = [greet, read_call, raw(wire), until_gone]
    with GrpcServer(script, [greet, answer_calls()]) as server, runtime(server.url) as client:
        with deadline_guard(), pytest.raises(ProtocolError) as caught:
            infer(client)
        assert located(caught.value, server.url)
        assert caught.value.message()
        assert len(str(caught.value)) < 1000
        server.peers[0].sock.shutdown(socket.SHUT_RDWR)
        check(infer(client))
        assert server.asked_on == [0, 1]


@both_runtimes
@pytest.mark.parametrize("wire", FATAL.values(), ids=FATAL)
def test_garbage_that_ends_the_connection(runtime, wire):
    def say(peer):
        peer.sock.recv(1 << 16)
        peer.sock.sendall(wire)

    with GrpcServer([say, stall], [greet, answer_calls()]) as server, runtime(server.url) as client:
        with deadline_guard(), pytest.raises(ProtocolError) as caught:
            infer(client)
        assert located(caught.value, server.url)
        assert len(str(caught.value)) < 1000
        check(infer(client))
        assert server.peers[0].gone.wait(PATIENCE)


@both_runtimes
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("502", Unavailable),
        ("503", Unavailable),
        ("429", Unavailable),
        ("500", Unknown),
        ("302", Unknown),
        ("403", PermissionDenied),
    ],
)
def test_pages(runtime, status, kind):
    script = [greet, read_call, raw(_page(status)), until_gone]
    with GrpcServer(script) as server, runtime(server.url) as client:
        with deadline_guard(), pytest.raises(kind, match=f"HTTP status {status}") as caught:
            infer(client)
        assert located(caught.value, server.url)
        assert b"502 Bad Gateway" in caught.value.debug_details()


@both_runtimes
@pytest.mark.parametrize(
    ("code", "kind"),
    [(0, Internal), (2, Internal), (8, InferenceServerException), (11, ResourceExhausted)],
)
def test_resets(runtime, code, kind):
    script = [greet, read_call, raw(reset_frame(code)), read_calls(2), raw(answer_frames(BODY, 3))]
    with GrpcServer([*script, stall]) as server, runtime(server.url) as client:
        with deadline_guard(), pytest.raises(kind, match="stream") as caught:
            infer(client)
        assert located(caught.value, server.url)
        check(infer(client))
        assert server.connections == 1


@both_runtimes
def test_a_message_beyond_the_limit(runtime):
    large = {"IN": np.zeros(10_000, np.uint8)}
    with serve() as server, runtime(server.url, max_response_size=5000) as client:
        with pytest.raises(ResourceExhausted, match=r"Received message larger than max \(10\d+"):
            client.infer("echo", large)
        check(infer(client))
        assert server.connections == 1


# Refused, and sent again


@both_runtimes
def test_a_farewell_between_calls(runtime):
    with GRPC.hung_up(runtime, raw(goaway(1)), close) as (client, server):
        check(infer(client))
        assert server.asked_on == [0, 1]


@both_runtimes
def test_a_farewell_before_the_call_was_begun(runtime):
    """A call that the server has not begun is made again, even an inference."""
    first = [greet, read_call, raw(goaway(2**31 - 1) + goaway(0)), stall]
    with GrpcServer(first, [greet, answer_calls()]) as server, runtime(server.url) as client:
        check(infer(client))
        assert server.asked_on == [0, 1]


@both_runtimes
def test_a_farewell_while_the_call_is_in_work(runtime):
    first = [greet, read_call, raw(goaway(1, 0, b"max age")), answer(), stall]
    with GrpcServer(first, [greet, answer_calls()]) as server, runtime(server.url) as client:
        check(infer(client))
        check(infer(client))
        assert server.asked_on == [0, 1]
        assert server.peers[0].gone.wait(PATIENCE)


@both_runtimes
def test_a_farewell_and_no_answer(runtime):
    first = [greet, read_call, raw(goaway(1, 2, b"out of memory")), close]
    with GrpcServer(first, [greet, answer_calls()]) as server, runtime(server.url) as client:
        with pytest.raises(ConnectionFailed, match="closed the connection: out of memory"):
            infer(client)
        check(infer(client))
        assert server.asked_on == [0, 1]


@both_runtimes
def test_a_refused_stream(runtime):
    first = [greet, read_call, refuse, answer_calls()]
    with GrpcServer(first, [greet, answer_calls()]) as server, runtime(server.url) as client:
        check(infer(client))
        assert len(server.requests) == 2


@both_runtimes
def test_refused_for_ever(runtime):
    script = [greet, *[read_call, refuse] * 10]
    with GrpcServer(script) as server, runtime(server.url) as client:
        with (
            deadline_guard(),
            pytest.raises(ConnectionFailed, match="refused the stream") as caught,
        ):
            infer(client)
        assert located(caught.value, server.url)
        assert len(server.requests) == 4


def test_a_farewell_to_many_calls_at_once():
    """Those that the server began are answered, the others made again elsewhere."""

    def part(peer):
        read_calls(10)(peer)
        here = session(peer)
        begun = [stream_id for stream_id, _ in here.waiting()][:4]
        peer.sock.sendall(goaway(begun[-1]))
        for stream_id in begun:
            call = here.http2.calls[stream_id]
            here.reply(stream_id, over_grpc(call.headers, bytes(call.received[5:])))
        here.flush()
        until_gone(peer)

    async def main(server):
        async with AsyncClient(server.url, timeout=PATIENCE) as client:
            results = await asyncio.gather(*[infer(client, number) for number in range(10)])
            for number, result in enumerate(results):
                check(result, number)

    with GrpcServer([greet, part], [greet, answer_calls()]) as server:
        asyncio.run(main(server))
        assert server.asked_on == [0] * 10 + [1] * 6
        assert server.peers[0].gone.wait(PATIENCE)


@both_runtimes
def test_a_server_that_speaks_to_idle_connections(runtime):
    """Pings and settings between calls are answered with the next."""
    told = threading.Event()

    def talk(peer):
        session(peer).http2.h2.ping(b"12345678")
        session(peer).flush()
        told.set()

    script = [greet, read_call, answer(), talk, read_call, answer(), until_gone]
    with GrpcServer(script) as server, runtime(server.url) as client:
        check(infer(client))
        assert told.wait(PATIENCE)
        check(infer(client))
        assert server.connections == 1
