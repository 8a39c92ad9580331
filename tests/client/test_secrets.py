"""Secrets appear in nothing that is printed, logged, warned of, raised or shown.

What the modern clients do is searched by the contract tests as well, see `contract/conftest.py`.
"""

from __future__ import annotations

import importlib
import logging
from typing import Any

import numpy as np
import pytest

import tritonclient.grpc
import tritonclient.http
from tests.classic import runtimes
from tests.support.canary import HEADERS, SECRET, check_error, check_text, no_secrets
from tests.support.peers import hostile_peers
from tests.support.peers.hostile_peers import Server, answer_all, free_port, http
from tritonclient import TLS, AsyncClient, Client, Grpcio, InferenceServerException
from tritonclient.http.auth import BasicAuth
from tritonclient.messages import GetServerMetadata
from tritonclient.transport.call import Options
from tritonclient.transport.endpoint import parse_url
from tritonclient.transport.grpc_call import GrpcCall, GrpcSettings
from tritonclient.transport.http_call import HttpSettings

A = np.ones((1, 16), np.int32)
CLASSIC = {
    "http": runtimes.Blocking,
    "http.aio": runtimes.AsyncRunner,
    "grpc": runtimes.GrpcBlocking,
    "grpc.aio": runtimes.GrpcAsyncRunner,
}
classic = pytest.mark.parametrize("name", CLASSIC)
both_runtimes = hostile_peers.both_runtimes


@pytest.fixture(autouse=True)
def secret(request, caplog, capfd, monkeypatch):
    if request.node.name == "test_the_search_finds_it":
        yield
        return
    with no_secrets(caplog, capfd, monkeypatch):
        yield


# Headers that can't be sent

SLIPS = {
    "line break": ({"authorization": f"Bearer {SECRET}\n"}, "'authorization' .* ends in a line"),
    "carriage return": ({"x-api-key": f"{SECRET}\r"}, "'x-api-key' .* ends in a line break"),
    "line break inside": ({"a": f"{SECRET}\nb: c"}, "'a' .* holds a line break"),
    "zero": ({"a": f"{SECRET}\0"}, "'a' .* holds a control character"),
    "other characters": ({"a": f"{SECRET}\u20ac"}, "'a' .* outside of"),
    "bytes": ({"authorization": SECRET.encode()}, "'authorization' is bytes, expected str"),
    "number": ({"a": [SECRET]}, "'a' is list, expected str"),
    "all in the name": ({f"authorization: {SECRET}": ""}, r"'authorization\.\.\.' .* its name"),
    "scheme as a name": ({f"Bearer {SECRET}": "authorization"}, "its name holds"),
    "name that is none": ({(SECRET,): "a"}, "a name of type tuple"),
    "pairs": ([("authorization", SECRET)], "headers is list, expected a mapping"),
    "text": (f"authorization: {SECRET}", "headers is str, expected a mapping"),
}


@both_runtimes
@pytest.mark.parametrize("way", ["http", "grpc", "grpcio"])
@pytest.mark.parametrize(("headers", "words"), SLIPS.values(), ids=SLIPS)
def test_headers_that_can_not_be_sent(runtime, way, headers, words):
    url = f"{'http' if way == 'http' else 'grpc'}://127.0.0.1:9"
    options = {"grpcio": Grpcio()} if way == "grpcio" else {}
    with runtime(url, **options) as client:
        asks = [
            lambda: client.infer("m", {"IN": A}, headers=headers),
            lambda: client.server_metadata(headers=headers),
            lambda: client.prepare("m", {"IN": A}, headers=headers),
        ]
        for ask in asks:
            with pytest.raises((TypeError, ValueError), match=words) as caught:
                ask()
            check_error(caught.value)


@classic
@pytest.mark.parametrize(
    "headers", [{"authorization": f"{SECRET}\n"}, {"a": f"{SECRET}\0"}, {f"a: {SECRET}": "b"}]
)
def test_classic_headers_that_can_not_be_sent(name, headers):
    with CLASSIC[name]("http://127.0.0.1:9", verbose=True) as client:
        for ask in (client.get_server_metadata, client.is_server_live):
            with pytest.raises(InferenceServerException, match="is not valid") as caught:
                ask(headers=headers)
            check_error(caught.value)


@both_runtimes
def test_queries(runtime):
    with runtime("grpc://127.0.0.1:9") as client:
        with pytest.raises(ValueError, match="query has token, but gRPC") as caught:
            client.server_metadata(query={"token": SECRET})
        check_error(caught.value)


@both_runtimes
@pytest.mark.parametrize("scheme", ["http", "grpc"])
@pytest.mark.parametrize("parameters", [{"api_key": SECRET.encode()}, [("api_key", SECRET)]])
def test_parameters(runtime, scheme, parameters):
    with runtime(f"{scheme}://127.0.0.1:9") as client:
        with pytest.raises(TypeError, match=r"parameters? .*(is bytes|is list)") as caught:
            client.infer("m", {"IN": A}, parameters=parameters)
        check_error(caught.value)


# URLs

URLS = [
    f"http://user:{SECRET}@127.0.0.1:bad",
    f"http://user:{SECRET}@127.0.0.1",
    f"grpc://{SECRET}@127.0.0.1/path",
    f"http://user:{SECRET}/a@127.0.0.1:bad",
    f"http://user:a#{SECRET}@127.0.0.1",
    f"http://user:{SECRET}@[::1",
    f"http://user:{SECRET}@127.0.0.1\n",
    f"ftp://user:{SECRET}@127.0.0.1",
    f"user:{SECRET}@127.0.0.1",
    f"http://127.0.0.1?token={SECRET}",
    f"http://127.0.0.1/#{SECRET}",
    f"http://user:{SECRET}\u2100@127.0.0.1",
]


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_urls(client, url):
    with pytest.raises(ValueError, match=r"^url ") as caught:
        client(url)
    check_error(caught.value)


@classic
@pytest.mark.parametrize("url", [each.partition("//")[2] or each for each in URLS])
def test_classic_urls(name, url):
    module = importlib.import_module(f"tritonclient.{name}")
    with pytest.raises((ValueError, InferenceServerException)) as caught:
        module.InferenceServerClient(url)
    check_error(caught.value)


# What is shown of objects


def settings() -> list[Any]:
    return [
        TLS(cert_file="a", key_password=SECRET),
        Options(HEADERS, {"token": SECRET}),
        HttpSettings(parse_url("http://a"), HEADERS),
        GrpcSettings(parse_url("grpc://a"), HEADERS),
        Client("http://127.0.0.1:9", headers=HEADERS),
        AsyncClient("grpc://127.0.0.1:9", headers=HEADERS),
        BasicAuth("user", SECRET),
        tritonclient.http.Request(dict(HEADERS)),
    ]


@pytest.mark.parametrize("shown", settings(), ids=lambda each: type(each).__name__)
def test_reprs(shown):
    check_text(repr(shown), type(shown).__name__)
    check_text(str(shown), type(shown).__name__)


def test_reprs_of_calls():
    options = Options(HEADERS)
    call = GrpcCall(GetServerMetadata(), GrpcSettings(parse_url("grpc://a")), options)
    for each in (call, call._head, Client("http://a").prepare("m", {"IN": A}, headers=HEADERS)):
        check_text(repr(each), type(each).__name__)


def test_password_outside_of_ascii():
    with pytest.raises(ValueError, match="password holds characters") as caught:
        BasicAuth("user", f"{SECRET}\u00fc")
    check_error(caught.value)


def test_heads_are_not_remembered():
    """Values of callers' headers are not in memory after the call."""
    from tritonclient.transport import grpc_call as grpc_module
    from tritonclient.transport import http_call as http_module

    caches = [http_module._begin_head, grpc_module._begin_block]
    http_settings = HttpSettings(parse_url("http://a"), HEADERS)
    grpc_settings = GrpcSettings(parse_url("grpc://a"), HEADERS)
    sizes = []
    for number in range(3):
        options = Options({"x-token": f"{SECRET}{number}"}, {"token": f"{SECRET}{number}"})
        http_settings.call(GetServerMetadata(), options)
        grpc_settings.call(GetServerMetadata(), Options(options.headers))
        sizes.append([cache.cache_info().currsize for cache in caches])
    assert sizes[0] == sizes[1] == sizes[2]


# Calls, answers and what `verbose` prints


def auth(request):
    """A plugin that adds secrets of its own."""
    BasicAuth("user", SECRET)(request)
    request.headers["my-secret-token"] = SECRET


def operations(client, over_http):
    """Calls of every kind, whether they succeed or fail."""
    query = {"query_params": {"token": SECRET, "a": "b"}} if over_http else {}
    module = tritonclient.http if over_http else tritonclient.grpc
    tensors = [
        module.InferInput(f"INPUT{n}", [1, 16], "INT32").set_data_from_numpy(A) for n in range(2)
    ]
    for ask in (
        lambda **options: client.infer("simple", tensors, **options),
        lambda **options: client.infer("nope", tensors, **options),
        lambda **options: client.get_server_metadata(**options),
        lambda **options: client.get_model_config("nope", **options),
        lambda **options: client.is_server_live(**options),
        lambda **options: client.load_model("nope", **options),
        lambda **options: client.get_system_shared_memory_status(**options),
    ):
        try:
            ask(headers=dict(HEADERS), **query)
        except InferenceServerException as error:
            check_error(error)


@classic
def test_verbose(name, embedded):
    over_http = name.startswith("http")
    # Its own query would be in uvicorn's log, which pytest turns on.
    logging.getLogger("uvicorn.access").disabled = True
    url = embedded.http_url if over_http else embedded.grpc_url
    with CLASSIC[name](url, verbose=True) as client:
        operations(client, over_http)
        client.register_plugin(auth)
        operations(client, over_http)
        check_text(repr(client), name)


@classic
def test_failures(name):
    with CLASSIC[name](f"http://127.0.0.1:{free_port()}", verbose=True) as client:
        client.register_plugin(auth)
        operations(client, name.startswith("http"))


@pytest.mark.parametrize("name", ["http", "http.aio"])
def test_cookies_of_answers(name):
    reply = http(b'{"name":"m"}', f"Set-Cookie: a={SECRET}", "WWW-Authenticate: Basic")
    with Server([answer_all(reply)]) as server, CLASSIC[name](server.url, verbose=True) as client:
        client.get_server_metadata()


@classic
def test_secrets_are_shown_by_name(name, embedded, capfd):
    over_http = name.startswith("http")
    url = embedded.http_url if over_http else embedded.grpc_url
    headers = {"authorization": "Bearer 1234", "x-token": "5678", "plain": "9"}
    with CLASSIC[name](url, verbose=["Authorization"]) as client:
        client.get_server_metadata(headers=headers)
    shown = capfd.readouterr().out
    assert "'authorization': 'Bearer 1234'" in shown or "'authorization', 'Bearer 1234'" in shown
    assert "5678" not in shown
    assert "'9'" in shown
    with CLASSIC[name](url, verbose=True) as client:
        client.get_server_metadata(headers=headers)
    shown = capfd.readouterr().out
    assert "1234" not in shown
    assert "authorization" in shown


def test_the_search_finds_it():
    """The tests above can fail."""
    for error in (
        ValueError(SECRET),
        InferenceServerException("a", debug_details=[SECRET]),
        UnicodeEncodeError("ascii", SECRET, 0, 1, "b"),
    ):
        with pytest.raises(AssertionError, match="shows the secret"):
            check_error(error)
    try:
        try:
            raise ValueError(SECRET)
        except ValueError:
            raise TypeError("a") from None
    except TypeError as error:
        with pytest.raises(AssertionError, match="shows the secret"):
            check_error(error)
    with pytest.raises(AssertionError, match="shows the secret"):
        check_text({"a": SECRET}, "a dict")
