"""Header blocks of requests: the dynamic table, what is remembered, and what blocks mean."""

from __future__ import annotations

import tracemalloc

import hpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.peers.h2client import FIELDS, POST, block, without
from tritonclient.engine.header_block import MAX_BLOCK_SIZE
from tritonclient.engine.request_head import REQUIRED, RequestHeads
from tritonclient.errors import ProtocolError

_NAMES = st.sampled_from(["a", "b", "x-request-id", "authorization", "long-" + 50 * "n"])
_VALUES = st.one_of(
    st.sampled_from(["", "1", "2", "secret", 300 * "v", 2000 * "w"]),
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=20),
)
_METADATA = st.lists(st.tuples(_NAMES, _VALUES), max_size=4)
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("headers"), _METADATA, st.booleans(), st.sampled_from(range(4))),
        st.tuples(st.just("resize"), st.sampled_from([0, 32, 100, 300, 1000, 4095, 4096])),
        st.tuples(st.just("repeat"), st.integers(0, 5)),
    ),
    min_size=1,
    max_size=30,
)


@settings(deadline=None)
@given(_STEPS)
def test_blocks_are_read_with_the_table_of_their_time(steps):
    """Whatever was remembered, it is what hpack's encoder meant."""
    encoder, heads = hpack.Encoder(), RequestHeads()
    seen = [[]]
    for kind, *arguments in steps:
        if kind == "resize":
            # Of two equal sizes, one after the other, hpack's encoder sends neither.
            if encoder.header_table_size != arguments[0]:
                encoder.header_table_size = arguments[0]
            continue
        metadata, huffman, secret = [], True, 4
        if kind == "repeat":
            metadata = seen[-1 - arguments[0] % len(seen)]
        else:
            metadata, huffman, secret = arguments
        seen.append(metadata)
        fields = [(*each, False) for each in FIELDS] + [
            # Those that are never indexed are literals, which do not change the table.
            (name, value, index >= secret)
            for index, (name, value) in enumerate(metadata)
        ]
        encoded = encoder.encode(fields, huffman=huffman)
        head = heads.decode(encoded)
        assert tuple(head.metadata()) == tuple(metadata)
        assert (head.method, head.path, head.fault, head.missing) == ("POST", FIELDS[2][1], "", ())
        assert head.content_type == "application/grpc"


def test_the_same_bytes_with_another_table():
    heads = RequestHeads()
    indexed = POST + b"\xbe"  # the newest entry of the table
    for value in ("one", "two"):
        heads.decode(POST + b"\x40\x01x\x03" + value.encode())
        for _ in range(3):
            assert tuple(heads.decode(indexed).metadata()) == (("x", value),)
    for emptied in (b"\x20", b"\x20\x3f\xe1\x1f"):
        with pytest.raises(ProtocolError):
            other = RequestHeads()
            other.decode(POST + b"\x40\x01x\x01y")
            other.decode(indexed)
            other.decode(emptied + POST)
            other.decode(indexed)


def test_entries_leave_the_table_when_it_is_full():
    heads = RequestHeads()
    heads.decode(POST + b"\x40\x01a\x01b")
    assert tuple(heads.decode(POST + b"\xbe").metadata()) == (("a", "b"),)
    long = bytes([0x7F, 0x80 | (3000 - 127) & 127, (3000 - 127) >> 7])
    heads.decode(POST + b"\x40\x01l" + long + 3000 * b"l")
    assert tuple(heads.decode(POST + b"\xbf").metadata()) == (("a", "b"),)
    heads.decode(POST + b"\x40\x01l" + long + 3000 * b"m")
    with pytest.raises(ProtocolError):
        heads.decode(POST + b"\xbf")


def test_sizes_of_the_table():
    """They change at the beginning of a block, up to the 4096 bytes that hold by default."""
    heads = RequestHeads()
    for resize in (b"\x20", b"\x3f\xe1\x1f", b"\x20\x3f\xe1\x1f", b"\x3e\x20"):
        assert heads.decode(resize + POST).path == FIELDS[2][1]
    for resize in (b"\x3f\xe2\x1f", b"\x3f\xff\xff\xff\xff\x0f"):
        with pytest.raises(ProtocolError):
            RequestHeads().decode(resize + POST)
    with pytest.raises(ProtocolError):
        heads.decode(POST + b"\x20")


def test_small_blocks_of_large_headers():
    """As in "HPACK bombs": each byte refers to a large entry of the table."""
    heads = RequestHeads()
    long = bytes([0x7F, 0x80 | (3900 - 127) & 127, (3900 - 127) >> 7])
    heads.decode(POST + b"\x40\x01a" + long + 3900 * b"a")
    kept = []
    tracemalloc.start()
    try:
        for number in range(1000):
            kept.append(heads.decode(POST + block(("n", str(number))) + 14 * b"\xbe"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20  # where the headers are 55 MB
    assert sum(len(value) for _, value in kept[-1].metadata()) == 14 * 3900 + 3
    with pytest.raises(ProtocolError):
        heads.decode(POST + 100 * b"\xbe")
    with pytest.raises(ProtocolError):
        RequestHeads().decode(MAX_BLOCK_SIZE * b"\x83")


def test_huffman():
    heads = RequestHeads()
    fields = [*FIELDS, ("x", "www.example.com"), ("y-bin", "AAECAw"), ("empty", "")]
    encoder = hpack.Encoder()
    head = heads.decode(encoder.encode(fields, huffman=True))
    assert tuple(head.metadata()) == (
        ("x", "www.example.com"),
        ("y-bin", b"\0\1\2\3"),
        ("empty", ""),
    )
    for coded in (b"\x81\x00", b"\x84\xff\xff\xff\xff", b"\x82\xff\xff", b"\x81\xfe"):
        # Padding that is no ones; the code of the end; more than 7 bits of padding; a code cut off.
        with pytest.raises(ProtocolError):
            RequestHeads().decode(POST + b"\x00\x01x" + coded)


def test_numbers_without_end():
    for begin in (b"\xff", b"\x7f", b"\x1f", b"\x0f", b"\x00\x7f", b"\x00\xff"):
        for rest in (b"\xff" * 60_000, b"\x80" * 60_000, b"\xff" * 60_000 + b"\0"):
            with pytest.raises(ProtocolError):
                RequestHeads().decode(POST + begin + rest)


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes(data):
    heads = RequestHeads()
    for _ in range(2):
        try:
            heads.decode(data)
        except ProtocolError:
            return


def test_what_a_block_means():
    fields = block(
        ("grpc-timeout", "1500m"),
        ("grpc-encoding", "gzip"),
        ("grpc-accept-encoding", "gzip, deflate,identity"),
        ("grpc-accept-encoding", "br"),
        ("content-length", "17"),
        ("grpc-trace-bin", "AAEC"),
        ("user-agent", "test/1"),
        ("a", "1"),
        ("b-bin", "AAEC,AwQ="),
        ("a", "2"),
        ("c-bin", "no base64!"),
        ("d-bin", ""),
    )
    head = RequestHeads().decode(POST + fields)
    assert head.fault == ""
    assert head.timeout == 1.5
    assert head.coding == "gzip"
    assert head.accepted == ("gzip", "deflate", "identity", "br")
    assert tuple(head.metadata()) == (
        ("user-agent", "test/1"),
        ("a", "1"),
        ("b-bin", b"\0\1\2"),
        ("b-bin", b"\3\4"),
        ("a", "2"),
        ("d-bin", b""),
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0n", 0), ("1n", 1e-9), ("99999999n", 0.099999999), ("1u", 1e-6), ("20m", 0.02),
        ("5S", 5), ("1M", 60), ("2H", 7200), ("99999999H", 99999999 * 3600), ("00000001S", 1),
    ],
)  # fmt: skip
def test_timeouts(text, seconds):
    head = RequestHeads().decode(POST + block(("grpc-timeout", text)))
    assert head.fault == ""
    assert head.timeout == pytest.approx(seconds)


def test_trailers():
    head = RequestHeads().decode(block(("x", "y")))
    assert (head.fault, head.missing) == ("", REQUIRED)
    assert RequestHeads().decode(without(":path")).missing == (":path",)
