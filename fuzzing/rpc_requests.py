"""Requests over gRPC as a server reads them: inference against protobuf, all there and back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.support.rpc_meaning import REQUEST, over_grpc

from fuzzing import Choices, plain
from fuzzing.rpc_answers import CALLS, check_parameters, check_typed
from tritonclient import messages as m
from tritonclient.codec import rpc
from tritonclient.codec.rpc_head import UNSIGNED
from tritonclient.datatypes import DATATYPES
from tritonclient.errors import ServerError

_METHODS = sorted({call.method for call in CALLS})


def check(data: bytes) -> None:
    choices = Choices(data)
    method = _METHODS[choices.below(len(_METHODS))]
    message = choices.rest()
    try:
        request = rpc.decode_request(method, message)
    except ServerError:
        return
    assert plain(rpc.decode_request(method, message)) == plain(request)
    if isinstance(request, m.Infer):
        _check_meaning(request, REQUEST.FromString(message))
    if getattr(request, "settings", None) == {}:
        return  # an update of nothing is the same message as a question
    if any(path.startswith("file:") for path in getattr(request, "files", ())):
        return  # which a client takes for the protocol's own prefix
    try:
        written = b"".join(rpc.encode_request(request).message)
    except (ValueError, TypeError):
        return  # what our client does not ask for
    again = rpc.decode_request(method, written)
    if isinstance(request, m.Infer):
        again, request = over_grpc(again), over_grpc(request)
    assert plain(again) == plain(request)


def _check_meaning(request: m.Infer, message: Any) -> None:
    """Compare a request with protobuf's reading of it."""
    assert (request.model, request.version) == (message.model_name, message.model_version)
    assert request.id == message.id
    signed = {
        name: value - (1 << 64) if name in UNSIGNED and not isinstance(value, str) and value >> 63
        else value
        for name, value in request.parameters.items()
    }  # fmt: skip
    check_parameters(signed, message)
    raw = iter(message.raw_input_contents)
    for ours, theirs in zip(request.inputs, message.inputs, strict=True):
        known = theirs.datatype in DATATYPES
        assert (ours.name, ours.shape) == (theirs.name, tuple(theirs.shape))
        assert ours.datatype == (theirs.datatype if known else "<invalid>")
        check_parameters(ours.parameters, theirs)
        if ours.data is not None and theirs.HasField("contents"):
            check_typed(ours.data, theirs)
        elif ours.data is not None:
            assert ours.data == next(raw)


def seeds() -> Iterator[bytes]:
    for call in CALLS:
        for message in call.requests:
            yield bytes([_METHODS.index(call.method)]) + message
