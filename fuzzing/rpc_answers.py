"""Answers over gRPC as a client reads them: inference against protobuf, the rest there and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
from google.protobuf.unknown_fields import UnknownFieldSet
from tests.data.recordings import rpc as recordings
from tests.support.rpc_meaning import ANSWER, STREAM, parameters_of, typed_data

from fuzzing import Choices, plain
from fuzzing.rest_answers import read_arrays
from tritonclient import grpc
from tritonclient import messages as m
from tritonclient.codec import response_template, rpc, rpc_infer
from tritonclient.datatypes import DATATYPES, NUMPY, Buffer
from tritonclient.errors import InferenceServerException, ProtocolError, ServerError

CALLS = [call for subject in recordings.subjects() for call in recordings.load(subject)]


def _requests() -> dict[str, m.Request[Any]]:
    """A request of each procedure, by its name."""
    found: dict[str, m.Request[Any]] = {}
    for call in CALLS:
        with suppress(ServerError):
            for message in call.requests:
                found.setdefault(call.method, rpc.decode_request(call.method, message))
    return found


_REQUESTS = _requests()
_METHODS = sorted(_REQUESTS)


def check(data: bytes) -> None:
    choices = Choices(data)
    method = _METHODS[choices.below(len(_METHODS))]
    position, change = choices.number(2), choices.number()
    message = choices.rest()
    request = _REQUESTS[method]
    if method == "ModelStreamInfer":
        _check_stream(message)
    elif isinstance(request, m.Infer):
        response_template.templates.clear()
        # Again, and with a byte changed, for the sake of what is remembered.
        first = _check_infer(request, message)
        assert plain(_check_infer(request, message)) == plain(first)
        changed = bytearray(message)
        if changed:
            changed[position % len(changed)] ^= change
        _check_infer(request, bytes(changed))
    else:
        _check_other(request, message)


def _check_infer(request: m.Infer, data: bytes) -> m.InferResponse | None:
    try:
        answer = rpc.decode_response(request, data)
    except ProtocolError:
        return None
    message = ANSWER.FromString(data)
    check_meaning(answer, message)
    read_arrays(answer)
    _read_classic(message)
    offset = rpc_infer.data_offset(data)
    assert rpc_infer.data_offset(data[: len(data) // 2]) in (0, offset)
    if offset:
        first = message.raw_output_contents[0]
        assert data[offset : offset + len(first)] == first
    written = b"".join(rpc.encode_response(request, answer))
    assert plain(rpc.decode_response(request, written)) == plain(answer)
    return answer


def _read_classic(message: Any) -> None:
    result = grpc.InferResult(message)
    for output in message.outputs:
        with suppress(InferenceServerException):
            result.as_numpy(output.name)
        assert result.get_output(output.name, as_json=True) is not None
    result.get_response(as_json=True)


def check_meaning(answer: m.InferResponse, message: Any) -> None:
    """Compare an answer with protobuf's reading of it."""
    assert (answer.model_name, answer.model_version) == (message.model_name, message.model_version)
    assert answer.id == message.id
    check_parameters(answer.parameters, message)
    raw = []
    for ours, theirs in zip(answer.outputs, message.outputs, strict=True):
        assert (ours.name, ours.datatype) == (theirs.name, theirs.datatype)
        assert ours.shape == tuple(theirs.shape)
        check_parameters(ours.parameters, theirs)
        if ours.data is not None and theirs.HasField("contents"):
            check_typed(ours.data, theirs)
        elif ours.data is not None:
            raw.append(ours.data)
    assert b"".join(raw) == b"".join(message.raw_output_contents)


def check_parameters(parameters: Mapping[str, m.Parameter], message: Any) -> None:
    """Compare parameters with protobuf's reading of them."""
    # Its C library takes an entry of which it does not know all fields for none of the map's.
    if not len(UnknownFieldSet(message)):
        assert plain(parameters) == plain(parameters_of(message))


def check_typed(data: Buffer, message: Any) -> None:
    """Compare a tensor with protobuf's reading of its typed contents."""
    if message.datatype not in DATATYPES:
        assert not data
        return
    expected = typed_data(message.datatype, message.contents)
    if message.datatype == "BYTES":
        assert data == expected
    else:
        dtype = NUMPY[message.datatype]
        # A NaN may have other bits in protobuf.
        np.testing.assert_array_equal(np.frombuffer(data, dtype), np.frombuffer(expected, dtype))


def _check_stream(data: bytes) -> None:
    try:
        response = rpc_infer.decode_stream_response(data)
    except ValueError:
        return
    message = STREAM.FromString(data)
    assert response.error == message.error_message
    check_meaning(response.response, message.infer_response)
    assert rpc_infer.data_offset(data, stream=True) <= len(data)


def _check_other(request: m.Request[Any], data: bytes) -> None:
    try:
        answer = rpc.decode_response(request, data)
    except ProtocolError:
        return
    try:
        written = b"".join(rpc.encode_response(request, answer))
    except ValueError:
        return  # NaN, for which JSON has no form
    assert plain(rpc.decode_response(request, written)) == plain(answer)


#: Typed contents, which Triton does not answer with.
_TYPED = (
    ("BOOL", {"bool_contents": [True, False]}),
    ("INT8", {"int_contents": [-1, 127]}),
    ("INT64", {"int64_contents": [-1, 2**62]}),
    ("UINT16", {"uint_contents": [0, 65535]}),
    ("UINT64", {"uint64_contents": [1, 2**64 - 1]}),
    ("FP32", {"fp32_contents": [0.5, float("nan")]}),
    ("FP64", {"fp64_contents": [0.5, float("inf")]}),
    ("BYTES", {"bytes_contents": [b"", b"text"]}),
)


def seeds() -> Iterator[bytes]:
    infer = bytes([_METHODS.index("ModelInfer"), 0, 9, 1])
    for datatype, contents in _TYPED:
        output = {"name": "X", "datatype": datatype, "shape": [2], "contents": contents}
        yield infer + ANSWER(model_name="m", outputs=[output]).SerializeToString()
    shared = {"shared_memory_region": {"string_param": "r"}}
    outputs = [
        {"name": "X", "datatype": "INT8", "shape": [1], "parameters": shared},
        {"name": "Y", "datatype": "INT8", "shape": [1]},
    ]
    for raw in ([b"y"], [b"", b"y"]):
        message = ANSWER(outputs=outputs, raw_output_contents=raw)
        yield infer + message.SerializeToString()
    for call in CALLS:
        for message in call.responses:
            yield bytes([_METHODS.index(call.method), 0, 9, 1]) + message
