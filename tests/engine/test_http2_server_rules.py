"""The server's HTTP/2 engine against clients that break the rules of RFC 9113, frame by frame."""

from __future__ import annotations

import hpack
import pytest

from tests.support.peers.h2client import (
    FIELDS,
    OPENING,
    POST,
    ServerEnd,
    block,
    head,
    request,
    without,
)
from tests.support.peers.h2peer import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HAS_PRIORITY,
    HEADERS,
    PADDED,
    PING,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    data,
    frame,
    goaway,
    message,
    reset,
    settings,
    window_update,
)
from tritonclient.engine.header_block import MAX_BLOCK_SIZE
from tritonclient.engine.http2_frames import PREFACE
from tritonclient.engine.http2_receiving import RECEIVE_SIZE
from tritonclient.engine.message_stream import WINDOW
from tritonclient.engine.rpc_outcome import Outcome
from tritonclient.errors import ProtocolError

PROTOCOL, FLOW_CONTROL, STREAM_CLOSED, FRAME_SIZE, REFUSED, COMPRESSION = 1, 3, 5, 6, 7, 9
LARGEST = 2**31 - 1

#: What a client may not send (behind its preface and settings), and the error code of the GOAWAY.
BROKEN = {
    # 4.1, 4.2: sizes
    "a header block that is too large": (head(fields=bytes(MAX_BLOCK_SIZE + 1))[:9], FRAME_SIZE),
    "an unknown frame that is too large": (frame(99, 0, 0, bytes(1 << 20))[:9], FRAME_SIZE),
    "settings that are too large": (frame(SETTINGS, 0, 0, bytes(6 << 15))[:9], FRAME_SIZE),
    # 4.3: header blocks
    "an invalid header block": (head(fields=b"\xff\xff\xff"), COMPRESSION),
    "an index that the table has not": (head(fields=POST + b"\xbe"), COMPRESSION),
    "the index 0": (head(fields=POST + b"\x80"), COMPRESSION),
    "a table that is too large": (head(fields=b"\x3f\xe2\x1f" + POST), COMPRESSION),  # 4097
    "a table that changes inside a block": (head(fields=POST + b"\x20"), COMPRESSION),
    "a Huffman code that ends early": (head(fields=POST + b"\x40\x81\xff\x00"), COMPRESSION),
    "a text that is longer than its block": (head(fields=POST + b"\x00\x05abc"), COMPRESSION),
    "a block that is interrupted by a ping": (
        head(flags=0) + frame(PING, 0, 0, bytes(8)),
        PROTOCOL,
    ),
    "a block that is interrupted by data": (head(flags=0) + data(b""), PROTOCOL),
    "a block that is interrupted by headers": (head(flags=0) + head(3), PROTOCOL),
    "a block that is interrupted by an unknown frame": (head(flags=0) + frame(99), PROTOCOL),
    "a block that another stream continues": (
        head(flags=0) + frame(CONTINUATION, END_HEADERS, 3, POST),
        PROTOCOL,
    ),
    # 5.1: states
    "data on an idle stream": (data(b"x", 3), PROTOCOL),
    "data on an idle stream behind a call": (request() + data(b"x", 3), PROTOCOL),
    "a reset of an idle stream": (reset(8, 1), PROTOCOL),
    "a window of an idle stream": (window_update(1, 1), PROTOCOL),
    "data on a half-closed stream": (request() + data(b"x"), STREAM_CLOSED),
    "data on a closed stream": (head() + reset(8) + data(b"x"), STREAM_CLOSED),
    # 5.1.1: ids
    "an even stream": (head(2), PROTOCOL),
    "the beginning of an even stream": (head(2, flags=0), PROTOCOL),
    "data on an even stream": (data(b"x", 2), PROTOCOL),
    "a window of an even stream": (window_update(1, 2), PROTOCOL),
    "headers on a half-closed stream": (request() + head(), STREAM_CLOSED),
    "trailers on a half-closed stream": (
        request() + frame(HEADERS, END_HEADERS | END_STREAM, 1, block(("x", "y"))),
        STREAM_CLOSED,
    ),
    "headers on a closed stream": (head() + reset(8) + head(), STREAM_CLOSED),
    "a stream below the last one": (head(5) + head(3), STREAM_CLOSED),
    "a reset of an even stream": (reset(8, 2), PROTOCOL),
    "headers of the connection": (head(0), PROTOCOL),
    # 6.1: DATA
    "data of the connection": (data(b"x", 0), PROTOCOL),
    "more padding than data": (head() + data(b"\x05hell", flags=PADDED), PROTOCOL),
    "data without its padding": (head() + data(b"", flags=PADDED) + bytes(1), PROTOCOL),
    # 6.2: HEADERS
    "more padding than headers": (
        head(fields=b"\xff" + POST, flags=END_HEADERS | PADDED),
        PROTOCOL,
    ),
    "headers without their padding": (head(fields=b"", flags=END_HEADERS | PADDED), PROTOCOL),
    "headers without their priority": (
        head(fields=bytes(4), flags=END_HEADERS | HAS_PRIORITY),
        PROTOCOL,
    ),
    # 6.3: PRIORITY
    "a priority of the connection": (frame(PRIORITY, 0, 0, bytes(5)), PROTOCOL),
    "a short priority": (frame(PRIORITY, 0, 1, bytes(4)), FRAME_SIZE),
    # 6.4: RST_STREAM
    "a reset of the connection": (reset(8, 0), PROTOCOL),
    "a short reset": (head() + frame(RST_STREAM, 0, 1, bytes(3)), FRAME_SIZE),
    "a long reset": (head() + frame(RST_STREAM, 0, 1, bytes(5)), FRAME_SIZE),
    # 6.5: SETTINGS
    "settings of a stream": (frame(SETTINGS, 0, 1), PROTOCOL),
    "half a setting": (frame(SETTINGS, 0, 0, bytes(5)), FRAME_SIZE),
    "settings in an acknowledgement": (frame(SETTINGS, ACK, 0, bytes(6)), FRAME_SIZE),
    "pushes that are neither on nor off": (settings(enable_push=2), PROTOCOL),
    "too large a window": (settings(initial_window_size=1 << 31), FLOW_CONTROL),
    "too small a frame": (settings(max_frame_size=16_383), PROTOCOL),
    "too large a frame": (settings(max_frame_size=1 << 24), PROTOCOL),
    # 6.6: PUSH_PROMISE
    "a push": (head() + frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\x02" + POST), PROTOCOL),
    # 6.7: PING
    "a ping of a stream": (frame(PING, 0, 1, bytes(8)), PROTOCOL),
    "a short ping": (frame(PING, 0, 0, bytes(7)), FRAME_SIZE),
    "a long ping": (frame(PING, 0, 0, bytes(9)), FRAME_SIZE),
    # 6.8: GOAWAY
    "a GOAWAY of a stream": (frame(GOAWAY, 0, 1, bytes(8)), PROTOCOL),
    "a short GOAWAY": (frame(GOAWAY, 0, 0, bytes(7)), FRAME_SIZE),
    # 6.9: WINDOW_UPDATE
    "a short window": (frame(WINDOW_UPDATE, 0, 0, bytes(3)), FRAME_SIZE),
    "a long window": (frame(WINDOW_UPDATE, 0, 0, bytes(5)), FRAME_SIZE),
    "a window opened by nothing": (window_update(0), PROTOCOL),
    "a stream's window opened by nothing": (head() + window_update(0, 1), PROTOCOL),
    "a window beyond the largest": (window_update(LARGEST), FLOW_CONTROL),
    "a stream's window beyond the largest": (head() + window_update(LARGEST, 1), FLOW_CONTROL),
    "a stream's window beyond the largest by settings": (
        head() + window_update(LARGEST - 65_535, 1) + settings(initial_window_size=65_536),
        FLOW_CONTROL,
    ),
    # 6.10: CONTINUATION
    "a continuation of nothing": (frame(CONTINUATION, END_HEADERS, 1, POST), PROTOCOL),
    "a continuation of a whole block": (
        head() + frame(CONTINUATION, END_HEADERS, 1, POST),
        PROTOCOL,
    ),
    "a continuation of data": (
        request() + frame(CONTINUATION, END_HEADERS, 1, POST),
        PROTOCOL,
    ),
    "continuations without end": (
        head(flags=0) + 65 * frame(CONTINUATION, 0, 1, b""),
        PROTOCOL,
    ),
    "a header block that grows too large": (
        head(flags=0) + 5 * frame(CONTINUATION, 0, 1, bytes(16_384)),
        PROTOCOL,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("wire", "code"), BROKEN.values(), ids=BROKEN)
def test_broken_rules_end_the_connection(wire, code):
    for size in (1, 7, 1 << 20):
        end = ServerEnd()
        with pytest.raises(ProtocolError) as caught:
            end.feed(wire, size)
        assert len(str(caught.value)) < 500
        assert end.engine.going_away
        assert not end.engine.streams
        assert all(call.stream.result is call.events[-1] for call in end.calls.values())
        kind, _, stream, payload = end.sent()[-1]
        assert (kind, stream) == (GOAWAY, 0)
        assert int.from_bytes(payload[:4], "big") == max(end.calls, default=0)
        assert int.from_bytes(payload[4:8], "big") == code


def test_a_connection_that_has_failed_reads_no_more():
    """A driver may have received more already; what it gives then costs no memory."""
    end = ServerEnd()
    with pytest.raises(ProtocolError):
        end.feed(head(2))
    assert [each[0] for each in end.sent()] == [GOAWAY]
    for _ in range(10):
        end.feed(bytes(RECEIVE_SIZE))
        end.feed(request(stream=3))
        end.feed(head(fields=bytes(MAX_BLOCK_SIZE + 1))[:9])
    assert not end.sent()
    assert not end.calls
    assert len(end.engine._buffer) == RECEIVE_SIZE


@pytest.mark.parametrize(
    "wire",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        b"\0",
        PREFACE + frame(PING, 0, 0, bytes(8)),
        PREFACE + frame(SETTINGS, ACK),
        PREFACE + request(),
        PREFACE + b"GET / HTTP/1.1\r\n",
    ],
)  # fmt: skip
def test_what_is_no_http2(wire):
    for size in (1, 1 << 20):
        end = ServerEnd(greeted=False)
        with pytest.raises(ProtocolError, match=r"does not (speak HTTP/2|begin with settings)"):
            end.feed(wire, size)
        assert [each[0] for each in end.sent()][-1] == GOAWAY
        assert not end.calls


def test_a_preface_that_is_cut_anywhere():
    for cut in range(1, len(OPENING)):
        end = ServerEnd(greeted=False)
        end.feed(OPENING[:cut])
        assert [each[0] for each in end.sent()] == [SETTINGS, WINDOW_UPDATE]
        end.feed(OPENING[cut:] + request())
        assert end.events() == [b"question", "end"]
        assert end.sent() == [(SETTINGS, ACK, 0, b"")]


def test_what_is_put_up_with():
    """Frames that mean nothing to a server, or nothing any more."""
    end = ServerEnd()
    wire = (
        frame(SETTINGS, ACK),
        frame(SETTINGS, 0, 0, b"\0\x63\0\0\0\x01"),  # a setting that nobody knows
        settings(enable_connect_protocol=1, max_header_list_size=1, header_table_size=0),
        settings(enable_push=1) + settings(enable_push=0),
        frame(PING, ACK, 0, bytes(8)),
        frame(PRIORITY, 0, 1, bytes(5)),
        frame(PRIORITY, 0, 98, bytes(5)),
        frame(0x10, 0xFF, 0, b"of an extension"),
        frame(0xFF, 0xFF, LARGEST, b""),
        frame(GOAWAY, 0, 0, bytes(8)),
        goaway(LARGEST, 11, b"calm"),
        head(1) + reset(8) + reset(8) + window_update(1, 1),
        head(3)[: -len(POST) - 9],
    )
    for each in wire:
        end.feed(each)
    padded = b"\x02" + bytes(5) + POST + bytes(2)
    end.feed(head(5, fields=padded, flags=END_HEADERS | PADDED | HAS_PRIORITY))
    end.feed(data(b"\x03" + message(b"hi") + bytes(3), 5, PADDED | END_STREAM))
    end.feed(frame(WINDOW_UPDATE, 0, 5, b"\x80\0\0\x01"))  # with its reserved bit set
    end.feed(frame(HEADERS, END_HEADERS, 2**31 | 7, POST))
    assert end.events(5) == [b"hi", "end"]
    assert 7 in end.calls


def test_a_ping_is_answered():
    end = ServerEnd()
    end.feed(frame(PING, 0, 0, b"whatever") + frame(PING, 0xFE, 0, b"whatnot."))
    assert end.sent() == [(PING, ACK, 0, b"whatever"), (PING, ACK, 0, b"whatnot.")]
    assert end.pings == 2
    end.engine.ping()
    ((kind, _, stream, payload),) = end.sent()
    end.feed(frame(kind, ACK, stream, payload))
    assert not end.engine.ping_pending
    assert end.pings == 2


# Requests that are refused, while the connection stays


def _faulty(*more, **changes):
    return head(fields=without(**changes) + block(*more))


MALFORMED = {
    **{f"without {name}": head(fields=without(name)) for name in (":method", ":scheme", ":path")},
    **{f"with an empty {name}": _faulty(**{name: ""}) for name in ("method", "scheme", "path")},
    **{
        f"with two of {name}": head(fields=block((name, "POST")) + POST)
        for name in (":method", ":scheme", ":path", ":authority")
    },
    "a pseudo-header behind others": head(
        fields=block(("x", "y")) + POST
    ),
    "a pseudo-header behind a header of the transport": head(
        fields=block(("te", "trailers")) + without("te")
    ),
    "a pseudo-header of responses": head(fields=block((":status", "200")) + POST),
    "a pseudo-header that nobody knows": head(fields=block((":extra", "x")) + POST),
    "a name in upper case": _faulty(("Upper", "x")),
    "a name without characters": _faulty(("", "x")),
    "a name with a space": _faulty(("a b", "x")),
    "a name with a colon": _faulty(("a:b", "x")),
    "a name outside ASCII": _faulty(("\xe4", "x")),
    "a value with a line feed": _faulty(("x", "a\nb")),
    "a value with a zero": _faulty(("x", "a\0b")),
    "connection": _faulty(("connection", "keep-alive")),
    "keep-alive": _faulty(("keep-alive", "5")),
    "proxy-connection": _faulty(("proxy-connection", "keep-alive")),
    "transfer-encoding": _faulty(("transfer-encoding", "chunked")),
    "upgrade": _faulty(("upgrade", "h2c")),
    "another te than trailers": _faulty(te="gzip"),
    **{
        f"the timeout {value!r}": _faulty(("grpc-timeout", value))
        for value in ("", "1", "S", "-1S", "1.5S", "123456789S", "1 S", "1s", "0x1S", "\u0661S")
    },
    "two timeouts": _faulty(("grpc-timeout", "1S"), ("grpc-timeout", "2S")),
}  # fmt: skip


@pytest.mark.parametrize("wire", MALFORMED.values(), ids=MALFORMED)
def test_malformed_requests_are_refused_alone(wire):
    end = ServerEnd()
    end.feed(wire + data(message(b"of it"), flags=END_STREAM) + request(stream=3))
    assert end.sent() == [(RST_STREAM, 0, 1, PROTOCOL.to_bytes(4, "big"))]
    assert list(end.calls) == [3]
    assert end.events(3) == [b"question", "end"]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"method": "GET"}, "405"),
        ({"method": "post"}, "405"),
        ({"content_type": "text/plain"}, "415"),
        ({"content_type": None}, "415"),
    ],
)
def test_requests_that_are_no_grpc(changes, status):
    if "content_type" in changes:
        value = changes["content_type"]
        fields = without("content-type") + (block(("content-type", value)) if value else b"")
    else:
        fields = without(**changes)
    end = ServerEnd()
    end.feed(head(fields=fields))
    (kind, flags, stream, payload), stop = end.sent()
    assert (kind, flags, stream) == (HEADERS, END_HEADERS | END_STREAM, 1)
    assert hpack.Decoder().decode(payload)[0] == (":status", status)
    assert stop == (RST_STREAM, 0, 1, bytes(4))
    end.feed(data(message(b"x"), flags=END_STREAM))
    end.feed(head(3, fields=fields, flags=END_HEADERS | END_STREAM))
    assert [each[0] for each in end.sent()] == [HEADERS]
    assert not end.calls


def test_trailers_of_a_request():
    end = ServerEnd()
    trailer = frame(HEADERS, END_HEADERS | END_STREAM, 1, block(("x", "y")))
    end.feed(head() + data(message(b"m")) + trailer)
    assert end.events() == [b"m", "end"]
    end.sent()
    malformed = (
        (END_HEADERS, ("x", "y")),
        (END_HEADERS | END_STREAM, (":path", "/")),
        (END_HEADERS | END_STREAM, ("X", "y")),
        (END_HEADERS | END_STREAM, ("connection", "close")),
    )
    for stream, (flags, field) in enumerate(malformed):
        id = 2 * stream + 3
        end.feed(head(id) + frame(HEADERS, flags, id, block(field)))
        assert isinstance(end.events(id)[-1], ProtocolError)
        assert end.sent() == [(RST_STREAM, 0, id, PROTOCOL.to_bytes(4, "big"))]
        end.feed(head(id))  # which the client may have sent before it read this


@pytest.mark.parametrize(
    ("length", "sizes", "valid"),
    [
        ("13", [13], True),
        ("13", [5, 8], True),
        ("13", [5, 8, 0], True),
        ("12", [13], False),
        ("14", [13], False),
        ("0", [], True),
        ("1", [], False),
        ("13", [], False),
        ("-1", [13], False),
        ("+13", [13], False),
        ("13, 13", [13], False),
        ("", [13], False),
        ("9" * 30, [13], False),
    ],
)
def test_content_length(length, sizes, valid):
    """It is not needed, but when it is there it must be right."""
    wire = message(b"question")
    end = ServerEnd()
    end.feed(head(1, ("content-length", length), flags=END_HEADERS | (0 if sizes else END_STREAM)))
    for number, size in enumerate(sizes, 1):
        piece, wire = wire[:size], wire[size:]
        padded = b"\x03" + piece + bytes(3)
        end.feed(data(padded, flags=PADDED | (END_STREAM if number == len(sizes) else 0)))
    resets = [each for each in end.sent() if each[0] == RST_STREAM]
    if valid:
        assert not resets
        assert end.events() == [b"question", "end"][not sizes :]
    else:
        assert resets == [(RST_STREAM, 0, 1, PROTOCOL.to_bytes(4, "big"))]
        assert not end.engine.streams


def test_too_many_calls():
    end = ServerEnd(max_streams=2)
    end.feed(head(1) + head(3) + request(stream=5))
    assert end.sent() == [(RST_STREAM, 0, 5, REFUSED.to_bytes(4, "big"))]
    end.feed(reset(8, 1) + request(stream=7))
    assert end.events(7) == [b"question", "end"]
    assert end.events(1)[0].code == 1
    assert sorted(end.engine.streams) == [3, 7]


def test_no_more_calls_after_goaway():
    end = ServerEnd()
    end.feed(request())
    end.engine.go_away(text="max_age")
    assert end.sent() == [(GOAWAY, 0, 0, b"\0\0\0\x01" + bytes(4) + b"max_age")]
    end.feed(request(stream=3) + frame(PING, 0, 0, bytes(8)))
    refusal = (RST_STREAM, 0, 3, REFUSED.to_bytes(4, "big"))
    assert end.sent() == [refusal, (PING, ACK, 0, bytes(8))]
    end.engine.respond(end.calls[1].stream, [b"answer"])
    assert [each[0] for each in end.sent()] == [HEADERS, DATA, HEADERS]


def test_headers_of_a_call_that_is_over_change_the_table_all_the_same():
    """Of a call that the client still thinks is running."""
    end = ServerEnd()
    encoder = hpack.Encoder()
    fields = [*FIELDS, ("x-added", "value")]
    end.feed(head(fields=encoder.encode(fields)))
    end.engine.abort(end.calls[1].stream, 4, "late")
    end.feed(head(fields=encoder.encode([("x-trailer", "of-no-use")]), flags=END_HEADERS))
    end.feed(head(3, fields=encoder.encode([*fields, ("x-trailer", "of-no-use")])))
    metadata = dict(end.calls[3].stream.head.metadata())
    assert metadata == {"x-added": "value", "x-trailer": "of-no-use"}


def test_a_client_that_sends_more_than_its_window():
    end = ServerEnd(take=False, max_message=2 * WINDOW)
    end.feed(head() + head(3))
    wire = message(bytes(WINDOW)) + message(bytes(1 << 20))
    end.feed(data(wire[: 1 << 22]))
    end.feed(data(wire[1 << 22 :]))
    (refused,) = end.events()
    assert isinstance(refused, Outcome)
    assert refused.code == 13
    assert "flow control window" in refused.message
    end.feed(data(message(b"x"), 3, END_STREAM))
    assert [bytes(each) for each in end.calls[3].stream.messages] == [b"x"]
