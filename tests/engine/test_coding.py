"""Content codings: round trips, other writers' output, damage, and bombs."""

from __future__ import annotations

import contextlib
import gzip
import os
import random
import time
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tritonclient.engine import coding
from tritonclient.engine.coding import CODINGS, Compressed, compress, decompress
from tritonclient.errors import ProtocolError

LIMIT = 1 << 24


def bare(data):
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


@given(st.lists(st.binary(max_size=2000), max_size=4), st.sampled_from(CODINGS))
def test_round_trip(parts, coding):
    packed = compress(parts, coding)
    assert bytes(decompress(packed, coding, LIMIT)) == b"".join(parts)
    other = gzip.decompress if coding == "gzip" else zlib.decompress
    assert other(packed) == b"".join(parts)


@pytest.mark.parametrize("size", [0, 1, 16383, 16384, 16385, 3 << 20])
@pytest.mark.parametrize("make", [bytes, os.urandom], ids=["zeros", "noise"])
def test_sizes(make, size):
    data = make(size)
    assert decompress(gzip.compress(data), "gzip", LIMIT) == data
    assert decompress(gzip.compress(data), "x-gzip", LIMIT) == data
    assert decompress(zlib.compress(data), "deflate", LIMIT) == data
    assert decompress(bare(data), "deflate", LIMIT) == data


@given(st.lists(st.binary(max_size=100), min_size=1, max_size=5))
def test_members(parts):
    assert bytes(decompress(b"".join(map(gzip.compress, parts)), "gzip", LIMIT)) == b"".join(parts)


#: The sizes of the steps, of what zlib is given and gives at once, and what lies around them.
EDGES = sorted(
    size + more
    for size in (coding._SLICE, coding._PIECE, coding._STEP, 2 * coding._STEP, 3 * coding._PIECE)
    for more in (-1, 0, 1)
)


def content_of(kind, size):
    """Contents that can be compressed a thousandfold, somewhat, and not at all."""
    if kind == "zeros" or not size:
        return bytes(size)
    noise = random.Random(size).randbytes(size if kind == "noise" else 5000)
    return (noise * (size // len(noise) + 1))[:size]


@pytest.mark.parametrize("kind", ["zeros", "repeats", "noise"])
@pytest.mark.parametrize("size", EDGES)
def test_members_as_large_as_a_step(size, kind):
    member = gzip.compress(content_of(kind, size), 1)
    tail = gzip.compress(b"tail")
    for body in (member + tail, member + member, tail + member + tail, member + member[:-1]):
        try:
            expected = gzip.decompress(body)
        except EOFError:
            with pytest.raises(ProtocolError):
                decompress(body, "gzip", LIMIT)
        else:
            assert decompress(body, "gzip", LIMIT) == expected


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["zeros", "repeats", "noise"]),
            st.sampled_from(EDGES) | st.integers(0, 3 << 20),
            st.sampled_from([0, 1, 6, 9]),
        ),
        min_size=1,
        max_size=4,
    ),
    st.none() | st.integers(0, 1000),
    st.binary(max_size=3),
)
@settings(max_examples=30)
def test_as_gzip_itself(members, cut, garbage):
    body = b"".join(gzip.compress(content_of(kind, n), level) for kind, n, level in members)
    body = body[: None if cut is None else len(body) - cut] + garbage.rstrip(b"\0")
    try:
        expected = gzip.decompress(body)
    except (OSError, EOFError, zlib.error):
        with pytest.raises(ProtocolError):
            decompress(body, "gzip", LIMIT)
    else:
        if body and not body.endswith(b"\0" * 8):
            assert decompress(body, "gzip", LIMIT) == expected


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(bytes(20 << 20)),
        gzip.compress(os.urandom(5 << 20)),
        gzip.compress(b"") * 100_000,
        gzip.compress(bytes(1000)) * 1000,
    ],
    ids=["zeros", "noise", "nothing", "many members"],
)
def test_steps(body):
    """Each does little, and moves on."""
    compressed = Compressed(body, "gzip", LIMIT * 2)
    place = -1
    while not compressed.step():
        now = compressed._position + len(compressed._content)
        assert now > place
        assert now - max(place, 0) <= coding._STEP + coding._PIECE + coding._ROUNDS * coding._SLICE
        place = now
    assert compressed.content() == gzip.decompress(body)
    assert compressed.step()


def test_an_error_comes_again():
    compressed = Compressed(gzip.compress(bytes(100)), "gzip", 10)
    for _ in range(2):
        with pytest.raises(ProtocolError, match="max_response_size"):
            compressed.content()
    assert compressed.done


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", gzip.compress(b"hello" * 50)),
        ("deflate", zlib.compress(b"hello" * 50)),
        ("deflate", bare(b"hello" * 50)),
    ],
)
def test_truncated_everywhere(coding, packed):
    for end in range(len(packed)):
        with pytest.raises(ProtocolError):
            decompress(packed[:end], coding, LIMIT)


@given(st.binary(max_size=200), st.sampled_from(CODINGS))
def test_garbage(data, coding):
    with contextlib.suppress(ProtocolError):
        decompress(data, coding, LIMIT)


@pytest.mark.parametrize("coding", CODINGS)
def test_trailing_garbage(coding):
    with pytest.raises(ProtocolError):
        decompress(compress([b"hello"], coding) + b"garbage", coding, LIMIT)


def test_damage():
    packed = bytearray(gzip.compress(os.urandom(1000)))
    packed[500] ^= 1
    with pytest.raises(ProtocolError, match="gzip"):
        decompress(packed, "gzip", LIMIT)


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "GZIP", ""])
def test_unknown(coding):
    with pytest.raises(ProtocolError, match="unknown content coding"):
        decompress(b"", coding, LIMIT)
    with pytest.raises(ValueError, match="gzip, deflate"):
        compress([b""], coding)


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress, bare])
def test_limit(pack):
    coding = "gzip" if pack is gzip.compress else "deflate"
    assert len(decompress(pack(bytes(1000)), coding, 1000)) == 1000
    with pytest.raises(ProtocolError, match="exceeds 999 bytes"):
        decompress(pack(bytes(1000)), coding, 999)


def test_bomb_is_stopped_early():
    bomb = gzip.compress(bytes(64 << 20))
    member = gzip.compress(b"")
    begin = time.monotonic()
    with pytest.raises(ProtocolError, match="exceeds"):
        decompress(bomb, "gzip", 1000)
    assert decompress(member * 100000, "gzip", 1000) == b""  # 2 MB of nothing
    assert time.monotonic() - begin < 20
