"""Calls over the server's HTTP/2 engine: messages in and out, windows, ends, floods, mutations."""

from __future__ import annotations

import random
import tracemalloc

import h2.config
import h2.connection
import h2.events
import hpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.peers.h2client import FIELDS, OPENING, POST, ServerEnd, block, head, request
from tests.support.peers.h2peer import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    data,
    frame,
    frames,
    goaway,
    message,
    reset,
    sent,
    window_update,
)
from tests.support.peers.h2peer import settings as settings_frame
from tritonclient.engine.coding import Compressed, compress
from tritonclient.engine.header_block import MAX_BLOCK_SIZE
from tritonclient.engine.http2_receiving import RECEIVE_SIZE
from tritonclient.engine.http2_sending import MAX_IDLE_FRAMES, MAX_PENDING_CONTROL
from tritonclient.engine.message_stream import WINDOW
from tritonclient.engine.served_stream import ROOM
from tritonclient.errors import Cancelled, ProtocolError

NO_ERROR = bytes(4)


def decoded(payload):
    """The headers of a response's block."""
    return dict(hpack.Decoder().decode(payload))


# Requests


def test_a_request_in_any_pieces():
    wire = (
        head(1, ("a", "b"))
        + data(message(b"one") + message(b"") + message(b"two")[:3])
        + data(b"\x04" + message(b"two")[3:] + bytes(4), flags=PADDED)
        + head(3, flags=0, fields=POST[:10])
        + frame(CONTINUATION, 0, 3, POST[10:20])
        + frame(CONTINUATION, END_HEADERS, 3, POST[20:])
        + data(b"", 1, END_STREAM)
        + data(message(bytes(100_000))[:16_384], 3)
        + data(message(bytes(100_000))[16_384:], 3, END_STREAM)
        + head(5, flags=END_HEADERS | END_STREAM)
    )
    for size in (1, 2, 3, 5, 8, 9, 10, 1000, 16_384, 1 << 20):
        end = ServerEnd()
        end.feed(wire, size)
        assert end.events(1) == [b"one", b"", b"two", "end"]
        assert end.events(3) == [bytes(100_000), "end"]
        assert end.events(5) == ["end"]
        assert tuple(end.calls[1].stream.head.metadata()) == (("a", "b"),)


@pytest.mark.parametrize("size", [0, 1, 5, 256, 257, 65_535, 65_536, 1 << 20])
def test_messages_of_any_size(size):
    for pieces in (1000, 1 << 20):
        end = ServerEnd()
        wire = message(random.Random(size).randbytes(size))
        end.feed(head())
        for start in range(0, len(wire), 16_000):
            end.feed(data(wire[start : start + 16_000]), pieces)
        end.feed(data(b"", flags=END_STREAM))
        assert end.events() == [wire[5:], "end"]


def test_compressed_messages():
    end = ServerEnd(take=False)
    packed = compress([b"hello"], "gzip")
    end.feed(head(1, ("grpc-encoding", "gzip")) + data(message(packed, 1) + message(b"plain")))
    stream = end.calls[1].stream
    first = stream.take_as_it_came()
    assert isinstance(first, Compressed)
    assert (first.coding, bytes(first.content())) == ("gzip", b"hello")
    assert bytes(stream.take()) == b"plain"
    end.feed(head(3) + data(message(packed, 1), 3))
    first = end.calls[3].stream.take_as_it_came()
    assert isinstance(first, Compressed)
    assert first.coding == "identity"
    with pytest.raises(ProtocolError):
        first.content()


@pytest.mark.parametrize(
    ("wire", "code", "text"),
    [
        (data(b"\x02\0\0\0\0"), 13, "flags 2"),
        (data(b"\xff\0\0\0\0"), 13, "flags 255"),
        (data(b"\0\0\x10\0\x01"), 8, r"larger than max \(1048577 vs. 1048576\)"),
        (data(b"\0\xff\xff\xff\xff"), 8, "larger than max"),
        (data(b"\0", flags=END_STREAM), 13, "ends inside a message"),
        (data(b"\0\0\0\0\1", flags=END_STREAM), 13, "ends inside a message"),
        (data(message(b"hello")[:-1], flags=END_STREAM), 13, "ends inside a message"),
    ],
)  # fmt: skip
def test_messages_that_are_none(wire, code, text):
    """They end their call with a status; what follows on it is dropped, and others go on."""
    for size in (1, 1 << 20):
        end = ServerEnd()
        end.feed(head() + data(message(b"good")))
        end.feed(wire + request(stream=3), size)
        good, refused = end.events()
        assert good == b"good"
        assert refused.code == code
        end.feed(request(stream=5), size)
        if wire[4] != END_STREAM:
            end.feed(data(bytes(16_384)) + data(b"", flags=END_STREAM))
        assert end.events(3) == end.events(5) == [b"question", "end"]
        sent = [each for each in end.sent() if each[0] != WINDOW_UPDATE]
        assert [each[:3] for each in sent] == [
            (HEADERS, END_HEADERS | END_STREAM, 1), (RST_STREAM, 0, 1),
        ]  # fmt: skip
        status = decoded(sent[0][3])
        assert (status[":status"], status["grpc-status"]) == ("200", str(code))
        assert sent[1][3] == NO_ERROR


def test_a_unary_call_has_one_message():
    end = ServerEnd(take=False)
    end.feed(head())
    end.calls[1].stream.single = True
    end.feed(data(message(b"one")) + data(message(b"two")))
    (refused,) = end.events()
    assert (refused.code, refused.message) == (
        13, "the request of a unary call has more than one message",
    )  # fmt: skip


def test_progress_of_a_request():
    """Checked every ten seconds: some of it must come, and after a time ten bytes per second."""

    def check(stream, *sizes):
        reasons = []
        for size in sizes:
            end.feed(data(bytes(size))) if size else None
            reasons.append(stream.check_progress(10, 10))
        return reasons

    end = ServerEnd(take=False)
    end.feed(head())
    stream = end.calls[1].stream
    stream.single = True
    silent = "nothing of the request came for 10 s; send it again"
    assert check(stream, 0, 0) == ["", silent]
    end = ServerEnd(take=False)
    end.feed(head() + data(b"\0\0\x0f\0\0"))
    stream = end.calls[1].stream
    assert check(stream, 0, 1, 199, 100, 100, 0) == ["", "", "", "", "", silent]
    end = ServerEnd(take=False)
    end.feed(head() + data(b"\0\0\x0f\0\0"))
    stream = end.calls[1].stream
    slow = "the request came too slowly: 2 bytes in 20 s; send it again, with 10 bytes per second"
    assert check(stream, 0, 1, 1) == ["", "", f"{slow} or more"]
    # A frame counts by what has come of it.
    end = ServerEnd(take=False)
    end.feed(head() + data(b"\0\0\x0f\0\0" + bytes(900))[:30])
    stream = end.calls[1].stream
    assert check(stream, 0, 0) == ["", silent]
    # The next message begins anew.
    end = ServerEnd(take=False)
    end.feed(head() + data(message(b"hello")[:-1]))
    stream = end.calls[1].stream
    assert check(stream, 0) == [""]
    end.feed(data(b"o"))
    stream.take()
    assert check(stream, 0, 0, 0) == ["", "", ""]
    end.feed(data(b"\0"))
    assert check(stream, 0, 0) == ["", silent]


def test_a_call_that_awaits_more():
    """In the middle of a message, unless messages before it wait for the server."""
    end = ServerEnd(take=False)
    end.feed(head())
    stream = end.calls[1].stream
    assert not stream.awaits_more
    end.feed(data(b"\0"))
    assert stream.awaits_more
    end.feed(data(message(b"hello")[1:]))
    assert not stream.awaits_more
    end.feed(data(message(b"hello")[:-1]))
    assert not stream.awaits_more
    stream.take()
    assert stream.awaits_more
    end.feed(data(b"o"))
    assert not stream.awaits_more
    end.feed(head(3))
    stream = end.calls[3].stream
    stream.single = True
    assert stream.awaits_more
    end.feed(data(message(b"hello"), 3))
    assert stream.awaits_more
    end.feed(data(b"", 3, END_STREAM))
    assert not stream.awaits_more


# Responses


def _answered(end, stream=1, sizes=(1000, 0, 100_000), code=0):
    engine, call = end.engine, end.calls[stream].stream
    engine.begin_response(call)
    for size in sizes:
        engine.send_message(call, [bytes(size)])
    engine.end(call, code, "" if not code else "why")


@pytest.mark.parametrize("step", [1, 10, 1000, 60_000])
def test_a_window_that_opens_little_by_little(step):
    """For the call, and then for the connection."""
    for opened in (1, 0):
        end = ServerEnd()
        if opened:
            end.feed(settings_frame(initial_window_size=0) + window_update(1 << 20))
        end.feed(request())
        if not opened:
            end.feed(window_update(1 << 20, 1) + request(stream=3))
            _answered(end, 3, sizes=(65_530,))  # all of the connection's window
            end.sent()
        sizes = (step, 0, step * 3)
        _answered(end, sizes=sizes)
        received = [each for each in end.sent() if each[0] != SETTINGS]
        assert [each[0] for each in received] == [HEADERS]
        total = sum(sizes) + 5 * len(sizes)
        got = b""
        for _ in range(-(-total // step)):
            assert not end.sent()
            end.feed(window_update(step, opened))
            pieces = end.sent()
            got += b"".join(each[3] for each in pieces if each[0] == DATA)
        assert got == b"".join(message(bytes(size)) for size in sizes)
        assert pieces[-1][:3] == (HEADERS, END_HEADERS | END_STREAM, 1)
        assert end.events()[-1].code == 0
        assert not end.engine.streams
        assert not end.engine.pending


def test_a_window_that_shrinks_below_nothing():
    end = ServerEnd()
    end.feed(request())
    _answered(end)
    assert sum(len(each[3]) for each in end.sent() if each[0] == DATA) == 65_535
    end.feed(settings_frame(initial_window_size=10) + window_update(65_525, 1))
    end.feed(window_update(1 << 20))
    assert [each[0] for each in end.sent()] == [SETTINGS]
    end.feed(window_update(1, 1))
    assert [len(each[3]) for each in end.sent()] == [1]
    end.feed(settings_frame(initial_window_size=100_000))
    pieces = end.sent()
    assert pieces[-1][0] == HEADERS
    assert sum(len(each[3]) for each in pieces if each[0] == DATA) == 101_015 - 65_536


def test_frames_are_no_larger_than_the_client_takes():
    end = ServerEnd()
    end.feed(settings_frame(max_frame_size=20_000, initial_window_size=1 << 20))
    end.feed(window_update(1 << 20) + request())
    _answered(end)
    sizes = [len(each[3]) for each in end.sent() if each[0] == DATA]
    assert max(sizes) == 20_000
    assert sum(sizes) == 101_015


def test_streams_share_the_connection():
    end = ServerEnd()
    end.feed(request() + request(stream=3) + window_update(1 << 20))
    for stream in (1, 3):
        _answered(end, stream, sizes=(30_000,))
    pieces = [each[2] for each in end.sent(20_000) + end.sent(20_000) if each[0] == DATA]
    assert set(pieces) == {1, 3}


def test_a_small_response():
    end = ServerEnd()
    for stream in (1, 3):
        end.feed(request(stream=stream))
        end.engine.respond(end.calls[stream].stream, [b"an", b"swer"])
        headers, body, trailers = end.sent()
        assert headers[:3] == (HEADERS, END_HEADERS, stream)
        assert decoded(headers[3])["content-type"] == "application/grpc"
        assert body == (DATA, 0, stream, message(b"answer"))
        assert trailers[:3] == (HEADERS, END_HEADERS | END_STREAM, stream)
        assert decoded(trailers[3]) == {"grpc-status": "0"}
        assert end.events(stream)[-1].code == 0
    assert end.engine._window == 65_535 - 2 * 11


@pytest.mark.parametrize("answer", ["respond", "send_message", "end", "abort", "begin_response"])
def test_what_is_sent_on_a_call_that_is_over(answer):
    arguments = {"abort": (4, "late"), "end": (), "begin_response": ()}.get(answer, ([b"x"],))
    end = ServerEnd()
    end.feed(request() + reset(8))
    before = list(end.events())
    getattr(end.engine, answer)(end.calls[1].stream, *arguments)
    assert not end.sent()
    assert end.events() == before
    assert not end.engine.sending


def test_an_early_answer_stops_the_request():
    """What the client may have sent before it reads this is dropped, and no more."""
    end = ServerEnd()
    end.feed(head() + data(message(bytes(10_000))[:5000]))
    end.engine.end(end.calls[1].stream, 12, "not here")
    assert [each[0] for each in end.sent()] == [HEADERS, RST_STREAM]
    left = WINDOW - 5000
    while left:
        piece = min(left, 16_384)
        end.feed(data(bytes(piece)))
        left -= piece
    end.feed(request(stream=3))
    assert end.events(3) == [b"question", "end"]
    with pytest.raises(ProtocolError, match="calls that are over"):
        end.feed(data(b"x"))


def test_data_of_a_refused_call():
    end = ServerEnd(max_streams=1)
    end.feed(head() + head(3))
    for _ in range(WINDOW // 16_384):
        end.feed(data(bytes(16_384), 3))
    end.feed(data(message(b"x"), flags=END_STREAM))
    assert end.events() == [b"x", "end"]
    with pytest.raises(ProtocolError, match="calls that are over"):
        end.feed(data(b"x", 3))


def test_abort_drops_what_waits():
    end = ServerEnd()
    end.feed(request())
    call = end.calls[1].stream
    end.engine.send_message(call, [bytes(1 << 20)])
    end.sent()
    end.engine.abort(call, 1, "t\u00fcr 100%")
    ((kind, flags, _, payload),) = end.sent()
    assert (kind, flags) == (HEADERS, END_HEADERS | END_STREAM)
    assert decoded(payload) == {"grpc-status": "1", "grpc-message": "t%C3%BCr 100%25"}
    assert not end.engine.pending
    assert not end.engine.sending


def test_a_reset_in_each_phase():
    wires = (head(), head() + data(b"\0\0"), head() + data(message(b"x")), request())
    for wire in wires:
        for answer in (0, 1, 2):
            end = ServerEnd()
            end.feed(wire)
            if answer:
                end.engine.send_message(end.calls[1].stream, [bytes(1 << 20)])
            if answer == 2:
                end.sent()
            end.feed(reset(8) + request(stream=3))
            assert end.events()[-1].code == 1
            assert list(end.engine.streams) == [3]
            assert end.events(3) == [b"question", "end"]
            assert all(each[0] in (HEADERS, WINDOW_UPDATE) for each in end.sent())


def test_the_end_of_the_connection_ends_all_calls():
    end = ServerEnd()
    end.feed(request() + head(3) + head(5))
    end.engine.send_message(end.calls[1].stream, [bytes(1 << 20)])
    error = Cancelled("gone")
    end.engine.fail(error)
    assert [call.events[-1] for call in end.calls.values()] == 3 * [error]
    assert not end.engine.streams
    assert not end.engine.sending


def test_handlers_that_answer_at_once():
    """In the middle of what is received."""

    def answer(call):
        end.engine.end(call.stream, 12, "no such method")

    end = ServerEnd(on_call=answer, max_streams=200)
    end.feed(b"".join(request(stream=stream) for stream in range(1, 400, 2)))
    assert len(end.calls) == 200
    assert [each[0] for each in end.sent()] == 200 * [HEADERS, RST_STREAM]
    end.feed(head(401, flags=END_HEADERS | END_STREAM))
    assert [each[0] for each in end.sent()] == [HEADERS]


# With clients of others


@pytest.mark.parametrize("seed", range(10))
def test_a_conversation_with_h2(seed):
    """A client on the h2 package, which raises when this side breaks the protocol."""
    rng = random.Random(seed)
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    client.initiate_connection()
    end = ServerEnd(greeted=False)
    got = {}
    running = {}

    def to_server():
        end.feed(client.data_to_send(), rng.choice([1, 100, 1 << 20]))

    def to_client():
        for event in client.receive_data(sent(end.engine, rng.choice([1, 1000, 1 << 20]))):
            if isinstance(event, h2.events.DataReceived):
                got[event.stream_id] += event.data
                if event.flow_controlled_length:
                    client.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.TrailersReceived):
                assert dict(event.headers)[b"grpc-status"] == b"0"
            elif isinstance(event, h2.events.StreamEnded):
                assert bytes(got.pop(event.stream_id)) == running.pop(event.stream_id)

    for number in range(60):
        stream = client.get_next_available_stream_id()
        size = rng.choice([0, 10, 15_000])
        client.send_headers(stream, [*FIELDS, ("n", str(number))])
        client.send_data(stream, message(bytes(size)), end_stream=True)
        got[stream], running[stream] = bytearray(), message(bytes(size)) * 3
        if rng.random() < 0.2:
            client.update_settings({h2.settings.SettingCodes.HEADER_TABLE_SIZE: rng.randrange(99)})
        to_server()
        for call in list(end.calls.values()):
            if call.events[-1:] == ["end"]:
                call.events.append("answered")
                for each in [call.events[0]] * 3:
                    end.engine.send_message(call.stream, [each])
                end.engine.end(call.stream)
        to_client()
    for _ in range(1000):
        if not running:
            break
        to_client()
        to_server()
    assert not running
    assert not end.engine.streams


# Without end


FLOODS = {
    "pings": (frame(PING, 0, 0, bytes(8)), b""),
    "answers to no ping": (frame(PING, ACK, 0, bytes(8)), b""),
    "settings": (settings_frame(initial_window_size=1), b""),
    "acknowledgements": (frame(SETTINGS, ACK), b""),
    "empty data": (data(b""), head()),
    "padded empty data": (data(b"\x01\0", flags=PADDED), head()),
    "resets": (reset(8), head() + reset(8)),
    "window updates": (window_update(1), b""),
    "window updates of a call": (window_update(1, 1), head()),
    "window updates of a call that is over": (window_update(1, 1), head() + reset(8)),
    "priorities": (frame(PRIORITY, 0, 1, bytes(5)), b""),
    "frames of a type that nobody knows": (frame(77), b""),
    "GOAWAY": (goaway(0), b""),
    "headers of a call that is over": (head(), head() + reset(8)),
}


@pytest.mark.parametrize(("piece", "prepare"), FLOODS.values(), ids=FLOODS)
def test_floods(piece, prepare):
    end = ServerEnd()
    end.feed(prepare)
    pieces = piece * (RECEIVE_SIZE // len(piece))
    received = 0
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError):
            while received < 10 * MAX_IDLE_FRAMES * len(piece):
                end.feed(pieces)
                received += len(pieces)
                end.sent()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20 * MAX_BLOCK_SIZE
    assert not end.engine.streams


def test_a_client_that_does_not_read():
    end = ServerEnd()
    with pytest.raises(ProtocolError, match="without reading"):
        for _ in range(MAX_PENDING_CONTROL):
            end.feed(frame(PING, 0, 0, bytes(8)))
    assert sum(map(len, end.engine._control)) < MAX_PENDING_CONTROL + 1000


@pytest.mark.parametrize("how", ["end", "abort", "respond"])
def test_answers_that_are_not_read(how):
    """A call whose end the client has not read is running, for the bound on their number."""

    def answer(call):
        arguments = ([b"answer"],) if how == "respond" else (5, "no such model")
        getattr(end.engine, how)(call.stream, *arguments)

    end = ServerEnd(on_call=answer, max_streams=10)
    end.feed(b"".join(request(stream=stream) for stream in range(1, 200, 2)))
    assert len(end.calls) == 10
    assert [each[3] for each in end.sent() if each[0] == RST_STREAM][-90:] == 90 * [b"\0\0\0\7"]
    end.feed(request(stream=201))
    assert 201 in end.calls
    with pytest.raises(ProtocolError, match="frames that say nothing"):
        for stream in range(203, 20_000, 2):
            end.feed(request(stream=stream))
    assert sum(map(len, end.engine._control)) < MAX_PENDING_CONTROL + 10_000


def test_refusals_that_are_not_read():
    end = ServerEnd(max_streams=0)
    with pytest.raises(ProtocolError, match="without reading"):
        for stream in range(1, MAX_PENDING_CONTROL, 2):
            end.feed(head(stream))


def test_rapid_resets():
    """Nothing is left of calls that are taken back at once (CVE-2023-44487)."""
    end = ServerEnd()
    tracemalloc.start()
    try:
        for stream in range(1, 20_001, 2):
            end.feed(request(stream=stream) + reset(8, stream))
            assert end.calls.pop(stream).events[-1].code == 1
            end.sent()
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size < 1 << 20
    assert not end.engine.streams


def test_ten_thousand_calls():
    end = ServerEnd(max_streams=10_000)
    ids = range(1, 20_001, 2)
    end.feed(b"".join(head(stream) for stream in ids))
    end.feed(request(stream=20_001))
    assert end.sent() == [(RST_STREAM, 0, 20_001, b"\0\0\0\7")]
    end.feed(b"".join(data(message(b"x"), stream, END_STREAM) for stream in ids))
    for stream in ids:
        end.engine.respond(end.calls[stream].stream, [b"x"])
    assert sum(1 for each in end.sent() if each[0] == DATA) == 10_000
    assert not end.engine.streams


def test_calls_that_are_blocked_cost_nothing():
    """Neither what comes for others nor changes of the settings looks at each of them."""
    end = ServerEnd(max_streams=10_000)
    end.feed(settings_frame(initial_window_size=0) + window_update(1 << 30))
    for stream in range(1, 4001, 2):
        end.feed(request(stream=stream))
        end.engine.send_message(end.calls[stream].stream, [b"answer"])
    end.sent()
    assert not end.engine.pending
    assert not end.engine.sending
    toggle = settings_frame(initial_window_size=1) + settings_frame(initial_window_size=0)
    end.feed(500 * toggle + window_update(11, 3))
    assert [each[2] for each in end.sent() if each[0] == DATA] == [3]
    end.feed(settings_frame(initial_window_size=11))
    assert [each[2] for each in end.sent() if each[0] == DATA] == [1, *range(5, 4001, 2)]
    assert not end.engine._blocked


def test_windows_of_calls_that_are_over_do_not_count():
    end = ServerEnd()
    end.feed(head() + window_update(2**31 - 1 - 65_535, 1) + reset(8))
    end.feed(head(3) + settings_frame(initial_window_size=2**31 - 1))
    assert list(end.engine.streams) == [3]
    end.feed(settings_frame(initial_window_size=2**31 - 2) + window_update(1, 3))
    with pytest.raises(ProtocolError, match="opens a window too far"):
        end.feed(settings_frame(initial_window_size=2**31 - 1))


def test_room_for_more():
    end = ServerEnd()
    end.feed(request())
    call = end.calls[1].stream
    rooms = []
    end.engine.send_message(call, [bytes(ROOM)])
    assert not call.has_room
    call.on_room = lambda: rooms.append(call.out_size)
    end.sent()
    assert rooms == [ROOM + 5 - 65_535]
    assert call.has_room
    end.engine.send_message(call, [bytes(ROOM)])
    end.feed(reset(8))
    assert call.has_room


# Mutations

_STREAMS = st.sampled_from([0, 1, 2, 3, 5, 7, 9])
_PAYLOADS = st.one_of(
    st.sampled_from(
        [
            POST, message(b"hello"), message(b"hello")[:3], message(b"\0\1", 1), bytes(8), bytes(4),
            block(("x", "y")), b"\0\0\0\1", b"\0\4\0\0\0\1", b"\x7f\xff\xff\xff",
            b"\x02" + POST + bytes(2), message(bytes(20_000)),
        ]
    ),
    st.binary(max_size=30),
)  # fmt: skip
_FRAMES = st.builds(frame, st.integers(0, 10), st.integers(0, 0x2F), _STREAMS, _PAYLOADS)
_CALLS = st.builds(request, st.binary(max_size=10), st.sampled_from([1, 3, 5, 7, 9]))


def _play(wire, size):
    end = ServerEnd(greeted=False, max_streams=3, max_message=1 << 16)
    error = None
    try:
        end.feed(wire, size)
    except ProtocolError as caught:
        # Quoted is what had come.
        error = str(caught).partition("it begins with")[0]
    wires = [each for each in end.sent() if each[0] not in (WINDOW_UPDATE, GOAWAY)]
    assert len(end.engine._buffer) <= 2 * (MAX_BLOCK_SIZE + RECEIVE_SIZE)
    for call in end.calls.values():
        assert (call.stream.result is None) == (
            end.engine.streams.get(call.stream.id) is call.stream
        )
    return (
        error,
        wires,
        [(id, [repr(each) for each in call.events]) for id, call in end.calls.items()],
    )


@settings(deadline=None, max_examples=200)
@given(st.lists(st.one_of(_FRAMES, _CALLS, _CALLS), max_size=12), st.integers(1, 40))
def test_pieces_do_not_matter(parts, size):
    wire = OPENING + b"".join(parts)
    whole = _play(wire, 1 << 20)
    assert _play(wire, size) == whole
    assert _play(wire, 1) == whole


@settings(deadline=None, max_examples=200)
@given(st.randoms(use_true_random=False), st.integers(1, 8))
def test_flipped_bytes(rng, count):
    wire = bytearray(
        OPENING + request() + head(3, ("a", "b")) + data(message(b"x"), 3)
        + settings_frame(initial_window_size=10) + window_update(100) + reset(8, 3)
        + frame(HEADERS, 0, 5, POST[:9]) + frame(CONTINUATION, END_HEADERS, 5, POST[9:])
        + data(b"\x03" + message(bytes(300)) + bytes(3), 5, PADDED | END_STREAM)
    )  # fmt: skip
    for _ in range(count):
        wire[rng.randrange(len(wire))] = rng.randrange(256)
    assert _play(bytes(wire), 1 << 20) == _play(bytes(wire), 1 + rng.randrange(50))


def test_frames_of_the_opening():
    end = ServerEnd(greeted=False)
    (kind, _, _, values), update = frames(sent(end.engine))
    assert (kind, update[0]) == (SETTINGS, WINDOW_UPDATE)
    assert b"\0\3\0\0\0\x64" in values  # 100 calls
