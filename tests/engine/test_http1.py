"""The HTTP/1.1 engine as a pure value: byte by byte, in chunks, and against h11."""

from __future__ import annotations

import gzip
from itertools import pairwise

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tritonclient.engine import http1
from tritonclient.engine.http1 import Http1
from tritonclient.engine.http1_head import encode_head
from tritonclient.errors import ConnectionFailed, InferenceServerException, ProtocolError

CLOSED = "closed"


def feed(engine, data):
    """Give the engine bytes as a driver would: no more than it has room for, until it answers."""
    view = memoryview(data)
    while view:
        buffer = engine.get_buffer()
        assert len(buffer)
        count = min(len(buffer), len(view))
        buffer[:count] = view[:count]
        engine.buffer_updated(count)
        view = view[count:]


def play(pieces, *, end=True, **options):
    """Return the response or error of an engine for received pieces, and if it is reusable."""
    engine = Http1(**options)
    engine.start(b"")
    try:
        for piece in pieces:
            feed(engine, piece)
        if end and engine.response is None:
            engine.eof_received()
    except InferenceServerException as error:
        assert not engine.reusable
        return type(error), str(error), False
    if engine.response is None:
        return None
    status, headers, _ = engine.response
    try:
        body = engine.response.content()
    except InferenceServerException as error:
        return type(error), str(error), engine.reusable
    return (status, dict(headers), bytes(body)), None, engine.reusable


def bytewise(data):
    return [data[i : i + 1] for i in range(len(data))]


def cut(data, positions):
    edges = [0, *sorted(min(p, len(data)) for p in positions), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


def h11_reads(data):
    """Status, headers and body as h11's client reads them, or None when it refuses."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    response, body, ended = None, b"", False
    try:
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA and not ended:
                ended = True
                connection.receive_data(b"")
            elif isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                return response.status_code, _joined(response.headers), body
            elif event in (h11.NEED_DATA, h11.PAUSED) or isinstance(event, h11.ConnectionClosed):
                return None
    except h11.RemoteProtocolError:
        return None


def _joined(headers):
    joined = {}
    for name, value in headers:
        name, value = name.decode(), value.decode("latin-1")
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


# Without the bodies of successful responses

ANSWERS = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nBODY",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX: 1\r\n\r\n\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nbody",
        b"HTTP/1.1 400 Bad\r\nContent-Length: 4\r\n\r\nbody",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbodyX",
        b"HTTP/1.1 200 OK\r\nContent-Length: 40000\r\n\r\n" + bytes(40000),
        b"GARBAGE: 200 OK\r\nContent-Length: 4\r\n\r\nbody",
    ]
)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.tuples(ANSWERS, st.lists(st.integers(0, 90), max_size=2)), max_size=8))
def test_an_engine_without_bodies_differs_in_nothing_else(answers):
    keeping, other = Http1(), Http1()
    other.keep_bodies = False
    for data, positions in answers:
        results = []
        for engine in (keeping, other):
            engine.start(b"")
            try:
                for piece in cut(data, positions):
                    feed(engine, piece)
                error = None
            except ProtocolError as refused:
                error = str(refused)
            response = engine.response
            results.append(
                (error, response and response[:2], engine.reusable, engine.data_to_send())
            )
        assert results[0] == results[1]
        if not keeping.reusable:
            return
        body, kept = other.response.body, keeping.response.body
        if isinstance(kept, memoryview) and keeping.response.status != 200:
            assert body == kept
        elif isinstance(kept, memoryview):
            assert body in (b"", kept)


def test_the_same_head_again_gives_no_body_that_nobody_wants():
    engine = Http1()
    engine.keep_bodies = False
    for _ in range(2):
        engine.start(b"")
        feed(engine, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody")
    assert engine.reusable
    assert engine.response.status == 200
    assert engine.response.body == b""


# What h11's server writes, ours reads

TOKENS = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789-_.!", min_size=1, max_size=12)
VALUES = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E) | st.just(" "), max_size=30
).map(str.strip)
FRAMING = {"content-length", "transfer-encoding", "connection", "content-encoding", "upgrade"}
HEADERS = st.lists(
    st.tuples(TOKENS.filter(lambda name: name.lower() not in FRAMING), VALUES), max_size=6
)


@st.composite
def server_messages(draw):
    """(bytes that h11's server sends, status, headers, body, whether the connection goes on)."""
    old = draw(st.booleans())
    server = h11.Connection(h11.SERVER)
    version = b"1.0" if old else b"1.1"
    alive = draw(st.booleans())
    ask = b"" if old == (not alive) else b"Connection: keep-alive\r\n" if alive else b""
    server.receive_data(b"GET / HTTP/" + version + b"\r\nHost: a\r\n" + ask + b"\r\n")
    while not isinstance(server.next_event(), h11.EndOfMessage):
        pass
    wire = b""
    if not old:
        for _ in range(draw(st.integers(0, 3))):
            interim = h11.InformationalResponse(
                status_code=draw(st.sampled_from([100, 102, 103])), headers=draw(HEADERS)
            )
            wire += server.send(interim)
    status = draw(st.sampled_from([200, 201, 204, 304, 400, 404, 413, 500, 503]))
    body = b"" if status in (204, 304) else draw(st.binary(max_size=400))
    headers = draw(HEADERS)
    framing = draw(st.sampled_from(["length", "chunked or until the end"]))
    if framing == "length":
        headers.append(("Content-Length", str(len(body))))
    if draw(st.booleans()):
        headers.append(("Connection", "close"))
    wire += server.send(h11.Response(status_code=status, headers=headers, reason=b"Reason"))
    for piece in cut(body, draw(st.lists(st.integers(0, 400), max_size=4))):
        if piece:
            wire += server.send(h11.Data(data=piece))
    chunked = b"\r\nTransfer-Encoding: chunked\r\n" in wire
    trailers = draw(HEADERS) if chunked and framing != "length" else []
    wire += server.send(h11.EndOfMessage(headers=trailers))
    return wire, status, headers, body, server.our_state is not h11.MUST_CLOSE


@settings(deadline=None, max_examples=300)
@given(server_messages(), st.data())
def test_reads_what_h11_sends(message, data):
    wire, status, headers, body, goes_on = message
    whole = play([wire])
    assert whole == play(bytewise(wire))
    assert whole == play(cut(wire, data.draw(st.lists(st.integers(0, len(wire)), max_size=5))))
    (our_status, our_headers, our_body), error, reusable = whole
    assert (our_status, our_body, error) == (status, body, None)
    for name, value in headers:
        assert value in our_headers[name.lower()]
    assert reusable == goes_on


# Whatever ours reads, h11 reads alike

# h11 changes the values of these.
REWRITTEN = {"content-length": "", "transfer-encoding": ""}

LINES = st.sampled_from(
    [
        b"HTTP/1.1 200 OK",
        b"HTTP/1.0 200 OK",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 ",
        b"HTTP/1.1 404 Not \xe4 Found",
        b"HTTP/1.1 204 No Content",
        b"HTTP/1.1 100 Continue",
        b"HTTP/1.1 099 Early",
        b"HTTP/2 200 OK",
        b"HTTP/1.1  200 OK",
        b"Content-Length: 5",
        b"Content-Length: 0",
        b"Content-Length: 5, 5",
        b"Content-Length: 5, 6",
        b"Content-Length: +5",
        b"Content-Length: 5_0",
        b"content-length:5",
        b"Content-Length : 5",
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: Chunked",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: identity",
        b"Connection: close",
        b"Connection: keep-alive",
        b"X: \t a b \t",
        b" folded",
        b": no name",
        b"no colon",
        b"N\xe4me: x",
        b"X: \x00",
        b"X: \xff",
        b"",
        b"5",
        b"5;name=value",
        b"5 ;name",
        b"0",
        b"hello",
        b"-1",
        b"0x5",
        b"Trailer: yes",
        b"fffffffffffffffff",
    ]
)
ENDS = st.sampled_from([b"\r\n"] * 8 + [b"\n", b"\r", b""])
WIRE = st.lists(st.tuples(LINES, ENDS).map(b"".join), min_size=2, max_size=14).map(b"".join)
LIKELY = st.tuples(
    st.just(b"HTTP/1.1 200 OK\r\n"),
    st.lists(LINES, max_size=3).map(lambda lines: b"".join(line + b"\r\n" for line in lines)),
    st.just(b"\r\n"),
    st.lists(st.tuples(LINES, ENDS).map(b"".join), max_size=8).map(b"".join),
).map(b"".join)


@settings(deadline=None, max_examples=1000)
@given(WIRE | LIKELY | st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
@example(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", [])
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", [])
@example(b"HTTP/1.1 200 OK\r\n\r\nuntil the end", [])
@example(b"HTTP/1.1 204 No Content\r\nContent-Length: 5, 6\r\n\r\n", [])
def test_agrees_with_h11(wire, positions):
    whole, split = play([wire]), play(cut(wire, positions))
    single = play(bytewise(wire))
    answer, _, reusable = whole
    for other in (split, single):
        # What follows an answer in the same piece is seen sooner; it must never be overlooked.
        assert other[0] == answer
        assert other[2] == reusable
    if isinstance(answer, tuple):
        status, headers, body = h11_reads(wire)
        assert (status, body) == (answer[0], answer[2])
        assert headers | REWRITTEN == answer[1] | REWRITTEN


# Framing, one by one

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("wire", "body", "reusable"),
    [
        (OK + b"Content-Length: 2\r\n\r\nhi", b"hi", True),
        (OK + b"Content-Length: 2, 2\r\n\r\nhi", b"hi", True),
        (OK + b"Content-Length: 2\r\nConnection: Close\r\n\r\nhi", b"hi", False),
        (OK + b"Content-Length: 2\r\nConnection: a, close\r\n\r\nhi", b"hi", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", b"hi", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi", b"hi", True),
        (OK + b"\r\nuntil the end", b"until the end", False),
        (CHUNKED + b"2\r\nhi\r\n0\r\n\r\n", b"hi", True),
        (CHUNKED + b"0\r\n\r\n", b"", True),
        (CHUNKED + b'0002;a=b;c="d"\r\nhi\r\nA\r\n0123456789\r\n0;x\r\nT: u\r\n\r\n', None, True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b"", True),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", b"", True),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + OK + b"Content-Length: 0\r\n\r\n", b"", True),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: CHUNKED\r\n\r\n0\r\n\r\n", b"", True),
    ],
)
def test_framing(wire, body, reusable):
    for pieces in ([wire], bytewise(wire)):
        answer, error, goes_on = play(pieces)
        assert error is None
        assert answer[2] == (b"hi0123456789" if body is None else body)
        assert goes_on is reusable


@pytest.mark.parametrize(
    "wire",
    [
        OK + b"Content-Length: 2\r\n\r\nhi",
        CHUNKED + b"2\r\nhi\r\n0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
    ],
)
@pytest.mark.parametrize("extra", [b"\r\n", b"x", OK + b"Content-Length: 0\r\n\r\n"])
def test_garbage_behind_the_answer(wire, extra):
    answer = play([wire])
    assert answer[2] is True
    for pieces in ([wire + extra], [wire, extra], bytewise(wire + extra)):
        assert play(pieces) == (*answer[:2], False)


def test_garbage_is_not_kept():
    engine = Http1()
    engine.start(b"")
    feed(engine, OK + b"Content-Length: 0\r\n\r\n")
    for _ in range(1000):
        feed(engine, bytes(10000))
    assert len(engine.get_buffer()) <= 2 * http1.MAX_HEAD_SIZE + http1.RECEIVE_SIZE


REFUSED = {
    "bare line feed": OK + b"A: b\nContent-Length: 0\r\n\r\n",
    "bare carriage return": OK + b"A: b\rC: d\r\n\r\n",
    "folded header": OK + b"A: b\r\n c\r\n\r\n",
    "control character": OK + b"A: \x01\r\n\r\n",
    "header without name": OK + b": b\r\n\r\n",
    "space before colon": OK + b"A : b\r\n\r\n",
    "chunked over HTTP/1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two transfer codings": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
    "two lengths": OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "no length": OK + b"Content-Length:\r\n\r\n",
    "chunk without size": CHUNKED + b"\r\n",
    "negative chunk": CHUNKED + b"-1\r\n",
    "chunk longer than it says": CHUNKED + b"1\r\nab\r\n",
    "chunk size of 17 digits": CHUNKED + b"0" * 16 + b"1\r\n",
    "broken trailer": CHUNKED + b"0\r\nno colon\r\n\r\n",
    "switching protocols": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "status of two digits": b"HTTP/1.1 20 OK\r\n\r\n",
    "HTTP/2": b"HTTP/2.0 200 OK\r\n\r\n",
    "line end first": b"\r\n" + OK + b"\r\n",
}


@pytest.mark.parametrize("wire", REFUSED.values(), ids=REFUSED)
def test_refused(wire):
    assert play([wire], end=False)[0] is ProtocolError
    assert play(bytewise(wire), end=False)[0] is ProtocolError


@pytest.mark.parametrize("begin", [b"S", b"HTTP/2", b"HTTP/1.1\n"[:5] + b"x", b"\x15\x03\x01"])
def test_other_protocols_are_noticed_at_once(begin):
    assert play([begin], end=False)[0] is ProtocolError


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"HTTP/1.1 200",
        OK,
        OK + b"Content-Length: 5\r\n\r\n",
        OK + b"Content-Length: 5\r\n\r\nhell",
        CHUNKED,
        CHUNKED + b"5\r\nhell",
        CHUNKED + b"5\r\nhello\r\n",
        CHUNKED + b"0\r\n",
        CHUNKED + b"0\r\nTrailer: x\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
def test_ended_too_soon(wire):
    for pieces in ([wire], bytewise(wire)):
        assert play(pieces, end=False) is None
        assert play(pieces)[0] is ConnectionFailed


# Bounds


def _grown(pieces, **options):
    """How large the engine's buffer becomes before it refuses an endless stream."""
    engine = Http1(**options)
    engine.start(b"")
    largest = total = 0
    with pytest.raises(ProtocolError):
        for piece in pieces:
            feed(engine, piece)
            total += len(piece)
            largest = max(largest, len(engine._buffer))
            assert total < 10 << 20
    assert not engine.reusable
    return largest


def _endless(first, then):
    yield first
    while True:
        yield then


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (OK + b"A: ", b"a" * 1000),
        (OK, b"A: b\r\n" * 100),
        (b"HTTP/1.1 200 ", b"O" * 1000),
        (CHUNKED, b"0" * 1000),
        (CHUNKED + b"1;", b"x" * 1000),
        (CHUNKED + b"0\r\nA: ", b"x" * 1000),
        (CHUNKED + b"0\r\n", b"A: b\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["header", "headers", "reason", "size", "extension", "trailer", "trailers", "interim"],
)
def test_endless_streams_are_bounded(first, then):
    assert _grown(_endless(first, then)) <= 2 * http1.MAX_HEAD_SIZE


def test_largest_head():
    head = OK + b"Content-Length: 0\r\nA: "
    head += b"a" * (http1.MAX_HEAD_SIZE - len(head))
    assert play([head + b"\r\n\r\n"])[0][0] == 200
    assert play([head + b"a\r\n\r\n"])[0] is ProtocolError


@pytest.mark.parametrize("end", [b"b", b"\1"])
@pytest.mark.parametrize("begin", [OK, CHUNKED + b"0\r\n"], ids=["header", "trailer"])
def test_blanks_take_no_time(begin, end):
    # Were this cubic in the number of blanks, the test would not end.
    blanks = b" " * (30_000 if begin == OK else 2_000)
    outcome = play([begin + b"A:" + blanks + b"b" + blanks + end + b"\r\n\r\n"])
    assert (outcome[0] is ProtocolError) == (end == b"\1")


def test_number_of_interim_answers():
    interim = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    last = OK + b"Content-Length: 0\r\n\r\n"
    assert play([interim * http1.MAX_INTERIM_RESPONSES + last])[0][0] == 200
    assert play([interim * (http1.MAX_INTERIM_RESPONSES + 1) + last])[0] is ProtocolError


def test_interim_answers_count_per_exchange():
    engine = Http1()
    message = b"HTTP/1.1 103 Early Hints\r\n\r\n" * 15 + OK + b"Content-Length: 0\r\n\r\n"
    for _ in range(3):
        engine.start(b"")
        feed(engine, message)
        assert engine.reusable


@pytest.mark.parametrize("size", [10, 11])
@pytest.mark.parametrize("framing", ["length", "chunked", "until the end"])
def test_largest_body(size, framing):
    body = b"x" * size
    wire = {
        "length": OK + b"Content-Length: %d\r\n\r\n" % size + body,
        "chunked": CHUNKED + b"%x\r\n" % size + body + b"\r\n0\r\n\r\n",
        "until the end": OK + b"\r\n" + body,
    }[framing]
    for pieces in ([wire], bytewise(wire)):
        result = play(pieces, max_body=10)
        assert result[0][2] == body if size == 10 else result[0] is ProtocolError


def test_bomb():
    wire = gzip.compress(bytes(1 << 20))
    wire = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(wire) + wire
    assert play([wire])[0][2] == bytes(1 << 20)
    assert play([wire], max_content=1 << 19)[0] is ProtocolError


def test_lying_length_takes_no_memory_it_can_not_have():
    wire = OK + b"Content-Length: %d\r\n\r\n" % (1 << 58)
    assert play([wire], max_body=1 << 60, end=False)[0] is ProtocolError


# Bodies in place


@pytest.mark.parametrize("offset", [0, 1, 33, 100])
def test_tensors_are_aligned(offset):
    import numpy as np

    engine = Http1(offset_header="x-offset")
    engine.start(b"")
    feed(engine, OK + b"X-Offset: %d\r\nContent-Length: 200\r\n\r\n" % offset + bytes(200))
    assert np.frombuffer(engine.response.body[offset:], np.uint8).ctypes.data % 16 == 0
    assert not engine.response.body.readonly


@pytest.mark.parametrize("offset", [b"", b"-1", b"x", b"9" * 30, b"500"])
def test_offsets_that_make_no_sense_do_no_harm(offset):
    engine = Http1(offset_header="x-offset")
    engine.start(b"")
    feed(engine, OK + b"X-Offset: " + offset + b"\r\nContent-Length: 200\r\n\r\n" + bytes(200))
    assert engine.response.body == bytes(200)


def test_body_is_received_in_place():
    engine = Http1()
    engine.start(b"")
    feed(engine, OK + b"Content-Length: 1000000\r\n\r\n")
    assert len(engine.get_buffer()) == 1000000


def test_content_codings():
    body = b"hello" * 100
    packed = gzip.compress(body)
    head = b"Content-Encoding: %s\r\nContent-Length: %d\r\n\r\n"
    assert play([OK + head % (b"GZIP", len(packed)) + packed])[0][2] == body
    assert play([OK + head % (b"identity", len(body)) + body])[0][2] == body
    assert play([OK + head % (b"br", len(body)) + body])[0] is ProtocolError
    assert play([OK + head % (b"gzip", len(packed) - 1) + packed[:-1]])[0] is ProtocolError
    assert play([OK + head % (b"gzip", 0)])[0][2] == b""
    assert play([OK + b"Content-Encoding: gzip\r\n\r\n" + packed[:-9]])[0] is ProtocolError


# Use


def test_one_exchange_after_another():
    engine = Http1()
    for body in (b"one", b"two"):
        engine.start(b"head", [b"body"])
        assert engine.pending
        assert engine.data_to_send() == [b"head", b"body"]
        assert not engine.pending
        assert engine.response is None
        assert not engine.reusable
        feed(engine, OK + b"Content-Length: 3\r\n\r\n" + body)
        assert bytes(engine.response.body) == body
    engine.eof_received()
    assert not engine.reusable


def test_no_exchange_within_another():
    engine = Http1()
    engine.start(b"")
    with pytest.raises(RuntimeError, match="HEAD"):
        engine.start(b"")


def test_abandoned_connection():
    engine = Http1()
    engine.mark_unusable()
    assert not engine.reusable


# What is sent


@given(
    st.sampled_from(["GET", "POST"]),
    st.text("/abc%20?=&-._~", min_size=1),
    st.lists(st.tuples(TOKENS, VALUES), max_size=5),
)
def test_h11_reads_our_head(method, target, headers):
    server = h11.Connection(h11.SERVER)
    headers = [(n, v) for n, v in headers if n.lower() not in FRAMING | {"host", "expect"}]
    server.receive_data(encode_head(method, target, [("Host", "a"), *headers]))
    request = server.next_event()
    assert (request.method.decode(), request.target.decode()) == (method, target)
    assert [(n.lower(), v) for n, v in headers] == [
        (n.decode(), v.decode()) for n, v in list(request.headers)[1:]
    ]


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("GET", "/a b", []),
        ("GET", "/\r\nX: y", []),
        ("GET\r\n", "/", []),
        ("GET", "", []),
        ("GET", "/\xe4", []),
        ("GET", "/", [("A\r\nB", "c")]),
        ("GET", "/", [("A", "b\r\nC: d")]),
        ("GET", "/", [("A", "b\nC: d")]),
        ("GET", "/", [("A", "b\n")]),
        ("GET", "/", [("", "b")]),
        ("GET", "/", [("A", "\u20ac")]),
        ("GET", "/", [("A", "\0")]),
    ],
)
def test_nothing_breaks_out_of_the_head(method, target, headers):
    with pytest.raises(ValueError, match=r"not.*valid"):
        encode_head(method, target, headers)
