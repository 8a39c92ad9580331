"""Limits of the HTTP/2 engine against peers that break its rules or waste memory and CPU."""

from __future__ import annotations

import random
import sys
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.peers.h2peer import (
    ACK,
    ANSWER,
    CONTINUATION,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HAS_PRIORITY,
    HELLO,
    PADDED,
    PING,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    SUCCESS,
    WINDOW_UPDATE,
    answer,
    block,
    data,
    feed,
    frame,
    frames,
    goaway,
    head,
    message,
    reset,
    sent,
    trailers,
    window_update,
)
from tests.support.peers.h2peer import (
    settings as settings_frame,
)
from tritonclient.engine.header_block import MAX_BLOCK_SIZE
from tritonclient.engine.http2 import Http2
from tritonclient.engine.http2_receiving import RECEIVE_SIZE
from tritonclient.engine.http2_sending import MAX_IDLE_FRAMES, MAX_PENDING_CONTROL
from tritonclient.engine.message_stream import WINDOW, frame_message
from tritonclient.engine.rpc_outcome import Outcome
from tritonclient.errors import (
    Cancelled,
    ConnectionFailed,
    InferenceServerException,
    ProtocolError,
    StreamRefused,
)

REQUEST = b"\x83\x86"


def begin(calls=1, *, greeted=True):
    engine = Http2()
    if greeted:
        feed(engine, HELLO)
    streams = [engine.start(REQUEST, frame_message([b"question"])) for _ in range(calls)]
    sent(engine)
    return engine, streams


# Against the rules


BROKEN = {
    "no HTTP/2": b"220 mail.example.com ESMTP\r\n",
    "TLS": b"\x15\x03\x01\x00\x02\x02\x28\x15\x03",
    "nothing but zeros": bytes(100),
    "no settings first": frame(PING, 0, 0, bytes(8)),
    "an acknowledgement first": frame(SETTINGS, ACK),
    "a push": HELLO + frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\x02" + ANSWER),
    "settings of a stream": HELLO + frame(SETTINGS, 0, 1),
    "half a setting": HELLO + frame(SETTINGS, 0, 0, b"\0\x04\0\0\0"),
    "settings in an acknowledgement": HELLO + frame(SETTINGS, ACK, 0, bytes(6)),
    "too small a frame size": settings_frame(max_frame_size=16_383),
    "too large a frame size": settings_frame(max_frame_size=1 << 24),
    "too large an initial window": settings_frame(initial_window_size=1 << 31),
    "a window beyond the largest by settings": HELLO
    + window_update(2**31 - 1 - 65_535 + 13, 1)
    + settings_frame(initial_window_size=65_536),
    "a window beyond the largest": HELLO + window_update(2**31 - 1),
    "a stream's window beyond the largest": HELLO + window_update(2**31 - 1, 1),
    "a window opened by nothing": HELLO + window_update(0),
    "a stream's window opened by nothing": HELLO + window_update(0, 1),
    "a short window": HELLO + frame(WINDOW_UPDATE, 0, 0, bytes(3)),
    "a short ping": HELLO + frame(PING, 0, 0, bytes(7)),
    "a ping of a stream": HELLO + frame(PING, 0, 1, bytes(8)),
    "a short reset": HELLO + frame(RST_STREAM, 0, 1, bytes(3)),
    "a reset of the connection": HELLO + reset(2, 0),
    "a reset of a stream to come": HELLO + reset(2, 3),
    "a short GOAWAY": HELLO + frame(GOAWAY, 0, 0, bytes(7)),
    "a GOAWAY of a stream": HELLO + frame(GOAWAY, 0, 1, bytes(8)),
    "data of the connection": HELLO + data(b"x", 0),
    "data of a stream to come": HELLO + data(b"x", 3),
    "data of an even stream": HELLO + data(b"x", 2),
    "headers of the connection": HELLO + head(0),
    "headers of a stream to come": HELLO + head(3),
    "headers of an even stream": HELLO + head(2),
    "the beginning of headers of a stream to come": HELLO + head(3, flags=0),
    "a window of a stream to come": HELLO + window_update(1, 3),
    "more padding than data": HELLO + head() + data(b"\x05hell", flags=PADDED),
    "padding without its length": HELLO + head() + data(b"", flags=PADDED) + bytes(1),
    "more padding than headers": HELLO + head(fields=b"\xff" + ANSWER, flags=END_HEADERS | PADDED),
    "headers without their padding": HELLO + head(fields=b"", flags=END_HEADERS | PADDED),
    "headers without their priority": HELLO
    + head(fields=bytes(4), flags=END_HEADERS | HAS_PRIORITY),
    "headers that are interrupted": HELLO + head(flags=0) + frame(PING, 0, 0, bytes(8)),
    "headers that are interrupted by data": HELLO + head(flags=0) + data(b""),
    "headers that are interrupted by headers": HELLO + head(flags=0) + head(),
    "headers that another stream continues": HELLO
    + head(flags=0)
    + frame(CONTINUATION, END_HEADERS, 3, ANSWER),
    "a continuation of nothing": HELLO + frame(CONTINUATION, END_HEADERS, 1, ANSWER),
    "an invalid header block": HELLO + head(fields=b"\xff\xff\xff"),
    "data behind the end": HELLO + answer() + data(b"x"),
    "data behind a reset": HELLO + reset(2) + data(b"x"),
    "a huge header block": HELLO + head(fields=bytes(MAX_BLOCK_SIZE + 1))[:9],
    "a huge frame that nobody knows": HELLO + frame(200, 0, 0, bytes(1 << 20))[:9],
    "huge settings": HELLO + frame(SETTINGS, 0, 0, bytes(6 << 15))[:9],
}  # fmt: skip


@pytest.mark.parametrize("wire", BROKEN.values(), ids=BROKEN)
def test_broken_rules_end_the_connection(wire):
    for pieces in ([wire], [wire[i : i + 1] for i in range(len(wire))]):
        engine, (stream,) = begin(greeted=False)
        with pytest.raises(ProtocolError) as caught:
            for piece in pieces:
                feed(engine, piece)
        assert not engine.reusable
        assert not engine.streams
        assert stream.result is not None
        assert len(str(caught.value)) < 500
        with pytest.raises(InferenceServerException):
            engine.start(REQUEST)


def test_an_answer_match_template_that_interrupts_headers():
    for size in (1, 1000):
        engine, (*_, interrupted, answered) = begin(4)
        wire = answer() + answer(stream=3) + head(5, flags=0) + answer(stream=7)
        with pytest.raises(ProtocolError, match="interrupts a header block"):
            for start in range(0, len(wire), size):
                feed(engine, wire[start : start + size])
        assert isinstance(interrupted.result, ProtocolError)
        assert isinstance(answered.result, ProtocolError)


@pytest.mark.parametrize(
    "line", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"HTTP/1.0 400 No\r\n\r\n", b"HTTP/1.", b"HTTP/"]
)
def test_the_port_of_http_is_recognised(line):
    for pieces in ([line], [line[i : i + 1] for i in range(len(line))]):
        engine, (stream,) = begin(greeted=False)
        with pytest.raises(ProtocolError, match="answers with HTTP/1; is this its port for HTTP"):
            for piece in pieces:
                feed(engine, piece)
        assert isinstance(stream.result, ProtocolError)


def test_a_port_that_hangs_up():
    """As one with TLS may do, when it is spoken to without."""
    engine, (stream,) = begin(greeted=False)
    with pytest.raises(ConnectionFailed, match="before it said anything; is this a port for gRPC"):
        engine.eof_received()
    assert isinstance(stream.result, ConnectionFailed)


def test_what_is_put_up_with():
    """Frames that mean nothing to us, or nothing any more."""
    engine, (stream, over) = begin(2)
    feed(engine, answer(b"over", 3))
    wire = (
        frame(SETTINGS, ACK),
        frame(SETTINGS, 0, 0, b"\0\x63\0\0\0\x01"),  # a setting that nobody knows
        settings_frame(enable_connect_protocol=1, max_header_list_size=1, header_table_size=0),
        frame(PING, ACK, 0, bytes(8)),
        frame(PRIORITY, 0, 1, bytes(5)),
        frame(PRIORITY, 0, 99, bytes(5)),
        frame(0x10, 0xFF, 0, b"of an extension"),
        frame(0xFF, 0xFF, 2**31 - 1, b""),
        window_update(1 << 20, 3),
        reset(8, 3),
        trailers(3),
        data(b"", 3),
        frame(WINDOW_UPDATE, 0, 2**31, b"\x80\0\0\x01"),  # with its reserved bits set
    )
    for each in wire:
        feed(engine, each)
    feed(engine, answer())
    assert bytes(stream.take()) == b"hello"
    assert over.result.code == 0
    assert engine.reusable


# Without end


def _flooded(piece, calls=1, prepare=b"", most=200 << 20):
    """How much an engine takes of a piece that is repeated for ever, and the memory it takes."""
    engine, streams = begin(calls)
    feed(engine, prepare)
    received = 0
    pieces = piece * max(1, RECEIVE_SIZE // len(piece))
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError) as caught:
            while received < most:
                feed(engine, pieces)
                received += len(pieces)
                sent(engine)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert not engine.reusable
    assert all(stream.result is not None for stream in streams)
    assert peak < 8 * MAX_BLOCK_SIZE
    return received // len(piece), str(caught.value)


FLOODS = {
    "pings": (frame(PING, 0, 0, bytes(8)), b""),
    "answers to no ping": (frame(PING, ACK, 0, bytes(8)), b""),
    "settings": (settings_frame(initial_window_size=1), b""),
    "empty settings": (HELLO, b""),
    "acknowledgements": (frame(SETTINGS, ACK), b""),
    "empty data": (data(b""), head()),
    "padded empty data": (data(b"\x01\0", flags=PADDED), head()),
    "resets": (reset(8, 3), reset(8, 3)),
    "window updates": (window_update(1), b""),
    "window updates of a stream": (window_update(1, 1), b""),
    "window updates of a stream that is over": (window_update(1, 3), reset(8, 3)),
    "priorities": (frame(PRIORITY, 0, 1, bytes(5)), b""),
    "frames of a type that nobody knows": (frame(77), b""),
    "farewells": (goaway(2**31 - 1), b""),
    "interim headers": (head(fields=block((":status", "103"))), b""),
    "headers of a stream that is over": (head(3), reset(8, 3)),
}


@pytest.mark.parametrize(("piece", "prepare"), FLOODS.values(), ids=FLOODS)
def test_frames_that_say_nothing(piece, prepare):
    count, text = _flooded(piece, 2, prepare)
    assert MAX_IDLE_FRAMES - RECEIVE_SIZE // len(piece) - 2 <= count <= MAX_IDLE_FRAMES
    assert text == f"the server sent {MAX_IDLE_FRAMES} frames that say nothing"


def test_endless_headers():
    count, text = _flooded(frame(CONTINUATION, 0, 1, b""), prepare=head(flags=0))
    assert count < 100
    assert "header block exceeds" in text
    count, _ = _flooded(frame(CONTINUATION, 0, 1, bytes(16_384)), prepare=head(flags=0))
    assert count < 5


def test_endless_messages_of_a_unary_call():
    assert _messages_until_the_end(message(b"x")) == 1
    assert _messages_until_the_end(message(b"")) == 1


def _messages_until_the_end(piece):
    engine, (stream,) = begin()
    feed(engine, head())
    for count in range(10):
        feed(engine, data(piece))
        if stream.result is not None:
            assert isinstance(stream.result, ProtocolError)
            return count
    raise AssertionError


@pytest.mark.slow
@pytest.mark.parametrize("size", [0, 1, 20])
@pytest.mark.parametrize("flags", [0, 1], ids=["plain", "compressed"])
def test_small_messages_that_nobody_takes(size, flags):
    """They take up some times their size, however small they are."""
    engine = Http2()
    feed(engine, HELLO)
    stream = engine.start(REQUEST, end=False, single=False)
    feed(engine, head())
    messages, part = message(bytes(size), flags) * 600, WINDOW // 8
    tracemalloc.start()
    try:
        for _ in range(part // len(messages)):
            feed(engine, data(messages))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(stream.messages) == part // len(messages) * 600
    assert held < 20 * part
    if not flags:
        taken = stream.take()
        assert taken == bytes(size)
        assert not taken.readonly


def test_data_on_a_call_that_was_given_up():
    """Data that was in flight is accepted, and not a byte more."""
    engine, (stream,) = begin()
    feed(engine, head())
    engine.cancel(stream, Cancelled("by the test"))
    for _ in range(WINDOW >> 16):
        feed(engine, data(bytes(1 << 16)))
    assert engine.reusable
    with pytest.raises(ProtocolError, match="goes on sending on calls that are over"):
        feed(engine, data(b"x"))


def test_data_beyond_the_window():
    """One stream that breaks its window is ended; the others go on."""
    engine, (stream, other) = begin(2)
    feed(engine, head())
    feed(engine, data(message(bytes(WINDOW - 5))))
    assert stream.result is None
    feed(engine, data(b"x"))
    assert isinstance(stream.result, ProtocolError)
    assert "flow control window" in str(stream.result)
    feed(engine, answer(b"fine", 3))
    assert bytes(other.take()) == b"fine"


def test_the_connections_window_never_shuts():
    """It is opened again long before a server could have used it up."""
    engine, _ = begin()
    feed(engine, head())
    opened = 0
    # As if so much had come.
    engine._consumed = 2**30 - 5
    feed(engine, data(message(b"x")))
    for kind, _, stream, payload in frames(sent(engine)):
        if kind == WINDOW_UPDATE and stream == 0:
            opened += int.from_bytes(payload, "big")
    assert opened == 2**30 + 1


@pytest.mark.parametrize("asked", [frame(PING, 0, 0, bytes(8)), HELLO])
def test_a_peer_that_does_not_read_what_it_is_answered(asked):
    engine, (stream,) = begin()
    with pytest.raises(ProtocolError, match="without reading what it is answered"):
        for _ in range(MAX_IDLE_FRAMES):
            feed(engine, asked)
    assert sum(map(len, engine.data_to_send())) <= MAX_PENDING_CONTROL + 100
    assert isinstance(stream.result, ProtocolError)


def test_a_server_that_pings_now_and_then():
    """It is no flood when calls go on meanwhile, or when we asked."""
    engine, _ = begin()
    for number in range(3 * MAX_IDLE_FRAMES):
        engine.ping()
        feed(engine, frame(PING, ACK, 0, bytes(8)))
        if number % 100 == 0:
            engine.start(REQUEST, frame_message([b"x"]))
        sent(engine)
    for _ in range(3):
        feed(engine, frame(PING, 0, 0, bytes(8)) * (MAX_IDLE_FRAMES // 3))
        sent(engine)
        engine.start(REQUEST, frame_message([b"x"]))
    assert engine.reusable


def test_a_window_that_opens_in_small_steps():
    """A large message may take any number of window updates."""
    engine, _ = begin()
    size = 64 * 3 * MAX_IDLE_FRAMES
    stream = engine.start(REQUEST, frame_message([bytes(size)]))
    sent(engine)
    while stream.out_size:
        feed(engine, window_update(64, 3) + window_update(64))
        sent(engine)
    assert engine.reusable


def test_the_buffer_stays_small():
    engine, _ = begin()
    largest = 0
    for _ in range(20):
        for size in (1, 10_000, 60_000):
            feed(engine, frame(99, 0, 0, bytes(size)))
            largest = max(largest, len(engine._buffer))
    assert largest <= 2 * (MAX_BLOCK_SIZE + RECEIVE_SIZE)


def test_what_is_over_is_forgotten():
    engine = Http2()
    feed(engine, HELLO)
    rest = sys.getsizeof(engine.streams)
    for number in range(20_000):
        stream = engine.start(REQUEST, frame_message([b"x"]))
        sent(engine)
        if number % 4 == 0:
            engine.cancel(stream, Cancelled("by the test"))
        elif number % 4 == 1:
            feed(engine, reset(8, stream.id))
        else:
            feed(engine, answer(b"x", stream.id))
    assert not engine.streams
    assert not engine.sending
    assert sys.getsizeof(engine.streams) <= rest + 1000


# Anything at all


def check_end(engine, streams):
    """An engine is whole whatever it was fed."""
    sent(engine)
    assert len(engine._buffer) <= 4 * MAX_BLOCK_SIZE
    assert engine._control_size <= MAX_PENDING_CONTROL
    for stream in streams:
        assert (stream.result is None) == (stream.id in engine.streams)
        assert isinstance(stream.result, Outcome | InferenceServerException | None)
        while stream.messages:
            try:
                stream.take()
            except ProtocolError:
                assert not stream.messages
    try:
        engine.eof_received()
    except ConnectionFailed:
        assert any(isinstance(stream.result, ConnectionFailed) for stream in streams)
    assert not engine.streams
    assert all(stream.result is not None for stream in streams)


def survive(pieces, calls=3, single=True):
    engine = Http2(max_message=1 << 20)
    streams = [
        engine.start(REQUEST, frame_message([bytes(100 * n)]), end=single, single=single)
        for n in range(calls)
    ]
    sent(engine)
    try:
        for piece in pieces:
            feed(engine, piece)
            sent(engine)
    except ProtocolError:
        assert not engine.reusable
    check_end(engine, streams)
    return [type(stream.result) for stream in streams]


def cut(wire, positions):
    edges = [0, *sorted(min(p, len(wire)) for p in positions), len(wire)]
    return [wire[a:b] for a, b in pairwise(edges)]


CUTS = st.lists(st.integers(0, 500), max_size=5)


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=300), CUTS, st.booleans())
def test_any_bytes(wire, positions, single):
    whole = survive([wire], single=single)
    assert whole == survive(cut(wire, positions), single=single)
    greeted = survive([HELLO + wire], single=single)
    assert greeted == survive(cut(HELLO + wire, positions), single=single)


PAYLOADS = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            ANSWER,
            SUCCESS,
            ANSWER[:3],
            block((":status", "103")),
            block((":status", "502"), ("content-type", "text/html")),
            message(b"hello"),
            message(b"hello")[:7],
            message(b"") * 3,
            message(b"x", 1),
            b"\0\0\x10\0\0" + bytes(100),
            b"\0\xff\xff\xff\xff",
            bytes(4),
            b"\0\0\0\x08",
            b"\x7f\xff\xff\xff",
            bytes(8),
            b"\0\x04\0\0\0\0",
            b"\0\x05\0\0\x40\0",
            b"\0\x03\0\0\0\x01",
            b"\x05" + bytes(30),
        ]
    ),
)
FRAMES = st.builds(
    frame,
    st.sampled_from([*range(10), 99]),
    st.sampled_from([0, END_STREAM, END_HEADERS, END_HEADERS | END_STREAM, PADDED, 0x2D, 0xFF]),
    st.sampled_from([0, 1, 1, 3, 3, 5, 7, 2]),
    PAYLOADS,
)


@pytest.mark.slow
@settings(deadline=None, max_examples=500)
@given(st.lists(FRAMES, max_size=12), CUTS, st.booleans())
@example([data(b"", flags=END_STREAM)], [], True)
def test_any_frames(wires, positions, single):
    wire = HELLO + b"".join(wires)
    whole = survive([wire], single=single)
    assert whole == survive(cut(wire, positions), single=single)
    assert whole == survive([wire[i : i + 1] for i in range(len(wire))], single=single)


CONVERSATION = (
    HELLO
    + frame(SETTINGS, ACK)
    + answer(b"one", 1)
    + frame(PING, 0, 0, bytes(8))
    + head(3, fields=block((":status", "200"), ("content-type", "application/grpc"),
                           ("grpc-encoding", "gzip")))
    + data(message(b"x" * 200), 3)
    + window_update(1000)
    + data(b"\x03" + message(b"y" * 30)[:20] + bytes(3), 5, PADDED)
    + trailers(3, block(("grpc-status", "3"), ("grpc-message", "%C3%A4")))
    + goaway(5, 0, b"bye")
)  # fmt: skip


@pytest.mark.slow
@settings(deadline=None, max_examples=500)
@given(st.randoms(use_true_random=False), st.integers(1, 4), CUTS)
def test_conversations_that_are_damaged(damage, count, positions):
    wire = bytearray(CONVERSATION)
    for _ in range(count):
        place = damage.randrange(len(wire))
        kind = damage.randrange(4)
        if kind == 0:
            wire[place] ^= 1 << damage.randrange(8)
        elif kind == 1:
            del wire[place : place + damage.randint(1, 30)]
        elif kind == 2:
            wire[place:place] = damage.randbytes(damage.randint(1, 30))
        else:
            other = damage.randrange(len(wire))
            wire[place:place] = wire[other : other + damage.randint(1, 60)]
        if not wire:
            return
    whole = survive([bytes(wire)])
    assert whole == survive(cut(bytes(wire), positions))


def test_every_bit_of_a_conversation():
    for place in range(len(CONVERSATION)):
        for bit in range(8):
            wire = bytearray(CONVERSATION)
            wire[place] ^= 1 << bit
            survive([bytes(wire)])


def test_every_length_of_a_conversation():
    for length in range(len(CONVERSATION)):
        kinds = survive([CONVERSATION[:length]])
        assert set(kinds) <= {Outcome, ConnectionFailed, ProtocolError, StreamRefused}
    rest = random.Random(5)
    survive([rest.randbytes(1000) for _ in range(100)])
