"""Both clients through real reverse proxies, nginx and haproxy, to the embedded server."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.support.peers import http_proxies
from tests.support.peers.hostile_peers import PATIENCE, both_runtimes, deadline_guard
from tests.support.peers.http_proxies import KEEPALIVE_REQUESTS, SMALL_BODY
from tritonclient import (
    TLS,
    Client,
    ConnectionFailed,
    InvalidArgument,
    ResourceExhausted,
    Unavailable,
)

PROXIES = ("nginx", "haproxy")
#: 8 MiB, and incompressible, so that compression makes no small body of it.
LARGE = np.random.default_rng(7).standard_normal(2 << 20).astype(np.float32)
TEXTS = np.array([b"", b"a\0b", "ä€".encode(), b"x" * 100_000, *[b"%d" % n for n in range(5000)]])
TEXTS = TEXTS.astype(object)
A = np.arange(16, dtype=np.int32)[None]


@pytest.fixture(scope="module")
def nginx(embedded, authority, tmp_path_factory):
    directory = tmp_path_factory.mktemp("nginx")
    with http_proxies.nginx(directory, embedded.http_address, authority) as addresses:
        yield addresses


@pytest.fixture(scope="module")
def haproxy(embedded, authority, tmp_path_factory):
    directory = tmp_path_factory.mktemp("haproxy")
    with http_proxies.haproxy(directory, embedded.http_address, authority) as addresses:
        yield addresses


@pytest.fixture(params=[
    "nginx plain", "nginx plain /gateway", "nginx streaming", "nginx gzip", "nginx tls",
    "haproxy plain", "haproxy plain /gateway", "haproxy closing", "haproxy tls",
])  # fmt: skip
def way(request, ca_file):
    """URL of a listener that reaches the embedded server, and the options that it needs."""
    program, listener, *path = request.param.split()
    address = request.getfixturevalue(program)[listener] + "".join(path)
    if listener == "tls":
        return f"https://{address}", {"tls": TLS(ca_file=ca_file)}
    return f"http://{address}", {}


@pytest.fixture(params=PROXIES)
def proxy(request):
    """The name of a proxy and its listeners' addresses."""
    return request.param, request.getfixturevalue(request.param)


def check_small(client, number=0):
    result = client.infer("simple", {"INPUT0": A + number, "INPUT1": A})
    assert (result["OUTPUT0"] == A + number + A).all()


def check_large(client, tensor=LARGE, **options):
    result = client.infer("identity_fp32", {"INPUT0": tensor}, **options)
    assert (result["OUTPUT0"] == tensor).all()


def check_texts(client, **options):
    result = client.infer("identity_bytes", {"INPUT0": TEXTS}, **options)
    assert result["OUTPUT0"].tolist() == TEXTS.tolist()


def accepted(nginx):
    """How many connections nginx has accepted so far, the one that asks included."""
    status, body = http_proxies.get(nginx["plain"], "/status")
    assert status == 200
    return int(re.search(rb"requests\s+(\d+)", body)[1])


@both_runtimes
def test_tensors(runtime, way):
    url, options = way
    with runtime(url, timeout=PATIENCE, **options) as client:
        for number in range(3):
            check_small(client, number)
            check_large(client)
            check_texts(client)
        result = client.infer("simple", {"INPUT0": A, "INPUT1": A}, binary=False)
        assert (result["OUTPUT0"] == A + A).all()
        assert client.model_metadata("simple").name == "simple"
        assert client.is_server_ready()


@both_runtimes
@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_compression(runtime, way, coding):
    """Whoever compresses the answer, the server or the proxy, which then sends it in chunks."""
    url, options = way
    with runtime(url, timeout=PATIENCE, **options) as client:
        for _ in range(2):
            megabyte = LARGE[: 1 << 18]
            check_large(client, megabyte, request_compression=coding, response_compression=coding)
            check_texts(client, request_compression=coding, response_compression=coding)
            accepting = {"Accept-Encoding": coding}
            assert client.model_config("simple", headers=accepting)["name"] == "simple"


@both_runtimes
@pytest.mark.parametrize("listener", ["plain", "tls"])
def test_connections_that_are_closed_now_and_then(runtime, listener, nginx, ca_file):
    """The proxy announces the end of each connection, so that not even an inference fails."""
    scheme, options = (
        ("https", {"tls": TLS(ca_file=ca_file)}) if listener == "tls" else ("http", {})
    )
    calls = 10 * KEEPALIVE_REQUESTS
    before = accepted(nginx)
    with runtime(f"{scheme}://{nginx[listener]}", max_connections=1, **options) as client:
        for number in range(calls):
            check_small(client, number)
    assert accepted(nginx) - before - 1 == calls / KEEPALIVE_REQUESTS


@both_runtimes
def test_large_tensors_over_connections_that_are_closed(runtime, nginx):
    with runtime(f"http://{nginx['plain']}", max_connections=1, timeout=PATIENCE) as client:
        for _ in range(KEEPALIVE_REQUESTS + 2):
            check_large(client)


def test_threads_share_a_client(way):
    url, options = way
    with (
        Client(url, timeout=PATIENCE, **options) as client,
        ThreadPoolExecutor(16) as pool,
    ):
        list(pool.map(lambda number: check_small(client, number), range(400)))
        list(pool.map(lambda number: check_texts(client), range(32)))


def test_tasks_share_a_client(way):
    from tritonclient import AsyncClient

    url, options = way

    async def worker(client, first):
        for number in range(first, 400, 16):
            result = await client.infer("simple", {"INPUT0": A + number, "INPUT1": A})
            assert (result["OUTPUT0"] == A + number + A).all()

    async def main():
        async with AsyncClient(url, timeout=PATIENCE, **options) as client:
            await asyncio.gather(*[worker(client, first) for first in range(16)])

    asyncio.run(main())


# Pages of the proxies


@both_runtimes
def test_too_large_for_the_proxy(runtime, nginx):
    url = f"http://{nginx['small']}"
    with runtime(url, timeout=PATIENCE, max_connections=1) as client:
        for tensor in (LARGE, LARGE[: SMALL_BODY // 4]):
            check_small(client)
            with deadline_guard(), pytest.raises(ResourceExhausted) as caught:
                client.infer("identity_fp32", {"INPUT0": tensor})
            assert "413 Request Entity Too Large" in caught.value.message()
            assert caught.value.status() == "413"
            assert (caught.value.endpoint, caught.value.model) == (url, "identity_fp32")
        check_small(client)


@both_runtimes
@pytest.mark.parametrize("tensor", [LARGE[:4], LARGE], ids=["small", "large"])
def test_nobody_behind_the_proxy(runtime, proxy, tensor):
    name, addresses = proxy
    status, title = {
        "nginx": ("502", "502 Bad Gateway"),
        "haproxy": ("503", "503 Service Unavailable"),
    }[name]
    with runtime(f"http://{addresses['plain']}/down", timeout=PATIENCE) as client:
        for _ in range(3):
            with deadline_guard(), pytest.raises(Unavailable) as caught:
                client.infer("identity_fp32", {"INPUT0": tensor})
            assert (caught.value.status(), title in caught.value.message()) == (status, True)
            with pytest.raises(Unavailable, match=title):
                client.server_metadata()
            assert client.is_server_live() is False
    with runtime(f"http://{addresses['plain']}") as client:
        check_small(client)


# Connections


@both_runtimes
def test_idle_connection_closed(runtime, proxy):
    """A connection that was idle for shorter tells when the client's has been closed as well."""
    _, addresses = proxy
    host, _, port = addresses["idle"].partition(":")
    with runtime(f"http://{addresses['idle']}", max_connections=1) as client:
        for number in range(3):
            check_small(client, number)
            other = http.client.HTTPConnection(host, int(port), timeout=PATIENCE)
            with contextlib.closing(other):
                other.request("GET", "/v2/health/ready")
                other.getresponse().read()
                assert other.sock.recv(1) == b""


@both_runtimes
def test_authority_is_verified(runtime, proxy):
    with runtime(f"https://{proxy[1]['tls']}") as client:
        with deadline_guard(), pytest.raises(ConnectionFailed, match="certificate verify failed"):
            check_small(client)


@both_runtimes
def test_plain_client_of_a_secure_listener(runtime, nginx):
    with runtime(f"http://{nginx['tls']}") as client:
        with deadline_guard(), pytest.raises(InvalidArgument, match="plain HTTP request was sent"):
            check_small(client)


@both_runtimes
def test_secure_client_of_a_plain_listener(runtime, proxy):
    with runtime(f"https://{proxy[1]['plain']}") as client:
        with deadline_guard(), pytest.raises(ConnectionFailed, match="TLS handshake"):
            check_small(client)
