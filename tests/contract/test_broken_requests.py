"""Broken inference requests: the embedded server answers with the status of a real Triton.

Each seed makes the same requests every time.
"""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.message import DecodeError

from tests.support.broken_requests import HttpBroken, grpc_requests, http_requests
from tritonclient.grpc import service_pb2 as pb
from tritonclient.server.jobs.errors import UNEXPECTED

COUNT = 500
SEEDS = pytest.mark.parametrize("seed", [1, 2, 3])
PATH = "/inference.GRPCInferenceService/ModelInfer"
#: Words of Python that are not for clients.
PYTHON = re.compile(rf"{UNEXPECTED}|Traceback|has no attribute|NoneType|<class|argument must be")
#: Triton ends, or takes all memory, when JSON has fewer elements than such a shape says.
HUGE = re.compile(rb"[0-9]{9}")


def ask_http(server: Any, request: HttpBroken) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=30)
    try:
        path = "/v2/models/identity_fp32/infer"
        connection.request("POST", path, request.body, request.headers)
        response = connection.getresponse()
        return response.status, response.read().decode("utf-8", "replace")
    finally:
        connection.close()


def is_known(request: HttpBroken, theirs: str, text: str) -> bool:
    """True for what is refused here on purpose, although Triton takes it or refuses it later."""
    # Names are compared when all is read.
    if "already exists in request" in theirs:
        return True
    # Ids and parameters go to models and logs, which need text.
    if "the JSON is not UTF-8" in text:
        return not _is_utf8(request.body)
    # Numbers beside lists, and the number of elements where the shape is [].
    return (
        re.search(r"the data of tensor .*(it holds \[|beside lists|expected 1\"\}$)", text)
        is not None
    )


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


@SEEDS
def test_http_statuses(triton: Any, embedded: Any, seed: int) -> None:
    different = []
    for request in http_requests(seed, COUNT):
        status, text = ask_http(embedded, request)
        assert not PYTHON.search(text), (request, text)
        if HUGE.search(request.body):
            assert 200 <= status < 600
            continue
        expected = ask_http(triton, request)
        if status != expected[0] and not is_known(request, expected[1], text):
            different.append((request, expected, (status, text)))
    assert different == []


@pytest.fixture(scope="module")
def channels(triton: Any, embedded: Any) -> Iterator[tuple[grpc.Channel, grpc.Channel]]:
    with (
        grpc.insecure_channel(triton.grpc_url.removeprefix("grpc://")) as theirs,
        grpc.insecure_channel(embedded.grpc_address) as ours,
    ):
        yield theirs, ours


def ask_grpc(channel: grpc.Channel, message: bytes) -> tuple[str, str]:
    try:
        channel.unary_unary(PATH)(message, timeout=30)
    except grpc.RpcError as error:
        return error.code().name, error.details()
    return "OK", ""


@SEEDS
def test_grpc_statuses(channels: tuple[grpc.Channel, grpc.Channel], seed: int) -> None:
    different = []
    theirs, ours = channels
    for message in grpc_requests(seed, COUNT):
        status, text = ask_grpc(ours, message)
        assert not PYTHON.search(text), (message, text)
        if is_huge(message):
            continue
        expected = ask_grpc(theirs, message)
        if status != expected[0]:
            different.append((message, expected, (status, text)))
    assert different == []


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ([-1], "All input dimensions should be specified for {of}, got [-1]"),
        ([-1, 1], "unexpected shape for {of}. Expected [-1], got [-1,1]. "),
        ([2**62, 4], "unexpected shape for {of}. Expected [-1], got [4611686018427387904,4]. "),
        ([1] * 70, f"unexpected shape for {{of}}. Expected [-1], got [{','.join('1' * 70)}]. "),
    ],
)
def test_shapes_that_can_not_be(
    channels: tuple[grpc.Channel, grpc.Channel], shape: list[int], text: str
) -> None:
    message = pb.ModelInferRequest(model_name="identity_fp32", raw_input_contents=[bytes(4)])
    message.inputs.add(name="INPUT0", datatype="FP32", shape=shape)
    of = "input 'INPUT0' for model 'identity_fp32'"
    expected = ("INVALID_ARGUMENT", f"[request id: <id_unknown>] {text.format(of=of)}")
    for channel in channels:
        assert ask_grpc(channel, message.SerializeToString()) == expected


def is_huge(message: bytes) -> bool:
    """True if the size of an input overflows in Triton, whose model then ends."""
    try:
        request = pb.ModelInferRequest.FromString(message)
    except DecodeError:
        return False
    return any(abs(size) > 2**30 for each in request.inputs for size in each.shape)


@pytest.mark.parametrize(
    ("model", "data", "status"),
    [
        ("identity_fp32", bytes(8), 200),
        ("identity_fp32", b"", 200),
        ("identity_fp32", bytes(7), 400),
        ("identity_bytes", b"hello", 400),
        ("simple", bytes(8), 400),
        ("custom_identity_int32", bytes(8), 200),
        ("no_model", bytes(8), 404),
    ],
)
def test_raw_binary_requests(
    triton: Any, embedded: Any, model: str, data: bytes, status: int
) -> None:
    answers = []
    for server in (triton, embedded):
        connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=30)
        try:
            headers = {"Inference-Header-Content-Length": "0"}
            connection.request("POST", f"/v2/models/{model}/infer", data, headers)
            response = connection.getresponse()
            answers.append((response.status, response.read()))
        finally:
            connection.close()
    assert answers[0] == answers[1]
    assert answers[0][0] == status


@pytest.mark.parametrize("size", [2**31, 2**62, 2**63 - 1, 2**63, 2**64, 10**30])
def test_more_elements_than_memory_are_refused(embedded: Any, size: int) -> None:
    head = '{"inputs":[{"name":"INPUT0","datatype":"FP32","shape":[%d],%s}]}'
    for rest in ('"data":[1]', '"parameters":{"binary_data_size":4}'):
        body = (head % (size, rest)).encode()
        headers = {"Inference-Header-Content-Length": str(len(body))}
        status, text = ask_http(embedded, HttpBroken(headers, body + bytes(4) * ("data_" in rest)))
        assert status in (400, 500)
        # Dimensions have 64 bits and a sign.
        words = "should be specified" if (size, status) == (2**63, 400) else "size mismatch"
        assert "Unable to parse" in text or words in text, text
