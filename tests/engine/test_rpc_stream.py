"""Answers to gRPC calls, as servers and proxies give them, through the HTTP/2 engine."""

from __future__ import annotations

import gzip
import random
from collections import deque
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.peers.h2peer import (
    ANSWER,
    CONTINUATION,
    END_HEADERS,
    END_STREAM,
    HAS_PRIORITY,
    HEADERS,
    HELLO,
    PADDED,
    RST_STREAM,
    SUCCESS,
    WINDOW_UPDATE,
    answer,
    block,
    data,
    feed,
    frame,
    frames,
    head,
    message,
    sent,
    trailers,
)
from tritonclient.engine.coding import compress
from tritonclient.engine.http2 import Http2
from tritonclient.engine.message_stream import WINDOW, frame_message
from tritonclient.engine.rpc_outcome import Outcome
from tritonclient.errors import ProtocolError, ResourceExhausted

REQUEST = b"\x83\x86"


def play(pieces, *, single=True, **options):
    """Return outcome or error, and messages, for received pieces; the connection stays open."""
    engine = Http2(**options)
    feed(engine, HELLO)
    stream = engine.start(REQUEST, frame_message([b"question"]), single=single)
    other = engine.start(REQUEST, frame_message([b"another"]))
    sent(engine)
    for piece in pieces:
        feed(engine, piece)
    assert engine.reusable
    if other.result is None:
        feed(engine, answer(b"fine", 3))
    assert bytes(other.take()) == b"fine"
    result = stream.result
    try:
        messages = [bytes(stream.take()) for _ in range(len(stream.messages))]
    except ProtocolError as error:
        result, messages = error, []
    if isinstance(result, Exception):
        return type(result), str(result), messages
    return result, messages


def bytewise(wire):
    return [wire[i : i + 1] for i in range(len(wire))]


def cut(wire, positions):
    edges = [0, *sorted(min(p, len(wire)) for p in positions), len(wire)]
    return [wire[a:b] for a, b in pairwise(edges)]


def success(*messages, headers=(), **more):
    expected = Outcome(0, "", None, {"content-type": "application/grpc", **dict(headers)}, {})
    return expected._replace(trailers={"grpc-status": "0"}, **more), list(messages)


# Answers of gRPC


ANSWERS = {
    "one frame for all": (answer(b"hello"), success(b"hello")),
    "an empty message": (answer(b""), success(b"")),
    "padding": (
        head(flags=END_HEADERS | PADDED, fields=b"\x05" + ANSWER + bytes(5))
        + data(b"\x09" + message(b"hel")[:6] + bytes(9), flags=PADDED)
        + data(b"\0l", flags=PADDED)
        + data(b"\x02" + bytes(2), flags=PADDED)
        + data(b"\0", flags=PADDED)
        + data(b"\xff\x6c" + bytes(255), flags=PADDED)
        + trailers(),
        success(b"hll"),
    ),
    "priority": (
        head(flags=END_HEADERS | HAS_PRIORITY, fields=bytes(5) + ANSWER)
        + frame(2, 0, 1, bytes(5))
        + data(message(b"hello"))
        + frame(HEADERS, END_HEADERS | END_STREAM | PADDED | HAS_PRIORITY, 1,
                b"\x03" + bytes(5) + SUCCESS + bytes(3)),
        success(b"hello"),
    ),
    "continued headers": (
        frame(HEADERS, 0, 1, ANSWER[:3])
        + frame(CONTINUATION, 0, 1, ANSWER[3:4])
        + frame(CONTINUATION, 0, 1, b"")
        + frame(CONTINUATION, END_HEADERS, 1, ANSWER[4:])
        + data(message(b"hello"))
        + frame(HEADERS, END_STREAM, 1, b"")
        + frame(CONTINUATION, END_HEADERS, 1, SUCCESS),
        success(b"hello"),
    ),
    "a message in many frames": (
        head() + b"".join(data(each) for each in bytewise(message(b"hello"))) + trailers(),
        success(b"hello"),
    ),
    "empty frames between": (
        head() + data(b"") + data(message(b"hello")[:3]) + data(b"") + data(message(b"hello")[3:])
        + data(b"") + trailers(),
        success(b"hello"),
    ),
    "frames of others between": (
        head() + frame(6, 0, 0, bytes(8)) + data(message(b"hello")[:7]) + HELLO
        + answer(b"fine", 3) + data(message(b"hello")[7:]) + frame(99, 7, 1, b"unknown")
        + frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\x01") + trailers(),
        success(b"hello"),
    ),
    "interim answers": (
        head(fields=block((":status", "100"))) + head(fields=block((":status", "103"), ("a", "b")))
        + answer(b"hello"),
        success(b"hello"),
    ),
    "other kinds of content": (
        head(fields=block((":status", "200"), ("content-type", "application/grpc+proto")))
        + data(message(b"hello")) + trailers(),
        (success()[0]._replace(headers={"content-type": "application/grpc+proto"}), [b"hello"]),
    ),
    "trailers and no message": (head() + trailers(), success()),
    "a reset behind the answer": (
        answer(b"hello") + frame(RST_STREAM, 0, 1, bytes(4)), success(b"hello"),
    ),
    "a compressed message": (
        head(fields=block((":status", "200"), ("content-type", "application/grpc"),
                          ("grpc-encoding", "gzip")))
        + data(message(gzip.compress(b"hello"), 1)) + trailers(),
        success(b"hello", headers=[("grpc-encoding", "gzip")]),
    ),
    "a message that is not compressed after all": (
        head(fields=block((":status", "200"), ("content-type", "application/grpc"),
                          ("grpc-encoding", "gzip")))
        + data(message(b"hello")) + trailers(),
        success(b"hello", headers=[("grpc-encoding", "gzip")]),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("wire", "expected"), ANSWERS.values(), ids=ANSWERS)
def test_answers(wire, expected):
    whole = play([wire])
    assert whole == expected
    assert whole == play(bytewise(wire))
    for position in range(len(wire)):
        assert whole == play(cut(wire, [position]))


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.tuples(st.integers(0, 200), st.booleans()), max_size=8),
    st.lists(st.integers(0, 2000), max_size=10),
    st.lists(st.integers(0, 2000), max_size=10),
    st.sampled_from(["gzip", "deflate"]),
)
def test_streams_of_messages(sizes, frame_cuts, cuts, coding):
    """Any number of messages, in frames and pieces that have nothing to do with them."""
    contents = [random.Random(n).randbytes(size) for n, (size, _) in enumerate(sizes)]
    body = b"".join(
        message(compress([content], coding), 1) if packed else message(content)
        for content, (_, packed) in zip(contents, sizes, strict=True)
    )
    fields = block(
        (":status", "200"), ("content-type", "application/grpc"), ("grpc-encoding", coding)
    )
    wire = head(fields=fields) + b"".join(map(data, cut(body, frame_cuts))) + trailers()
    for pieces in ([wire], cut(wire, cuts)):
        result, messages = play(pieces, single=False)
        assert (result.code, messages) == (0, contents)


# Refusals


def test_trailers_only():
    fields = block(
        (":status", "200"),
        ("content-type", "application/grpc"),
        ("grpc-status", "5"),
        ("grpc-message", "not %E2%82%AC%0A here"),
        ("grpc-status-details-bin", "CAUSAm5v"),
        ("x-more", "yes"),
    )
    result, messages = play([trailers(fields=fields)])
    assert (result.code, result.message, messages) == (5, "not €\n here", [])
    assert result.details == b"\x08\x05\x12\x02no"
    assert result.headers["x-more"] == result.trailers["x-more"] == "yes"


def test_trailers_only_in_two_frames():
    """Some proxies send the end of the stream in a frame of its own."""
    fields = block((":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "9"))
    wire = head(fields=fields) + data(b"", flags=END_STREAM)
    for pieces in ([wire], bytewise(wire)):
        result, messages = play(pieces)
        assert (result.code, messages) == (9, [])


def test_status_behind_messages():
    fields = block(("grpc-status", "13"), ("grpc-message", "broke"), ("x-id", "7"))
    result, messages = play([head() + data(message(b"part")) + trailers(fields=fields)])
    assert (result.code, result.message, messages) == (13, "broke", [b"part"])
    assert result.trailers == {"grpc-status": "13", "grpc-message": "broke", "x-id": "7"}


def test_status_inside_a_message():
    """An error status from the server is reported instead of the incomplete message."""
    fields = block(("grpc-status", "13"), ("grpc-message", "broke"))
    result, messages = play([head() + data(message(b"part")[:7]) + trailers(fields=fields)])
    assert (result.code, result.message, messages) == (13, "broke", [])


@pytest.mark.parametrize("code", [17, 99, 999])
def test_status_codes_nobody_knows(code):
    result, _ = play([head() + trailers(fields=block(("grpc-status", str(code))))])
    assert result.code == code


# Answers of others

PAGE = b"<html><title>502 Bad Gateway</title></html>"


@pytest.mark.parametrize("end", ["data", "frame", "trailers"])
@pytest.mark.parametrize(
    ("status", "code"),
    [
        *((400, 13), (401, 16), (403, 7), (404, 12), (429, 14), (502, 14), (503, 14), (504, 14)),
        *((302, 2), (418, 2), (500, 2)),
    ],
)
def test_pages_of_proxies(status, code, end):
    first = head(fields=block((":status", str(status)), ("content-type", "text/html")))
    wire = (
        first
        + {
            "data": data(PAGE, flags=END_STREAM),
            "frame": data(PAGE) + data(b"", flags=END_STREAM),
            "trailers": data(PAGE) + trailers(fields=block(("x-late", "1"))),
        }[end]
    )
    for pieces in ([wire], bytewise(wire)):
        result, messages = play(pieces)
        assert (result.code, result.details, messages) == (code, PAGE, [])
        assert f"HTTP status {status} instead of gRPC" in result.message


def test_a_page_without_a_body():
    result, _ = play([trailers(fields=block((":status", "503"), ("server", "x")))])
    assert (result.code, result.details) == (14, None)


def test_an_endless_page_is_given_up():
    engine = Http2()
    feed(engine, HELLO)
    stream = engine.start(REQUEST)
    sent(engine)
    feed(engine, head(fields=block((":status", "500"), ("content-type", "text/html"))))
    feed(engine, data(b"x" * 10_000) + data(b"x" * 10_000))
    assert (stream.result.code, len(stream.result.details)) == (2, 2048)
    assert frames(sent(engine)) == [(RST_STREAM, 0, 1, b"\0\0\0\x08")]
    feed(engine, data(b"x" * 10_000))  # under way meanwhile
    assert engine.reusable


def test_a_status_of_grpc_wins_over_that_of_http():
    fields = block((":status", "503"), ("grpc-status", "8"), ("grpc-message", "full"))
    result, _ = play([trailers(fields=fields)])
    assert (result.code, result.message) == (8, "full")


def test_a_page_with_status_200():
    wire = head(fields=block((":status", "200"), ("content-type", "text/html"))) + data(
        PAGE, flags=END_STREAM
    )
    kind, text, _ = play([wire])
    assert kind is ProtocolError
    assert "content-type is 'text/html'" in text


GRPC = (":status", "200"), ("content-type", "application/grpc")
BROKEN = {
    "data first": data(message(b"hello")),
    "an empty end first": data(b"", flags=END_STREAM),
    "trailers first": trailers(),
    "no status": head(fields=block(("content-type", "application/grpc"))),
    "an interim end": trailers(fields=block((":status", "100"))),
    "a second status": head() + trailers(fields=block((":status", "200"), ("grpc-status", "0"))),
    "headers between messages": head() + data(message(b"a")) + head(fields=SUCCESS),
    "no grpc-status": head() + data(message(b"hello")) + trailers(fields=block(("a", "b"))),
    "no trailers": head() + data(message(b"hello"), flags=END_STREAM),
    "an invalid grpc-status": head() + trailers(fields=block(("grpc-status", "zero"))),
    "two grpc-statuses": head()
    + trailers(fields=block(("grpc-status", "0"), ("grpc-status", "0"))),
    "an invalid status": head(fields=block((":status", "2x0"))),
    "two statuses": head(fields=block((":status", "200"), (":status", "200"))),
    "a pseudo-header of requests": head(fields=block((":status", "200"), (":path", "/"))),
    "an upper-case name": head(fields=block((":status", "200"), ("Content-Type", "a"))),
    "a line break": head(fields=block((":status", "200"), ("a", "b\r\nc"))),
    "an end inside a prefix": head() + data(b"\0\0\0") + trailers(),
    "an end inside a message": head() + data(message(b"hello")[:-1]) + trailers(),
    "two messages": head() + data(message(b"one") + message(b"two")) + trailers(),
    "two empty messages": head() + data(message(b"") + message(b"")) + trailers(),
    "strange flags": head() + data(message(b"hello", 2)) + trailers(),
    "trailers of gRPC-Web": head() + data(message(b"grpc-status:0", 0x80)) + trailers(),
    "compressed without a coding": head() + data(message(gzip.compress(b"a"), 1)) + trailers(),
    "an unknown coding": head(fields=block(*GRPC, ("grpc-encoding", "br")))
    + data(message(b"hello", 1))
    + trailers(),
    "broken gzip": head(fields=block(*GRPC, ("grpc-encoding", "gzip")))
    + data(message(gzip.compress(b"hello")[:-1], 1))
    + trailers(),
    "not gzip": head(fields=block(*GRPC, ("grpc-encoding", "gzip")))
    + data(message(b"hello", 1))
    + trailers(),
    "an empty message that is compressed": head(fields=block(*GRPC, ("grpc-encoding", "gzip")))
    + data(message(b"", 1))
    + trailers(),
}


@pytest.mark.parametrize("wire", BROKEN.values(), ids=BROKEN)
def test_broken_answers_are_no_trouble_for_other_calls(wire):
    kind, text, _ = play([wire])
    assert kind is ProtocolError
    assert len(text) < 300
    assert play(bytewise(wire))[:2] == (kind, text)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from([*BROKEN.values(), *(wire for wire, _ in ANSWERS.values())])),
       st.lists(st.integers(0, 5000), max_size=5))  # fmt: skip
@example([answer(b"one"), answer(b"two")], [])
def test_answers_upon_answers(wires, positions):
    """Frames after the end of a call are ignored or end the connection."""
    wire = b"".join(wires)
    results = []
    for pieces in ([wire], bytewise(wire), cut(wire, positions)):
        engine = Http2()
        feed(engine, HELLO)
        stream = engine.start(REQUEST)
        try:
            for piece in pieces:
                feed(engine, piece)
        except ProtocolError:
            assert not engine.reusable
        result = stream.result
        results.append((type(result), str(result), engine.reusable, len(stream.messages)))
    assert results[0] == results[1] == results[2]


# Sizes


@pytest.mark.parametrize("size", [10, 11, 70_000, 2**31 - 1, 2**32 - 1])
def test_the_largest_message(size):
    limit = max(10, min(size - 1, 70_000))
    engine = Http2(max_message=limit)
    feed(engine, HELLO)
    stream, other = engine.start(REQUEST), engine.start(REQUEST)
    prefix = b"\0" + size.to_bytes(4, "big")
    feed(engine, head() + data(prefix + bytes(min(size, 10))))
    if size <= limit:
        feed(engine, trailers())
        assert stream.result.code == 0
    else:
        assert isinstance(stream.result, ResourceExhausted)
        expected = f"Received message larger than max ({size} vs. {limit})"
        assert stream.result.message() == expected
        assert stream.result.status() == "StatusCode.RESOURCE_EXHAUSTED"
    feed(engine, answer(b"fine", 3))
    assert bytes(other.take()) == b"fine"


def test_no_limit_beyond_what_a_window_can_hold():
    engine = Http2(max_message=2**40)
    feed(engine, HELLO)
    stream = engine.start(REQUEST)
    feed(engine, head() + data(b"\0\xff\xff\xff\xff"))
    assert isinstance(stream.result, ResourceExhausted)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_bombs(coding):
    fields = block(*GRPC, ("grpc-encoding", coding))
    bomb = compress([bytes(1 << 20)], coding)
    wire = head(fields=fields) + data(message(bomb, 1)) + trailers()
    assert play([wire])[1] == [bytes(1 << 20)]
    kind, text, _ = play([wire], max_content=1 << 19)
    assert (kind, "exceeds 524288 bytes" in text) == (ProtocolError, True)


def test_bombs_that_nobody_takes_stay_small():
    """Only what is taken is decompressed, since the window bounds what comes compressed."""
    engine = Http2()
    feed(engine, HELLO)
    stream = engine.start(REQUEST, single=False)
    bomb = message(compress([bytes(1 << 20)], "gzip"), 1)
    feed(engine, head(fields=block(*GRPC, ("grpc-encoding", "gzip"))))
    for _ in range(100):
        feed(engine, data(bomb))
    assert sum(len(each.data) for each in stream.messages) == 100 * (len(bomb) - 5)
    assert len(stream.take()) == 1 << 20


def test_a_message_that_can_not_be_decompressed_ends_the_queue():
    engine = Http2()
    feed(engine, HELLO)
    stream = engine.start(REQUEST, single=False)
    feed(engine, head(fields=block(*GRPC, ("grpc-encoding", "gzip"))))
    feed(engine, data(message(b"broken", 1) + message(b"fine")))
    with pytest.raises(ProtocolError, match="not valid gzip"):
        stream.take()
    assert not stream.messages


# Memory


@pytest.mark.parametrize("offset", [0, 1, 33, 100])
def test_large_messages_are_aligned(offset):
    content = random.Random(3).randbytes(200_000)
    engine = Http2()
    feed(engine, HELLO)
    stream = engine.start(REQUEST, data_offset=lambda prefix: offset)
    feed(engine, head() + data(message(content)) + trailers())
    received = stream.take()
    assert received == content
    assert not received.readonly
    assert np.frombuffer(received[offset:], np.uint8).ctypes.data % 16 == 0


@pytest.mark.parametrize("size", [1 << 20, 10 << 20])
def test_large_messages_are_received_in_place(size):
    """While a large frame is under way, the buffer is the rest of the message."""
    engine = Http2()
    feed(engine, HELLO)
    stream = engine.start(REQUEST)
    feed(engine, head())
    wire = message(bytes(size))
    direct = 0
    for start in range(0, len(wire), 1 << 20):
        piece = wire[start : start + (1 << 20)]
        feed(engine, data(piece)[:9] + piece[:10])
        assert not engine.length_known or start == 0
        view = memoryview(piece)[10:]
        while len(view):
            buffer = engine.get_buffer()
            count = min(len(buffer), len(view))
            direct += count if engine.length_known else 0
            assert not engine.length_known or count == len(buffer)
            buffer[:count] = view[:count]
            engine.buffer_updated(count)
            view = view[count:]
    feed(engine, trailers())
    assert len(stream.take()) == size
    assert direct > size * 0.9


def test_a_call_that_is_given_up_inside_a_large_frame():
    engine = Http2()
    feed(engine, HELLO)
    stream, other = engine.start(REQUEST), engine.start(REQUEST)
    feed(engine, head() + data(message(bytes(1 << 20)))[: 1 << 19])
    assert len(engine.get_buffer()) > 1 << 18
    engine.cancel(stream, ProtocolError("given up"))
    feed(engine, data(message(bytes(1 << 20)))[1 << 19 :] + answer(b"fine", 3))
    assert bytes(other.take()) == b"fine"


def test_a_lying_length_takes_no_memory():
    """A length of 2 GiB reserves addresses; nothing is written there before it comes."""
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    engine = Http2()
    feed(engine, HELLO)
    for stream_id in range(1, 21, 2):
        engine.start(REQUEST)
        feed(engine, head(stream_id) + data(b"\0\x7f\xff\xff\xff", stream_id))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10


# The window of a stream, against a model


class Reader:
    """A peer that sends as much as it may, and a reader that takes what it likes to.

    Attributes:
        allowed: what the peer may send in all, padding included.
        used: what it has sent, padding included; position: without.
        taken: what the reader has taken, and all padding.
    """

    def __init__(self, sizes, padding=0):
        self.engine = Http2()
        feed(self.engine, HELLO)
        self.stream = self.engine.start(REQUEST, single=False)
        sent(self.engine)
        feed(self.engine, head())
        self.body = b"".join(message(bytes(size)) for size in sizes)
        self.padding = padding
        self.allowed = WINDOW
        self.used = self.position = self.taken = 0

    def update(self):
        for kind, _, stream, payload in frames(sent(self.engine)):
            if kind == WINDOW_UPDATE and stream == 1:
                self.allowed += int.from_bytes(payload, "big")

    def send(self, most):
        """Send a frame; whether the window, and what there is to send, let it."""
        self.update()
        room = self.allowed - self.used
        padding = max(0, min(self.padding, room - 1))
        size = min(most, room - padding, len(self.body) - self.position)
        if size <= 0:
            return False
        piece = self.body[self.position : self.position + size]
        if padding:
            piece = bytes([padding - 1]) + piece + bytes(padding - 1)
        feed(self.engine, data(piece, flags=PADDED if padding else 0))
        self.position += size
        self.used += size + padding
        self.taken += padding
        return True

    def take(self):
        self.taken += 5 + len(self.stream.take())
        self.update()


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.sampled_from([0, 1, 1000, 1 << 20, 3 << 20, 5 << 20, 9 << 20]), max_size=6),
    st.sampled_from([16_384, 100_000, 1 << 20, (2**24) - 300]),
    st.randoms(use_true_random=False),
    st.sampled_from([0, 1, 256]),
)
@example([5 << 20, 9 << 20], 16_384, random.Random(1), 256)
def test_the_window_holds(sizes, most, steps, padding):
    """A peer never has more under way than a window, or the one message that is wanted next."""
    reader = Reader(sizes, padding)
    wanted = deque(sizes)
    while reader.position < len(reader.body) or reader.stream.messages:
        reader.update()
        bound = max(WINDOW, wanted[0]) + 5 if wanted else WINDOW
        assert reader.allowed - reader.taken <= bound + 5
        if reader.stream.messages and steps.random() < 0.3:
            reader.take()
            wanted.popleft()
        elif not reader.send(steps.randint(1, most)) and reader.position < len(reader.body):
            # It may wait for the reader, and for nothing else.
            assert reader.stream.messages
            reader.take()
            wanted.popleft()
    assert not wanted


@pytest.mark.slow
def test_nothing_but_empty_messages():
    """They take no room in the window and some in memory, so each counts for more than it is."""
    reader = Reader([0] * 1_500_000)
    while reader.send(16_384):
        pass
    waiting = len(reader.stream.messages)
    assert waiting * 5 <= WINDOW
    for _ in range(waiting // 2):
        reader.take()
    assert not reader.send(16_384)
    for _ in range(waiting // 2):
        reader.take()
    assert reader.send(16_384)
