"""From arrays to requests and from answers to arrays; and what is refused before it is sent."""

from __future__ import annotations

import copy
import pickle
import weakref

import numpy as np
import pytest

from tests.support.peers.hostile_peers import Server, both_runtimes
from tritonclient import (
    AsyncClient,
    Classification,
    Client,
    InferResult,
    ProtocolError,
    RequestedOutput,
    Tensor,
)
from tritonclient.client.requests import convert, make_input
from tritonclient.client.requests import request as infer
from tritonclient.messages import InferResponse, InferTensor

IN = {"IN": np.zeros(1, np.float32)}


# Refused before sending


def _objects(*items):
    array = np.empty(len(items), object)
    array[:] = items
    return array


REFUSED = {
    "ragged list": ({"inputs": {"IN": [[1, 2], [3]]}}, ["input 'IN'", "list [[1, 2], [3]]"]),
    "ragged texts": (
        {"inputs": {"IN": [["a"], ["b", "c"]]}},
        ["input 'IN'", "[['a'], ['b', 'c']]"],
    ),
    "objects": (
        {"inputs": {"IN": _objects("a", 1.5)}},
        ["'IN'", "element 1", "float", "neither all numbers"],
    ),
    "none": ({"inputs": {"IN": None}}, ["'IN'", "NoneType", "not an array", "leave the input out"]),
    "arrays within": ({"inputs": {"IN": _objects([1], b"a")}}, ["'IN'", "element 0", "list"]),
    "complex": ({"inputs": {"IN": np.zeros(1, "c8")}}, ["'IN'", "complex64", "float32"]),
    "dates": ({"inputs": {"IN": np.zeros(1, "M8[s]")}}, ["'IN'", "datetime64[s]", "int64"]),
    "misfit": ({"inputs": {"IN": Tensor(np.zeros(1), "INT32")}}, ["'IN'", "float64", "INT32"]),
    "too large": ({"inputs": {"IN": Tensor([300], "UINT8")}}, ["'IN'", "[300]", "UINT8"]),
    "fraction": ({"inputs": {"IN": Tensor([1.5], "INT32")}}, ["'IN'", "[1.5]", "INT32"]),
    "surrogate": ({"inputs": {"IN": ["\ud800"]}}, ["'IN'", "surrogates"]),
    "inputs": ({"inputs": [np.zeros(1)]}, ["inputs", "list", "mapping"]),
    "input's name": ({"inputs": {1: np.zeros(1)}}, ["inputs", "1", "name"]),
    "no model": ({"model": ""}, ["model", "''"]),
    "model": ({"model": 5}, ["model", "5", "str"]),
    "version": ({"version": 1}, ["version", "1", "str"]),
    "id": ({"id": 7}, ["id", "7", "str"]),
    "output": ({"outputs": [3]}, ["outputs", "3", "RequestedOutput"]),
    "outputs": ({"outputs": "OUT"}, ["outputs", "'OUT'", "sequence"]),
    "sequence": ({"sequence_id": 1.5}, ["sequence_id", "1.5", "int or str"]),
    "no sequence": ({"sequence_start": True}, ["sequence_start", "sequence_id"]),
    "priority": ({"priority": -1}, ["priority", "-1", "from 0"]),
    "server timeout": ({"server_timeout": -1}, ["server_timeout", "-1", "from 0"]),
    "parameter": (
        {"parameters": {"p": [1]}},
        ["parameter 'p'", "is list", "bool, int, float or str"],
    ),
    "outputs of another kind": ({"outputs": 5}, ["outputs", "5", "sequence"]),
    "classes": (
        {"outputs": [RequestedOutput("O", classes=-1)]},
        ["classes", "'O'", "-1", "from 0"],
    ),
    "sequence below 0": ({"sequence_id": -1}, ["sequence_id", "-1", "from 0"]),
    "headers in a list": ({"headers": [("a", "b")]}, ["headers", "list", "mapping"]),
    "query as text": ({"query": "a=b"}, ["query", "str", "mapping"]),
    "parameters in a list": ({"parameters": ["a"]}, ["parameters", "is list", "mapping"]),
    "parameter of NaN": ({"parameters": {"p": float("nan")}}, ["parameter 'p'", "nan", "JSON"]),
    "parameter's name": ({"parameters": {1: 1}}, ["parameters", "1", "str"]),
    "timeout of 0": ({"timeout": 0}, ["timeout", "0", "positive"]),
    "negative timeout": ({"timeout": -1.5}, ["timeout", "-1.5", "positive"]),
    "endless timeout": ({"timeout": float("inf")}, ["timeout", "inf", "positive"]),
    "timeout not a number": ({"timeout": float("nan")}, ["timeout", "nan", "positive"]),
    "timeout in words": ({"timeout": "1"}, ["timeout", "'1'", "seconds"]),
    "header": ({"headers": {"a": 1}}, ["header", "'a'", "int", "str"]),
    "header with line end": ({"headers": {"a": "b\r\nc: d"}}, ["header", "'a'"]),
    "compression": (
        {"request_compression": "br"},
        ["request_compression", "'br'", "gzip, deflate"],
    ),
    "answer's": ({"response_compression": "x"}, ["response_compression", "'x'", "gzip, deflate"]),
    "JSON of NaN": ({"inputs": {"IN": np.float32([np.nan])}, "binary": False}, ["'IN'", "NaN"]),
}
# Other methods, with the same care.
REFUSED_ELSEWHERE = {
    "wait": (lambda c: c.wait_until_ready(timeout=-1), ["timeout", "-1", "positive"]),
    "no model": (lambda c: c.model_metadata(""), ["model", "''", "name"]),
    "version": (lambda c: c.model_metadata("m", 1), ["version", "1", "str"]),
    "region": (lambda c: c.unregister_system_shared_memory(7), ["name", "7", "str"]),
    "files": (lambda c: c.load_model("m", files={"1/m": b""}), ["files", "config"]),
    "no bytes": (
        lambda c: c.load_model("m", config="{}", files={"x": "y"}),
        ["'x'", "str", "bytes"],
    ),
}
RESERVED = """sequence_id sequence_start sequence_end priority timeout headers binary_data_output
    triton_enable_empty_final_response triton_x"""
for reserved in RESERVED.split():
    REFUSED[f"reserved {reserved}"] = ({"parameters": {reserved: 1}}, [repr(reserved), "reserved"])


@pytest.fixture(scope="module")
def silent():
    """A server to which nothing must be sent."""
    with Server([]) as server:
        yield server
        assert server.connections == 0


@both_runtimes
@pytest.mark.parametrize(("call", "words"), REFUSED_ELSEWHERE.values(), ids=REFUSED_ELSEWHERE)
def test_refused_elsewhere(silent, runtime, call, words):
    with runtime(silent.url) as client, pytest.raises((TypeError, ValueError)) as caught:
        call(client)
    for word in words:
        assert word in str(caught.value)


@both_runtimes
@pytest.mark.parametrize(("arguments", "words"), REFUSED.values(), ids=REFUSED)
def test_refused(silent, runtime, arguments, words):
    arguments = {"model": "m", "inputs": IN, **arguments}
    with runtime(silent.url) as client, pytest.raises((TypeError, ValueError)) as caught:
        client.infer(arguments.pop("model"), arguments.pop("inputs"), **arguments)
    for word in words:
        assert word in str(caught.value)
    assert silent.connections == 0


@both_runtimes
@pytest.mark.parametrize("method", ["submit", "prepare"])
@pytest.mark.parametrize("name", ["ragged list", "parameter", "header", "compression"])
def test_refused_at_once(silent, runtime, method, name):
    """Also what runs later is checked now."""
    arguments = {"model": "m", "inputs": IN, **REFUSED[name][0]}
    with runtime(silent.url) as client, pytest.raises((TypeError, ValueError)):
        getattr(client, method)(arguments.pop("model"), arguments.pop("inputs"), **arguments)


@both_runtimes
def test_request_too_large(silent, runtime):
    with runtime(silent.url, max_request_size=1000) as client:
        with pytest.raises(ValueError, match=r"\d+ bytes exceed max_request_size 1000"):
            client.infer("m", {"IN": np.zeros(1000, np.uint8)})
        with pytest.raises(ValueError, match="max_request_size 1000"):
            client.load_model("m", config="{}", files={"1/model.onnx": bytes(1000)})
    assert silent.connections == 0


@both_runtimes
@pytest.mark.parametrize("url", ["http://", "http://:8000", "https:///v2"])
def test_url_without_host(runtime, url):
    with pytest.raises(ValueError, match=f"url '{url}' has no host; for example http"):
        runtime(url)


@both_runtimes
@pytest.mark.parametrize("timeout", [0, -1, float("nan"), "1", True])
def test_clients_timeout(runtime, timeout):
    with pytest.raises((TypeError, ValueError), match=f"timeout is {timeout!r}"):
        runtime("http://127.0.0.1:1", timeout=timeout)


@pytest.mark.parametrize("datatype", ["", "INT33", "fp32"])
def test_unknown_datatype(datatype):
    with pytest.raises(ValueError, match=f"datatype {datatype!r} is not one of BF16, BOOL"):
        Tensor([1], datatype)
    with pytest.raises(ValueError, match=f"datatype {datatype!r} is not one of"):
        convert([1], datatype)


def test_excerpts_are_short():
    with pytest.raises(ValueError, match="input 'IN'") as caught:
        infer("m", {"IN": [[1] * 1000, [2]]})
    assert len(str(caught.value)) < 500


# Inputs


@pytest.mark.parametrize(
    ("value", "datatype", "shape", "data"),
    [
        ([1, 2], "INT64", (2,), np.int64([1, 2]).tobytes()),
        (1.5, "FP64", (), np.float64(1.5).tobytes()),
        (True, "BOOL", (), b"\1"),
        ("a\0", "BYTES", (), b"\2\0\0\0a\0"),
        (b"a\0", "BYTES", (), b"\2\0\0\0a\0"),
        (["a\0", "b"], "BYTES", (2,), b"\2\0\0\0a\0\1\0\0\0b"),
        ([[b"a\0"], [b""]], "BYTES", (2, 1), b"\2\0\0\0a\0\0\0\0\0"),
        ([b"\xff", "\u00e9"], "BYTES", (2,), b"\1\0\0\0\xff\2\0\0\0\xc3\xa9"),
        (np.float16([1]), "FP16", (1,), b"\0\x3c"),
        (Tensor([1, 2], "INT8"), "INT8", (2,), b"\1\2"),
        (Tensor([1, 2], "FP16"), "FP16", (2,), b"\0\x3c\0\x40"),
        (Tensor([1.0], "BF16"), "BF16", (1,), b"\x80\x3f"),
        (Tensor(np.uint16([0x3F80]), "BF16"), "BF16", (1,), b"\x80\x3f"),
        (Tensor([], "INT32"), "INT32", (0,), b""),
        (Tensor(2**64 - 1, "UINT64"), "UINT64", (), b"\xff" * 8),
        (np.ma.array([1], dtype=np.int8), "INT8", (1,), b"\1"),
    ],
)
def test_inputs(value, datatype, shape, data):
    tensor = make_input("IN", value)
    assert (tensor.name, tensor.datatype, tensor.shape) == ("IN", datatype, shape)
    assert bytes(tensor.data) == data


def test_dlpack():
    class Foreign:
        """Like a tensor of another library: it speaks DLPack and is no array."""

        array = np.arange(3, dtype=np.int16)

        def __dlpack__(self, **options):
            return self.array.__dlpack__(**options)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

    tensor = make_input("IN", Foreign())
    assert (tensor.datatype, bytes(tensor.data)) == ("INT16", Foreign.array.tobytes())
    assert np.shares_memory(np.frombuffer(tensor.data, np.uint8), Foreign.array)


def test_parameters():
    request = infer(
        "m",
        {},
        sequence_id="s",
        sequence_end=True,
        priority=3,
        server_timeout=0.5,
        parameters={"a": 1, "b": "c", "d": False, "e": 1.5},
    )
    assert request.parameters == {
        "sequence_id": "s",
        "sequence_start": False,
        "sequence_end": True,
        "priority": 3,
        "timeout": 500000,
        "a": 1,
        "b": "c",
        "d": False,
        "e": 1.5,
    }


def test_outputs():
    best = RequestedOutput("B", classes=3)
    request = infer("m", {}, outputs=["A", best], binary=False)
    assert request.outputs == (RequestedOutput("A", binary=False), best)


# Answers


def result(*tensors):
    return InferResult(InferResponse("m", "1", "7", {"p": 1}, tensors))


def test_result_is_a_mapping():
    answer = result(InferTensor("A", "INT8", (2,), b"\1\2"), InferTensor("B", "BOOL", (), b"\1"))
    assert (answer.model_name, answer.model_version, answer.id) == ("m", "1", "7")
    assert answer.parameters == {"p": 1}
    assert list(answer) == ["A", "B"]
    assert len(answer) == 2
    assert "A" in answer
    assert "C" not in answer
    assert answer.get("C") is None
    assert {name: array.tolist() for name, array in answer.items()} == {"A": [1, 2], "B": True}
    assert answer["A"] is answer["A"]
    assert repr(answer) == "<InferResult of m version 1: A: INT8[2], B: BOOL[]>"
    with pytest.raises(KeyError, match=r"no output 'C'; the outputs are 'A', 'B'"):
        answer["C"]


def test_unreadable_output():
    answer = result(InferTensor("A", "BYTES", (1,), b"\xff\xff\xff\xff"))
    with pytest.raises(ProtocolError, match="'A' can't be read") as caught:
        answer["A"]
    assert (caught.value.model, caught.value.request_id) == ("m", "7")


def test_output_in_shared_memory():
    with pytest.raises(ValueError, match=r"'A'.*shared memory"):
        result(InferTensor("A", "INT8", (1,)))["A"]


def test_a_result_does_not_keep_the_inputs():
    array = np.zeros(4, np.int32)
    gone = weakref.ref(array)
    request = infer("m", {"A": array}, outputs=["B"])
    answer = InferResult(InferResponse("m"), "http://x", request)
    del array, request
    assert gone() is None
    assert answer.model_name == "m"


def _texts(*texts):
    return b"".join(len(t).to_bytes(4, "little") + t for t in texts)


def test_classes():
    data = _texts(b"0.9:4:a cat: asleep", b"-1e-3:2", b"nan:1:")
    classes = result(InferTensor("A", "BYTES", (3, 1), data)).classes("A")
    assert classes.shape == (3, 1)
    assert classes[0, 0] == Classification(0.9, 4, "a cat: asleep")
    assert classes[1, 0] == Classification(-0.001, 2, "")
    assert np.isnan(classes[2, 0].value)


@pytest.mark.parametrize("text", [b"", b"x", b"1", b"a:b", b"1:x:label", b"\xff:1"])
def test_no_classes(text):
    with pytest.raises(ProtocolError, match="'A' is not a classification result"):
        result(InferTensor("A", "BYTES", (1,), _texts(text))).classes("A")
    with pytest.raises(ProtocolError, match="'A' is not a classification result"):
        result(InferTensor("A", "INT8", (1,), b"\1")).classes("A")
    # There may be more of its elements than numpy could have objects, if there were any.
    with pytest.raises(ProtocolError, match="'A' is not a classification result"):
        result(InferTensor("A", "INT8", (0, 2**62), b"")).classes("A")


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"max_connections": 0}, ["max_connections", "0", "at least 1"]),
        ({"max_connections": "a"}, ["max_connections", "'a'", "whole number"]),
        ({"max_response_size": "1 MB"}, ["max_response_size", "1 MB", "whole number"]),
        ({"max_request_size": -1}, ["max_request_size", "-1", "at least 1"]),
        ({"timeout": -1}, ["timeout", "-1", "positive"]),
        ({"headers": "x"}, ["headers", "str", "mapping"]),
    ],
)
def test_settings_that_make_no_sense(kind, settings, words):
    with pytest.raises((TypeError, ValueError)) as caught:
        kind("http://localhost", **settings)
    for word in words:
        assert word in str(caught.value)


def test_results_can_be_pickled_and_copied():
    tensor = InferTensor("X", "INT32", (2,), memoryview(np.array([1, 2], np.int32)).cast("B"))
    result = InferResult(InferResponse("m", "1", "7", {"a": 1}, (tensor,)), "http://x")
    for again in (pickle.loads(pickle.dumps(result)), copy.deepcopy(result)):
        assert again["X"].tolist() == [1, 2]
        assert (again.model_name, again.id, again.parameters) == ("m", "7", {"a": 1})
        again["X"][0] = 5
    assert result["X"].tolist() == [1, 2]
    assert result == result  # by identity, not by arrays
    assert {result}
