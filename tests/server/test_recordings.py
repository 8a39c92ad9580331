"""Responses of the embedded server, compared with those of a real Triton to the same bytes."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import zlib
from collections.abc import Iterator
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import numpy as np
import pytest

from tests.data.recordings import Exchange, load, parse_head, subjects
from tests.server.conftest import MODELS
from tritonclient.server import Server

_JSON = "the words for requests that can't be read are our codec's; the status is the same"
_TWINS = "the recorded Triton served the ONNX models through Python"
_TIMES = "times differ"
_PATHS = "the traceback names the path of the model"

#: Exchanges that differ, and why. Those of a subject that is not listed are all compared.
DIFFERENCES: dict[str, dict[str, str]] = {
    "classification": {"a wrong type": _JSON},
    "compression": {
        "gzip and an error": _JSON,
        "deflate and an error": _JSON,
        "not compressed at all": "Triton takes it for an empty body",
    },
    "config": dict.fromkeys(
        ("model simple", "model digits", "model versioned", "model version"), _TWINS
    ),
    "cuda_shared_memory": {
        "register without a GPU": "ours says that there is none",
    },
    "datatypes": {
        "BYTES that are no text, to JSON": "Triton sends what is no JSON",
        "FP32 that JSON can't say": "Triton sends what is no JSON",
        "BOOL from numbers": _JSON,
        "UINT8 out of range": "Triton cuts it off silently",
        "BYTES from numbers": _JSON,
    },
    "infer_errors": {
        "failing model": _PATHS,
        "failing model with an id": _PATHS,
        "batches that differ": "Triton names the inputs in the order of a hash table",
        "no body": "Triton takes it for a raw request",
        **dict.fromkeys(
            (
                "too little data",
                "too much data",
                "data of a wrong type",
                "negative shape",
                "input without datatype",
                "input without shape",
                "input without name",
                "without inputs",
                "binary data too short",
                "binary data too long",
                "header length too large",
                "header length below zero",
                "malformed JSON",
                "cut JSON",
                "junk after JSON",
                "JSON of another type",
                "id of a wrong type",
                "parameters of a wrong type",
            ),
            _JSON,
        ),
    },
    "metadata": {
        "server": "ours names only the extensions that it has",
        **dict.fromkeys(
            (
                "model digits",
                "model simple",
                "model simple_int8",
                "model versioned",
                "model version",
            ),
            _TWINS,
        ),
    },
    "repository": {
        **dict.fromkeys(
            (
                "index with a wrong type",
                "load with a wrong type",
                "load with malformed JSON",
            ),
            _JSON,
        ),
    },
    "settings": {"log settings without a body": _JSON},
    "statistics": {"a request to fail": _PATHS, "model used": _TIMES, "model failed": _TIMES},
    "system_shared_memory": {
        "infer from too few bytes": "Triton names the inputs in the order of a hash table",
        "register nothing": "Triton's words lack a colon",
        "register at half a page": "Triton's words lack a colon",
        **dict.fromkeys(
            (
                "register with a wrong type",
                "register without a body",
            ),
            _JSON,
        ),
    },
    "transport": {
        "unknown URL /v2/models/simple/versions/x": "other words",
        "escaped model name": "Triton does not decode it",
        "HEAD of /v2/health/live": "Triton sends a body, against the rules",
        "HTTP/1.0": "ours names only the extensions that it has",
        "no HTTP": "Triton hangs up without a word",
    },
}


def exchange(port: int, request: bytes) -> bytes:
    """The answer to raw bytes, without interim answers."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(request)
        answer = b""
        while True:
            first, headers, body = parse_head(answer)
            if " 100 " in first:
                answer = body
                continue
            length = "0" if request.startswith(b"HEAD") else headers.get("content-length", "")
            if b"\r\n\r\n" in answer and len(body) >= int(length or sys.maxsize):
                return answer
            received = connection.recv(65536)
            if not received:
                return answer
            answer += received


def meaning(answer: bytes) -> tuple[Any, ...]:
    """Return the parts of a response to compare: status, coding, JSON and binary data."""
    first, headers, body = parse_head(answer)
    if " 100 " in first:
        return meaning(body)
    coding = headers.get("content-encoding")
    if coding is not None:
        body = zlib.decompress(body, 47)
    size = int(headers.get("inference-header-content-length", len(body)))
    text: Any = body[:size]
    if text:
        text = json.loads(text)
    return first.split()[1], coding, text, body[size:]


@pytest.fixture
def regions() -> Iterator[None]:
    """The shared memory that the recorder had made, with what it had put there."""
    blocks = []
    try:
        for name in ("tritonclient_recording", "tritonclient_recording_more"):
            with contextlib.suppress(FileNotFoundError):  # left by tests that were killed
                left = SharedMemory(name)
                left.close()
                left.unlink()
            block = SharedMemory(name, create=True, size=8192)
            blocks.append(block)
            row = np.arange(16, dtype="<i4")
            block.buf[:128] = row.tobytes() + np.ones(16, "<i4").tobytes()
        yield
    finally:
        for block in blocks:
            block.close()
            block.unlink()


@pytest.mark.parametrize("subject", subjects())
@pytest.mark.usefixtures("regions")
def test_same_answers(subject: str) -> None:
    options: dict[str, Any] = {"model_control_mode": "explicit", "load_models": ["*"]}
    different: list[tuple[Exchange, Any, Any]] = []
    known = DIFFERENCES.get(subject, {})
    exchanges = load(subject)
    assert set(known) <= {each.name for each in exchanges}
    with Server(MODELS, trace_file="trace.json", **options) as server:
        for each in exchanges:
            # Sent in any case, since later ones may build on it.
            answer = exchange(server.http_port, each.request) if each.response else b""
            if each.name in known and known[each.name] != _JSON:
                continue
            expected, found = meaning(each.response), meaning(answer)
            if each.name in known:
                expected, found = expected[:1], found[:1]
            if expected != found:
                different.append((each, expected, found))
    assert not different
