"""No argument is ignored in silence: each works, or raises, or warns where the official client
ignores it. One table for every client and every transport.
"""

from __future__ import annotations

import ssl
import warnings
from typing import Any

import grpc
import numpy as np
import pytest

import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
import tritonclient.http.aio
from tests.support.peers.hostile_peers import AsyncRunner, Blocking, Server, answer_all, http
from tritonclient import TLS, AsyncClient, Client, Grpcio, KeepAlive

CLEAR = {"http": "http://127.0.0.1:9", "grpc": "grpc://127.0.0.1:9", "unix": "unix:/a"}
SECURE = {"http": "https://127.0.0.1:9", "grpc": "grpcs://127.0.0.1:9"}
CREDENTIALS = grpc.local_channel_credentials()

#: (url, arguments): words of the error.
REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "TLS, http": (CLEAR["http"], {"tls": TLS()}, "tls is given, .* use https://127.0.0.1:9"),
    "TLS, grpc": (CLEAR["grpc"], {"tls": TLS()}, "tls is given, .* use grpcs://127.0.0.1:9"),
    "TLS, grpcio": (CLEAR["grpc"], {"tls": True, "grpcio": Grpcio()}, "tls is given"),
    "TLS, unix": (CLEAR["unix"], {"tls": True}, "tls is given, .* is a unix socket"),
    "no TLS, https": (SECURE["http"], {"tls": False}, "tls is False"),
    "no TLS, grpcs": (SECURE["grpc"], {"tls": False}, "tls is False"),
    "TLS of a wrong type": (SECURE["http"], {"tls": "ca.pem"}, "tls is str, expected TLS"),
    "context, grpcio": (
        SECURE["grpc"],
        {"tls": ssl.create_default_context(), "grpcio": Grpcio()},
        "grpcio takes certificates from files only",
    ),
    "verify, grpcio": (
        SECURE["grpc"],
        {"tls": TLS(verify=False), "grpcio": Grpcio()},
        "grpcio takes certificates from files only",
    ),
    "TLS and credentials": (
        SECURE["grpc"],
        {"tls": TLS(), "grpcio": Grpcio(credentials=CREDENTIALS)},
        "tls and the credentials of grpcio",
    ),
    "keep_alive, http": (CLEAR["http"], {"keep_alive": KeepAlive(1.0)}, "keep_alive is given"),
    "keep_alive, unix": (CLEAR["unix"], {"keep_alive": KeepAlive(1.0)}, "keep_alive is given"),
    "keep_alive of a wrong type": (CLEAR["grpc"], {"keep_alive": 30}, "keep_alive is int"),
    "keep_alive, https": (SECURE["http"], {"keep_alive": KeepAlive(1.0)}, "keep_alive is given"),
    "grpcio, http": (CLEAR["http"], {"grpcio": Grpcio()}, "grpcio is given"),
    "grpcio of a wrong type": (CLEAR["grpc"], {"grpcio": True}, "grpcio is bool"),
    "max_connections, grpcio": (
        CLEAR["grpc"],
        {"grpcio": Grpcio(), "max_connections": 4},
        "max_connections is 4, but",
    ),
    "max_connections of no sense, grpcio": (
        CLEAR["grpc"],
        {"grpcio": Grpcio(), "max_connections": 0},
        "max_connections is 0, expected at least 1",
    ),
    "headers of a wrong type": (CLEAR["http"], {"headers": []}, "headers is list"),
    "headers as a text": (CLEAR["grpc"], {"headers": ""}, "headers is str"),
    "unknown": (CLEAR["http"], {"retries": 3}, "retries"),
}
both_clients = pytest.mark.parametrize("client", [Client, AsyncClient])


@both_clients
@pytest.mark.parametrize(("url", "arguments", "words"), REFUSED.values(), ids=REFUSED)
def test_constructors(client, url, arguments, words):
    with pytest.raises((TypeError, ValueError), match=words):
        client(url, **arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"ca_file": "a", "context": ssl.create_default_context()}, "a context and ca_file"),
        ({"cert_file": "a", "context": ssl.create_default_context()}, "a context and cert_file"),
        ({"verify": False, "context": ssl.create_default_context()}, "a context and verify"),
        ({"key_file": "a"}, "key_file but no cert_file"),
        ({"key_password": "a"}, "key_password but no cert_file"),
    ],
)
def test_tls_settings(arguments, words):
    with pytest.raises(ValueError, match=words):
        TLS(**arguments)


@pytest.mark.parametrize("pings", [-1, 1.5, True, "2"])
def test_numbers_of_pings(pings):
    with pytest.raises((TypeError, ValueError), match="max_pings is"):
        KeepAlive(1.0, max_pings=pings)


A = np.ones((1, 16), np.int32)
#: What a call takes, by protocol: words of the error.
CALLS: dict[str, tuple[str, dict[str, Any], str]] = {
    "query, grpc": ("grpc", {"query": {"a": "b"}}, "query has a, but gRPC has no query"),
    "response_compression, grpc": (
        "grpc",
        {"response_compression": "gzip"},
        "response_compression is 'gzip', but gRPC",
    ),
    "query, grpcio": ("grpcio", {"query": {"a": "b"}}, "query has a, but gRPC has no query"),
    "response_compression, grpcio": ("grpcio", {"response_compression": "gzip"}, "gRPC servers"),
    **{
        f"{name} of another name, {way}": (way, {name: "br"}, f"{name} is 'br', expected one of")
        for way in ("http", "grpc", "grpcio")
        for name in ("request_compression", "response_compression")
    },
    "unknown, http": ("http", {"retries": 3}, "'retries' is not an argument"),
    "unknown, grpc": ("grpc", {"retries": 3}, "'retries' is not an argument"),
}


@pytest.mark.parametrize("runtime", [Blocking, AsyncRunner], ids=lambda r: r.kind)
@pytest.mark.parametrize(("way", "arguments", "words"), CALLS.values(), ids=CALLS)
def test_calls(runtime, way, arguments, words):
    options = {"grpcio": Grpcio()} if way == "grpcio" else {}
    with runtime(CLEAR["http" if way == "http" else "grpc"], **options) as client:
        for ask in (client.infer, client.prepare):
            with pytest.raises((TypeError, ValueError), match=words):
                ask("m", {"INPUT0": A}, **arguments)


@pytest.mark.parametrize("runtime", [Blocking, AsyncRunner], ids=lambda r: r.kind)
def test_streams_over_http(runtime):
    with runtime(CLEAR["http"]) as client, pytest.raises(ValueError, match="streams need gRPC"):
        client.stream("m", {"INPUT0": A})


def test_what_is_given_works():
    """Compression, headers and queries reach an HTTP server."""
    reply = http(b'{"model_name":"m","outputs":[]}')
    with Server([answer_all(reply)]) as server, Client(server.url) as client:
        client.infer(
            "m",
            {"IN": A},
            headers={"a": "b"},
            query={"c": ["d", "e"]},
            request_compression="gzip",
            response_compression="deflate",
        )
    head = server.requests[0][1].decode()
    for text in ("a: b", "?c=d&c=e", "Content-Encoding: gzip", "Accept-Encoding: deflate"):
        assert text in head


# Classic clients

FILES = ("root_certificates", "private_key", "certificate_chain")
OPTIONS = tritonclient.grpc.KeepAliveOptions()
#: (client, arguments): words of the warning.
WARNED: dict[str, tuple[Any, dict[str, Any], str]] = {
    "ssl_options": (
        tritonclient.http.InferenceServerClient,
        {"ssl_options": {"ca_certs": "a"}},
        "ssl_options has no effect without ssl",
    ),
    "ssl_context_factory": (
        tritonclient.http.InferenceServerClient,
        {"ssl_context_factory": ssl.create_default_context},
        "ssl_context_factory has no effect without ssl",
    ),
    "insecure": (
        tritonclient.http.InferenceServerClient,
        {"insecure": True},
        "insecure has no effect without ssl",
    ),
    "unknown in ssl_options": (
        tritonclient.http.InferenceServerClient,
        {"ssl": True, "ssl_options": {"ca_cert": "a"}},
        "'ca_cert' in ssl_options has no effect; known are ca_certs",
    ),
    "ssl_context": (
        tritonclient.http.aio.InferenceServerClient,
        {"ssl_context": ssl.create_default_context()},
        "ssl_context has no effect without ssl",
    ),
    **{
        f"{name}, {kind.__module__}": (kind, {name: "a"}, f"{name} has no effect without ssl")
        for name in FILES
        for kind in (
            tritonclient.grpc.InferenceServerClient,
            tritonclient.grpc.aio.InferenceServerClient,
        )
    },
    **{
        f"{name} and creds": (
            tritonclient.grpc.InferenceServerClient,
            {name: "a", "creds": CREDENTIALS},
            f"{name} has no effect: creds are used",
        )
        for name in FILES
    },
    "keepalive_options": (
        tritonclient.grpc.InferenceServerClient,
        {"keepalive_options": OPTIONS, "channel_args": []},
        "keepalive_options have no effect: channel_args replace them",
    ),
}


@pytest.mark.parametrize(("client", "arguments", "words"), WARNED.values(), ids=WARNED)
def test_classic_constructors(client, arguments, words):
    with pytest.warns(UserWarning, match=words) as caught:
        client("127.0.0.1:9", **arguments)
    assert [warning.filename for warning in caught] == [__file__]


CLASSIC_REFUSED = {
    "keyfile alone": (
        tritonclient.http.InferenceServerClient,
        {"ssl": True, "ssl_options": {"keyfile": "a"}},
        "a keyfile but no certfile",
    ),
    "context of a wrong type": (
        tritonclient.http.aio.InferenceServerClient,
        {"ssl": True, "ssl_context": "a"},
        "context of tls is str",
    ),
    "key alone": (
        tritonclient.grpc.InferenceServerClient,
        {"ssl": True, "private_key": "a"},
        "key_file but no cert_file",
    ),
}


@pytest.mark.parametrize(
    ("client", "arguments", "words"), CLASSIC_REFUSED.values(), ids=CLASSIC_REFUSED
)
def test_classic_constructors_refuse(client, arguments, words):
    with pytest.raises((TypeError, ValueError), match=words):
        client("127.0.0.1:9", **arguments)


def test_channel_arguments_without_effect_are_logged(caplog):
    caplog.set_level("DEBUG", "tritonclient")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tritonclient.grpc.InferenceServerClient(
            "127.0.0.1:9", channel_args=[("grpc.initial_reconnect_backoff_ms", 10)]
        )
    assert "grpc.initial_reconnect_backoff_ms has no effect" in caplog.text
