"""Arguments that belong to other calls, numbers of other libraries, queries, and slips in URLs."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import tritonclient
from tests.client.test_mistakes import PAIR, both, infer, make
from tritonclient import AsyncClient, Client, InferResult
from tritonclient.server import Server

NOBODY = "http://127.0.0.1:9"


def client(**options: Any) -> Any:
    return lambda c: type(c)(NOBODY, **options)


@both
@pytest.mark.parametrize(
    ("action", "words"),
    [
        (infer(tls=True), "it is given to Client(url, ...); expected binary"),
        (infer(max_connections=5), "it is given to Client(url, ...)"),
        (infer(keep_alive=5), "it is given to Client(url, ...)"),
        (infer(concurrency=5), "it is given to map"),
        (infer(batch_size=5), "it is given to map"),
        (infer(response_timeout=5), "it is given to stream"),
        (infer(cast=True), "it is given to model(name, ...)"),
        (infer(config={}), "it is given to load_model"),
        (lambda c: c.submit("simple", PAIR, workers=5), "it is given to Client(url, ...)"),
        (lambda c: c.prepare("simple", PAIR, timeout=5), "it is given to calls such as infer"),
        (
            lambda c: tritonclient.request("m", PAIR, timeout=5),
            "it is given to calls such as infer",
        ),
        (lambda c: tritonclient.request("m", PAIR, headers={}), "and to open_stream; expected"),
        (lambda c: c.load_model("m", priority=3), "it is given to infer, and to the requests of"),
        (lambda c: c.model_metadata("m", outputs=["a"]), "it is given to infer, and to the requ"),
        (client(priority=1), "it is given to infer, and to the requests of a stream; expected"),
        (client(query={"a": 1}), "it is given to calls such as infer"),
        (client(request_compression="gzip"), "it is given to infer and submit; expected binary"),
        (client(version="1"), "it is given to infer"),
        (client(port=1), "part of a client's url"),
        (client(retrys=1), "'retrys' is not an argument; here it is a loop of the program"),
    ],
)
def test_arguments_of_other_calls(kind: Any, action: Any, words: str) -> None:
    """A hint names where an argument belongs, and never the argument itself."""
    with pytest.raises(TypeError) as caught:
        make(kind, NOBODY, action)
    text = str(caught.value)
    name = text.split("'")[1]
    assert words in text
    assert f"did you mean '{name}'" not in text
    assert f"here it is {name}" not in text


NUMBERS = [np.float32(60), np.float16(60), np.int64(60), np.uint8(60), Fraction(60)]


@pytest.mark.server
@both
@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("number", NUMBERS, ids=lambda each: type(each).__name__)
def test_seconds_of_any_type(embedded: Server, kind: Any, protocol: str, number: Any) -> None:
    url = getattr(embedded, f"{protocol}_url")
    for action in (
        infer(PAIR, timeout=number, server_timeout=number),
        lambda c: c.wait_until_ready(timeout=number),
        lambda c: type(c)(url, timeout=number).is_server_live(),
    ):
        assert make(kind, url, action) in (None, True) or isinstance(
            make(kind, url, action), InferResult
        )


@pytest.mark.server
@pytest.mark.parametrize("number", NUMBERS, ids=lambda each: type(each).__name__)
def test_seconds_of_streams(embedded: Server, number: Any) -> None:
    with Client(embedded.grpc_url) as client:
        found = client.stream("simple", PAIR, timeout=number, response_timeout=number)
        assert len(list(found)) == 1
        found = client.map("simple", [PAIR], timeout=number)
        assert len(list(found)) == 1


@both
def test_whole_numbers_of_numpy(kind: Any) -> None:
    kind(NOBODY, max_connections=np.int64(3), max_request_size=np.int32(1 << 20))


@both
@pytest.mark.parametrize(
    ("value", "words"),
    [
        (timedelta(seconds=5), "expected seconds as a number, or None; its total_seconds() is one"),
        (Decimal(5), "timeout is Decimal('5'), expected seconds as a number, or None"),
        (np.True_, "expected seconds as a number"),
        (np.array(5.0), "timeout is array(5.), expected seconds as a number"),
        (1j, "expected seconds as a number"),
    ],
)
def test_what_is_no_number_of_seconds(kind: Any, value: Any, words: str) -> None:
    for action in (infer(timeout=value), client(timeout=value)):
        with pytest.raises(TypeError) as caught:
            make(kind, NOBODY, action)
        assert words in str(caught.value)


@both
@pytest.mark.parametrize(
    ("value", "kind_name"),
    [(None, "NoneType"), (object(), "object"), ({}, "dict"), (b"a", "bytes")],
)
def test_queries(kind: Any, value: Any, kind_name: str) -> None:
    with pytest.raises(TypeError, match=f"query 'a' is {kind_name}, expected str, a number, or a"):
        make(kind, NOBODY, infer(query={"a": value}))


@both
@pytest.mark.parametrize("scheme", ["http", "grpc"])
@pytest.mark.parametrize(
    "headers", [{"my header": "x"}, {"a": "x\n"}, {"": "x"}, {"a:": "x"}], ids=repr
)
def test_headers_of_a_client(kind: Any, scheme: str, headers: Any) -> None:
    """They are refused when the client is made, and not by its first call."""
    with pytest.raises(ValueError, match=r"^header .* is not valid: its (name|value) "):
        kind(f"{scheme}://127.0.0.1:9", headers=headers)


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("localhost", "http://localhost"),
        ("127.0.0.1", "http://127.0.0.1"),
        ("[::1]:8000", "http://[::1]:8000"),
        ("[::1]:8001", "grpc://[::1]:8001"),
        ("https//triton", "https://triton"),
        ("http:localhost:8000", "http://localhost:8000"),
        ("http:/localhost:8000", "http://localhost:8000"),
        ("HTTP:\\\\triton:8000", "http://triton:8000"),
        ("grpc:localhost", "grpc://localhost"),
        ("grpcs//triton:443", "grpcs://triton:443"),
        ("triton://x", "http://localhost:8000"),
    ],
)
def test_slips_in_urls(url: str, meant: str) -> None:
    for kind in (Client, AsyncClient):
        with pytest.raises(ValueError, match="does not begin with one of") as caught:
            kind(url)
        assert str(caught.value).endswith(f"; for example {meant}")
