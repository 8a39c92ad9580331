"""Answers over HTTP as a client reads them, and whether what was read can be written and read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from tests.codec.test_recordings import request_of, response_of

from fuzzing import Choices, plain
from fuzzing.rest_requests import EXCHANGES
from tritonclient import errors, http
from tritonclient import messages as m
from tritonclient.client.model_spec import ModelSpec
from tritonclient.client.results import InferResult
from tritonclient.codec import rest

_HEAD_LENGTH = "inference-header-content-length"
_STATUSES = (200, 400, 404, 503, 302, 401)


def _operations() -> dict[type, m.Request[object]]:
    """A request of each kind that was recorded."""
    found: dict[type, m.Request[object]] = {}
    for exchange in EXCHANGES:
        with suppress(errors.ServerError):
            request = rest.decode_request(request_of(exchange))
            found.setdefault(type(request), request)
    return found


_OPERATIONS = _operations()
_KINDS = sorted(_OPERATIONS, key=lambda kind: kind.__name__)


def check(data: bytes) -> None:
    choices = Choices(data)
    request = _OPERATIONS[_KINDS[choices.below(len(_KINDS))]]
    status = _STATUSES[choices.below(len(_STATUSES))]
    length = choices.number(2)
    headers = {_HEAD_LENGTH: str(length)} if length < 0xFFFF else {}
    body = choices.rest()
    response = rest.HttpResponse(status, headers, (body,))
    if isinstance(request, m.Infer):
        _read_classic(body, length if headers else None)
    try:
        answer = rest.decode_response(request, response)
    except errors.InferenceServerException as error:
        assert isinstance(error, errors.ProtocolError if status == 200 else errors.ServerError)
        str(error)
        return
    if isinstance(answer, m.InferResponse):
        read_arrays(answer)
    elif isinstance(request, m.GetModelConfig):
        with suppress(errors.ProtocolError):
            ModelSpec.of("m", "1", m.ModelMetadata("m"), answer)
    try:
        written = rest.encode_response(request, answer)
    except ValueError:
        return  # NaN, and what is no text, which our server does not write as JSON
    headers = {name.lower(): value for name, value in written.headers.items()}
    again = rest.HttpResponse(written.status, headers, (b"".join(written.body),))
    assert plain(rest.decode_response(request, again)) == plain(answer)


def read_arrays(answer: m.InferResponse) -> None:
    """Do with an answer what callers do."""
    result = InferResult(answer)
    for name in result:
        if result.output(name).data is not None:
            with suppress(errors.ProtocolError):
                result[name]
            with suppress(errors.ProtocolError):
                result.classes(name)
    repr(result)


def _read_classic(body: bytes, length: int | None) -> None:
    with suppress(errors.InferenceServerException):
        result = http.InferResult.from_response_body(body, False, length)
        for output in result.get_response().get("outputs", []):
            with suppress(errors.InferenceServerException):
                result.as_numpy(output["name"])
            assert result.get_output(output["name"]) is not None


#: Data that other servers than Triton write.
_LOOSE = (
    b'"datatype":"INT64","shape":[2],"data":[1.0,2]',
    b'"datatype":"FP16","shape":[1,2],"data":[[null,1e9]]',
    b'"datatype":"fp32","shape":[2],"data":["NaN",true]',
    b'"datatype":"BYTES","shape":[0,2],"data":[]',
    b'"datatype":"BF16","shape":[],"data":[-1]',
)


def seeds() -> Iterator[bytes]:
    infer = bytes([_KINDS.index(m.Infer), 0, 0xFF, 0xFF])
    for data in _LOOSE:
        yield infer + b'{"model_name":"m","outputs":[{"name":"X",' + data + b"}]}"
    for exchange in EXCHANGES:
        response = response_of(exchange)
        try:
            kind = type(rest.decode_request(request_of(exchange)))
            status = _STATUSES.index(response.status)
        except (errors.ServerError, ValueError):
            continue
        length = int(response.headers.get(_HEAD_LENGTH, 0xFFFF))
        prefix = bytes([_KINDS.index(kind), status]) + length.to_bytes(2, "big")
        yield prefix + bytes(response.body[0])
