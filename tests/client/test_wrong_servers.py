"""URLs of servers that are no inference servers: what the error says, and that it comes at once."""

from __future__ import annotations

import contextlib
import json

import numpy as np
import pytest

from tests.support.peers.hostile_peers import (
    Server,
    answer_all,
    both_runtimes,
    drain,
    http,
    reset,
    send,
)
from tritonclient import ConnectionFailed, InferenceServerException, ProtocolError

X = {"X": np.zeros(1, np.float32)}

#: What servers of other protocols say first.
OTHERS = {
    "redis": b"-ERR unknown command 'POST'\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.2p1\r\n",
    "smtp": b"220 mail.example.com ESMTP\r\n",
    "memcached": b"ERROR\r\n",  # shorter than a frame's head
    "postgres": b"E\0\0\0\x0cSFATAL\0\0",
    "page without a head": b"<!DOCTYPE html>\n<html></html>",
}


def caught(runtime, url):
    with runtime(url) as client, pytest.raises(InferenceServerException) as error:
        client.infer("m", X)
    return error.value


@both_runtimes
@pytest.mark.parametrize("scheme", ["http", "grpc"])
@pytest.mark.parametrize("begin", OTHERS.values(), ids=OTHERS)
def test_another_protocol(runtime, scheme, begin):
    # The connection stays open: the first bytes decide, not the end.
    with Server([send(begin), drain]) as server:
        error = caught(runtime, f"{scheme}://127.0.0.1:{server.port}")
    name = {"http": "HTTP", "grpc": "gRPC"}[scheme]
    assert isinstance(error, ProtocolError)
    assert f"it begins with {begin!r}; is this a port for {name}?" in str(error)


@both_runtimes
@pytest.mark.parametrize("begin", [b"H", b"HTT"])
def test_what_may_still_become_http(runtime, begin):
    with Server([send(begin), drain]) as server:
        url = f"grpc://127.0.0.1:{server.port}"
        with runtime(url, timeout=0.5) as client, pytest.raises(InferenceServerException) as error:
            client.infer("m", X)
    assert "is not HTTP/2" not in str(error.value)


PAGE = b"<html><title>403 Forbidden</title></html>"
PAGES = {
    "unknown method": (
        "501 Unsupported method",
        PAGE,
        "this is a page for people; is this the url",
    ),
    "not found": ("404 Not Found", b"<!DOCTYPE HTML><html></html>", "this is a page for people"),
    "bad gateway": ("502 Bad Gateway", PAGE, "a proxy answers, and does not reach the server"),
    "unavailable": ("503 Service Unavailable", b"\n<?xml version='1.0'?>", "a proxy answers"),
    "no route": (
        "404 Not Found",
        b'{"detail":"Not Found"}',
        "the url is the server's root, without",
    ),
    "no method": ("405 No", b'{"detail":"Method Not Allowed"}', "no inference server answers at"),
    "empty": ("200 OK", b"{}", "it begins with '{}'; is this the url of an inference server?"),
}


@both_runtimes
@pytest.mark.parametrize(("status", "body", "words"), PAGES.values(), ids=PAGES)
def test_a_web_server(runtime, status, body, words):
    with Server([answer_all(http(body, status=status))]) as server:
        error = caught(runtime, server.url)
    assert words in error.hint
    assert str(error.message()) in str(error)


@both_runtimes
def test_redirected(runtime):
    answer = http(b"", "Location: https://example.com/login", status="302 Found")
    with Server([answer_all(answer)]) as server:
        error = caught(runtime, server.url)
    assert "redirected to https://example.com/login" in error.message()
    assert "the one that it redirects to" in error.hint


@both_runtimes
@pytest.mark.parametrize(
    ("scheme", "words"),
    [
        ("http", "is this a port with TLS?"),
        ("https", "is this a port for HTTP with TLS?"),
        ("grpc", "is this a port for gRPC"),
        ("grpcs", "is this a port for gRPC with TLS?"),
    ],
)
def test_a_port_that_resets(runtime, scheme, words):
    def reset_at_first_byte(peer):
        with contextlib.suppress(OSError):
            peer.receive()
        reset(peer)

    with Server([reset_at_first_byte]) as server:
        error = caught(runtime, f"{scheme}://127.0.0.1:{server.port}")
    assert isinstance(error, ConnectionFailed)
    assert words in str(error)


HOSTILE = [
    "unexpected shape for input 'X' for model 'm'. Expected [-,-], got [--,,-]. ",
    "unexpected shape for input 'X' for model 'm'. Expected [" + "9" * 5000 + "], got [1]. ",
    "unexpected shape for input " * 40_000,
    "data-type is 'FP32', but " * 40_000,
    "inference input 'X' data-type is 'NONE', but model 'm' expects 'NOTHING'",
]


@both_runtimes
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_texts_that_look_like_tritons(runtime, text):
    body = json.dumps({"error": text}).encode()
    with Server([answer_all(http(body, status="400 Bad Request"))]) as server:
        error = caught(runtime, server.url)
    assert error.message() == text
    assert error.hint == ""
