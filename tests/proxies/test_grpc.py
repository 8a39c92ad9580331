"""Calls over gRPC through real reverse proxies, nginx, haproxy and nghttpx, to the embedded server.

Each test runs on both of our clients and, to compare, on grpcio.
"""

from __future__ import annotations

import ast
import functools
import re
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest

from tests.support.peers.grpc_proxies import PROGRAMS, SMALL_BODY, serve
from tests.support.peers.hostile_peers import PATIENCE, AsyncRunner, Blocking, deadline_guard
from tritonclient import (
    TLS,
    ConnectionFailed,
    DeadlineExceeded,
    Grpcio,
    Internal,
    InvalidArgument,
    NotFound,
    ProtocolError,
    ResourceExhausted,
    Unavailable,
    Unknown,
)

#: 8 MiB, and incompressible, so that compression makes no small body of it.
LARGE = np.random.default_rng(7).standard_normal(2 << 20).astype(np.float32)
TEXTS = np.array([b"", b"a\0b", "ä€".encode(), b"x" * 100_000, *[b"%d" % n for n in range(5000)]])
TEXTS = TEXTS.astype(object)
A = np.arange(16, dtype=np.int32)[None]
#: What a peer fails with that speaks something else.
NOT_SPOKEN = (ConnectionFailed, ProtocolError)

RUNTIMES = {
    "blocking": Blocking,
    "asyncio": AsyncRunner,
    "grpcio": functools.partial(Blocking, grpcio=Grpcio()),
}
each_runtime = pytest.mark.parametrize("runtime", RUNTIMES.values(), ids=RUNTIMES)
each_program = pytest.mark.parametrize("program", PROGRAMS)
each_way = pytest.mark.parametrize(
    "way", [f"{program} {name}" for program in PROGRAMS for name in ("plain", "tls", "tight")]
)


def check_small(client, number=0, **options):
    result = client.infer("simple", {"INPUT0": A + number, "INPUT1": A}, **options)
    assert (result["OUTPUT0"] == A + number + A).all()


def check_large(client, tensor=LARGE, **options):
    result = client.infer("identity_fp32", {"INPUT0": tensor}, **options)
    assert (result["OUTPUT0"] == tensor).all()


def check_texts(client, **options):
    result = client.infer("identity_bytes", {"INPUT0": TEXTS}, **options)
    assert result["OUTPUT0"].tolist() == TEXTS.tolist()


async def acheck(client, number=0):
    result = await client.infer("simple", {"INPUT0": A + number, "INPUT1": A})
    assert (result["OUTPUT0"] == A + number + A).all()


@each_way
@each_runtime
def test_tensors(runtime, way, grpc_proxy):
    url, options = grpc_proxy(way)
    with runtime(url, timeout=PATIENCE, **options) as client:
        for number in range(3):
            check_small(client, number)
            check_large(client)
            check_texts(client)
        assert client.model_metadata("simple").name == "simple"
        assert client.model_config("simple")["name"] == "simple"
        assert client.is_server_ready()


@each_way
@each_runtime
@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_compression(runtime, way, coding, grpc_proxy):
    url, options = grpc_proxy(way)
    with runtime(url, timeout=PATIENCE, **options) as client:
        for _ in range(2):
            check_large(client, LARGE[: 1 << 18], request_compression=coding)
            check_texts(client, request_compression=coding)


@each_program
@each_runtime
def test_errors_of_the_server(runtime, program, grpc_proxy):
    text = "50 % of «this»\nfailed: ä€ 100%25 \N{GRINNING FACE} " + "x" * 300
    url, _ = grpc_proxy(f"{program} plain")
    with runtime(url, timeout=PATIENCE) as client:
        for _ in range(2):
            with pytest.raises(NotFound, match="unknown model: 'nonesuch'") as caught:
                client.infer("nonesuch", {"INPUT0": A})
            assert caught.value.status() == "StatusCode.NOT_FOUND"
            with pytest.raises(InvalidArgument, match="inputs"):
                client.infer("simple", {"INPUT0": A})
            with pytest.raises(Internal, match=re.escape(text)):
                client.infer("failing", {"MESSAGE": np.array([text.encode()], object)})
            check_small(client)


class Teller(grpc.GenericRpcHandler):
    """Refuses every call, and tells in the error what metadata came with it."""

    def service(self, details):
        def tell(request, context):
            received = [tuple(each) for each in details.invocation_metadata if each[0][:2] == "x-"]
            context.set_trailing_metadata([("grpc-status-details-bin", b"\0\xff details")])
            context.abort(grpc.StatusCode.NOT_FOUND, repr(received))

        return grpc.unary_unary_rpc_method_handler(tell)


@each_program
def test_metadata(program, authority, tmp_path):
    """Both ways, and binary values among it."""
    mine = {"x-raw-bin": bytes(range(256)), "x-trace": "50 %, %41", "x-zz": "y" * 1000}
    server = grpc.server(ThreadPoolExecutor(1), handlers=[Teller()])
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        with serve(tmp_path, program, "plain", address, authority) as proxy:
            for runtime in RUNTIMES.values():
                with runtime(proxy.url, timeout=PATIENCE, headers={"x-client": "me"}) as client:
                    for _ in range(2):
                        with pytest.raises(NotFound) as caught:
                            check_small(client, headers=mine)
                        received = ast.literal_eval(caught.value.message())
                        assert {"x-client": "me", **mine}.items() <= dict(received).items()
                        if runtime is not RUNTIMES["grpcio"]:
                            assert caught.value.debug_details() == b"\0\xff details"
    finally:
        server.stop(None).wait()


@each_program
@each_runtime
def test_deadline(runtime, program, grpc_proxy):
    url, _ = grpc_proxy(f"{program} plain")
    slow = {"INPUT0": A[0], "DELAY_MS": np.array([9000], np.int32)}
    with runtime(url, timeout=PATIENCE) as client:
        check_small(client)
        with deadline_guard(5), pytest.raises(DeadlineExceeded):
            client.infer("slow_identity", slow, timeout=0.3)
        check_small(client)


# Pages of the proxies


@each_program
@each_runtime
@pytest.mark.parametrize("tensor", [LARGE[:4], LARGE], ids=["small", "large"])
def test_nobody_behind_the_proxy(runtime, program, tensor, grpc_proxy):
    url, _ = grpc_proxy(f"{program} down")
    with runtime(url, timeout=PATIENCE) as client:
        for _ in range(3):
            with deadline_guard(), pytest.raises(Unavailable) as caught:
                client.infer("identity_fp32", {"INPUT0": tensor})
            assert caught.value.status() == "StatusCode.UNAVAILABLE"
            assert re.search("(?i)HTTP.*status.* 50[23]", caught.value.message())
            assert caught.value.model == "identity_fp32"
            with pytest.raises(Unavailable):
                client.server_metadata()
            assert client.is_server_live() is False


@pytest.mark.parametrize("program", ["nginx", "haproxy"])
@each_runtime
def test_nobody_behind_the_proxy_in_words_of_grpc(runtime, program, grpc_proxy):
    url, _ = grpc_proxy(f"{program} down in gRPC")
    with runtime(url, timeout=PATIENCE) as client:
        for _ in range(3):
            with deadline_guard(), pytest.raises(Unavailable) as caught:
                check_small(client)
            assert caught.value.status() == "StatusCode.UNAVAILABLE"
            assert caught.value.message() == "no server is up!"


@each_program
@each_runtime
def test_proxy_that_does_not_wait(runtime, program, grpc_proxy):
    kind, text = (Internal, "error code 2") if program == "nghttpx" else (Unavailable, "504")
    url, _ = grpc_proxy(f"{program} hasty")
    slow = {"INPUT0": A[0], "DELAY_MS": np.array([3000], np.int32)}
    with runtime(url, timeout=PATIENCE) as client:
        for _ in range(2):
            with deadline_guard(), pytest.raises(kind, match=text):
                client.infer("slow_identity", slow)
            check_small(client)


@each_runtime
def test_too_large_for_the_proxy(runtime, grpc_proxy):
    # What grpcio makes of it says little.
    kind = Unknown if runtime is RUNTIMES["grpcio"] else ResourceExhausted
    url, _ = grpc_proxy("nginx small")
    with runtime(url, timeout=PATIENCE) as client:
        for tensor in (LARGE, LARGE[: SMALL_BODY // 4]):
            check_small(client)
            with deadline_guard(), pytest.raises(kind, match="413") as caught:
                client.infer("identity_fp32", {"INPUT0": tensor})
            assert caught.value.model == "identity_fp32"
        check_small(client)


# TLS


@each_program
@each_runtime
def test_authority_is_verified(runtime, program, grpc_proxy):
    url, _ = grpc_proxy(f"{program} tls")
    with runtime(url, timeout=PATIENCE / 10) as client:
        with (
            deadline_guard(),
            pytest.raises(ConnectionFailed, match=r"(?i)certificate.verify.failed"),
        ):
            check_small(client)


@each_program
@each_runtime
def test_name_is_verified(runtime, program, grpc_proxy, ca_file):
    url, _ = grpc_proxy(f"{program} tls")
    tls = TLS(ca_file=ca_file, server_name="triton.example")
    with runtime(url, timeout=PATIENCE / 10, tls=tls) as client:
        with (
            deadline_guard(),
            pytest.raises(
                ConnectionFailed, match=r"(?i)hostname (mismatch|verification check failed)"
            ),
        ):
            check_small(client)


@each_runtime
@pytest.mark.parametrize(
    "way",
    # Nghttpx always understands HTTP/2 in the clear.
    [*(f"{program} tls without HTTP/2" for program in PROGRAMS), "nginx HTTP/1", "haproxy HTTP/1"],
)
def test_proxy_without_http2(runtime, way, grpc_proxy):
    url, options = grpc_proxy(way)
    with runtime(url, timeout=PATIENCE / 10, **options) as client:
        with (
            deadline_guard(),
            pytest.raises(NOT_SPOKEN, match=r"(?i)HTTP/?1|alpn|application.protocol"),
        ):
            check_small(client)


@each_program
@each_runtime
def test_plain_client_of_a_secure_listener(runtime, program, grpc_proxy):
    url, _ = grpc_proxy(f"{program} tls")
    with runtime(url.replace("grpcs", "grpc"), timeout=PATIENCE / 10) as client:
        with (
            deadline_guard(),
            pytest.raises(NOT_SPOKEN, match=r"(?i)HTTP/?1|closed"),
        ):
            check_small(client)


@each_program
@each_runtime
def test_secure_client_of_a_plain_listener(runtime, program, grpc_proxy, ca_file):
    url, _ = grpc_proxy(f"{program} plain")
    secure = url.replace("grpc", "grpcs")
    with runtime(secure, timeout=PATIENCE / 10, tls=TLS(ca_file=ca_file)) as client:
        with deadline_guard(), pytest.raises(ConnectionFailed, match=r"(?i)handshake"):
            check_small(client)
