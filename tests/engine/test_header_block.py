"""Header blocks, both ways, against the hpack package."""

from __future__ import annotations

import base64
import subprocess
import sys

import hpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.peers.h2peer import block
from tritonclient.engine import header_block
from tritonclient.engine.header_block import (
    NO_TABLE,
    decode,
    decode_binary,
    encode,
    encode_binary,
)
from tritonclient.errors import ProtocolError

NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_.", min_size=1, max_size=40)
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=300).map(
    lambda text: text.strip(" ")
)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=8))
@example([(":method", "POST"), (":scheme", "https"), (":path", "/a"), ("user-agent", "x" * 127)])
@example([("x", "y" * size) for size in (126, 127, 128, 254, 255, 256, 16511, 16512)])
def test_hpack_reads_what_we_write(headers):
    decoder = hpack.Decoder(max_header_list_size=1 << 20)
    assert [tuple(each) for each in decoder.decode(NO_TABLE + encode(headers))] == headers
    # Nothing went into the dynamic table, so the block means the same to everybody.
    assert not decoder.header_table.dynamic_entries


@given(st.lists(st.tuples(NAMES, VALUES), max_size=8, unique_by=lambda each: each[0]))
def test_we_read_what_hpack_writes(headers):
    headers = [(n, v) for n, v in headers if not n.startswith("grpc-")]
    fields = decode(block((":status", "200"), *headers))
    assert fields.headers == dict(headers)
    assert (fields.http_status, fields.code, fields.message, fields.fault) == (200, None, "", "")


def test_headers_that_come_twice_are_joined():
    assert decode(block(("a", "1"), ("b", "2"), ("a", "3"))).headers == {"a": "1, 3", "b": "2"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Name", "a"),
        ("na me", "a"),
        ("", "a"),
        ("n\xe4me", "a"),
        ("a:", "a"),
        ("::a", "a"),
        ("a\n", "a"),
        ("a", "b\n"),
        ("a", "b\0"),
        ("a", "b\r\nc: d"),
        ("a", "\xe4"),
        ("a", "\u20ac"),
        ("a", " b"),
        ("a", "b "),
        ("a", "\t"),
        ("a", "\x7f"),
    ],
)
def test_what_can_not_be_sent(name, value):
    with pytest.raises(ValueError, match="is not valid"):
        encode([(name, value)])


# What is received


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("plain", "plain"),
        ("50%25 of %C3%A4", "50% of ä"),
        ("%c3%A4", "ä"),
        ("a%0Ab", "a\nb"),
        ("100% sure", "100% sure"),
        ("%zz%4", "%zz%4"),
        ("%ff", "\ufffd"),
        ("a+b", "a+b"),
        ("\xc3\xa4", "ä"),  # UTF-8 that was not encoded
        ("\xe4", "\ufffd"),
        ("", ""),
    ],
)
def test_grpc_message(text, message):
    fields = decode(block(("grpc-status", "3"), ("grpc-message", text.encode("latin-1"))))
    assert (fields.code, fields.message) == (3, message)


@pytest.mark.parametrize(
    "headers",
    [
        [(":status", "20")],
        [(":status", "2000")],
        [(":status", "OK")],
        [(":status", "099")],
        [(":status", "200"), (":status", "200")],
        [(":status", "")],
        [("a", "b"), (":status", "200")],
        [(":path", "/")],
        [(":status", "200"), (":unknown", "x")],
        [("grpc-status", "")],
        [("grpc-status", "-1")],
        [("grpc-status", "1.0")],
        [("grpc-status", "0"), ("grpc-status", "0")],
        [("grpc-status", "1000")],
        [("grpc-status", "\u0661".encode())],
        [("Upper", "a")],
        [("a b", "c")],
        [("", "c")],
        [("a:b", "c")],
        [("a", "b\r\nc: d")],
        [("a", "\0")],
    ],
)
def test_malformed_headers(headers):
    fields = decode(block(*headers))
    assert fields.fault
    assert (fields.http_status, fields.code) == (None, None)
    assert len(fields.fault) < 200


def test_status_details():
    details = bytes(range(256))
    encoded = base64.b64encode(details).decode()
    for text in (encoded, encoded.rstrip("=")):
        assert decode(block(("grpc-status-details-bin", text))).details() == details
    assert decode(block(("grpc-status", "3"))).details() is None
    assert decode(block(("grpc-status-details-bin", "!"))).details() is None


@given(st.binary(max_size=200))
def test_binary_values(value):
    text = encode_binary(value)
    assert "=" not in text
    encode([("a-bin", text)])
    assert decode_binary(text) == value
    assert decode_binary(base64.b64encode(value).decode()) == value
    assert decode_binary(f"{text}, {encode_binary(b'another')}") == value


@pytest.mark.parametrize("text", ["a", "a_b-", "\xe4", "a b c d", "=", "AA=A", "\0"])
def test_binary_values_that_are_none(text):
    assert decode_binary(text) is None


INVALID = {
    "index 0": b"\x80",
    "an index of the dynamic table": b"\xbe",
    "an entry that was not kept": b"\x40\x01a\x01b\xbe",
    "a table of some size": b"\x3f\xe1\x1f\x88",
    "a change of the table behind a header": b"\x88\x20",
    "an endless number": b"\xff" * 60_000 + b"\x01",
    "an endless number of zeros": b"\xff" + b"\x80" * 60_000 + b"\x01",
    "an endless length": b"\0\x7f" + b"\xff" * 60_000 + b"\x01",
    "a number that is cut off": b"\xff",
    "a name that is cut off": b"\0\x05ab",
    "a value that is missing": b"\0\x01a",
    "a value that is cut off": b"\0\x01a\x05b",
    "half a Huffman code": b"\0\x01a\x81\xff",
    "the Huffman code of the end": b"\0\x01a\x84\xff\xff\xff\xff",
    "many headers": b"\x88" * 60_000,
    "a long header": b"\0\x01a" + b"\x7f\xf1\xff\x03" + b"b" * 65_648,
}


@pytest.mark.parametrize("wire", INVALID.values(), ids=INVALID)
def test_invalid_blocks(wire):
    with pytest.raises(ProtocolError, match="invalid header block") as caught:
        decode(wire)
    assert len(str(caught.value)) < 400
    assert "memory at" not in str(caught.value)


def test_an_announced_table_of_no_size():
    """A server's first block begins with a table size of 0, which our settings require."""
    assert decode(b"\x20\x88").http_status == 200
    assert decode(b"\x20\x20\x88").http_status == 200


@given(st.binary(max_size=300))
def test_any_bytes(wire):
    try:
        fields = decode(wire)
    except ProtocolError:
        return
    assert all(isinstance(value, str) for value in fields.headers.values())


def test_what_is_remembered_is_bounded():
    for number in range(2000):
        decode(block(("grpc-status", "0"), ("x", str(number))))
    assert header_block._decode_cached.cache_info().currsize <= 256
    before = header_block._decode_cached.cache_info().misses
    decode(block(("grpc-status", "0"), ("x", "y" * 20_000)))
    assert header_block._decode_cached.cache_info().misses == before


def test_a_missing_package_is_named():
    script = (
        "import sys; sys.modules['hpack'] = None\n"
        "from tritonclient import Client\n"
        "Client('grpc://127.0.0.1:1')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "ImportError: gRPC needs hpack (import of hpack halted" in done.stderr
    assert done.stderr.strip().endswith("pip install hpack protobuf")
