"""Recordings of a real Triton over gRPC, decoded and encoded by our codec."""

from __future__ import annotations

from typing import Any

import pytest

from tests.codec.test_recordings import SUBJECTS as HTTP
from tests.codec.test_recordings import request_of, response_of
from tests.data.recordings import rpc as recordings
from tests.data.recordings.rpc import Call
from tritonclient import errors
from tritonclient import messages as m
from tritonclient.codec import messages_pb, procedures, rest, rpc, rpc_infer

#: Requests that Triton takes, or refuses in words that tell less.
DIFFERENT = {
    "negative shape": "Triton finds another fault with it first",
    "too large a shape": "Triton finds another fault with it first",
    "an element out of range": "Triton cuts it off silently",
    "a group": "Triton skips what the protocol has not",
}
#: Requests that mean the same when our client writes them, but have other bytes.
SPELLED_OTHERWISE = {
    "unload": "the official client, too, sends the parameter always",
    "unload unknown model": "likewise",
    "unload with an unknown parameter": "it is ignored",
    "priority of int64": "it is an unsigned number",
    "unknown datatype": "our server keeps Triton's word for it",
    "no datatype": "likewise",
    "too many entries": "what is too many is ignored",
    "infer with an entry for each input": "likewise",
}

CALLS = {
    f"{subject}-{call.name}": call
    for subject in recordings.subjects()
    for call in recordings.load(subject)
}


def chosen(condition):
    """The calls for which a condition holds, as parameters of a test."""
    calls = {name: call for name, call in CALLS.items() if condition(call)}
    return pytest.mark.parametrize("call", list(calls.values()), ids=list(calls))


def is_stream(call: Call) -> bool:
    return call.method == "ModelStreamInfer"


def readable(call: Call) -> bool:
    """True if our codec accepts the request; some are invalid on purpose."""
    try:
        rpc.decode_request(call.method, call.requests[0])
    except errors.InferenceServerException:
        return False
    return True


def parsed(name: str, data: bytes) -> Any:
    return messages_pb.message(name).FromString(data)


@chosen(lambda call: not is_stream(call) and not readable(call))
def test_what_our_codec_refuses_is_refused_by_triton(call):
    with pytest.raises(errors.ServerError) as caught:
        rpc.decode_request(call.method, call.requests[0])
    error = caught.value
    if call.name in DIFFERENT:
        assert rpc.code_of(error) == (3 if call.name != "a group" else 13)
    elif call.message == "Unable to parse request":
        assert rpc.code_of(error) == call.code
        assert str(error.message()).startswith(f"{call.message}: ")
    else:
        assert (rpc.code_of(error), error.message()) == (call.code, call.message)


def test_our_codec_refuses_what_needs_no_model():
    refused = {name for name, call in CALLS.items() if not is_stream(call) and not readable(call)}
    for name in (
        "classification-uint64",
        "infer_errors-contents and raw contents",
        "infer_errors-contents of two fields",
        "infer_errors-no entries",
        "infer_errors-reserved parameter",
        "infer_errors-sequence start of a wrong type",
        "repository-index of a repository",
        "repository-load with an unknown parameter",
        "settings-two trace rates",
        "settings-log setting of a wrong type",
        "system_shared_memory-infer without the byte_size of an output",
        "system_shared_memory-infer with the offset of an input a bool",
        "system_shared_memory-infer with contents of a shared input",
        "transport-unknown method",
    ):
        assert name in refused


@chosen(lambda call: call.code)
def test_errors(call):
    error = rpc.error_of(call.code, call.message)
    assert isinstance(error, errors.ServerError)
    assert error.message() == call.message
    assert rpc.code_of(error) == call.code


@chosen(lambda call: call.responses and not is_stream(call))
def test_answers_are_written_as_triton_writes_them(call):
    (data,) = call.responses
    method = call.method
    request = rpc.decode_request(method, call.requests[0]) if readable(call) else m.Infer("m", ())
    answer = rpc.decode_response(request, memoryview(data))
    written = b"".join(rpc.encode_response(request, answer))
    assert parsed(f"{method}Response", written) == parsed(f"{method}Response", data)


@chosen(lambda call: not is_stream(call) and readable(call))
def test_requests_are_written_so_that_they_read_the_same(call):
    request = rpc.decode_request(call.method, call.requests[0])
    try:
        written = rpc.encode_request(request)
    except ValueError as error:  # what our client does not ask for
        assert str(error) == "model is '', expected a name"
        return
    message = b"".join(written.message)
    assert written.method == call.method
    assert rpc.decode_request(call.method, message) == request
    kind = f"{call.method}Request"
    original = parsed(kind, call.requests[0])
    if any(tensor.HasField("contents") for tensor in getattr(original, "inputs", ())):
        return  # we send raw contents
    if call.name in SPELLED_OTHERWISE:
        return
    original.DiscardUnknownFields()
    assert parsed(kind, message) == original


@chosen(is_stream)
def test_streams(call):
    for data in call.responses:
        response = rpc_infer.decode_stream_response(memoryview(data))
        written = b"".join(rpc_infer.encode_stream_response(response))
        kind = "ModelStreamInferResponse"
        assert parsed(kind, written) == parsed(kind, data)


def test_an_error_of_a_stream_knows_its_request():
    (data,) = CALLS["stream-unknown model"].responses
    response = rpc_infer.decode_stream_response(data)
    assert response.error == "Request for unknown model: 'nope' is not found"
    assert response.response.id == "7"
    with pytest.raises(errors.InvalidArgument) as caught:
        rpc.decode_request(
            "ModelStreamInfer", CALLS["stream-contents and raw contents"].requests[0]
        )
    assert caught.value.request_id == "10"


def test_a_stream_says_which_response_is_the_last():
    call = CALLS["decoupled-three responses and an empty one"]
    answers = [rpc_infer.decode_stream_response(data).response for data in call.responses]
    last = [answer.parameters["triton_final_response"] for answer in answers]
    assert last == [False, False, False, True]
    assert [len(answer.outputs) for answer in answers] == [1, 1, 1, 0]


def test_outputs_in_shared_memory_have_no_data():
    (data,) = CALLS["system_shared_memory-infer"].responses
    answer = rpc_infer.decode_response(data)
    assert [output.data is None for output in answer.outputs] == [True, False]


def test_results_are_those_of_http():
    compared = set()
    for subject, exchanges in HTTP.items():
        for exchange in exchanges:
            call = CALLS.get(f"{subject}-{exchange.name}")
            if call is None or not call.responses or call.method == "ModelInfer":
                continue
            if exchange.name in ("all models", "model used", "model failed"):
                continue  # these tell times
            request = rpc.decode_request(call.method, call.requests[0])
            over_http = rest.decode_request(request_of(exchange))
            assert over_http == request, exchange.name
            answer = rpc.decode_response(request, call.responses[0])
            assert rest.decode_response(over_http, response_of(exchange)) == answer, exchange.name
            compared.add(type(request))
    unasked = {m.Infer, m.RegisterCudaSharedMemory}  # without a GPU
    assert compared == {row.request for row in procedures.RPCS} - unasked
