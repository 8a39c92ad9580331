"""Outputs by name, and those of small gRPC responses, which are read when they are asked for."""

from __future__ import annotations

import copy
import pickle
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest

from tritonclient import ProtocolError
from tritonclient.client.results import InferResult
from tritonclient.codec import rpc_infer
from tritonclient.codec.outputs import PlacedOutputs
from tritonclient.datatypes import pack
from tritonclient.messages import InferResponse, InferTensor

ARRAYS = {
    "A": np.arange(6, dtype=np.int32).reshape(2, 3),
    "TEXTS": np.array([b"", b"two", b"\0three\0"], object),
    "HALF": np.array(1.5, np.float16),
    "NONE": np.empty((0, 4), np.uint8),
    "BRAIN": np.array([1.0, -2.5], np.float32),
}
DATATYPES = {"A": "INT32", "TEXTS": "BYTES", "HALF": "FP16", "NONE": "UINT8", "BRAIN": "BF16"}
TENSORS = tuple(
    InferTensor(name, DATATYPES[name], array.shape, bytes(pack(array, DATATYPES[name])))
    for name, array in ARRAYS.items()
)


def read(*tensors: InferTensor, name: str = "placed") -> InferResponse:
    """Return a response as it is read once its form is known."""
    message = b"".join(rpc_infer.encode_response(InferResponse(name, "1", "id", {}, tensors)))
    rpc_infer.decode_response(message)
    return rpc_infer.decode_response(message)


@pytest.fixture
def outputs() -> PlacedOutputs:
    found = read(*TENSORS).outputs
    assert isinstance(found, PlacedOutputs)
    return found


def test_they_are_a_sequence_of_tensors(outputs):
    assert len(outputs) == 5
    assert [tensor.name for tensor in outputs] == list(ARRAYS)
    assert outputs[1] == TENSORS[1]
    assert outputs[-1] == TENSORS[-1]
    assert outputs[1:3] == TENSORS[1:3]
    assert TENSORS[0] in outputs
    assert outputs.index(TENSORS[2]) == 2
    with pytest.raises(IndexError):
        outputs[5]
    assert repr(outputs) == repr(tuple(outputs))


def test_they_are_equal_to_tuples(outputs):
    assert outputs == TENSORS
    assert TENSORS == outputs  # noqa: SIM300
    assert outputs == read(*TENSORS).outputs
    assert outputs != TENSORS[:2]
    assert outputs != list(TENSORS)
    assert InferResponse("placed", "1", "id", {}, TENSORS) == read(*TENSORS)


def test_copies_are_tuples(outputs):
    for twin in (pickle.loads(pickle.dumps(outputs)), copy.copy(outputs), copy.deepcopy(outputs)):
        assert type(twin) is tuple
        assert twin == TENSORS


def test_arrays(outputs):
    for name, expected in ARRAYS.items():
        array = outputs.array(name)
        assert outputs.array(name) is array
        assert array.shape == expected.shape
        assert array.tolist() == expected.tolist()
        assert array.flags.aligned
        assert array.flags.writeable
    assert outputs.array("A").dtype == np.int32
    assert outputs.array("B") is None


@pytest.mark.parametrize("first", ["array", "tensor"])
def test_an_array_and_its_tensor_have_the_same_memory(outputs, first):
    if first == "tensor":
        assert outputs[0].data
    outputs.array("A")[0, 1] = -7
    assert np.frombuffer(outputs[0].data, np.int32).tolist() == [0, -7, 2, 3, 4, 5]
    outputs[0].data[0] = 9
    assert outputs.array("A")[0, 0] == 9


@pytest.mark.parametrize("kind", ["arrays", "an array and tensors"])
def test_threads_get_the_same_memory(kind):
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(3) as threads:
            for _ in range(300):
                outputs = read(*TENSORS).outputs
                barrier = Barrier(3)

                def take(position, outputs=outputs, barrier=barrier):
                    barrier.wait()
                    if position and kind != "arrays":
                        return np.frombuffer(outputs[0].data, np.int32)
                    return outputs.array("A")

                found = list(threads.map(take, range(3)))
                assert all(np.shares_memory(found[0], each) for each in found)
    finally:
        sys.setswitchinterval(usual)


def test_a_result_that_was_read_keeps_its_data_once():
    large = np.zeros(3000, np.float32)
    tensor = InferTensor("LARGE", "FP32", large.shape, bytes(large.data))
    read(tensor, name="large")
    tracemalloc.start()
    try:
        results = [InferResult(read(tensor, name="large")) for _ in range(50)]
        for result in results:
            assert result["LARGE"].shape == large.shape
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 50 * 1.3 * large.nbytes


def test_responses_have_memory_of_their_own():
    first, second = InferResult(read(*TENSORS)), InferResult(read(*TENSORS))
    first["A"][:] = 0
    assert second["A"].tolist() == ARRAYS["A"].tolist()


def test_what_was_written_goes_along_with_a_copy_of_the_result():
    result = InferResult(read(*TENSORS))
    result["A"][1] = 8
    twin = pickle.loads(pickle.dumps(result))
    assert twin["A"].tolist() == [[0, 1, 2], [8, 8, 8]]
    assert list(twin) == list(result) == list(ARRAYS)


def test_a_result_knows_its_outputs():
    result = InferResult(read(*TENSORS))
    assert len(result) == 5
    assert "A" in result
    assert "B" not in result
    assert result.output("HALF").datatype == "FP16"
    with pytest.raises(KeyError, match="no output 'B'; the outputs are 'A', 'TEXTS'"):
        result["B"]
    with pytest.raises(AttributeError, match=r"result\['TEXTS'\]"):
        result.TEXTS  # noqa: B018


def test_texts_that_end_too_early():
    form = InferTensor("T", "BYTES", (2,), bytes(pack(np.array([b"ab", b"c"], object), "BYTES")))
    read(form, name="early")
    broken = form._replace(data=form.data[:6] + b"\xff" + form.data[7:])
    with pytest.raises(ProtocolError, match="output 'T' can't be read"):
        InferResult(read(broken, name="early"))["T"]


def test_outputs_of_the_same_name_are_read_at_once():
    twice = (TENSORS[0], TENSORS[0]._replace(data=bytes(24)))
    response = read(*twice)
    assert type(response.outputs) is tuple
    assert response.outputs == twice
    assert not InferResult(response)["A"].any()


def test_shapes_that_numpy_does_not_have():
    shape = (0, 1 << 62, 4)
    response = read(InferTensor("WIDE", "INT8", shape, b""), name="wide")
    assert type(response.outputs) is PlacedOutputs
    assert response.outputs[0].shape == shape
    with pytest.raises(ProtocolError, match="numpy has no arrays of shape"):
        InferResult(response)["WIDE"]
