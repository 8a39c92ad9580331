"""The HTTP/2 engine as a pure value, in conversation with a server on the h2 package."""

from __future__ import annotations

import random
from itertools import pairwise

import h2.events
import hpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.peers.h2peer import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    HELLO,
    PING,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Http2Peer,
    answer,
    data,
    feed,
    frame,
    frames,
    goaway,
    head,
    message,
    reset,
    sent,
    window_update,
)
from tests.support.peers.h2peer import settings as settings_frame
from tritonclient.engine.coding import compress
from tritonclient.engine.header_block import encode
from tritonclient.engine.http2 import Http2
from tritonclient.engine.http2_frames import frame_call
from tritonclient.engine.message_stream import WINDOW, frame_message
from tritonclient.engine.rpc_outcome import Outcome
from tritonclient.errors import (
    Cancelled,
    ConnectionFailed,
    ProtocolError,
    StreamRefused,
    StreamUnprocessed,
)

REQUEST = encode(
    [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/inference.GRPCInferenceService/ModelInfer"),
        (":authority", "localhost:8001"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
    ]
)
SIZES = (0, 1, 5, 40, 3000, 16_379, 16_384, 70_000, 200_000)
CHUNKS = (1, 2, 8, 9, 10, 100, 5000, 40_000, 1 << 20)
WINDOWS = (0, 1, 1000, 65_535, 300_000, 1 << 20)


class Call:
    """The expected state of a call.

    Attributes:
        outcome: what must come of it: a status, or ("reset", code); None while it is not decided.
    """

    def __init__(self, stream, single, sent):
        self.stream = stream
        self.single = self.ended = single
        self.sent = sent
        self.answers = []
        self.taken = []
        self.outcome = None
        self.cancelled = False


class Conversation:
    """Calls of all kinds at once, cut into pieces at random, while the settings change."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.engine = Http2()
        self.peer = Http2Peer()
        self.up, self.down = bytearray(), bytearray()
        self.calls = []
        self.pings = 0
        if self.random.random() < 0.5:
            self.peer.change_settings({4: self.random.choice(WINDOWS)})

    def play(self, steps):
        choices = {
            self.start: 4,
            self.send_more: 4,
            self.cancel: 1,
            self.take: 4,
            self.ping: 1,
            self.engine.send_liveness_probe: 1,
            self.answer: 8,
            self.end: 3,
            self.reset: 1,
            self.change_settings: 2,
            self.open_windows: 6,
            self.server_pings: 1,
            self.to_server: 12,
            self.to_client: 12,
        }
        for action in self.random.choices(list(choices), list(choices.values()), k=steps):
            action()
            assert self.engine.reusable
            assert len(self.engine.streams) == len(self._open_calls())
        self._finish()

    def _payload(self, sizes):
        return [each for size in sizes for each in frame_message([self.random.randbytes(size)])]

    def _sizes(self, most):
        return self.random.choices(SIZES, k=self.random.randint(0, most))

    def _pick(self, calls):
        return self.random.choice(calls) if calls else None

    # What the client does

    def start(self):
        if len(self._open_calls()) >= 8:
            return
        single = self.random.random() < 0.5
        payload = self._payload(self._sizes(1 if single else 3))
        if single and self.random.random() < 0.5:
            stream = self.engine.start_framed(frame_call(REQUEST, sum(map(len, payload))), payload)
        else:
            stream = self.engine.start(REQUEST, payload, end=single, single=single)
        self.calls.append(Call(stream, single, b"".join(payload)))

    def _open_calls(self):
        return [call for call in self.calls if call.stream.result is None]

    def send_more(self):
        call = self._pick([call for call in self._open_calls() if not call.ended])
        if call is not None:
            payload = self._payload(self._sizes(2))
            call.sent += b"".join(payload)
            call.ended = self.random.random() < 0.3
            self.engine.send(call.stream, payload, end=call.ended)

    def cancel(self):
        call = self._pick(self._open_calls())
        if call is not None:
            call.cancelled = True
            self.engine.cancel(call.stream, Cancelled("by the test"))
            assert isinstance(call.stream.result, Cancelled)

    def take(self):
        call = self._pick([call for call in self.calls if call.stream.messages])
        if call is not None:
            call.taken.append(bytes(call.stream.take()))

    def ping(self):
        if not self.engine.ping_pending:
            self.engine.ping()
            self.pings += 1

    # What the server does

    def _served_call(self):
        """A call that the server has seen and not ended."""
        found = [call for call in self.calls if call.outcome is None]
        found = [call for call in found if call.stream.id in self.peer.calls]
        call = self._pick([call for call in found if self._served(call).reset is None])
        return (call, self._served(call)) if call else (None, None)

    def _served(self, call):
        return self.peer.calls.get(call.stream.id)

    def answer(self):
        """Some messages, in pieces that need not be whole messages."""
        call, served = self._served_call()
        if call is None:
            return
        if not served.answered:
            self.peer.begin_answer(call.stream.id, ("grpc-encoding", "gzip"))
        wire = b""
        for size in self._sizes(1 - len(call.answers) if call.single else 3):
            content = self.random.randbytes(size)
            call.answers.append(content)
            packed = self.random.random() < 0.3
            wire += message(compress([content], "gzip") if packed else content, packed)
        cuts = sorted(self.random.choices(range(len(wire) + 1), k=self.random.choice([0, 1, 5])))
        self.peer.send(
            call.stream.id, *(wire[a:b] for a, b in pairwise([0, *cuts, len(wire)]) if a < b)
        )

    def end(self):
        call, served = self._served_call()
        if call is None:
            return
        call.outcome = self.random.choice([0, 0, 0, 5])
        fields = [("grpc-status", str(call.outcome)), ("grpc-message", "so %C3%A4")]
        if served.answered:
            self.peer.end(call.stream.id, *fields)
        else:  # trailers only
            head = [(":status", "200"), ("content-type", "application/grpc")]
            self.peer.h2.send_headers(call.stream.id, [*head, *fields], end_stream=True)

    def reset(self):
        call, served = self._served_call()
        if call is not None:
            code = self.random.randrange(15)
            call.outcome = ("reset", code)
            served.waiting.clear()
            self.peer.h2.reset_stream(call.stream.id, code)

    def change_settings(self):
        values = {
            1: self.random.choice([0, 4096]),
            3: self.random.randint(8, 100),
            4: self.random.choice(WINDOWS),
            5: self.random.choice([16_384, 16_385, 100_000, 2**24 - 1]),
        }
        names = self.random.sample(list(values), self.random.randint(0, 4))
        self.peer.change_settings({name: values[name] for name in names})

    def open_windows(self):
        self.peer.open_windows(self.random.choice([1, 7, 1000, 20_000, 1 << 20]))

    def server_pings(self):
        self.peer.h2.ping(self.random.randbytes(8))
        self.pings += 1

    # The network

    def to_server(self):
        self.up += sent(self.engine, self.random.choice([1, 1000, 65_536, 2**31 - 1]))
        count = self.random.choice(CHUNKS)
        self.peer.receive(bytes(self.up[:count]))
        del self.up[:count]

    def to_client(self):
        self.down += self.peer.to_send()
        count = self.random.choice(CHUNKS)
        feed(self.engine, self.down[:count])
        del self.down[:count]

    # The end

    def _finish(self):
        """Deliver everything, and compare."""
        self.peer.change_settings({4: 20_000})
        while True:
            for call in self.calls:
                while call.stream.messages:
                    call.taken.append(bytes(call.stream.take()))
            self.up += sent(self.engine)
            self.peer.receive(bytes(self.up))
            self.peer.open_windows()
            self.down += self.peer.to_send()
            feed(self.engine, self.down)
            if not (self.up or self.down or self.engine.pending):
                break
            self.up.clear()
            self.down.clear()
        assert not self.engine.ping_pending
        assert not self.engine.unverified
        kinds = [type(event) for event in self.peer.events]
        pongs = kinds.count(h2.events.PingAckReceived) + kinds.count(h2.events.PingReceived)
        assert pongs == self.pings
        for call in self.calls:
            self._check(call, self._served(call))
        for stream_id, stream in self.peer.h2.streams.items():
            # Neither side holds on to what is over for the other.
            assert stream.closed == (stream_id not in self.engine.streams)

    def _check(self, call, served):
        result = call.stream.result
        whole = not call.cancelled and call.outcome is None
        if whole or isinstance(call.outcome, int):
            assert call.cancelled or call.taken == call.answers
        assert call.taken == call.answers[: len(call.taken)]
        if whole:
            assert result is None
            assert bytes(served.received) == call.sent
            assert served.ended == call.ended
        elif call.cancelled:
            assert isinstance(result, Cancelled)
        elif isinstance(call.outcome, int):
            assert (result.code, result.message) == (call.outcome, "so ä")
        elif call.outcome == ("reset", 7):
            assert isinstance(result, StreamRefused)
        else:
            code = {8: 1, 11: 8, 12: 7}.get(call.outcome[1], 13)
            assert (type(result), result.code) == (Outcome, code)


@pytest.mark.slow
@settings(deadline=None, max_examples=250)
@given(st.integers(0, 2**32))
def test_conversation(seed):
    Conversation(seed).play(250)


# What is sent


def started(*payloads, **options):
    """An engine that the server has greeted, with a call for each payload."""
    engine = Http2()
    feed(engine, HELLO)
    sent(engine)
    streams = [engine.start(REQUEST, frame_message([each]), **options) for each in payloads]
    return engine, streams


def test_the_opening():
    engine = Http2()
    wire = sent(engine)
    assert wire.startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    (kind, flags, stream, payload), (*update, increment) = frames(wire)
    assert (kind, flags, stream, update) == (SETTINGS, 0, 0, [WINDOW_UPDATE, 0, 0])
    values = {
        payload[i + 1]: int.from_bytes(payload[i + 2 : i + 6], "big") for i in range(0, 30, 6)
    }
    assert values == {1: 0, 2: 0, 4: WINDOW, 5: 2**24 - 1, 6: 65_536}
    assert int.from_bytes(increment, "big") + 65_535 == 2**31 - 1
    feed(engine, HELLO)
    assert frames(sent(engine)) == [(SETTINGS, ACK, 0, b"")]
    assert not engine.pending


def test_a_small_call_is_sent_in_one_go():
    engine, _ = started(b"hello")
    assert [each[:3] for each in frames(sent(engine))] == [
        (HEADERS, END_HEADERS, 1),
        (DATA, END_STREAM, 1),
    ]
    assert not engine.pending


def test_a_long_header_block_is_continued():
    headers = [(":method", "POST"), (":path", "/"), *((f"x-{n}", "y" * 5000) for n in range(12))]
    engine, _ = started()
    engine.start(encode(headers), frame_message([b"hello"]))
    wire = sent(engine)
    kinds = [(kind, flags) for kind, flags, _, _ in frames(wire)]
    assert kinds == [
        (HEADERS, 0),
        (CONTINUATION, 0),
        (CONTINUATION, 0),
        (CONTINUATION, END_HEADERS),
        (DATA, END_STREAM),
    ]
    decoder = hpack.Decoder(max_header_list_size=1 << 20)
    block = b"".join(payload for _, _, _, payload in frames(wire)[:4])
    assert [tuple(each) for each in decoder.decode(block)] == headers


def test_both_windows_in_odd_steps():
    """The stream's window and the connection's are exhausted and opened by turns."""
    content = random.Random(1).randbytes(300_000)
    engine, _ = started(content)
    received = b""
    steps = random.Random(2)
    windows = {0: 65_535, 1: 65_535}
    while True:
        for kind, flags, _, payload in frames(sent(engine)):
            if kind == DATA:
                received += payload
                ended = flags & END_STREAM
                windows = {name: size - len(payload) for name, size in windows.items()}
        assert min(windows.values()) == 0 or ended
        if ended:
            break
        assert not engine.data_to_send()
        which, increment = steps.choice([0, 1]), steps.choice([1, 16_384, 16_385, 30_001])
        windows[which] += increment
        feed(engine, window_update(increment, which))
    assert received == message(content)


@pytest.mark.parametrize("chunk", CHUNKS)
def test_the_window_is_opened_behind_an_answer(chunk):
    """As servers do for what they have read, so that a connection serves any number of calls."""
    engine, _ = started()
    for stream_id in range(1, 21, 2):
        stream = engine.start(REQUEST, frame_message([bytes(10_000)]))
        assert len(sent(engine)) > 10_000  # all of it
        wire = answer(b"%05d" % stream_id, stream_id) + window_update(10_005)
        for begin in range(0, len(wire), chunk):
            feed(engine, wire[begin : begin + chunk])
        assert bytes(stream.take()) == b"%05d" % stream_id


@pytest.mark.parametrize("increment", [0, 2**31 - 1])
def test_a_window_is_opened_wrongly_behind_an_answer(increment):
    engine, (first, second) = started(b"a", b"b")
    feed(engine, answer(b"hello", first.id))
    with pytest.raises(ProtocolError, match=f"opens a window by {increment} bytes"):
        feed(engine, answer(b"there", second.id) + window_update(increment))
    assert bytes(second.take()) == b"there"
    assert not engine.reusable


def test_streams_take_turns():
    """A large call does not hold up the others, whether windows or drivers limit what is sent."""
    engine, _ = started(bytes(1 << 20), bytes(30_000), bytes(30_000))
    feed(engine, window_update(1 << 20) + settings_frame(initial_window_size=1 << 20))
    turns = []
    while wire := sent(engine, 20_000):
        for kind, _, stream, payload in frames(wire):
            if kind == DATA:
                turns.append((stream, len(payload)))
    order = [stream for stream, _ in turns]
    assert sum(size for _, size in turns[: order.index(5) + 1]) < 100_000
    assert sorted(set(order)) == [1, 3, 5]


def test_the_limit_is_for_all_calls_together():
    engine, _ = started(*[bytes(30_000)] * 8)
    feed(engine, window_update(1 << 20))
    sizes = [len(payload) for kind, _, _, payload in frames(sent(engine, 10_000)) if kind == DATA]
    assert sum(sizes) == 10_000


def test_the_end_needs_no_window():
    """An empty frame that ends a call goes out when the windows are shut, but not below that."""
    engine, (stream,) = started(bytes(65_530), end=False, single=False)
    sent(engine)
    engine.send(stream, (), end=True)
    assert engine.pending
    assert frames(sent(engine)) == [(DATA, END_STREAM, 1, b"")]

    engine, (stream,) = started(bytes(10_000), end=False, single=False)
    sent(engine)
    feed(engine, settings_frame(initial_window_size=0))
    engine.send(stream, (), end=True)
    assert [each[0] for each in frames(sent(engine))] == [SETTINGS]
    feed(engine, window_update(10_005, 1))
    assert frames(sent(engine)) == [(DATA, END_STREAM, 1, b"")]


def test_answered_before_all_was_sent():
    """The rest is not sent, and the server is told so that it forgets the call."""
    engine, (large, stream) = started(bytes(100_000), b"", end=False, single=False)
    sent(engine)
    assert large.out_size
    feed(engine, answer(b"enough", 1) + answer(b"enough", 3))
    assert frames(sent(engine)) == [
        (RST_STREAM, 0, 1, b"\0\0\0\0"),
        (RST_STREAM, 0, 3, b"\0\0\0\0"),
    ]
    assert (large.result.code, stream.result.code, large.out_size) == (0, 0, 0)
    feed(engine, window_update(100_000))
    assert not engine.pending
    engine.send(stream, [b"late"])
    assert not engine.pending


def test_many_calls_given_up_at_once():
    engine, streams = started(*[b""] * 10_000)
    sent(engine)
    for stream in streams:
        engine.cancel(stream, Cancelled("by the test"))
    assert engine.reusable
    assert not engine.streams
    resets = frames(sent(engine))
    assert [each[2] for each in resets] == [stream.id for stream in streams]
    assert {each[0::3] for each in resets} == {(RST_STREAM, b"\0\0\0\x08")}
    engine.cancel(streams[0], Cancelled("again"))
    assert not engine.pending


def test_the_last_stream():
    engine, _ = started()
    engine._next_id = 2**31 - 3
    assert engine.start(REQUEST).id == 2**31 - 3
    assert not engine.reusable
    with pytest.raises(StreamRefused):
        engine.start(REQUEST)


# Signs of life


def test_pings():
    engine, _ = started(b"")
    sent(engine)
    feed(engine, frame(PING, 0, 0, b"12345678"))
    assert frames(sent(engine)) == [(PING, ACK, 0, b"12345678")]
    engine.ping()
    engine.ping()
    ((kind, flags, stream, payload), _) = frames(sent(engine))
    assert (kind, flags, stream, engine.ping_pending, engine.pings) == (PING, 0, 0, True, 2)
    feed(engine, frame(PING, ACK, 0, payload))
    assert (engine.ping_pending, engine.pings) == (False, 2)
    engine.start(REQUEST, frame_message([b"message"]))
    assert engine.pings == 0


def test_pings_count_until_a_message_is_sent():
    engine, (stream,) = started(b"", end=False, single=False)
    engine.ping()
    engine.send(stream, frame_message([b"message"]))
    assert engine.pings == 1
    sent(engine)
    assert engine.pings == 0


def test_a_probe_is_answered_by_its_acknowledgement_only():
    engine, _ = started(b"")
    sent(engine)
    data_frame = head() + data(message(bytes(1000)))
    assert not engine.unverified
    engine.send_liveness_probe()
    engine.send_liveness_probe()
    assert engine.unverified
    assert frames(sent(engine)) == [(SETTINGS, 0, 0, b"")]
    feed(engine, frame(PING, 0, 0, bytes(8)))
    feed(engine, frame(SETTINGS, ACK))  # of the settings that are sent first
    assert engine.unverified
    feed(engine, data_frame[: len(data_frame) // 2])
    assert engine.unverified
    feed(engine, data_frame[len(data_frame) // 2 :] + frame(SETTINGS, ACK))
    assert not engine.unverified
    assert engine.reusable


# The end of a connection


def test_going_away_in_two_steps():
    engine, streams = started(b"a", b"b", b"c")
    feed(engine, goaway(2**31 - 1))
    assert not engine.reusable
    assert [stream.result for stream in streams] == [None] * 3
    with pytest.raises(StreamRefused, match="going away: error code 0"):
        engine.start(REQUEST)
    feed(engine, goaway(3, 11, b"max age"))
    assert [type(stream.result) for stream in streams] == [type(None)] * 2 + [StreamUnprocessed]
    assert streams[2].result.message() == "the server is going away: max age"
    feed(engine, answer(b"one", 1) + answer(b"two", 3))
    assert [bytes(stream.take()) for stream in streams[:2]] == [b"one", b"two"]
    engine.eof_received()


def test_going_away_and_gone():
    engine, (first, second) = started(b"a", b"b")
    feed(engine, goaway(1, 2, b"trouble"))
    with pytest.raises(ConnectionFailed, match="closed the connection: trouble"):
        engine.eof_received()
    assert isinstance(second.result, StreamRefused)
    assert not isinstance(first.result, StreamRefused)
    assert isinstance(first.result, ConnectionFailed)


def test_the_end_of_an_idle_connection():
    engine, _ = started()
    engine.eof_received()
    assert not engine.reusable
    with pytest.raises(ConnectionFailed, match="closed the connection"):
        engine.start(REQUEST)


def test_cancel_all():
    engine, streams = started(b"a", b"b")
    assert engine.cancel_all()
    assert [stream.result.code for stream in streams] == [1, 1]
    engine.mark_unusable()
    assert not engine.reusable
    assert not engine.cancel_all()


@pytest.mark.parametrize("code", [*range(15), 99, 2**32 - 1])
def test_reset_codes(code):
    engine, (stream, other) = started(b"", b"")
    feed(engine, reset(code))
    if code == 7:
        assert isinstance(stream.result, StreamRefused)
    else:
        # As gRPC maps them.
        expected = {8: 1, 11: 8, 12: 7}.get(code, 13)
        assert stream.result.code == expected
        assert str(code) in stream.result.message or code == 8
    feed(engine, answer(b"other", 3))
    assert bytes(other.take()) == b"other"
    feed(engine, reset(code))  # again, which says nothing
    assert engine.reusable
