"""Content codings: round trips, other writers' output, damage, and bombs."""

from __future__ import annotations

import contextlib
import gzip
import os
import time
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonclient.engine.coding import CODINGS, compress, decompress
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
