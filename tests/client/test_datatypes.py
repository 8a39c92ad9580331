"""Every datatype to the wire and back: exact, without copies, and never a crash."""

from __future__ import annotations

import sys

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tests.support.strategies import SHAPES, wire_data
from tritonclient.datatypes import (
    DATATYPES,
    NUMPY,
    byte_size,
    check,
    datatype_of,
    element_count,
    pack,
    pack_bytes,
    unpack,
    unpack_bytes,
)

FIXED = sorted(set(NUMPY) - {"BF16"})
EVERY = pytest.mark.parametrize("datatype", sorted(DATATYPES))
SHAPES_TO_TRY = [(), (0,), (3, 0, 2), (1,), (2, 3), (1, 1, 1, 1)]


def test_there_are_fourteen():
    assert len(DATATYPES) == 14


@EVERY
def test_names(datatype):
    check(datatype)
    sizes = {"BOOL": 1, "BYTES": None, "BF16": 2}
    digits = "".join(filter(str.isdigit, datatype))
    size = sizes[datatype] if datatype in sizes else int(digits) // 8
    assert byte_size(datatype, 3) == (None if size is None else 3 * size)


@pytest.mark.parametrize("name", ["", "INT33", "fp32", "STRING", "TYPE_FP32"])
def test_unknown_names(name):
    with pytest.raises(
        ValueError, match=f"datatype {name!r} is not one of BF16, BOOL, BYTES, FP16"
    ):
        check(name)
    with pytest.raises(ValueError, match="is not one of"):
        pack(np.zeros(1), name)


@EVERY
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_unpack_then_pack(datatype, data):
    shape = data.draw(SHAPES)
    wire = data.draw(wire_data(datatype, shape))
    array = unpack(wire, datatype, shape)
    assert array.shape == shape
    assert datatype_of(array) == datatype
    assert bytes(pack(array, datatype)) == wire
    assert bytes(pack(unpack(memoryview(wire), datatype, shape), datatype)) == wire


@pytest.mark.parametrize("datatype", FIXED)
@pytest.mark.parametrize("shape", SHAPES_TO_TRY)
def test_shapes_and_orders(datatype, shape):
    array = np.arange(element_count(shape)).reshape(shape).astype(NUMPY[datatype])
    wire = array.tobytes()
    swapped = array.astype(array.dtype.newbyteorder(">"))
    for same in (array, np.asfortranarray(array), swapped, array[...]):
        assert datatype_of(same) == datatype
        assert bytes(pack(same, datatype)) == wire
    assert unpack(wire, datatype, shape).tolist() == array.tolist()


@pytest.mark.parametrize("datatype", FIXED)
def test_strides(datatype):
    array = np.arange(24).reshape(4, 6).astype(NUMPY[datatype])
    for view in (
        array[::2],
        array[:, ::-1],
        array.T,
        array[1:3, 2:5],
        np.broadcast_to(array[0], (3, 6)),
    ):
        assert bytes(pack(view, datatype)) == view.tobytes()


@pytest.mark.parametrize("datatype", FIXED)
def test_no_copies(datatype):
    array = np.ones((2, 3), NUMPY[datatype])
    buffer = pack(array, datatype)
    assert np.shares_memory(np.frombuffer(buffer, np.uint8), array)
    assert np.shares_memory(unpack(buffer, datatype, (2, 3)), array)
    array.flags.writeable = False
    assert np.shares_memory(np.frombuffer(pack(array, datatype), np.uint8), array)


def test_bf16_is_not_copied():
    array = np.ones((2, 3), ml_dtypes.bfloat16)
    buffer = pack(array, "BF16")
    assert np.shares_memory(np.frombuffer(buffer, np.uint8), array.view(np.uint16))
    assert np.shares_memory(unpack(buffer, "BF16", (2, 3)).view(np.uint16), array.view(np.uint16))


def test_answers_may_be_written_to():
    array = unpack(bytearray(8), "INT32", (2,))
    array[0] = 7
    assert array.tolist() == [7, 0]


def test_masked_array():
    array = np.ma.array([1, 2], dtype=np.int32)
    assert bytes(pack(array, "INT32")) == b"\1\0\0\0\2\0\0\0"


@pytest.mark.parametrize("kind", [np.longlong, np.intc, np.ulonglong, np.half, "<i4", ">f8"])
def test_other_names_of_dtypes(kind):
    array = np.ones(1, kind)
    datatype = datatype_of(array)
    assert bytes(pack(array, datatype)) == array.astype(NUMPY[datatype]).tobytes()


@pytest.mark.parametrize("kind", ["c8", "M8[s]", "m8[s]", "V3", "g", "i4,f4"])
def test_no_datatype(kind):
    with pytest.raises(ValueError, match=r"has no v2 datatype; expected one of bool, uint8"):
        datatype_of(np.zeros(1, kind))


@pytest.mark.parametrize(
    ("kind", "datatype"),
    [
        ("f8", "FP32"),
        ("i8", "INT32"),
        ("u4", "INT32"),
        ("i1", "BOOL"),
        ("M8[s]", "INT64"),
        ("f8", "BF16"),
        ("f2", "BF16"),
        ("O", "BF16"),
        ("f4", "BYTES"),
        ("S1", "INT8"),
    ],
)
def test_dtype_that_does_not_fit(kind, datatype):
    with pytest.raises(ValueError, match=rf"dtype .* does not fit {datatype}; expected "):
        pack(np.zeros(1, kind), datatype)


@pytest.mark.parametrize("datatype", ["FP32", "BF16"])
def test_texts_do_not_fit(datatype):
    if not hasattr(getattr(np, "dtypes", None), "StringDType"):
        pytest.skip("this numpy has no StringDType")
    with pytest.raises(ValueError, match=f"does not fit {datatype}"):
        pack(np.array(["a"], np.dtypes.StringDType()), datatype)


@pytest.mark.parametrize("delta", [-1, 1, 100])
@pytest.mark.parametrize("datatype", sorted(NUMPY))
def test_size_that_does_not_fit(datatype, delta):
    size = NUMPY[datatype].itemsize * 6
    with pytest.raises(ValueError, match=rf"{datatype}.*\[2, 3\], expected {size}"):
        unpack(bytes(max(0, size + delta)), datatype, (2, 3))
    with pytest.raises(ValueError, match=rf"{datatype}.*\[3\], expected {size // 2}"):
        unpack(b"", datatype, (3,))


@pytest.mark.parametrize("datatype", sorted(NUMPY))
def test_shape_that_numpy_does_not_have(datatype):
    for shape in [(2**62, 2**62, 0), (2**63, 0), (-1, 0)]:
        with pytest.raises(ValueError, match="numpy has no arrays of shape"):
            unpack(b"", datatype, shape)


# BF16


def _as_bits(array):
    return np.frombuffer(pack(array, "BF16"), np.uint16)


def _compare(floats):
    ours = _as_bits(floats)
    theirs = floats.astype(ml_dtypes.bfloat16)
    nans = np.isnan(floats)
    assert (ours[~nans] == theirs.view(np.uint16)[~nans]).all()
    assert np.isnan(ours[nans].view(ml_dtypes.bfloat16).astype(np.float32)).all()
    assert (ours[nans] >> 15 == np.signbit(floats[nans])).all()


@pytest.mark.filterwarnings("ignore:.* encountered in cast:RuntimeWarning")
def test_bf16_rounds_as_ml_dtypes_does():
    upper = np.arange(1 << 16, dtype=np.uint32) << 16
    for lower in (0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF):  # ties among them
        _compare((upper | np.uint32(lower)).view(np.float32))


@pytest.mark.filterwarnings("ignore:.* encountered in cast:RuntimeWarning")
@given(npst.arrays(np.uint32, npst.array_shapes(min_dims=0, min_side=0, max_side=6)))
def test_bf16_from_any_float(bits):
    floats = bits.view(np.float32)
    _compare(floats.ravel())
    assert bytes(pack(floats.astype(">f4"), "BF16")) == bytes(pack(floats, "BF16"))
    assert bytes(pack(floats.T, "BF16")) == bytes(pack(np.ascontiguousarray(floats.T), "BF16"))


def test_bf16_from_patterns():
    bits = np.array([0x3F80, 0x4000], np.uint16)
    for array in (bits, bits.astype(">u2"), bits.view(ml_dtypes.bfloat16), np.float32([1, 2])):
        assert bytes(pack(array, "BF16")) == b"\x80\x3f\x00\x40"
    assert bytes(pack(bits.view(ml_dtypes.bfloat16)[::-1], "BF16")) == b"\x00\x40\x80\x3f"
    assert bytes(pack(np.float32(1).reshape(()), "BF16")) == b"\x80\x3f"


def test_bf16_without_ml_dtypes(monkeypatch):
    wire = np.float32([1, -2.5, np.inf, 0]).astype(ml_dtypes.bfloat16).tobytes()
    assert unpack(wire, "BF16", (4,)).dtype == ml_dtypes.bfloat16
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    array = unpack(wire, "BF16", (2, 2))
    assert array.dtype == np.float32
    assert array.tolist() == [[1, -2.5], [np.inf, 0]]
    assert bytes(pack(array, "BF16")) == wire


# BYTES

ELEMENTS = [b"", b"a", b"\0", b"a\0\0", b"\xff\xfe", "caf\u00e9".encode(), b"x" * 70000]


def _objects(items, shape=None):
    array = np.empty(len(items), object)
    array[:] = items
    return array if shape is None else array.reshape(shape)


def test_bytes_wire_form():
    assert pack_bytes(_objects([b"ab", "c", b""])) == b"\2\0\0\0ab\1\0\0\0c\0\0\0\0"


@given(st.lists(st.binary(max_size=20)))
def test_bytes_round_trip(items):
    wire = pack_bytes(_objects(items))
    assert unpack_bytes(wire, len(items)).tolist() == items
    assert unpack_bytes(memoryview(wire), len(items)).tolist() == items


@given(st.integers(0, 20).flatmap(lambda n: st.lists(st.binary(min_size=n, max_size=n))))
def test_bytes_of_one_length(items):
    assert unpack_bytes(pack_bytes(_objects(items)), len(items)).tolist() == items


def test_bytes_from_objects():
    assert unpack_bytes(pack_bytes(_objects(ELEMENTS)), len(ELEMENTS)).tolist() == ELEMENTS
    mixed = _objects([b"a", "b", bytearray(b"c"), memoryview(b"d"), np.str_("e"), np.bytes_(b"f")])
    assert unpack_bytes(pack_bytes(mixed), 6).tolist() == [b"a", b"b", b"c", b"d", b"e", b"f"]


def test_bytes_from_text_arrays():
    texts = ["", "a", "caf\u00e9", "\u65e5\u672c"]
    wire = [text.encode() for text in texts]
    arrays = [np.array(texts), np.array(wire), _objects(texts), np.array(texts).astype(">U4")]
    if hasattr(getattr(np, "dtypes", None), "StringDType"):
        arrays.append(np.array(texts, np.dtypes.StringDType()))
        kept = np.array(["a\0", "b"], np.dtypes.StringDType())
        assert unpack_bytes(pack_bytes(kept), 2).tolist() == [b"a\0", b"b"]
    for array in arrays:
        assert datatype_of(array) == "BYTES"
        assert unpack(pack(array, "BYTES"), "BYTES", (2, 2)).ravel().tolist() == wire


@pytest.mark.parametrize("shape", [(), (1, 1), (0, 3)])
def test_bytes_shapes(shape):
    array = _objects([b"a\0"] * element_count(shape), shape)
    back = unpack(pack(array, "BYTES"), "BYTES", shape)
    assert back.shape == shape
    assert back.tolist() == array.tolist()


@pytest.mark.parametrize("item", [None, 1, 1.5, ["a"], {"a": 1}, object, np.zeros(1)])
def test_bytes_of_other_things(item):
    array = np.empty(3, object)
    array[:2] = b"a"
    array[2] = item
    with pytest.raises(
        ValueError, match=r"element 2 of a BYTES tensor is .*; expected bytes or str"
    ):
        pack_bytes(array)


@given(st.binary(max_size=60), st.integers(0, 12))
def test_corrupt_bytes(data, count):
    try:
        array = unpack_bytes(data, count)
    except ValueError:
        return
    assert pack_bytes(array) == data


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_bytes_cut_and_extended(count):
    wire = pack_bytes(_objects([b"ab", b"c", b"def"][:count]))
    for data in [wire[:end] for end in range(len(wire))] + [wire + b"\0", wire + b"\0" * 4]:
        with pytest.raises(ValueError, match="BYTES"):
            unpack_bytes(data, count)


def test_huge_lengths_in_bytes():
    for data in (b"\xff\xff\xff\xff", b"\xff\xff\xff\x7fab", b"\1\0\0\0a\xff\xff\xff\xffb"):
        for count in (0, 1, 2, 1 << 40):
            with pytest.raises(ValueError, match="BYTES"):
                unpack_bytes(data, count)
