"""Callers' arguments stay as they are; the contract tests compare those of each call, too."""

from __future__ import annotations

import copy
import ssl

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
import tritonclient.http.aio
from tests.support.unchanged import Unchanged, snapshot
from tritonclient import AsyncClient, Client, Grpcio, RequestedOutput, Tensor
from tritonclient.classic.plugins import Request
from tritonclient.transport.alpn import announced

TEXT = st.text("abcxyz", min_size=1, max_size=5)
HEADERS = st.dictionaries(TEXT.map("x-{}".format), TEXT, max_size=4)
QUERY = st.dictionaries(TEXT, TEXT | st.lists(TEXT, max_size=3), max_size=3)
PARAMETERS = st.dictionaries(TEXT, TEXT | st.integers(0, 9) | st.booleans(), max_size=3)
many = settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=30)


def inputs():
    """Arrays in every form that clients take."""
    base = np.arange(32, dtype=np.int32).reshape(2, 16)
    return st.sampled_from(
        [
            {"A": base},
            {"A": base.T},
            {"A": base.astype(">i4")},
            {"A": base[:, ::2], "B": np.array(["a", "\u00fc"], object)},
            {"A": [[1, 2], [3, 4]], "B": ["a", b"b"]},
            {"A": Tensor([1.0, 2.0], "FP16"), "B": np.float32([[1]])},
            {"A": np.array([b"a", b"bc"]), "B": np.array(["a"], dtype=str)},
        ]
    )


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "grpc://127.0.0.1:9"])
@pytest.mark.parametrize("kind", [Client, AsyncClient])
@given(
    inputs=inputs(),
    headers=HEADERS,
    query=QUERY,
    parameters=PARAMETERS,
    outputs=st.lists(TEXT | TEXT.map(lambda name: RequestedOutput(name, 2)), max_size=3),
    coding=st.sampled_from([None, "gzip", "deflate"]),
)
@many
def test_preparing(kind, url, inputs, headers, query, parameters, outputs, coding):
    client = Unchanged(kind(url, headers=headers))
    client.prepare(
        "m",
        inputs,
        outputs=outputs,
        headers=headers,
        parameters=parameters,
        request_compression=coding,
        query=query if url.startswith("http") else None,
    )


def test_constructors():
    headers = {"a": "b"}
    options = [("grpc.lb_policy_name", "round_robin")]
    ssl_options = {"cert_reqs": ssl.CERT_NONE}
    arguments = [("grpc.max_receive_message_length", 2**20)]
    keep_alive = tritonclient.grpc.KeepAliveOptions(1000)
    before = snapshot([headers, options, ssl_options, arguments])
    kept = copy.copy(vars(keep_alive))
    for kind in (Client, AsyncClient):
        kind("http://a", headers=headers)
        kind("grpc://a", headers=headers, grpcio=Grpcio(options))
    tritonclient.http.InferenceServerClient("a", ssl=True, ssl_options=ssl_options)
    for module in (tritonclient.grpc, tritonclient.grpc.aio):
        module.InferenceServerClient("a", channel_args=arguments)
        module.InferenceServerClient("a", keepalive_options=keep_alive)
    assert snapshot([headers, options, ssl_options, arguments]) == before
    assert vars(keep_alive) == kept


def state(context):
    return (
        announced(context, "a"),
        [cipher["name"] for cipher in context.get_ciphers()],
        *(context.verify_mode, context.check_hostname, context.verify_flags, context.options),
        *(context.minimum_version, context.maximum_version, context.cert_store_stats()),
    )


@pytest.mark.parametrize("protocols", [[], ["h2"], ["http/1.1"]])
def test_contexts(protocols):
    context = ssl.create_default_context()
    if protocols:
        context.set_alpn_protocols(protocols)
    before = state(context)
    for kind in (Client, AsyncClient):
        for url in ("https://a", "grpcs://a"):
            for tls in (context, tritonclient.TLS(context=context)):
                try:
                    kind(url, tls=tls)
                except ValueError as error:
                    assert "context of tls" in str(error)
    try:
        tritonclient.http.aio.InferenceServerClient("a", ssl=True, ssl_context=context)
    except ValueError:
        assert protocols == ["h2"]
    assert state(context) == before


@given(HEADERS)
def test_plugins_get_a_copy(headers):
    """A plugin may change what it is given; the caller's dictionary stays."""
    given_headers = dict(headers)

    def plugin(request: Request) -> None:
        request.headers["added"] = "1"

    for module in (tritonclient.http, tritonclient.grpc):
        client = module.InferenceServerClient("127.0.0.1:9")
        client.register_plugin(plugin)
        client._headers(given_headers)
        assert given_headers == headers


def test_the_comparison_finds_changes():
    """The tests can fail."""

    class Careless:
        def call(self, headers, arrays):
            headers["a"] = "b"

        def deeper(self, headers, arrays):
            arrays["x"][0, 0] += 1

        def shape(self, headers, arrays):
            arrays["x"].resize(4, refcheck=False)

    for name in ("call", "deeper", "shape"):
        with pytest.raises(AssertionError, match=f"{name} changed an argument"):
            getattr(Unchanged(Careless()), name)({}, {"x": np.zeros((2, 2))})
    tensor = tritonclient.http.InferInput("a", [1], "INT32")
    before = snapshot(tensor)
    tensor.set_shape([2])
    assert snapshot(tensor) != before
