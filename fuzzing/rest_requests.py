"""Requests over HTTP as a server reads them, and whether what was read can be written and read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tests.codec.test_recordings import request_of
from tests.data import recordings

from fuzzing import Choices, plain
from tritonclient import errors
from tritonclient import messages as m
from tritonclient.codec import rest
from tritonclient.codec.rest_request import RawInput

_HEAD_LENGTH = "inference-header-content-length"
_METHODS = ("GET", "POST")
#: Those of "transport" break HTTP itself.
EXCHANGES = [
    exchange
    for subject in recordings.subjects()
    if subject != "transport"
    for exchange in recordings.load(subject)
]


def check(data: bytes) -> None:
    choices = Choices(data)
    method = _METHODS[choices.below(2)]
    path = choices.take(choices.number()).decode("latin-1")
    length = choices.number(2)
    headers = {_HEAD_LENGTH: str(length)} if length < 0xFFFF else {}
    try:
        request = rest.decode_request(rest.HttpRequest(method, path, headers, (choices.rest(),)))
    except errors.ServerError as error:
        rest.encode_error(error)
        return
    if any(path.startswith("file:") for path in getattr(request, "files", ())):
        return  # which a client takes for the protocol's own prefix
    if any(isinstance(each, RawInput) for each in getattr(request, "inputs", ())):
        return  # a client describes its inputs
    try:
        written = rest.encode_request(request)
    except (ValueError, TypeError):
        return  # what our client does not ask for
    headers = {name.lower(): value for name, value in written.headers.items()}
    again = rest.HttpRequest(written.method, written.path, headers, (b"".join(written.body),))
    assert plain(rest.decode_request(again)) == plain(_as_asked(request))


def _as_asked(request: m.Request[object]) -> m.Request[object]:
    """A request as a client would write it, which sends nothing that goes to shared memory."""
    if not isinstance(request, m.Infer):
        return request
    outputs = [
        output._replace(binary=output.binary and "shared_memory_region" not in output.parameters)
        for output in request.outputs
    ]
    return replace(request, outputs=tuple(outputs))


def seeds() -> Iterator[bytes]:
    for exchange in EXCHANGES:
        method, path, headers, body = request_of(exchange)
        length = headers.get(_HEAD_LENGTH, "65535")
        if method in _METHODS and len(path) < 256 and length.isdecimal():
            prefix = bytes([_METHODS.index(method), len(path)]) + path.encode("latin-1")
            yield prefix + min(int(length), 65535).to_bytes(2, "big") + b"".join(body)
