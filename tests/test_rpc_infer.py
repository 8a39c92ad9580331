"""Inference over gRPC: written and read by hand, against protobuf, and against anything."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import pb_strategies, strategies
from tritonclient import messages as m
from tritonclient.codec import messages_pb, rpc_infer, rpc_layout, rpc_request, wire
from tritonclient.datatypes import NUMPY, pack_bytes
from tritonclient.errors import InvalidArgument
from tritonclient.inference import InferResult

ROUND = settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
MANY = settings(ROUND, max_examples=300)

REQUEST, ANSWER, STREAM = (
    messages_pb.message(name)
    for name in ("ModelInferRequest", "ModelInferResponse", "ModelStreamInferResponse")
)
INT32 = np.arange(16, dtype="<i4").tobytes()


def joined(parts):
    return b"".join(parts)


def tensor(name="X", datatype="INT32", shape=(2,), data=b"\1\0\0\0\2\0\0\0", **parameters):
    return m.InferTensor(name, datatype, shape, data, parameters, data is not None)


# What protobuf understands of a message


def parameters_of(message) -> Mapping[str, Any]:
    """Parameters that have a value, as protobuf has them."""
    found = {}
    for name, value in message.parameters.items():
        choice = value.WhichOneof("parameter_choice")
        if choice is not None:
            found[name] = getattr(value, choice)
    return found


def typed_data(datatype, contents):
    """Wire bytes of typed contents, as protobuf has them."""
    (values,) = [values for _, values in contents.ListFields()] or [[]]
    if datatype == "BYTES":
        items = np.empty(len(values), object)
        items[:] = list(values)
        return bytes(pack_bytes(items))
    return np.array(list(values), NUMPY[datatype]).tobytes()


def answer_of(message) -> m.InferResponse:
    """What a right answer means, as protobuf has it."""
    raw = iter(message.raw_output_contents)
    outputs = []
    for each in message.outputs:
        typed = each.HasField("contents")
        data = typed_data(each.datatype, each.contents) if typed else next(raw)
        shape, parameters = tuple(each.shape), parameters_of(each)
        outputs.append(m.InferTensor(each.name, each.datatype, shape, data, parameters))
    return m.InferResponse(
        message.model_name,
        message.model_version,
        message.id,
        parameters_of(message),
        tuple(outputs),
    )


# Writing


def over_grpc(request: m.Infer) -> m.Infer:
    """A request without what only HTTP says."""
    inputs = tuple(each._replace(binary=each.data is not None) for each in request.inputs)
    outputs = tuple(
        each._replace(binary="shared_memory_region" not in each.parameters)
        for each in request.outputs
    )
    parameters = request.parameters
    return m.Infer(request.model, inputs, request.version, outputs, request.id, parameters)


INFERS = strategies.infers().map(over_grpc)
ANSWERS = strategies.ANSWERS_OF_INFER.map(
    lambda answer: answer._replace(
        outputs=tuple(each._replace(binary=each.data is not None) for each in answer.outputs)
    )
)


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
@given(TEXT := strategies.TEXT, ANSWERS)
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
        (None, "", TypeError, "model is None, expected a text"),
        ("m", 1, TypeError, "version is 1, expected a text"),
    ],
)
def test_names_of_no_kind(model, version, error, text):
    with pytest.raises(error, match=text):
        rpc_infer.encode_request(m.Infer(model, (), version))


# Reading


@MANY
@given(pb_strategies.answers())
def test_answers_mean_what_protobuf_says(message):
    data = message.SerializeToString()
    answer = rpc_infer.decode_response(data)
    assert answer == answer_of(message)
    # Again, with what has been remembered, and into memory that may be written to.
    again = rpc_infer.decode_response(bytearray(data))
    assert again == answer
    for output in again.outputs:
        assert output.data is not None
        assert not memoryview(output.data).readonly


@MANY
@given(pb_strategies.answers(), st.data())
def test_answers_like_earlier_ones_mean_what_protobuf_says(message, data):
    """What is remembered is only where things are, and not the things."""
    for _ in range(6):
        size = len(message.id.encode())
        message.id = "".join(data.draw(st.sampled_from("abc")) for _ in range(size))
        for index, raw in enumerate(message.raw_output_contents):
            fill = data.draw(st.integers(0, 1))
            message.raw_output_contents[index] = bytes(each ^ fill for each in raw)
        answer = rpc_infer.decode_response(bytearray(message.SerializeToString()))
        assert answer == answer_of(message)
        stream = STREAM(infer_response=message).SerializeToString()
        assert rpc_infer.decode_stream_response(stream) == m.InferStreamResponse("", answer)


def test_answers_of_one_length_that_differ():
    for round in range(3):
        for name in ("one", "two", "six", "ten", "ada", "eve", "bob"):
            data = bytes([round]) * 8
            answer = m.InferResponse(name, outputs=(tensor(name, data=data),))
            for _ in range(2):
                message = joined(rpc_infer.encode_response(answer))
                assert rpc_infer.decode_response(message) == answer


def test_answers_of_many_lengths():
    for _ in range(2):
        for size in range(400):
            output = m.InferTensor("X", "INT8", (size,), bytes(size))
            answer = m.InferResponse("m", outputs=(output,))
            message = joined(rpc_infer.encode_response(answer))
            assert rpc_infer.decode_response(message) == answer
            assert len(rpc_layout._layouts) <= 256


def test_an_id_that_is_no_text_is_found_in_any_answer():
    answer = m.InferResponse("m", "1", "ab", {}, (tensor(),))
    message = joined(rpc_infer.encode_response(answer))
    for _ in range(2):
        assert rpc_infer.decode_response(message) == answer
        with pytest.raises(ValueError, match="utf-8"):
            rpc_infer.decode_response(message.replace(b"ab", b"a\xff"))


def outcome(data):
    try:
        return rpc_infer.decode_response(data)
    except ValueError as error:
        return str(error)


@MANY
@given(st.data())
def test_merged_answers_mean_what_protobuf_says(data):
    torn = data.draw(pb_strategies.answers().flatmap(pb_strategies.torn))
    plain = ANSWER.FromString(torn).SerializeToString()
    assert outcome(torn) == outcome(plain)


@MANY
@given(st.data())
def test_merged_stream_responses_mean_what_protobuf_says(data):
    inner = data.draw(pb_strategies.answers())
    message = STREAM(error_message=data.draw(TEXT), infer_response=inner)
    torn = data.draw(pb_strategies.torn(message))
    merged = STREAM.FromString(torn)
    try:
        found = rpc_infer.decode_stream_response(memoryview(torn))
    except ValueError as error:
        assert outcome(merged.infer_response.SerializeToString()) == str(error)
    else:
        assert found.error == merged.error_message
        assert found.response == outcome(merged.infer_response.SerializeToString())


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


def test_elements_one_by_one_and_packed():
    ones = b"\x10\x01\x10\x02" + b"\x12\x02\x03\x04" + b"\x10\x05"
    shape = b"\x18\x01\x1a\x01\x05"
    output = b"\x0a\x01X\x12\x05INT32" + shape + b"\x2a" + bytes([len(ones)]) + ones
    data = b"\x2a" + bytes([len(output)]) + output
    assert answer_of(ANSWER.FromString(data)) == rpc_infer.decode_response(data)
    assert InferResult(rpc_infer.decode_response(data))["X"].tolist() == [[1, 2, 3, 4, 5]]


def test_tensors_are_views_of_the_message():
    data = bytearray(joined(rpc_infer.encode_response(m.InferResponse("m", outputs=(tensor(),)))))
    answer = rpc_infer.decode_response(data)
    data[-1] = 9
    assert bytes(answer.outputs[0].data) == b"\1\0\0\0\2\0\0\x09"


def test_what_is_remembered_is_not_shared():
    message = m.InferResponse("m", "1", "a", {"p": 1}, (tensor(q=2),))
    data = joined(rpc_infer.encode_response(message))
    first = rpc_infer.decode_response(data)
    first.parameters["p"] = first.outputs[0].parameters["q"] = 7
    assert rpc_infer.decode_response(data) == message
    message = message._replace(outputs=(tensor(),))
    data = joined(rpc_infer.encode_response(message))
    for _ in range(3):
        again = rpc_infer.decode_response(data)
        assert again == message
        again.parameters["p"] = 7
    request = m.Infer("m", (tensor(q=2),), parameters={"p": 1})
    data = joined(rpc_infer.encode_request(request))
    first = rpc_request.decode_request(data)
    first.parameters["p"] = first.inputs[0].parameters["q"] = 7
    assert rpc_request.decode_request(data) == request


def test_the_id_is_told_apart_from_what_is_remembered():
    for id in ("a", "", "b", "a much longer one" * 200):
        message = m.InferResponse("m", "1", id, {}, (tensor(),))
        assert rpc_infer.decode_response(joined(rpc_infer.encode_response(message))) == message
    assert rpc_infer.decode_response(b"\x1a\x01a\x0a\x01m\x1a\x01b").id == "b"
    for bad in (b"\x1a\x01\xff", b"\x1a\x01\xff\x1a\x01b", b"\x32\x00\x1a\x01\xff"):
        with pytest.raises(ValueError, match="utf-8"):
            rpc_infer.decode_response(bad)


@pytest.mark.parametrize("where", ["raw", "typed"])
@pytest.mark.parametrize("empty", [True, False])
def test_outputs_in_shared_memory(where, empty):
    message = ANSWER()
    output = message.outputs.add(name="X", datatype="INT32", shape=[2])
    output.parameters["shared_memory_region"].string_param = "r"
    if where == "raw":
        message.raw_output_contents.append(b"" if empty else b"12345678")
    else:
        output.contents.int_contents.extend([] if empty else [1, 2])
    message.outputs.add(name="Y", datatype="INT32", shape=[1])
    message.raw_output_contents.append(b"abcd")
    if not empty:
        with pytest.raises(ValueError, match="'X' is in shared memory and has"):
            rpc_infer.decode_response(message.SerializeToString())
        return
    first, second = rpc_infer.decode_response(message.SerializeToString()).outputs
    assert first == m.InferTensor(
        "X", "INT32", (2,), None, {"shared_memory_region": "r"}, binary=False
    )
    assert second.data == b"abcd"


def test_an_entry_for_what_is_here_only():
    message = ANSWER()
    for name in "XYZ":
        output = message.outputs.add(name=name, datatype="INT8", shape=[1])
        if name != "Y":
            output.parameters["shared_memory_region"].string_param = "r"
    message.raw_output_contents.append(b"a")
    assert [
        each.data for each in rpc_infer.decode_response(message.SerializeToString()).outputs
    ] == [
        None,
        b"a",
        None,
    ]


def test_no_entries_for_no_elements():
    message = ANSWER()
    message.outputs.add(name="X", datatype="BYTES", shape=[0])
    message.outputs.add(name="Y", datatype="FP32", shape=[3, 0])
    answer = InferResult(rpc_infer.decode_response(message.SerializeToString()))
    assert answer["X"].shape == (0,)
    assert answer["Y"].shape == (3, 0)


def wrong(**changes):
    """An answer with one output, changed."""
    values = {"name": "X", "datatype": "INT32", "shape": [2], "raw": [b"12345678"]} | changes
    raw, contents = values.pop("raw"), values.pop("contents", None)
    message = ANSWER(outputs=[values], raw_output_contents=raw)
    if contents is not None:
        message.outputs[0].contents.CopyFrom(messages_pb.message("InferTensorContents")(**contents))
    return message.SerializeToString()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"datatype": "INT33"}, "tensor 'X': datatype 'INT33' is not one of"),
        ({"datatype": ""}, "tensor 'X': datatype '' is not one of"),
        ({"shape": [-1]}, r"the shape of tensor 'X' is \[-1\]"),
        ({"shape": [2**62, 4]}, "the shape of tensor 'X'"),
        ({"shape": [1] * 65}, "the shape of tensor 'X'"),
        ({"raw": [b"1234567"]}, "7 bytes for tensor 'X', INT32 of shape"),
        (
            {"datatype": "BYTES"},
            "8 bytes of tensor 'X' can't hold 3",
        ),
        ({"raw": []}, "0 raw_output_contents for the outputs 'X'"),
        ({"raw": [b"12345678"] * 2}, "2 raw_output_contents for the outputs 'X'"),
        ({"contents": {"int_contents": [1, 2]}}, "1 raw_output_contents for the outputs"),
        ({"contents": {"int_contents": [1]}, "raw": []}, "1 elements for tensor 'X' of shape"),
        ({"contents": {}, "raw": []}, "0 elements for tensor 'X' of shape"),
        ({"contents": {"fp32_contents": [1, 2]}, "raw": []}, "'X': INT32 has no fp32_contents"),
        (
            {"datatype": "FP16", "contents": {"fp32_contents": [1, 2]}, "raw": []},
            "'X': FP16 has no fp32_contents",
        ),
        (
            {"datatype": "INT8", "contents": {"int_contents": [1, 128]}, "raw": []},
            "'X': 128 is out of the range of INT8",
        ),
        (
            {"datatype": "UINT16", "contents": {"uint_contents": [65536, 1]}, "raw": []},
            "'X': 65536 is out of the range of UINT16",
        ),
    ],
)
def test_answers_that_do_not_fit(changes, text):
    if changes.get("datatype") == "BYTES":
        changes = changes | {"shape": [3]}
    with pytest.raises(ValueError, match=text):
        rpc_infer.decode_response(wrong(**changes))


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (b"\x0a\x01\xff", "tensor '' at index 0: 'utf-8' codec"),
        (b"\x0a\x01X\x12\x01\xff", "tensor 'X' at index 0: 'utf-8' codec"),
        (b"\x0a\x01X\x1a\x01\x80", "tensor 'X' at index 0: the message ends inside a number"),
        (b"\x0a\x01X\x22\x03\x0a\x01\xff", "tensor 'X' at index 0: 'utf-8' codec"),
        (b"\x0a\x01X\x12\x05INT32\x2a\x03\x12\x01\x80", "'X': int_contents end inside an element"),
        (b"\x0a\x01X\x12\x04FP32\x2a\x05\x32\x03\0\0\0", "'X': fp32_contents end inside"),
    ],
)
def test_tensors_that_are_no_messages(output, text):
    with pytest.raises(ValueError, match=text):
        rpc_infer.decode_response(b"\x2a" + bytes([len(output)]) + output)


# Anything


@MANY
@given(st.data())
def test_broken_answers(data):
    broken = data.draw(pb_strategies.answers().flatmap(pb_strategies.broken))
    found = outcome(broken)
    if isinstance(found, str):
        return
    merged = ANSWER.FromString(broken)  # what we can read protobuf can
    assert found == outcome(merged.SerializeToString())
    result = InferResult(found)
    for name in result:
        try:
            result[name]
        except ValueError as error:
            assert repr(name) in str(error) or "BYTES" in str(error)


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


@MANY
@given(st.binary(max_size=80))
def test_any_bytes(data):
    for read in (
        rpc_infer.decode_response,
        rpc_infer.decode_stream_response,
        rpc_request.decode_request,
    ):
        with suppress(ValueError, InvalidArgument):
            read(memoryview(data))
    for stream in (True, False):
        assert rpc_infer.data_offset(memoryview(data), stream=stream) >= 0


@pytest.mark.parametrize(
    "data",
    [
        wire.delimited(5, b"") * 200_000,
        wire.delimited(5, wire.delimited(1, b"X") + wire.delimited(3, b"\x01" * 1_000_000)),
        wire.delimited(5, wire.delimited(1, b"X") + b"\x18\x7f" * 300_000),
        wire.delimited(4, b"\x0a\x01x\x12\x02\x08\x01") * 100_000 + b"\x00\x00",
        wire.delimited(6, b"") * 500_000,
        wire.delimited(6, b"") * 100_000 + wire.delimited(1, b"m") * 100_000,
        wire.delimited(3, b"id") * 300_000 + b"\x00\x00",
        wire.delimited(5, wire.delimited(5, b"\x10\x01" * 300_000)),
        wire.delimited(
            5, wire.delimited(2, b"INT32") + wire.delimited(5, b"\x12\x01\x80" * 100_000)
        ),
        b"\x2a\x80\x80\x80\x80\x08",
    ],
    ids=range(10),
)
def test_large_answers_that_are_wrong_take_no_time(data):
    with pytest.raises(ValueError, match=r".") as caught:
        rpc_infer.decode_response(data)
    assert len(str(caught.value)) < 700


def test_many_typed_elements_take_no_time():
    message = ANSWER()
    output = message.outputs.add(name="X", datatype="INT32", shape=[1_000_000])
    output.contents.int_contents.extend(range(1_000_000))
    answer = InferResult(rpc_infer.decode_response(message.SerializeToString()))
    assert (answer["X"] == np.arange(1_000_000)).all()


# Where the tensors begin


@ROUND
@given(ANSWERS, TEXT)
def test_offset_of_the_data(answer, error):
    plain = rpc_infer.encode_response(answer)
    wrapped = rpc_infer.encode_stream_response(m.InferStreamResponse(error, answer))
    for stream, parts in ((False, plain), (True, wrapped)):
        data = joined(parts)
        expected = len(parts[0]) if answer.outputs else 0
        assert rpc_infer.data_offset(data, stream=stream) == expected
        for length in range(len(data)):
            found = rpc_infer.data_offset(memoryview(data)[:length], stream=stream)
            assert found == (expected if length >= expected else 0)


def test_no_offset_where_other_fields_stand():
    assert rpc_infer.data_offset(b"\x08\x01\x32\x04") == 0
    assert rpc_infer.data_offset(b"\xc2\x3e\x01x\x32\x04") == 6


# What a server refuses beyond what is recorded


def refusal(message):
    with pytest.raises(InvalidArgument) as caught:
        rpc_request.decode_request(message.SerializeToString())
    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"
    assert caught.value.request_id == message.id
    return caught.value.message()


def test_refused_shapes_and_elements():
    message = REQUEST(model_name="m", id="7", raw_input_contents=[b"x"])
    message.inputs.add(name="X", datatype="INT8", shape=[-1])
    assert refusal(message) == "the shape of tensor 'X' is [-1]"
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
