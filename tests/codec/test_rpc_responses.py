"""Answers of inference over gRPC, read by hand: against protobuf, and against anything."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import pb_strategies
from tests.support.rpc_meaning import (
    ANSWER,
    ANSWERS,
    MANY,
    ROUND,
    STREAM,
    answer_of,
    joined,
    tensor,
)
from tests.support.strategies import TEXT
from tritonclient import messages as m
from tritonclient.client.results import InferResult
from tritonclient.codec import messages_pb, response_template, rpc_infer, rpc_request, wire
from tritonclient.errors import InvalidArgument, ProtocolError


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
    """A response template holds offsets, and not the data."""
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


@MANY
@given(pb_strategies.answers())
def test_stream_responses_without_their_envelope(message):
    """MLServer sends them so; an envelope has no outputs of its own."""
    if message.outputs:
        answer = rpc_infer.decode_stream_response(message.SerializeToString())
        assert answer == m.InferStreamResponse("", answer_of(message))


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
            assert len(response_template.templates) <= 256


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
        except (ValueError, ProtocolError) as error:
            assert repr(name) in str(error) or "BYTES" in str(error)


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
