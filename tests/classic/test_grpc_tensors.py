"""Inputs, requested outputs and results of the classic gRPC clients, without a server."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from tritonclient.grpc import (
    InferenceServerException,
    InferInput,
    InferRequestedOutput,
    InferResult,
    service_pb2,
)

A = np.arange(6, dtype=np.int32).reshape(2, 3)


def result_of(*outputs, raw=()):
    """A result with outputs (name, datatype, shape, contents)."""
    response = service_pb2.ModelInferResponse(model_name="m", raw_output_contents=raw)
    for name, datatype, shape, contents in outputs:
        output = response.outputs.add(name=name, datatype=datatype, shape=shape)
        for field, values in contents.items():
            getattr(output.contents, field).extend(values)
    return InferResult(response)


# Inputs


def test_what_an_input_says_of_itself():
    tensor = InferInput("X", (2, np.int64(3)), "INT32")
    assert (tensor.name(), tensor.datatype()) == ("X", "INT32")
    assert tensor.shape() == [2, 3]
    assert list(map(type, tensor.shape())) == [int, int]
    assert tensor.set_shape((3, 2)) is tensor
    assert tensor.shape() == [3, 2]
    for shape in ([1.5], ["1"], 7):
        with pytest.raises(TypeError):
            InferInput("X", shape, "INT32")


def test_the_shape_is_copied():
    shape = [2, 3]
    tensor = InferInput("X", shape, "INT32")
    shape.append(4)
    assert tensor.shape() == [2, 3]


def test_an_input_as_a_message():
    tensor = InferInput("X", [2, 3], "INT32")
    expected = service_pb2.ModelInferRequest.InferInputTensor(
        name="X", datatype="INT32", shape=[2, 3]
    )
    assert tensor._get_tensor() == expected
    assert tensor._get_content() is None
    assert tensor.set_data_from_numpy(A) is tensor
    assert tensor._get_tensor() == expected
    assert tensor._get_content() == A.tobytes()
    assert tensor.set_shared_memory("r", 24, 8) is tensor
    assert tensor._get_content() is None
    expected.parameters["shared_memory_region"].string_param = "r"
    expected.parameters["shared_memory_byte_size"].int64_param = 24
    expected.parameters["shared_memory_offset"].int64_param = 8
    assert tensor._get_tensor() == expected
    tensor.set_shared_memory("r", 24)
    del expected.parameters["shared_memory_offset"]
    assert tensor._get_tensor() == expected
    tensor.set_data_from_numpy(A)
    assert not tensor._get_tensor().parameters


def test_an_output_as_a_message():
    output = InferRequestedOutput("Y", class_count=2)
    expected = service_pb2.ModelInferRequest.InferRequestedOutputTensor(name="Y")
    expected.parameters["classification"].int64_param = 2
    assert (output.name(), output._get_tensor()) == ("Y", expected)
    with pytest.raises(InferenceServerException) as caught:
        output.set_shared_memory("r", 1)
    assert str(caught.value) == "shared memory can't be set on classification output"
    output = InferRequestedOutput("Y")
    assert output.set_shared_memory("r", 24) is None
    assert output._get_tensor().parameters["shared_memory_byte_size"].int64_param == 24
    assert output.unset_shared_memory() is None
    assert not output._get_tensor().parameters


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (7, "input_tensor must be a numpy array"),
        (A.astype(np.float32), "got unexpected datatype FP32 from numpy array, expected INT32."),
        (A.astype(complex), "got unexpected datatype None from numpy array, expected INT32."),
        (A[:, :2], "got unexpected numpy array shape [2, 2], expected [2, 3]"),
        (A[0], "got unexpected numpy array shape [3,], expected [2, 3]"),
        (A[None], "got unexpected numpy array shape [1, 2, 3], expected [2, 3]"),
        (np.int32([[]]), "got unexpected numpy array shape [1, 0], expected [2, 3]"),
    ],
)
def test_arrays_that_do_not_fit(array, text):
    with pytest.raises(InferenceServerException) as caught:
        InferInput("X", [2, 3], "INT32").set_data_from_numpy(array)
    assert str(caught.value) == text


# Results


@pytest.mark.parametrize(
    ("datatype", "field", "values", "dtype"),
    [
        ("BOOL", "bool_contents", [True, False], np.bool_),
        ("INT8", "int_contents", [-128, 127], np.int8),
        ("INT16", "int_contents", [-5, 7], np.int16),
        ("INT32", "int_contents", [-5, 2**31 - 1], np.int32),
        ("INT64", "int64_contents", [-(2**63), 7], np.int64),
        ("UINT8", "uint_contents", [0, 255], np.uint8),
        ("UINT16", "uint_contents", [0, 7], np.uint16),
        ("UINT32", "uint_contents", [0, 2**32 - 1], np.uint32),
        ("UINT64", "uint64_contents", [0, 2**64 - 1], np.uint64),
        ("FP32", "fp32_contents", [0.5, -1.5], np.float32),
        ("FP64", "fp64_contents", [0.1, -1.5], np.float64),
        ("BYTES", "bytes_contents", [b"a\0", b""], np.object_),
    ],
)
def test_typed_contents(datatype, field, values, dtype):
    array = result_of(("Y", datatype, [2, 1], {field: values})).as_numpy("Y")
    assert (array.dtype, array.shape) == (dtype, (2, 1))
    assert array.ravel().tolist() == values
    array[0] = array[1]


def test_raw_contents():
    words = np.array([b"a", b"bc"], object)
    packed = b"\1\0\0\0a\2\0\0\0bc"
    result = result_of(
        ("A", "INT32", [2, 3], {}), ("B", "BYTES", [2], {}), raw=[A.tobytes(), packed]
    )
    np.testing.assert_array_equal(result.as_numpy("A"), A)
    np.testing.assert_array_equal(result.as_numpy("B"), words)
    assert result.as_numpy("C") is None
    result.as_numpy("A")[0, 0] = 7
    assert result.as_numpy("A")[0, 0] == 7


def test_bf16():
    values = np.array([1.0, -2.5], ml_dtypes.bfloat16)
    result = result_of(("Y", "BF16", [2], {}), raw=[values.tobytes()])
    np.testing.assert_array_equal(result.as_numpy("Y"), values)


def test_the_message_that_was_given_is_given_back():
    response = service_pb2.ModelInferResponse(model_name="m")
    assert InferResult(response).get_response() is response
    assert InferResult(response).get_response(as_json=True) == {"model_name": "m"}
    assert InferResult(response).as_numpy("Y") is None
    assert InferResult(response).get_output("Y") is None
    assert InferResult(response).get_output("Y", as_json=True) is None


def test_messages_that_make_no_sense():
    result = result_of(("Y", "INT32", [2, 3], {}), raw=[b"short"])
    assert result.get_output("Y").name == "Y"
    with pytest.raises(InferenceServerException, match="5 bytes for tensor 'Y'"):
        result.as_numpy("Y")
    result = result_of(("Y", "BYTES", [1], {}), raw=[b"\5\0\0\0ab"])
    with pytest.raises(InferenceServerException, match="output 'Y' can't be read"):
        result.as_numpy("Y")


def test_numbers_of_64_bits_are_texts_in_json():
    result = result_of(("Y", "INT64", [1], {"int64_contents": [7]}))
    assert result.get_output("Y", as_json=True) == {
        "name": "Y",
        "datatype": "INT64",
        "shape": ["1"],
        "contents": {"int64_contents": ["7"]},
    }
