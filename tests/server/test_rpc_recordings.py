"""gRPC responses of the embedded server, compared with those of a real Triton."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from tests.data.recordings import rpc as recordings
from tests.data.recordings.rpc import Call
from tests.server.conftest import MODELS
from tests.server.test_recordings import regions as regions
from tritonclient.codec import messages_pb, rpc
from tritonclient.server import Server

_WORDS = "the words differ; the status is the same"
_TWINS = "the recorded Triton served the ONNX models through Python"
_TIMES = "times differ"
_PATHS = "the traceback names the path of the model"
_REGION = "Triton adds the offset of a region twice, and put an output elsewhere before"

#: Calls that differ, and why. Those of a subject that is not listed are all compared.
DIFFERENCES: dict[str, dict[str, str]] = {
    "config": dict.fromkeys(
        ("model simple", "model digits", "model versioned", "model version"), _TWINS
    ),
    "cuda_shared_memory": dict.fromkeys(
        ("register without a GPU", "register a handle that is none", "register without a handle"),
        _WORDS,
    ),
    "infer_errors": {
        "failing model": _PATHS,
        "failing model with an id": _PATHS,
        "batches that differ": "Triton names the inputs in the order of a hash table",
        "an element out of range": "Triton cuts it off silently",
        "a group": "Triton skips what the protocol has not",
        **dict.fromkeys(
            (
                "negative shape",
                "too large a shape",
                "no message",
                "a message cut off",
                "text that is not UTF-8",
                "a name that is not UTF-8",
            ),
            _WORDS,
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
    "settings": dict.fromkeys(("trace count too small", "unknown log format"), _WORDS),
    "statistics": {"a request to fail": _PATHS, "model used": _TIMES, "model failed": _TIMES},
    "stream": {
        "failing model": _PATHS,
        "no message": "Triton ends the stream as if nothing were wrong",
    },
    "system_shared_memory": {
        "register nothing": "Triton's words lack a colon",
        "infer with an input alone": _REGION,
        "infer with an entry for each input": _REGION,
        "infer without the offset of an input": _REGION,
        "infer from too few bytes": "Triton names the inputs in the order of a hash table",
    },
    "transport": dict.fromkeys(
        (
            "unknown method",
            "no message for ServerMetadata",
            "no message for ModelMetadata",
            "no message for RepositoryIndex",
        ),
        _WORDS,
    ),
}


def repeat(channel: grpc.Channel, call: Call) -> Call:
    """Replay the call."""
    responses: list[bytes] = []
    code, text = 0, ""
    try:
        # Procedures that take one message and give one take this as well: it is the same bytes.
        callable = channel.stream_stream(f"/{rpc.SERVICE}/{call.method}")
        responses.extend(callable(iter(call.requests), timeout=30))
    except grpc.RpcError as error:
        code, text = error.code().value[0], error.details()
    return Call(call.name, call.method, call.requests, tuple(responses), code, text)


def meaning(call: Call) -> tuple[Any, ...]:
    """Return the parts of a call to compare: messages by their fields, and status."""
    name = f"{call.method}Response"
    responses = [
        messages_pb.to_dict(messages_pb.message(name).FromString(data)) for data in call.responses
    ]
    return call.code, call.message, responses


@pytest.mark.parametrize("subject", recordings.subjects())
@pytest.mark.usefixtures("regions")
def test_same_answers(subject: str) -> None:
    options: dict[str, Any] = {"model_control_mode": "explicit", "load_models": ["*"]}
    different: list[tuple[str, Any, Any]] = []
    known = DIFFERENCES.get(subject, {})
    calls = recordings.load(subject)
    assert set(known) <= {each.name for each in calls}
    with (
        Server(MODELS, http_port=None, trace_file="trace.json", **options) as server,
        grpc.insecure_channel(server.grpc_address) as channel,
    ):
        for each in calls:
            # Made in any case, since later ones may build on it.
            found, expected = meaning(repeat(channel, each)), meaning(each)
            if each.name in known:
                assert found != expected, each.name
                if known[each.name] != _WORDS:
                    continue
                found, expected = found[:1], expected[:1]
            if found != expected:
                different.append((each.name, expected, found))
    assert not different
