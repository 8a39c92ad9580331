"""Recordings of a real Triton over HTTP, decoded and encoded by our codec."""

from __future__ import annotations

import json

import pytest

from tests.data import recordings
from tests.data.recordings import Exchange, parse_head
from tritonclient import errors
from tritonclient.codec import rest
from tritonclient.engine.http1 import Http1


def request_of(exchange: Exchange) -> rest.HttpRequest:
    first, headers, body = parse_head(exchange.request)
    method, target, _ = first.split(" ")
    return rest.HttpRequest(method, target.partition("?")[0], headers, (body,))


def response_of(exchange: Exchange) -> rest.HttpResponse:
    engine = Http1()
    engine.start(b"")
    feed(engine, exchange.response)
    if engine.response is None:
        engine.eof_received()
    assert engine.response is not None
    return rest.HttpResponse(
        engine.response.status, engine.response.headers, (engine.response.content(),)
    )


def feed(engine: Http1, data: bytes) -> None:
    """Pass received bytes to an engine."""
    view = memoryview(data)
    while view:
        buffer = engine.get_buffer()
        count = min(len(buffer), len(view))
        buffer[:count] = view[:count]
        engine.buffer_updated(count)
        view = view[count:]


def json_and_data(response: rest.HttpResponse) -> tuple[object, bytes]:
    """A body's JSON, whose spelling of numbers and letters may differ, and what follows it."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    body = b"".join(response.body)
    size = int(headers.get("inference-header-content-length", len(body)))
    text = body[:size].decode("utf-8", "surrogateescape")
    return json.loads(text) if text else None, body[size:]


SUBJECTS = {subject: recordings.load(subject) for subject in recordings.subjects()}


def chosen(condition):
    """The exchanges for which a condition holds, as parameters of a test."""
    return pytest.mark.parametrize(
        "exchange",
        [
            pytest.param(exchange, id=f"{subject}-{exchange.name}")
            for subject, exchanges in SUBJECTS.items()
            if subject != "transport"
            for exchange in exchanges
            if condition(exchange)
        ],
    )


def readable(exchange: Exchange) -> bool:
    """True if the request is valid; some are invalid on purpose, some compressed."""
    request = request_of(exchange)
    try:
        rest.decode_request(request)
    except errors.ServerError:
        return False
    return "content-encoding" not in request.headers


def answered(exchange: Exchange) -> bool:
    """True if the response is a success, in JSON that other servers write as well."""
    response = response_of(exchange)
    body = bytes(response.body[0])
    is_json = b"NaN" not in body and "no text" not in exchange.name
    return readable(exchange) and response.status < 400 and is_json


@chosen(lambda exchange: not readable(exchange))
def test_unreadable_requests_are_refused_by_both(exchange):
    # We refuse numbers outside the datatype's range, which Triton cuts off silently.
    response = response_of(exchange)
    compressed = "content-encoding" in request_of(exchange).headers
    assert response.status >= 400 or "out of range" in exchange.name or compressed


@chosen(readable)
def test_answers_are_read(exchange):
    request, response = rest.decode_request(request_of(exchange)), response_of(exchange)
    if response.status >= 400 and not isinstance(request, rest._HEALTH):
        with pytest.raises(errors.ServerError) as caught:
            rest.decode_response(request, response)
        assert caught.value.status() == str(response.status)
        assert caught.value.message() == json.loads(bytes(response.body[0]))["error"]
    else:
        rest.decode_response(request, response)


@chosen(answered)
def test_answers_are_written_as_triton_writes_them(exchange):
    request, response = rest.decode_request(request_of(exchange)), response_of(exchange)
    written = rest.encode_response(request, rest.decode_response(request, response))
    assert written.status == response.status
    assert json_and_data(written) == json_and_data(response)


@chosen(lambda exchange: readable(exchange) and "memory and binary data" not in exchange.name)
def test_requests_are_written_so_that_they_read_the_same(exchange):
    request = rest.decode_request(request_of(exchange))
    written = rest.encode_request(request)
    headers = {name.lower(): value for name, value in written.headers.items()}
    again = rest.HttpRequest(written.method, written.path, headers, (b"".join(written.body),))
    assert rest.decode_request(again) == request
