"""The classic `tritonclient.utils`: what existing programs import from it and rely on."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import pickle
import struct
import sys

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonclient import utils
from tritonclient.datatypes import NUMPY
from tritonclient.shm.dlpack import SharedMemoryTensor
from tritonclient.utils import (
    InferenceServerException,
    deserialize_bf16_tensor,
    deserialize_bytes_tensor,
    np_to_triton_dtype,
    raise_error,
    serialize_bf16_tensor,
    serialize_byte_tensor,
    serialized_byte_size,
    triton_to_np_dtype,
)


def objects(items):
    array = np.empty(len(items), object)
    array[:] = items
    return array


def test_star_import():
    names: dict[str, object] = {}
    exec("from tritonclient.utils import *", names)
    assert names["np"] is np
    assert names["struct"] is struct
    assert {name for name in names if not name.startswith("__")} == set(utils.__all__)
    for name in utils.__all__:
        assert getattr(utils, name) is names[name]


def test_what_is_imported_when_needed():
    assert utils.SharedMemoryTensor is SharedMemoryTensor
    with pytest.raises(AttributeError, match=r"'tritonclient.utils' has no attribute 'nothing'"):
        utils.nothing  # noqa: B018


def test_reserved_parameters():
    assert utils.TRITON_RESERVED_REQUEST_PARAMS == [
        "sequence_id",
        "sequence_start",
        "sequence_end",
        "priority",
        "timeout",
        "headers",
        "binary_data_output",
    ]
    assert utils.TRITON_RESERVED_REQUEST_PARAMS_PREFIX == "triton_"


# The exception


def test_raise_error():
    with pytest.raises(InferenceServerException, match=r"^words$") as caught:
        try:
            raise KeyError("cause")
        except KeyError:
            raise_error("words")
    error = caught.value
    assert (error.message(), error.status(), error.debug_details()) == ("words", None, None)
    assert error.__suppress_context__


def test_exception_by_keywords():
    error = InferenceServerException(msg="words", status="404", debug_details=b"body")
    assert str(error) == "[404] words"
    assert error.debug_details() == b"body"
    assert pickle.loads(pickle.dumps(error)).status() == "404"


def test_an_exception_crosses_processes():
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, context) as pool:
        with pytest.raises(InferenceServerException, match="words"):
            pool.submit(raise_error, "words").result(60)


# Datatypes


@pytest.mark.parametrize("datatype", [*sorted(NUMPY), "BYTES"])
def test_datatypes_there_and_back(datatype):
    kind = triton_to_np_dtype(datatype)
    assert np_to_triton_dtype(kind) == datatype
    assert np_to_triton_dtype(np.dtype(kind)) == datatype
    assert np_to_triton_dtype(np.zeros(1, kind).dtype) == datatype


def test_what_they_are():
    assert triton_to_np_dtype("BOOL") is bool
    assert triton_to_np_dtype("FP16") is np.float16
    assert triton_to_np_dtype("BYTES") is np.object_
    assert triton_to_np_dtype("BF16") is ml_dtypes.bfloat16
    assert triton_to_np_dtype("TYPE_FP32") is None


def test_bf16_without_ml_dtypes(monkeypatch):
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    assert triton_to_np_dtype("BF16") is np.float32


@pytest.mark.parametrize(
    ("kind", "datatype"),
    [
        (object, "BYTES"),
        ("S5", "BYTES"),
        (np.bytes_, "BYTES"),
        ("U5", "BYTES"),
        (str, "BYTES"),
        (">i4", "INT32"),
        (np.complex64, None),
        ("M8[s]", None),
        ("V2", None),
        (None, None),
    ],
)
def test_other_dtypes(kind, datatype):
    assert np_to_triton_dtype(kind) == datatype


# BYTES


def test_bytes_as_they_always_came():
    packed = serialize_byte_tensor(np.array([[b"ab"], [b"c"]], object))
    assert packed.dtype == np.object_
    assert packed.shape == ()
    assert packed.item() == b"\2\0\0\0ab\1\0\0\0c"
    assert serialized_byte_size(packed) == 11
    unpacked = deserialize_bytes_tensor(packed.item())
    assert unpacked.dtype == np.object_
    assert unpacked.tolist() == [b"ab", b"c"]


@given(st.lists(st.binary(max_size=20)))
def test_bytes_round_trip(items):
    packed = serialize_byte_tensor(objects(items))
    if not items:
        assert (packed.shape, packed.dtype) == ((0,), object)
        assert serialized_byte_size(packed) == 0
    else:
        assert serialized_byte_size(packed) == sum(4 + len(item) for item in items)
        assert deserialize_bytes_tensor(packed.item()).tolist() == items
        assert deserialize_bytes_tensor(bytearray(packed.item())).tolist() == items
        assert deserialize_bytes_tensor(np.frombuffer(packed.item(), "u1")).tolist() == items


@given(st.integers(0, 9).flatmap(lambda n: st.lists(st.binary(min_size=n, max_size=n), min_size=1)))
def test_bytes_of_one_length(items):
    assert deserialize_bytes_tensor(serialize_byte_tensor(objects(items)).item()).tolist() == items


@pytest.mark.parametrize(
    ("array", "items"),
    [
        (objects([b"\xff\0", "\u00e9", None, 1, 1.5, bytearray(b"x")]),
         [b"\xff\0", "\u00e9".encode(), b"None", b"1", b"1.5", b"x"]),
        (np.array(["a", "\u00e9\u00e9"]), [b"a", "\u00e9\u00e9".encode()]),
        (np.array([b"a", b"bc"]), [b"a", b"bc"]),
        (np.array(b"only", object), [b"only"]),
        (np.array([[b"a", b"b"], [b"c", b"d"]], object).T, [b"a", b"c", b"b", b"d"]),
    ],
)  # fmt: skip
def test_what_makes_bytes(array, items):
    assert deserialize_bytes_tensor(serialize_byte_tensor(array).item()).tolist() == items


def test_what_makes_no_bytes():
    with pytest.raises(InferenceServerException) as caught:
        serialize_byte_tensor(np.zeros(2, np.float32))
    assert str(caught.value) == "cannot serialize bytes tensor: invalid datatype"
    with pytest.raises(InferenceServerException) as caught:
        serialized_byte_size(np.zeros(2, np.float32))
    assert str(caught.value) == "The tensor_value dtype must be np.object_"


def test_size_of_what_is_not_serialised():
    assert serialized_byte_size(objects([b"ab", b"c"])) == 3


@given(st.binary(max_size=40))
def test_corrupt_bytes(data):
    try:
        array = deserialize_bytes_tensor(data)
    except InferenceServerException as error:
        assert str(error).startswith("cannot deserialize bytes tensor: ")
    else:
        packed = serialize_byte_tensor(array)
        assert (packed.item() if data else b"") == data


@pytest.mark.parametrize("items", [[b"ab"], [b"ab", b"cd"], [b"ab", b"", b"c"]])
def test_bytes_cut(items):
    data = serialize_byte_tensor(objects(items)).item()
    ends = [sum(4 + len(item) for item in items[:n]) for n in range(len(items) + 1)]
    for end in set(range(len(data))) - set(ends):
        with pytest.raises(InferenceServerException, match="cannot deserialize bytes tensor"):
            deserialize_bytes_tensor(data[:end])


# BF16


def test_bf16():
    for array in (
        np.float32([[1, -2.5], [0.999, 3]]),
        np.array([[1, -2.5], [1, 3]], ml_dtypes.bfloat16),
    ):
        packed = serialize_bf16_tensor(array)
        assert (packed.shape, packed.dtype) == ((), object)
        assert packed.item() == np.array([1, -2.5, 1, 3], ml_dtypes.bfloat16).tobytes()
        unpacked = deserialize_bf16_tensor(packed.item())
        assert (unpacked.shape, unpacked.dtype) == ((4,), np.float32)
        assert unpacked.tolist() == [1, -2.5, 1, 3]


def test_bf16_without_elements():
    assert serialize_bf16_tensor(np.zeros(0, np.float32)).shape == (0,)
    assert deserialize_bf16_tensor(b"").shape == (0,)


def test_what_makes_no_bf16():
    with pytest.raises(InferenceServerException) as caught:
        serialize_bf16_tensor(np.zeros(2))
    assert str(caught.value) == "cannot serialize bf16 tensor: invalid datatype"
    with pytest.raises(InferenceServerException, match="cannot deserialize bf16 tensor: 3 bytes"):
        deserialize_bf16_tensor(b"abc")
