"""Inputs, requested outputs and answers of the classic HTTP client, without a server."""

from __future__ import annotations

import gzip
import json
import pickle
import struct
import sys
import zlib

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.classic.runtimes import make_input
from tests.support.peers.hostile_peers import Server, answer_all, http
from tritonclient.datatypes import NUMPY
from tritonclient.http import (
    InferenceServerClient,
    InferenceServerException,
    InferInput,
    InferRequestedOutput,
    InferResult,
)
from tritonclient.http._utils import _get_inference_request

body_of = InferenceServerClient.generate_request_body


def refused(function, *arguments, **keywords):
    with pytest.raises(InferenceServerException) as caught:
        function(*arguments, **keywords)
    assert caught.value.status() is None
    return str(caught.value)


def objects(*items):
    array = np.empty(len(items), object)
    array[:] = items
    return array


# Inputs


def test_an_input_is_what_it_was_made_of():
    shape = [2, 3]
    tensor = InferInput("a", shape, "FP32")
    assert (tensor.name(), tensor.datatype()) == ("a", "FP32")
    assert tensor.shape() is shape
    assert tensor.set_shape((3, 2)) is tensor
    assert tensor.shape() == (3, 2)
    assert tensor.set_data_from_numpy(np.ones((3, 2), np.float32)) is tensor


@pytest.mark.parametrize(
    ("shape", "datatype", "array", "text"),
    [
        ([1], "FP32", [1.0], "input_tensor must be a numpy array"),
        ([1, 2], "FP32", np.zeros((1, 3), "f4"), "shape [1, 3], expected [1, 2]"),
        ((1, 2), "FP32", np.zeros(2, "f4"), "shape [2,], expected [1, 2]"),
        ([2], "FP32", np.zeros((2, 1), "f4"), "shape [2, 1], expected [2]"),
        ([2], "FP32", np.zeros(2), "datatype FP64 from numpy array, expected FP32."),
        ([2], "FP32", np.zeros(2, "c8"), "datatype None from numpy array, expected FP32."),
        ([2], "BF16", np.zeros(2, "u2"), "datatype UINT16 from numpy array, expected BF16."),
        ([2], "INT32", np.zeros(2, "U1"), "datatype BYTES from numpy array, expected INT32."),
        (
            [2],
            "TYPE_X",
            np.zeros(2, "f4"),
            "datatype FP32 from numpy array, expected TYPE_X. 'TYPE_X' is not one of "
            "BF16, BOOL, BYTES, FP16, FP32, FP64, INT16, INT32, INT64, INT8, UINT16, UINT32, "
            "UINT64, UINT8",
        ),
    ],
)
def test_arrays_that_do_not_fit(shape, datatype, array, text):
    if text.startswith("shape"):
        text = f"got unexpected numpy array {text}"
    elif text.startswith("datatype"):
        text = f"got unexpected {text}"
    for binary in (True, False):
        assert refused(InferInput("a", shape, datatype).set_data_from_numpy, array, binary) == text


@given(st.sampled_from(sorted(NUMPY.keys() - {"BF16"})).flatmap(
    lambda datatype: st.tuples(
        st.just(datatype),
        arrays.arrays(NUMPY[datatype], arrays.array_shapes(min_dims=0, min_side=0)),
    )
))  # fmt: skip
def test_binary_data_is_the_arrays(given):
    datatype, array = given
    tensor = make_input("a", array, datatype)
    assert tensor._get_binary_data() == array.tobytes()
    assert tensor._get_tensor() == {
        "name": "a",
        "shape": list(array.shape),
        "datatype": datatype,
        "parameters": {"binary_data_size": array.nbytes},
    }


@given(arrays.arrays(np.int64, arrays.array_shapes(min_dims=0, min_side=0)))
def test_json_data_is_the_arrays(array):
    tensor = make_input("a", array, "INT64", binary_data=False)
    assert tensor._get_binary_data() is None
    assert tensor._get_tensor() == {
        "name": "a",
        "shape": list(array.shape),
        "datatype": "INT64",
        "data": array.ravel().tolist(),
    }


@pytest.mark.parametrize("datatype", ["FP16", "FP32", "FP64"])
def test_numbers_without_a_json_form(datatype):
    for value in (np.nan, np.inf, -np.inf):
        array = np.array([1, value], NUMPY[datatype])
        text = refused(make_input, "a", array, datatype, binary_data=False)
        assert text == "NaN and infinities have no JSON form. Please set binary_data=True"
    tensor = make_input("a", np.array([1, 0.5], NUMPY[datatype]), datatype, binary_data=False)
    assert tensor._get_tensor()["data"] == [1, 0.5]


def test_bf16():
    values = np.float32([1.0, 0.999, 1 + 1 / 256, 1 + 3 / 256, -0.0])
    expected = values.astype(ml_dtypes.bfloat16)  # rounds to nearest, ties to even
    for array in (values, expected):
        assert make_input("a", array, "BF16")._get_binary_data() == expected.tobytes()
        assert refused(make_input, "a", array, "BF16", binary_data=False) == (
            "BF16 inputs must be sent as binary data over HTTP. Please set binary_data=True"
        )


def test_bytes():
    array = np.array([[b"a", b"bcd"], [b"", b"\xff\0"]], object)
    packed = b"".join(struct.pack("<I", len(item)) + item for item in array.flat)
    assert make_input("a", array, "BYTES")._get_binary_data() == packed
    assert make_input("a", np.array(["\u00e4"]), "BYTES")._get_binary_data() == b"\2\0\0\0\xc3\xa4"
    assert make_input("a", objects(1, None), "BYTES")._get_binary_data() == (
        b"\1\0\0\x001\4\0\0\0None"
    )
    assert make_input("a", objects(), "BYTES")._get_binary_data() == b""


def test_bytes_as_json():
    items = objects(b"a", "\u00e4", "\u00e4".encode(), 1, None)
    tensor = make_input("a", items, "BYTES", binary_data=False)
    assert tensor._get_tensor()["data"] == ["a", "\u00e4", "\u00e4", "1", "None"]
    assert refused(make_input, "a", objects(b"a", b"\xff"), "BYTES", binary_data=False) == (
        "Failed to encode \"b'\\xff'\" using UTF-8. Please use binary_data=True, "
        "if you want to pass a byte array."
    )


def test_what_was_set_last_counts():
    array = np.int32([1, 2])
    tensor = make_input("a", array, "INT32", binary_data=False)
    tensor.set_shared_memory("r", 8, 4)
    assert tensor._get_tensor()["parameters"] == {
        "shared_memory_region": "r",
        "shared_memory_byte_size": 8,
        "shared_memory_offset": 4,
    }
    assert "data" not in tensor._get_tensor()
    tensor.set_shared_memory("r", 8)
    assert "shared_memory_offset" not in tensor._get_tensor()["parameters"]
    tensor.set_data_from_numpy(array)
    assert tensor._get_tensor()["parameters"] == {"binary_data_size": 8}
    tensor.set_data_from_numpy(array, binary_data=False)
    assert "parameters" not in tensor._get_tensor()
    # A failure leaves what there was.
    refused(tensor.set_data_from_numpy, np.float32([1, 2]))
    assert tensor._get_tensor()["data"] == [1, 2]


def test_many_elements_as_json_are_quick_to_make():
    calls = 0

    def count(frame, event, argument):
        nonlocal calls
        calls += 1

    array = np.zeros(100_000, np.float32)
    sys.setprofile(count)
    try:
        make_input("a", array, "FP32", binary_data=False)._get_tensor()
    finally:
        sys.setprofile(None)
    assert calls < 1000  # in no case one or more per element


# Requested outputs


def test_requested_outputs():
    output = InferRequestedOutput("o")
    assert output.name() == "o"
    assert output._get_tensor() == {"name": "o", "parameters": {"binary_data": True}}
    output = InferRequestedOutput("o", False, 3)
    assert output._get_tensor()["parameters"] == {"binary_data": False, "classification": 3}
    assert refused(output.set_shared_memory, "r", 8) == (
        "shared memory can't be set on classification output"
    )


@pytest.mark.parametrize("binary", [True, False])
def test_outputs_in_shared_memory(binary):
    output = InferRequestedOutput("o", binary_data=binary)
    output.set_shared_memory("r", 8, 4)
    assert output._get_tensor()["parameters"] == {
        "binary_data": False,
        "shared_memory_region": "r",
        "shared_memory_byte_size": 8,
        "shared_memory_offset": 4,
    }
    output.set_shared_memory("r", 8)
    assert "shared_memory_offset" not in output._get_tensor()["parameters"]
    output.unset_shared_memory()
    assert output._get_tensor()["parameters"] == {"binary_data": binary}


# Bodies of requests


def test_a_body():
    inputs = [make_input("b", np.float32([1, 2]), "FP32"), InferInput("s", [1], "INT8")]
    inputs[1].set_shared_memory("r", 1)
    body, length = body_of(
        inputs,
        outputs=[InferRequestedOutput("o", class_count=3)],
        request_id="x",
        sequence_id="s",
        sequence_start=True,
        priority=2,
        timeout=5,
        parameters={"mine": [1, None, 2.5, {"a": "b"}]},
    )
    assert body[length:] == np.float32([1, 2]).tobytes()
    assert json.loads(body[:length]) == {
        "id": "x",
        "inputs": [
            {"name": "b", "shape": [2], "datatype": "FP32", "parameters": {"binary_data_size": 8}},
            {
                "name": "s",
                "shape": [1],
                "datatype": "INT8",
                "parameters": {"shared_memory_region": "r", "shared_memory_byte_size": 1},
            },
        ],
        "outputs": [{"name": "o", "parameters": {"classification": 3, "binary_data": True}}],
        "parameters": {
            "sequence_id": "s",
            "sequence_start": True,
            "sequence_end": False,
            "priority": 2,
            "timeout": 5,
            "mine": [1, None, 2.5, {"a": "b"}],
        },
    }


def test_what_a_body_leaves_out():
    for outputs in (None, []):
        body, length = body_of([InferInput("a", [1], "FP32")], outputs, sequence_start=True)
        assert length is None
        assert json.loads(body) == {
            "inputs": [{"name": "a", "shape": [1], "datatype": "FP32"}],
            "parameters": {"binary_data_output": True},
        }
    body, _ = body_of([InferInput("a", [1], "FP32")], timeout=0, sequence_id=7)
    assert json.loads(body)["parameters"] == {
        "sequence_id": 7,
        "sequence_start": False,
        "sequence_end": False,
        "timeout": 0,
        "binary_data_output": True,
    }


def test_the_body_by_its_private_name():
    inputs = [make_input("a", np.int8([1]), "INT8")]
    arguments = (inputs, "id", None, 0, False, False, 0, None, {"x": 1})
    assert _get_inference_request(*arguments) == body_of(
        inputs, request_id="id", parameters={"x": 1}
    )


@pytest.mark.parametrize(
    "name",
    ["sequence_id", "sequence_start", "sequence_end", "priority", "timeout", "headers",
     "binary_data_output", "triton_", "triton_enable_empty_final_response"],
)  # fmt: skip
def test_reserved_parameters(name):
    text = refused(body_of, [InferInput("a", [1], "FP32")], parameters={name: 1})
    assert text == f'Parameter "{name}" is a reserved parameter and cannot be specified.'


# Bodies of answers


def answer(*outputs, data=b"", **members):
    head = json.dumps({"model_name": "m", **members, "outputs": list(outputs)}).encode()
    return head + data, len(head)


NUMBERS = {
    "name": "n",
    "datatype": "FP32",
    "shape": [2, 1],
    "parameters": {"binary_data_size": 8},
}
TEXTS = {
    "name": "t",
    "datatype": "BYTES",
    "shape": [2],
    "parameters": {"binary_data_size": 11},
}


@pytest.mark.parametrize("coding", [None, "gzip", "deflate", "identity"])
def test_an_answer(coding):
    data = np.float32([1.5, 2]).tobytes() + b"\1\0\0\0a\2\0\0\0\xff\0"
    body, length = answer(NUMBERS, TEXTS, data=data, id="7")
    compress = {"gzip": gzip.compress, "deflate": zlib.compress}.get(coding, bytes)
    result = InferResult.from_response_body(compress(body), False, length, coding)
    assert result.as_numpy("n").tolist() == [[1.5], [2]]
    assert result.as_numpy("t").tolist() == [b"a", b"\xff\0"]
    assert result.as_numpy("x") is None
    assert result.get_output("t") == TEXTS
    assert result.get_response() == {"model_name": "m", "id": "7", "outputs": [NUMBERS, TEXTS]}


def test_arrays_are_views_that_can_be_written_to():
    answers = [answer(NUMBERS, data=bytes(8), id="x" * number) for number in range(1, 5)]
    # What is not aligned is copied.
    body, length = next((body, length) for body, length in answers if length % 4 == 0)
    received = bytearray(body)
    result = InferenceServerClient.parse_response_body(received, header_length=length)
    array = result.as_numpy("n")
    array[0] = 1
    assert result.as_numpy("n")[0] == 1
    assert np.shares_memory(array, np.frombuffer(received, np.uint8))


def test_an_answer_in_json():
    numbers = {"name": "n", "datatype": "FP16", "shape": [2], "data": [1.5, 2]}
    texts = {"name": "t", "datatype": "BYTES", "shape": [1, 2], "data": ["a", "\u00e4"]}
    result = InferResult.from_response_body(answer(numbers, texts)[0])
    assert result.as_numpy("n").dtype == np.float16
    assert result.as_numpy("n").tolist() == [1.5, 2]
    assert result.as_numpy("t").tolist() == [["a", "\u00e4"]]
    assert result.get_output("n") == numbers


def test_an_answer_without_outputs():
    result = InferResult.from_response_body(b'{"model_name":"m"}')
    assert result.get_output("n") is None
    assert result.as_numpy("n") is None
    assert result.get_response() == {"model_name": "m"}


def test_an_output_in_shared_memory():
    result = InferResult.from_response_body(
        answer({"name": "n", "datatype": "FP32", "shape": [2]})[0]
    )
    assert refused(result.as_numpy, "n") == "output 'n' has no data here: it is in shared memory"


def test_texts_that_are_none():
    output = b'{"name":"t","datatype":"BYTES","shape":[1],"data":["\xff"]}'
    body = b'{"model_name":"m","outputs":[' + output + b"]}"
    text = refused(InferResult.from_response_body, body)
    assert text.startswith(
        "Failed to encode using UTF-8. Please use binary_data=True, "
        "if you want to pass a byte array. UnicodeError: "
    )
    assert f"can't decode byte 0xff in position {body.index(0xFF)}: " in text
    # JSON that is fine, and says what is not.
    assert "UnicodeError: " in refused(
        InferResult.from_response_body, body.replace(b"\xff", b"\\udcff")
    )


@pytest.mark.parametrize(
    ("body", "length"),
    [
        (b"", None),
        (b"no JSON", None),
        (b"[1]", None),
        (answer(NUMBERS)[0], answer(NUMBERS)[1]),
        (answer(NUMBERS, data=bytes(8))[0], 1),
        (answer(NUMBERS, data=bytes(8))[0], 10_000),
        (answer({**NUMBERS, "shape": [3]}, data=bytes(8))[0], answer({**NUMBERS, "shape": [3]})[1]),
        (answer({"name": "n", "datatype": "INT8", "shape": [1], "data": ["x"]})[0], None),
        (answer({"name": "n", "datatype": "BYTES", "shape": [0, 2**62], "data": []})[0], None),
    ],
)
def test_what_is_no_answer(body, length):
    refused(InferResult.from_response_body, body, header_length=length)


def test_an_answer_that_some_other_library_received():
    class Response:
        def __init__(self, body, **headers):
            self._body = body
            self._headers = headers

        def get(self, name):
            return self._headers.get(name.replace("-", "_"))

        def read(self, length=-1):
            return self._body

    body, length = answer(NUMBERS, data=bytes(8))
    headers = {"Inference_Header_Content_Length": str(length), "Content_Encoding": "gzip"}
    result = InferResult(Response(gzip.compress(body), **headers), False)
    assert result.as_numpy("n").tolist() == [[0], [0]]


def test_a_broken_compressed_answer():
    body, length = answer(NUMBERS, data=bytes(8))
    for coding in ("gzip", "deflate"):
        refused(InferResult.from_response_body, b"\0" + body, False, length, coding)


@pytest.mark.parametrize(
    ("datatype", "data"),
    [
        ("INT32", [1.5, 2]),
        ("INT8", [300, 1]),
        ("INT32", ["1", "2"]),
        ("BOOL", ["true", ""]),
        ("FP32", ["x", "y"]),
        ("FP32", [1]),
        ("FP32", 1),
    ],
)
def test_json_that_would_lose_something_is_refused(datatype, data):
    output = {"name": "t", "datatype": datatype, "shape": [2], "data": data}
    body = json.dumps({"model_name": "m", "outputs": [output]}).encode()
    with pytest.raises(InferenceServerException, match="can't be read"):
        InferResult.from_response_body(body)


@pytest.mark.parametrize(
    ("datatype", "data"), [("INT32", [1, 2]), ("INT32", [1.0, 2.0]), ("BYTES", ["1", "2"])]
)
def test_results_travel(datatype, data):
    output = {"name": "t", "datatype": datatype, "shape": [2], "data": data}
    body = json.dumps({"model_name": "m", "outputs": [output]}).encode()
    result = InferResult.from_response_body(body)
    again = pickle.loads(pickle.dumps(result))
    assert again.as_numpy("t").dtype == result.as_numpy("t").dtype
    np.testing.assert_array_equal(again.as_numpy("t"), result.as_numpy("t"))
    assert again.get_response() == result.get_response()


def test_loose_json_over_a_connection():
    # That the answer breaks the protocol is no reason to close it.
    output = b'{"name":"t","datatype":"INT32","shape":[2],"data":[1.0,2.0]}'
    body = b'{"model_name":"m","outputs":[' + output + b"]}"
    with Server([answer_all(http(body))]) as server:
        with InferenceServerClient(server.url.removeprefix("http://")) as client:
            for _ in range(2):
                array = client.infer("m", []).as_numpy("t")
                assert (array.dtype, array.tolist()) == (np.int32, [1, 2])
        assert server.connections == 1


def test_verbose_prints_the_json(capsys):
    InferResult.from_response_body(answer(id="shown")[0], verbose=True)
    assert '"shown"' in capsys.readouterr().out
