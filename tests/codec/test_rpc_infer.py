"""Inference over gRPC, written by hand, and requests, read by hand: against protobuf."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import pb_strategies
from tests.support.rpc_meaning import (
    ANSWER,
    ANSWERS,
    INFERS,
    MANY,
    REQUEST,
    ROUND,
    STREAM,
    joined,
    parameters_of,
    tensor,
)
from tests.support.strategies import TEXT
from tritonclient import messages as m
from tritonclient.codec import rpc_infer, rpc_request
from tritonclient.errors import InvalidArgument

INT32 = np.arange(16, dtype="<i4").tobytes()


# Writing


@ROUND
@given(INFERS)
def test_requests_are_what_protobuf_would_write(request):
    parts = rpc_infer.encode_request(request)
    message = REQUEST.FromString(joined(parts))
    assert (message.model_name, message.model_version) == (request.model, request.version)
    assert message.id == request.id
    assert parameters_of(message) == request.parameters
    for ours, theirs in zip(request.inputs, message.inputs, strict=True):
        assert (ours.name, ours.datatype) == (theirs.name, theirs.datatype)
        assert list(ours.shape) == theirs.shape
        assert parameters_of(theirs) == ours.parameters
        assert not theirs.HasField("contents")
    for ours, theirs in zip(request.outputs, message.outputs, strict=True):
        classes = {"classification": ours.classes} if ours.classes else {}
        assert theirs.name == ours.name
        assert parameters_of(theirs) == {**ours.parameters, **classes}
    carried = [each.data for each in request.inputs if each.data is not None]
    assert list(message.raw_input_contents) == carried
    # By turns, and not copied.
    assert len(parts) == max(1, 2 * len(carried))
    assert all(a is b for a, b in zip(parts[1::2], carried, strict=True))
    assert len(joined(parts)) == message.ByteSize()
    assert rpc_request.decode_request(joined(parts)) == request


@ROUND
@given(ANSWERS)
def test_answers_are_what_protobuf_would_write(answer):
    parts = rpc_infer.encode_response(answer)
    message = ANSWER.FromString(joined(parts))
    assert len(joined(parts)) == message.ByteSize()
    assert list(message.raw_output_contents) == [each.data or b"" for each in answer.outputs]
    assert rpc_infer.decode_response(joined(parts)) == answer


@ROUND
@given(TEXT, ANSWERS)
def test_stream_responses_are_what_protobuf_would_write(error, answer):
    parts = rpc_infer.encode_stream_response(m.InferStreamResponse(error, answer))
    message = STREAM.FromString(joined(parts))
    assert message.error_message == error
    assert message.HasField("infer_response")
    assert message.infer_response == ANSWER.FromString(joined(rpc_infer.encode_response(answer)))
    found = rpc_infer.decode_stream_response(memoryview(joined(parts)))
    assert found == m.InferStreamResponse(error, answer)


def test_a_request_in_full():
    request = m.Infer(
        "simple",
        (
            m.InferTensor("INPUT0", "INT32", (1, 16), INT32),
            tensor("INPUT1", "BYTES", (0, 3), None, shared_memory_region="r"),
            m.InferTensor("INPUT2", "FP32", (0,), b""),
        ),
        version="2",
        outputs=(m.RequestedOutput("OUTPUT0", classes=3), m.RequestedOutput("OUTPUT1")),
        id="7",
        parameters={
            "flag": True,
            "negative": -1,
            "large": 2**63,
            "real": 0.5,
            "text": "zwölf",
            "priority": 1,
            "sequence_id": 2**64 - 1,
            "timeout": 5,
        },
    )
    head, data, rest, empty = rpc_infer.encode_request(request)
    assert data is INT32
    assert (rest, empty) == (b"\x3a\x00", b"")
    expected = REQUEST(model_name="simple", model_version="2", id="7")
    parameters = expected.parameters
    parameters["flag"].bool_param = True
    parameters["negative"].int64_param = -1
    parameters["large"].uint64_param = 2**63
    parameters["real"].double_param = 0.5
    parameters["text"].string_param = "zwölf"
    parameters["priority"].uint64_param = 1
    parameters["sequence_id"].int64_param = -1  # which Triton takes for the same
    parameters["timeout"].int64_param = 5
    expected.inputs.add(name="INPUT0", datatype="INT32", shape=[1, 16])
    region = expected.inputs.add(name="INPUT1", datatype="BYTES", shape=[0, 3]).parameters
    region["shared_memory_region"].string_param = "r"
    expected.inputs.add(name="INPUT2", datatype="FP32", shape=[0])
    expected.outputs.add(name="OUTPUT0").parameters["classification"].int64_param = 3
    expected.outputs.add(name="OUTPUT1")
    expected.raw_input_contents.extend([INT32, b""])
    assert REQUEST.FromString(head + data + rest + empty) == expected


@pytest.mark.parametrize("value", [0, 1, 2**63 - 1, 2**63, 2**64 - 1])
@pytest.mark.parametrize("name", ["sequence_id", "timeout", "priority"])
def test_unsigned_parameters(name, value):
    request = m.Infer("m", (), parameters={name: value})
    data = joined(rpc_infer.encode_request(request))
    assert rpc_request.decode_request(data) == request


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, -0.0, 5e-324])
def test_strange_numbers(value):
    request = m.Infer("m", (), parameters={"x": value})
    data = joined(rpc_infer.encode_request(request))
    assert repr(rpc_request.decode_request(data)) == repr(request)
    assert repr(REQUEST.FromString(data).parameters["x"].double_param) == repr(value)


def test_without_data_there_is_one_head():
    shared = tensor(data=None, shared_memory_region="r")
    assert len(rpc_infer.encode_request(m.Infer("m", (shared,)))) == 1
    assert rpc_infer.encode_request(m.Infer("m", ())) == (b"\x0a\x01m",)
    assert rpc_infer.encode_response(m.InferResponse()) == (b"",)
    assert rpc_infer.encode_stream_response(m.InferStreamResponse()) == (b"\x12\x00",)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("x", 2**64, "'x' is 18446744073709551616, which does not fit into 64 bits"),
        ("x", -(2**63) - 1, "'x' is -9223372036854775809, which does not fit into 64 bits"),
        ("sequence_id", -1, "'sequence_id' is -1"),
        ("timeout", 2**64, "'timeout' is 18446744073709551616"),
        ("priority", -1, "'priority' is -1"),
        ("priority", 2**64, "'priority' is 18446744073709551616"),
        ("x", "\ud800", "surrogates not allowed"),
        ("\ud800", 1, "surrogates not allowed"),
    ],
)
def test_parameters_without_a_form(name, value, text):
    with pytest.raises(ValueError, match=text):
        rpc_infer.encode_request(m.Infer("m", (), parameters={name: value}))


@pytest.mark.parametrize("value", [None, [], b"x", np.int64(1), {}])
def test_parameters_of_no_kind(value):
    with pytest.raises(TypeError, match=r"parameter 'x' is .*, expected bool, int, float or str"):
        rpc_infer.encode_request(m.Infer("m", (), parameters={"x": value}))


@pytest.mark.parametrize(
    ("model", "version", "error", "text"),
    [
        ("", "", ValueError, "model is '', expected a name"),
        (None, "", TypeError, "model is None, expected str"),
        ("m", 1, TypeError, "version is 1, expected str"),
    ],
)
def test_names_of_no_kind(model, version, error, text):
    with pytest.raises(error, match=text):
        rpc_infer.encode_request(m.Infer(model, (), version))


# Reading requests


@MANY
@given(st.data())
def test_merged_requests_mean_what_protobuf_says(data):
    def outcome(message):
        try:
            return rpc_request.decode_request(message)
        except (InvalidArgument, ValueError):
            return None  # which of its faults is found first depends on their order

    request = data.draw(INFERS)
    message = REQUEST.FromString(joined(rpc_infer.encode_request(request)))
    torn = data.draw(pb_strategies.torn(message))
    assert outcome(torn) == outcome(REQUEST.FromString(torn).SerializeToString())


@MANY
@given(st.data())
def test_broken_requests(data):
    message = REQUEST.FromString(joined(rpc_infer.encode_request(data.draw(INFERS))))
    broken = data.draw(pb_strategies.broken(message))
    try:
        found = rpc_request.decode_request(broken)
    except (ValueError, InvalidArgument):
        return
    assert found == rpc_request.decode_request(REQUEST.FromString(broken).SerializeToString())


# What a server refuses beyond what is recorded


def refusal(message):
    with pytest.raises(InvalidArgument) as caught:
        rpc_request.decode_request(message.SerializeToString())
    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"
    assert caught.value.request_id == message.id
    return caught.value.message()


def test_shapes_are_for_the_model_to_check():
    message = REQUEST(model_name="m", raw_input_contents=[b"x"])
    message.inputs.add(name="X", datatype="INT8", shape=[-1, 2**62, 4])
    decoded = rpc_request.decode_request(message.SerializeToString())
    assert decoded.inputs[0].shape == (-1, 2**62, 4)


def test_refused_elements():
    message = REQUEST(model_name="m", id="7")
    each = message.inputs.add(name="X", datatype="INT8", shape=[1])
    each.contents.int_contents.append(128)
    assert refusal(message) == "tensor 'X': 128 is out of the range of INT8"


def test_datatypes_that_no_model_has_are_left_to_it():
    message = REQUEST(model_name="m", raw_input_contents=[b"x"])
    message.inputs.add(name="X", datatype="INT33", shape=[1])
    (given,) = rpc_request.decode_request(message.SerializeToString()).inputs
    assert given.datatype == "<invalid>"


def test_json_of_http_is_not_sent():
    values = m.InferTensor("X", "BYTES", (1,), b"\2\0\0\0hi", binary=False)
    head, data = rpc_infer.encode_request(m.Infer("m", (values,), binary=False))
    assert b"hi" not in head
    assert data is values.data
    assert b"binary" not in head
