"""The primitives of protobuf's wire format, against protobuf itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tritonclient.codec import messages_pb, wire

ANY = settings(deadline=None, max_examples=500)
UINT64 = st.integers(0, 2**64 - 1) | st.integers(0, 300)
INT64 = st.integers(-(2**63), 2**63 - 1) | st.integers(-300, 300)
#: Bytes that are more often a message than bytes at large.
NEARLY = st.lists(
    st.sampled_from([b"\x08", b"\x09", b"\x0a", b"\x0d", b"\x80", b"\xff", b"\x01", b"\x02"])
    | st.binary(max_size=4),
    max_size=12,
).map(b"".join)


def parameter(**value):
    return messages_pb.message("InferParameter")(**value).SerializeToString()


@ANY
@given(UINT64)
def test_unsigned(value):
    data = parameter(uint64_param=value)
    assert data == wire.tag(5, wire.VARINT) + wire.varint(value)
    assert wire.unsigned(data[1:]) == value
    assert wire.read_varint(memoryview(data), 1) == (value, len(data))


@ANY
@given(INT64)
def test_signed(value):
    data = parameter(int64_param=value)
    assert data == wire.tag(2, wire.VARINT) + wire.varint(value)
    assert wire.signed(data[1:]) == value


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, 10**30])
def test_too_large_to_write(value):
    with pytest.raises(ValueError, match="64 bits"):
        wire.varint(value)


@ANY
@given(st.text(st.characters(codec="utf-8"), max_size=300))
def test_text(value):
    message = messages_pb.message("ModelInferRequest")(id=value)
    assert message.SerializeToString() == wire.text(3, value)


@ANY
@given(st.lists(INT64, max_size=50))
def test_packed_numbers(values):
    message = messages_pb.message("InferTensorContents")(int64_contents=values)
    packed = b"".join(map(wire.varint, values))
    assert message.SerializeToString() == (wire.delimited(3, packed) if values else b"")
    assert list(wire.signed_varints(packed)) == values
    assert wire.varint_array(packed).view(np.int64).tolist() == values


@ANY
@given(st.binary(max_size=60) | NEARLY)
def test_any_bytes_are_a_message_when_protobuf_says_so(data):
    message = messages_pb.message("ServerLiveRequest")()  # every field is unknown to it
    try:
        message.ParseFromString(data)
        expected = True
    except Exception as error:
        assert type(error).__name__ == "DecodeError"
        expected = False
    try:
        found = list(wire.fields(memoryview(data)))
        assert expected
        assert sum(len(payload) for _, _, payload in found) <= len(data)
    except ValueError as error:
        # protobuf passes over groups, and some versions over fields of number 0.
        assert not expected or "wire type" in str(error) or "number 0" in str(error)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\x08", "ends inside a number"),
        (b"\x08\x80", "ends inside a number"),
        (b"\x08" + b"\x80" * 10 + b"\x01", "more than 10 bytes"),
        (b"\x88\x80\x80\x80\x80\x00\x01", "more than 5 bytes"),
        (b"\x0a\x81\x80\x80\x80\x80\x00a", "more than 5 bytes"),
        (b"\x0a\x05abc", "ends inside field 1"),
        (b"\x0a\xff\xff\xff\xff\x7fabc", "ends inside field 1"),
        (b"\x09\0\0\0\0\0\0\0", "ends inside field 1"),
        (b"\x0d\0\0\0", "ends inside field 1"),
        (b"\x0b\x0c", "wire type 3"),
        (b"\x0c", "wire type 4"),
        (b"\x0e", "wire type 6"),
        (b"\x0f", "wire type 7"),
        (b"\x00\x00", "number 0"),
        (b"\x80\x80\x80\x80\x10\x00", "number 536870912"),
    ],
)
def test_what_is_no_message(data, text):
    for each in (data, memoryview(data)):
        with pytest.raises(ValueError, match=text):
            list(wire.fields(each))


def test_messages_of_one_field_are_one_message():
    one, other = b"\x08\x01", memoryview(b"\x12\x01x")
    assert wire.merged([other]) is other
    assert list(wire.fields(wire.merged([one, other]))) == [*wire.fields(one), *wire.fields(other)]
    # Each has to be a message, whatever they are together.
    with pytest.raises(ValueError, match="ends inside field 1"):
        wire.merged([b"\x09\x01\x01\x01", b"\x10\x01\x10\x01\x10"])


@pytest.mark.parametrize("data", [b"\x80", b"\x01\xff", b"\x80" * 10 + b"\x01"])
def test_what_are_no_packed_numbers(data):
    with pytest.raises(ValueError, match="number"):
        wire.varint_array(data)
    with pytest.raises(ValueError, match="number"):
        list(wire.signed_varints(data))


@ANY
@given(st.binary(max_size=60))
def test_any_bytes_as_packed_numbers(data):
    try:
        expected = [value & (1 << 64) - 1 for value in wire.signed_varints(data)]
    except ValueError:
        with pytest.raises(ValueError, match="number"):
            wire.varint_array(data)
    else:
        assert wire.varint_array(data).tolist() == expected


def test_long_messages_take_no_time():
    # Were any of these quadratic in its length, the test would not end.
    assert sum(1 for _ in wire.fields(memoryview(b"\x08\x01" * 500_000))) == 500_000
    assert len(wire.varint_array(b"\x01" * 5_000_000)) == 5_000_000
    with pytest.raises(ValueError, match="more than 10 bytes"):
        wire.varint_array(b"\xff" * 5_000_000 + b"\x01")
