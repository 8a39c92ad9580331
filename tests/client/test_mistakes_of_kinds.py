"""Further mistakes, of the kinds of `test_mistakes`: values, texts, numbers, versions, settings."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import tritonclient
from tests.client.test_mistakes import PAIR, A, F, both, infer, make, one, protocols, then
from tritonclient import Client, InferResult, RequestedOutput, ServerError, Tensor, request
from tritonclient.grpc import InferInput as GrpcInput
from tritonclient.http import InferInput as HttpInput
from tritonclient.http import InferRequestedOutput as HttpOutput

ROW = {"INPUT": np.ones((1, 1), np.int32)}
MASKED = np.ma.masked_array(F.astype(np.float32), mask=[0, 1, 0, 0])


async def nothing() -> None:
    """Do nothing."""


def of_result(client: Any) -> Any:
    """Give the result of a call as an input of another."""
    return then(client.infer("simple", PAIR), lambda result: one(result)(client))


# What is done wrong, the error's class, and words of its text. Nothing is sent.
ARGUMENTS = {
    "masked": (one(MASKED), ValueError, "1 masked elements, and the protocol has no masks; array."),
    "classic input": (one(HttpInput("INPUT0", [4], "FP32")), TypeError, "for the classic clients;"),
    "classic inputs": (
        infer([GrpcInput("INPUT0", [4], "FP32")]),
        TypeError,
        'such as {"INPUT0": array}; InferInput is for the classic clients',
    ),
    "classic output": (
        infer(outputs=[HttpOutput("OUTPUT0")]),
        TypeError,
        "InferRequestedOutput is for the classic clients",
    ),
    "swapped": (
        lambda c: c.infer(PAIR, "simple"),
        TypeError,
        "expected str; the model's name comes first, then the inputs",
    ),
    "a prepared call": (
        lambda c: c.infer(c.prepare("simple", PAIR), {}),
        TypeError,
        "infer_prepared sends what prepare returned",
    ),
    "parameter beyond 64 bits": (
        infer(parameters={"a": 2**64}),
        ValueError,
        "parameter 'a' is 18446744073709551616, which does not fit into 64 bits",
    ),
    "log level a text": (
        lambda c: c.update_log_settings({"log_verbose_level": "high"}),
        TypeError,
        "log_verbose_level of settings is 'high', expected int",
    ),
    "masked Tensor": (one(Tensor(MASKED, "FP32")), ValueError, "array.filled(value) says what"),
    "structured": (one(np.zeros(2, "f4,i4")), ValueError, "has no v2 datatype; expected one of"),
    "datetime": (one(np.zeros(2, "M8[s]")), ValueError, "dtype datetime64[s] has no v2 datatype"),
    "longdouble": (one(np.ones(2, np.longdouble)), ValueError, "has no v2 datatype"),
    "a class": (one(np.ndarray), TypeError, "is not an array; it is a class"),
    "a function": (one(lambda: F), TypeError, "is not an array; expected an array, a list"),
    "a coroutine function": (one(nothing), TypeError, "is not an array"),
    "a module": (one(np), TypeError, "module <module 'numpy'"),
    "a result": (of_result, TypeError, "is not an array; give one of its values"),
    "an int of 71 bits": (one([2**70]), ValueError, "holds 1180591620717411303424, which has more"),
    "negative unsigned": (one(Tensor([-1], "UINT8")), ValueError, "does not fit UINT8"),
    "half for BF16": (
        one(Tensor(np.ones(2, np.float16), "BF16")),
        ValueError,
        "dtype float16 does not fit BF16; expected ml_dtypes.bfloat16, float32",
    ),
    "input's name of bytes": (infer({b"INPUT0": A}), TypeError, "expected the name of an input"),
    "input's name, surrogate": (infer({"\ud800": A}), ValueError, "has no UTF-8 form"),
    "inputs as pairs": (infer([("INPUT0", A)]), TypeError, "inputs is list, expected a mapping"),
    "model as bytes": (infer(model=b"simple"), TypeError, "model is b'simple', expected str"),
    "model, surrogate": (infer(model="\ud800"), ValueError, "model is '\\ud800', which has no"),
    "version a float": (infer(version=1.0), TypeError, "version is 1.0, expected str"),
    "version None": (infer(version=None), TypeError, "version is None, expected str"),
    "id a float": (infer(id=1.5), TypeError, "id is 1.5, expected str"),
    "id, surrogate": (infer(id="\udcff"), ValueError, "id is '\\udcff', which has no UTF-8 form"),
    "priority a text": (infer(priority="high"), TypeError, "priority is 'high', expected a number"),
    "priority too large": (infer(priority=2**64), ValueError, "a number from 0 below 2**64"),
    "sequence a float": (infer(sequence_id=1.5), TypeError, "is 1.5, expected int or str"),
    "sequence too large": (infer(sequence_id=2**64), ValueError, "below 2**64"),
    "sequence negative": (infer(sequence_id=-1), ValueError, "expected a number from 0"),
    "sequence of bytes": (infer(sequence_id=b"a"), TypeError, "expected int or str"),
    "sequence, surrogate": (infer(sequence_id="\ud800"), ValueError, "sequence_id is '\\ud800'"),
    "timeout a pair": (infer(timeout=(3, 10)), TypeError, "timeout is (3, 10), expected seconds"),
    "timeout nan": (infer(timeout=float("nan")), ValueError, "expected a positive number"),
    "headers a list": (infer(headers=[("a", "b")]), TypeError, "headers is list, expected a map"),
    "header's name": (infer(headers={"a\nb": "c"}), ValueError, "its name holds what no name may"),
    "header of lists": (infer(headers={"a": ["b"]}), TypeError, "header 'a' is list, expected str"),
    "GZIP": (infer(request_compression="GZIP"), ValueError, "expected one of gzip, deflate"),
    "outputs a mapping": (
        infer(outputs={"OUTPUT0": 3}),
        TypeError,
        "outputs is dict, expected a sequence of names, such as ['OUTPUT']; RequestedOutput('OUT",
    ),
    "outputs of pairs": (infer(outputs=[("OUTPUT0", 3)]), TypeError, "expected names or Requested"),
    "output, surrogate": (infer(outputs=["\ud800"]), ValueError, "has no UTF-8 form"),
    "classes too large": (
        infer(outputs=[RequestedOutput("OUTPUT0", classes=2**70)]),
        ValueError,
        "classes of output 'OUTPUT0' is 1180591620717411303424, expected a number from 0 below",
    ),
    "classes a text": (
        infer(outputs=[RequestedOutput("OUTPUT0", classes="3")]),
        TypeError,
        "classes of output 'OUTPUT0' is '3', expected a number from 0",
    ),
    "parameter, surrogate": (infer(parameters={"a": "\ud800"}), ValueError, "parameter 'a' is"),
    "binary a text": (infer(binary="yes"), TypeError, "binary is 'yes', expected True or False"),
    "config a path": (
        lambda c: c.load_model("simple", config="config.pbtxt"),
        ValueError,
        "config is 'config.pbtxt', expected the configuration itself as JSON text",
    ),
    "files a list": (
        lambda c: c.load_model("simple", config="{}", files=["model.onnx"]),
        TypeError,
        "files is list, expected a mapping of paths to contents",
    ),
    "files of texts": (
        lambda c: c.load_model("simple", config="{}", files={"1/model.py": "text"}),
        TypeError,
        "file '1/model.py' is str, expected bytes",
    ),
    "log settings": (
        lambda c: c.update_log_settings("verbose"),
        TypeError,
        'settings is str, expected a mapping, such as {"log_verbose_level": 1}',
    ),
    "region's size": (
        lambda c: c.register_system_shared_memory("a", "/k", -1),
        ValueError,
        "byte_size is -1, expected a number from 0",
    ),
    "region's size a text": (
        lambda c: c.register_system_shared_memory("a", "/k", "10"),
        TypeError,
        "byte_size is '10', expected a number from 0",
    ),
    "region's offset": (
        lambda c: c.register_system_shared_memory("a", "/k", 10, -1),
        ValueError,
        "offset is -1, expected a number from 0",
    ),
    "key and size swapped": (
        lambda c: c.register_system_shared_memory("a", 10, "/k"),
        TypeError,
        "key is 10, expected str",
    ),
    "handle a text": (
        lambda c: c.register_cuda_shared_memory("a", "handle", 0, 64),
        TypeError,
        "raw_handle is str, expected bytes",
    ),
    "device a text": (
        lambda c: c.shared_memory(64, device="cuda:0"),
        TypeError,
        "device is 'cuda:0', expected a number from 0",
    ),
}

#: What only the server can tell: its own text, and the hint.
REFUSED = {
    "version latest": (infer(version="latest"), "", "version"),
    "no inputs": (infer({}), "expected 2 inputs but got 0", "its inputs are INPUT0 INT32 [-1, 16]"),
    "no sequence": (
        lambda c: c.infer("simple_sequence", ROW),
        "must specify a non-zero or non-empty correlation ID",
        "the first one sequence_start=True",
    ),
    "sequence without a start": (
        lambda c: c.infer("simple_sequence", ROW, sequence_id=987),
        "must specify the START flag",
        "give the first request sequence_start=True",
    ),
    "statistics": (
        lambda c: c.statistics("simpel"),
        "requested model 'simpel' is not available",
        "did you mean 'simple'?",
    ),
    "region": (
        lambda c: c.register_system_shared_memory("a", "/no_such_object", 10),
        "Unable to open shared memory region",
        "is it on this machine, and not in another container?",
    ),
}


@both
@protocols
@pytest.mark.parametrize(("action", "error", "words"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_arguments(embedded, kind, protocol, action, error, words):
    with pytest.raises(error) as caught:
        make(kind, getattr(embedded, f"{protocol}_url"), action)
    assert words in str(caught.value)


@both
@protocols
@pytest.mark.parametrize(("action", "own", "hint"), REFUSED.values(), ids=REFUSED)
def test_refused(embedded, kind, protocol, action, own, hint):
    with pytest.raises(ServerError) as caught:
        make(kind, getattr(embedded, f"{protocol}_url"), action)
    assert own in caught.value.message()
    assert hint in caught.value.hint


@both
@protocols
def test_numbers_of_numpy_are_numbers(embedded, kind, protocol):
    action = infer(
        priority=np.uint8(1),
        sequence_id=np.int64(5),
        sequence_start=np.True_,
        outputs=[RequestedOutput("OUTPUT0", classes=np.int32(0))],
    )
    result = make(kind, getattr(embedded, f"{protocol}_url"), action)
    assert isinstance(result, InferResult)
    assert list(result) == ["OUTPUT0"]


@both
@protocols
def test_numbers_of_numpy_as_parameters(embedded, kind, protocol):
    action = infer(parameters={"a": np.int32(1), "b": np.float32(0.5), "c": np.bool_(True)})
    result = make(kind, getattr(embedded, f"{protocol}_url"), action)
    assert isinstance(result, InferResult)
    parameters = request("m", {}, parameters={"a": np.int32(1), "c": np.True_}).parameters
    assert parameters == {"a": 1, "c": True}
    assert [type(value) for value in parameters.values()] == [int, bool]


@both
@protocols
@pytest.mark.parametrize(
    ("action", "words"),
    [
        (lambda c: c.update_log_settings({"log_verbos": 1}), "did you mean 'log_verbose_level'"),
        (
            lambda c: c.update_trace_settings({"trace_levels": ["OFF"]}),
            "did you mean 'trace_level'",
        ),
    ],
)
def test_misspelt_settings_warn(embedded, kind, protocol, action, words):
    with pytest.warns(UserWarning, match=words):
        make(kind, getattr(embedded, f"{protocol}_url"), action)


@pytest.mark.parametrize(
    ("make_value", "words"),
    [
        (lambda: Tensor("FP32", [1.0]), "the array comes first, then its datatype"),
        (lambda: Tensor([1.0], np.float32), "expected str, such as 'FP32'"),
        (
            lambda: RequestedOutput("a", class_count=3),
            "RequestedOutput takes name, classes, binary",
        ),
    ],
)
def test_arguments_of_values(make_value, words):
    with pytest.raises(TypeError) as caught:
        make_value()
    assert words in str(caught.value)


def test_a_request_of_a_stream_is_no_mapping_of_inputs(embedded):
    with Client(embedded.grpc_url) as client, pytest.raises(TypeError, match="without 'model'"):
        list(client.stream([PAIR]))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Cleint", "did you mean 'Client'?"),
        ("InferInput", "it is in tritonclient.http and tritonclient.grpc"),
        ("InferenceServerClient", "of tritonclient.Client it is Client"),
    ],
)
def test_names_of_the_package(name, words):
    with pytest.raises(AttributeError) as caught:
        getattr(tritonclient, name)
    assert words in str(caught.value)


def test_close_names_of_what_others_call_so():
    unknown = {"concurency": 3}
    with pytest.raises(TypeError, match="'concurency' is not an argument; here it is max_connect"):
        Client("http://localhost:9", **unknown)


def test_masked_arrays_without_masked_elements(embedded):
    array = np.ma.masked_array(A, mask=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert request("simple", {"INPUT0": array}).inputs[0].data == A.tobytes()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"model_name": "simple", "inputs": PAIR}, "here it is model, the first argument"),
        ({"model": "simple", "input": PAIR}, "did you mean 'inputs'?"),
        ({"model": "simple", "inputs": PAIR, "request_id": "1"}, "here it is id"),
        ({"inputs": PAIR}, "model is None, expected str"),
        ({"model": "simple"}, "inputs is NoneType, expected a mapping"),
    ],
)
def test_arguments_of_a_request(given, words):
    with pytest.raises(TypeError) as caught:
        request(**given)
    assert words in str(caught.value)
