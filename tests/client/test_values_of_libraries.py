"""Values that programs have at hand: of other libraries, of other datatypes, with gaps."""

from __future__ import annotations

import datetime
import sys
import warnings

import ml_dtypes
import numpy as np
import pytest

from tests.client.test_mistakes import both, make, protocols
from tritonclient import ServerError, Tensor, request
from tritonclient.client.model_spec import ModelSpec
from tritonclient.messages import ModelMetadata, TensorMetadata

F = np.arange(8, dtype=np.float32).reshape(2, 4)
IMAGE = np.zeros((1, 5, 5, 3), np.float32)
FILE = np.frombuffer(b"GIF89a", np.uint8)


class OnDevice:
    """A tensor of a library such as torch, of a datatype that numpy may not know."""

    def __init__(self, array, datatype="", device=(1, 0), **attributes):
        self.array, self.datatype, self.where = array, datatype, device
        self.device = "cpu"
        self.__dict__.update(attributes)

    def __dlpack_device__(self):
        return self.where

    def __dlpack__(self, **options):
        from tritonclient.shm.dlpack import SharedMemoryTensor

        if not self.datatype:
            raise BufferError("Unsupported dtype in DLTensor.")
        address = self.array.__array_interface__["data"][0]
        tensor = SharedMemoryTensor(
            self.datatype, self.array.shape, address, 0, self.array.nbytes, -1, owner=self.array
        )
        return tensor.__dlpack__(max_version=options.get("max_version"))


class OfArrow:
    """An array as pyarrow's: no device, and a datatype that DLPack does not have."""

    def __dlpack_device__(self):
        return 1, 0

    def __dlpack__(self, **options):
        warnings.warn("unversioned capsules are deprecated", DeprecationWarning, stacklevel=2)
        raise TypeError("DataType is not compatible with DLPack spec: string")

    def __array__(self, dtype=None, copy=None):
        return np.array(["a", "b"], object)


class Raising:
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")


def sent(value):
    [tensor] = request("m", {"X": value}).inputs
    return tensor.datatype, tensor.shape, bytes(tensor.data)


BF16 = F.astype(ml_dtypes.bfloat16)


def test_bf16_by_dlpack():
    expected = ("BF16", (2, 4), BF16.tobytes())
    assert sent(OnDevice(BF16.view(np.uint16), "BF16")) == expected
    model = spec("BF16", [-1, 4])
    checked = model.check({"X": OnDevice(BF16.view(np.uint16), "BF16")})
    assert checked["X"].array.tobytes() == BF16.tobytes()


def test_bf16_by_dlpack_without_ml_dtypes(monkeypatch):
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    tensor = OnDevice(BF16.view(np.uint16), "BF16")
    assert sent(tensor) == ("FP32", (2, 4), F.tobytes())
    assert sent(Tensor(tensor, "BF16")) == ("BF16", (2, 4), BF16.tobytes())


def test_arrays_without_a_device_are_read_by_numpys_protocol():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sent(OfArrow()) == ("BYTES", (2,), b"\1\0\0\0a\1\0\0\0b")


def spec(datatype, shape, largest=None):
    tensor = TensorMetadata("X", datatype, tuple(shape))
    return ModelSpec.of(
        "m",
        "",
        ModelMetadata("m", ("1",), "", (tensor,), ()),
        None if largest is None else {"max_batch_size": largest},
    )


# A value, and words of the error. Nothing is sent.
UNREADABLE = {
    "no datatype of numpy": (OnDevice(F), "Unsupported dtype in DLTensor; give a dense tensor"),
    "gradient": (OnDevice(F, requires_grad=True), "; give tensor.detach()"),
    "sparse": (OnDevice(F, is_sparse=True), "; give tensor.to_dense()"),
    "quantized": (OnDevice(F, is_quantized=True), "; give tensor.dequantize()"),
    "on a GPU": (OnDevice(F, device=(2, 0)), "; give a copy on the CPU, such as tensor.cpu()"),
    "on no device": (OnDevice(F, device=()), "; give a tensor that is in memory"),
    "raises": (Raising(), "can't be read as an array: Can't call numpy() on Tensor"),
    "list of those": ([Raising()], "can't be read as an array: Can't call numpy()"),
    "ragged": ([[1, 2], [3]], "not a rectangular array: setting an array element with a sequence"),
    "ragged, cure": ([[1, 2], [3]], "; pad its parts to one length, or send each on its own"),
    "dates": (np.zeros(2, "M8[s]"), "; array.astype(np.int64) gives counts of its unit"),
    "complex": (np.zeros(2, complex), "; give array.real and array.imag"),
    "structured": (np.zeros(2, [("a", "f4")]), "an input of its own, such as array['a']"),
    "longdouble": (np.zeros(2, np.longdouble), "; array.astype(np.float64) converts it"),
    "float8": (np.zeros(2, ml_dtypes.float8_e4m3fn), "; array.astype(np.float32) converts it"),
    "void": (np.zeros(2, "V3"), "; array.astype(object) makes bytes of it"),
    "ints as objects": (np.array([1, 2], object), "numbers as objects; .astype(np.int64) converts"),
    "text and None": (["a", None], "but element 1 is NoneType; give a text for what is missing"),
    "text and nan": (["a", float("nan")], "but element 1 is float; give a text for what is miss"),
    "dicts": ([{"a": 1}], "json.dumps(...) makes a text of a dict"),
    "datetimes": ([datetime.date(2020, 1, 1)], "np.array(values, str) texts"),
    "arrays as objects": (
        np.array([np.zeros(2), "a"], object),
        "arrays of different shapes make no tensor: pad them, or send each on its own",
    ),
    "surrogates": (["a", "\udc80"], "(element 1), which has no UTF-8 form: surrogates are not"),
}


@pytest.mark.parametrize(("value", "words"), UNREADABLE.values(), ids=UNREADABLE)
def test_unreadable(value, words):
    for given in (value, Tensor(value, "FP32")) if "[" not in words else (value,):
        with pytest.raises((TypeError, ValueError)) as caught:
            request("m", {"X": given})
        assert str(caught.value).startswith("input 'X': ")
        if given is value:
            assert words in str(caught.value)


# Datatype and shape of an input, a value, whether `cast` is given, and the error's last words.
MISFITS = {
    "FP16, too large": ("FP16", [-1], [1e6], False, "FP16, whose numbers are -65504.0 to 65504.0"),
    "FP32, too large": ("FP32", [-1], [1e39], False, "does not fit FP32, whose numbers are"),
    "BF16, too large": ("BF16", [-1], [1e39], False, "does not fit BF16, whose numbers are"),
    "UINT8, too large": ("UINT8", [-1], [300], False, "UINT8, whose numbers are 0 to 255"),
    "UINT8, cast": ("UINT8", [-1], np.array([-1]), True, "UINT8, whose numbers are 0 to 255"),
    "INT8, no cast": ("INT8", [-1], np.array([1]), False, "(np.int8) converts it, or cast=True"),
    "INT8 of floats": ("INT8", [-1], np.array([1.0]), False, "; array.astype(np.int8) converts it"),
    "BOOL of ints": ("BOOL", [-1], [0, 1], True, "; array.astype(bool) converts it"),
    "BF16 of doubles": ("BF16", [-1], np.ones(2), False, "astype(np.float32) converts it, or cast"),
    "FP32 of bfloat16": ("FP32", [-1, 4], BF16, False, "(np.float32) converts it, or cast=True"),
    "FP32 of text": ("FP32", [-1], ["1"], False, "np.array(values, np.float32) reads numbers"),
    "FP32 of bytes": ("FP32", [1], b"\0" * 4, True, "np.frombuffer(data, np.float32) takes the"),
    "FP32 of dates": ("FP32", [1], np.zeros(1, "M8[s]"), True, "(np.float32) gives counts of its"),
    "FP32 of complex": ("FP32", [1], [1j], True, "; array.real is the real part"),
    "BYTES of ints": ("BYTES", [-1], [1, 2], False, "; array.astype(str) makes texts of numbers"),
    "BYTES of a file": ("BYTES", [-1], FILE, False, "[bytes(data)] is a file or buffer"),
    "scalar": ("FP32", [-1], 3.0, False, "got FP32 []; a list has one dimension: [value]"),
    "one dimension": ("FP32", [-1, 4], F[0], False, "; array[None] adds a dimension in front"),
    "no batch": ("FP32", [-1, 4], F[0], False, "the first dimension is the batch: array[None]", 8),
    "three": ("FP32", [-1, 4], F[None], False, "expected 2; array.reshape(-1, 4) gives it that"),
    "flat image": ("FP32", [1, 3, 2, 2], np.ones(12), True, "array.reshape(1, 3, 2, 2) gives it"),
    "flat, no size": ("FP32", [-1, -1, 4], F[0], False, "it has 1 dimension, expected 3"),
    "flat, too few": ("FP32", [1, 3, 4], F[0], False, "it has 1 dimension, expected 3"),
    "size": ("FP32", [-1, 3], F, False, "; dimension 1 is 4, expected 3"),
    "channels last": ("FP32", [-1, 3, 5, 5], IMAGE, False, "array.transpose(0, 3, 1, 2) puts"),
    "batch": ("FP32", [-1, 4], F, False, "; its largest batch is 1; client.map('m', rows)", 1),
}


@pytest.mark.parametrize("case", MISFITS.values(), ids=MISFITS)
def test_misfits_of_a_handle(case):
    datatype, shape, value, cast, words, *largest = case
    with pytest.raises((TypeError, ValueError)) as caught:
        spec(datatype, shape, *largest).check({"X": value}, cast=cast)
    assert words in str(caught.value)
    if cast:
        assert "cast=True" not in str(caught.value)


@pytest.mark.parametrize(
    ("datatype", "value", "expected"),
    [
        ("BF16", [1.5], np.array([1.5], np.float32)),
        ("BF16", np.array([1.5]), np.array([1.5], np.float32)),
        ("FP32", BF16, F),
        ("FP32", np.ones(2, ml_dtypes.float8_e4m3fn), np.ones(2, np.float32)),
        ("BYTES", [], np.empty(0, object)),
        ("INT8", np.array([True]), np.ones(1, np.int8)),
    ],
)
def test_what_cast_converts(datatype, value, expected):
    shape = np.shape(value)
    array = spec(datatype, shape).check({"X": value}, cast=True)["X"].array
    assert array.dtype == expected.dtype
    np.testing.assert_array_equal(array, expected)


HINTS = {
    "wrong size": (np.ones((1, 5), np.int32), "dimension 1 is 5, expected 16"),
    "no batch": (np.ones(4, np.int32), "the first dimension is the batch: array[None] adds it"),
    "no batch, many": (np.ones(16, np.int32), "the batch, which array[None] adds; client.map("),
    "one too many": (np.ones((1, 1, 16), np.int32), "expected 2; array.reshape(-1, 16) gives it"),
    "texts": (np.full((1, 16), "1"), "array.astype(np.int32) reads numbers from texts"),
    "floats": (np.ones((1, 16)), "array.astype(np.int32) converts it"),
}


@pytest.mark.server
@both
@protocols
@pytest.mark.parametrize(("array", "hint"), HINTS.values(), ids=HINTS)
def test_hints_of_refusals(embedded, kind, protocol, array, hint):
    def infer(client):
        return client.infer("simple", {"INPUT0": array, "INPUT1": array})

    with pytest.raises(ServerError) as caught:
        make(kind, getattr(embedded, f"{protocol}_url"), infer)
    assert hint in caught.value.hint
