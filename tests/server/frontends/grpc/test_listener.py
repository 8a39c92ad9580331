"""Addresses, ports and options of the gRPC frontend."""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
import sys
import threading
from typing import Any

import grpc
import grpc.aio
import numpy as np
import pytest
from scripts.record_vectors.rpc_inference import simple
from scripts.record_vectors.rpc_recorder import encode

from tests.server.conftest import MODELS, RepositoryMaker
from tests.server.frontends.grpc.support import (
    LIMITLESS,
    asking,
    fp32,
    refused,
)
from tritonclient.codec import rpc
from tritonclient.errors import Internal
from tritonclient.server import GrpcOptions, Server


def test_where_it_is(repository: RepositoryMaker) -> None:
    repository.python("a")
    with Server(repository.directory) as server:
        assert server.grpc_url == f"grpc://127.0.0.1:{server.grpc_port}"
        assert server.grpc_address == f"127.0.0.1:{server.grpc_port}"
        assert server.grpc_port != server.http_port
    with pytest.raises(RuntimeError, match="not running"):
        server.grpc_url  # noqa: B018
    options = GrpcOptions(host="0.0.0.0")
    with Server(repository.directory, http_port=None, grpc=options) as server:
        assert repr(server) == f"<Server at grpc://127.0.0.1:{server.grpc_port}, running>"
        with pytest.raises(RuntimeError, match="does not serve HTTP"):
            server.http_url  # noqa: B018
    with Server(repository.directory, grpc_port=None) as server:
        assert repr(server) == f"<Server at {server.http_url}, running>"
        with pytest.raises(RuntimeError, match="does not serve gRPC"):
            server.grpc_port  # noqa: B018


def test_ipv6(repository: RepositoryMaker) -> None:
    repository.python("a")
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with Server(repository.directory, host="::1") as server:
        assert server.grpc_url == f"grpc://[::1]:{server.grpc_port}"
        with grpc.insecure_channel(server.grpc_address) as channel:
            assert asking(channel)("ServerReady").ready


def test_host_that_is_none(repository: RepositoryMaker) -> None:
    nowhere = GrpcOptions(host="nowhere.invalid")
    with pytest.raises(OSError, match=r"can't listen at nowhere\.invalid:0"):
        Server(repository.directory, grpc=nowhere).start()


def test_several_at_once_on_several_event_loops() -> None:
    """The clients' loops share one thread of grpcio."""
    failures: list[BaseException] = []

    async def ask(server: Server) -> None:
        async with grpc.aio.insecure_channel(server.grpc_address) as channel:
            call = channel.unary_unary(f"/{rpc.SERVICE}/ModelInfer")
            message = encode("ModelInferRequest", simple())
            assert len(set(await asyncio.gather(*[call(message) for _ in range(50)]))) == 1

    def work(server: Server) -> None:
        try:
            asyncio.run(ask(server))
        except BaseException as error:
            failures.append(error)

    servers = [Server(MODELS).start() for _ in range(3)]
    threads = [threading.Thread(target=work, args=(server,)) for server in servers * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stopping = [threading.Thread(target=server.stop) for server in servers]
    for thread in stopping:
        thread.start()
    for thread in stopping:
        thread.join()
    assert not failures


def test_ports_that_are_taken(repository: RepositoryMaker) -> None:
    repository.python("a")
    with Server(repository.directory) as server:
        for port in (server.grpc_port, server.http_port):
            with pytest.raises(OSError, match=rf"can't listen at 127\.0\.0\.1:{port}: .*in use"):
                Server(repository.directory, grpc_port=port).start()


def test_ports_that_are_shared(repository: RepositoryMaker) -> None:
    repository.python("a")
    shared = GrpcOptions(reuse_port=True)
    with Server(repository.directory, grpc=shared) as one:
        with Server(repository.directory, grpc=shared, grpc_port=one.grpc_port) as other:
            assert one.grpc_port == other.grpc_port


def test_start_that_fails_lets_go_of_the_port(repository: RepositoryMaker) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    repository.python("a", "1/0")
    with pytest.raises(Internal):
        Server(repository.directory, grpc_port=port).start()
    socket.create_server(("127.0.0.1", port)).close()


def test_arguments_of_the_channel(repository: RepositoryMaker) -> None:
    repository.python("a")
    arguments = {"grpc.max_connection_age_ms": 100, "grpc.max_connection_age_grace_ms": 100}
    with Server(repository.directory, grpc=GrpcOptions(channel_arguments=arguments)) as server:
        with grpc.insecure_channel(server.grpc_address) as channel:
            forever = threading.Event()
            call = channel.stream_stream(f"/{rpc.SERVICE}/ModelStreamInfer")(
                iter(forever.wait, None)
            )
            with refused(grpc.StatusCode.UNAVAILABLE):
                call.result()
            forever.set()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"grpc_port": 99999}, ValueError, "grpc_port is 99999"),
        ({"grpc_port": "8001"}, TypeError, "grpc_port is '8001'"),
        ({"grpc": {"compression_level": "much"}}, ValueError, "compression_level is 'much'"),
        ({"grpc": {"certfile": "x"}}, ValueError, "certfile and keyfile belong together"),
        ({"grpc": {"secure": True}}, ValueError, "needs certfile and keyfile"),
        ({"grpc": {"client_ca_file": "x"}}, ValueError, "needs certfile and keyfile"),
        (
            {"grpc": {"channel_arguments": {"grpc.keepalive_time": 1}}},
            ValueError,
            "'grpc.keepalive_time', .* did you mean 'grpc.keepalive_time_ms'",
        ),
        (
            {"grpc": {"channel_arguments": {"grpc.keepalive_time_ms": "1"}}},
            TypeError,
            "'grpc.keepalive_time_ms'. is of type str, expected a whole number",
        ),
        (
            {"grpc": {"channel_arguments": {"grpc.max_connection_age_ms": -1}}},
            ValueError,
            "is -1, expected a number from 0 on",
        ),
    ],
)
def test_arguments_that_make_no_sense(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        if "grpc" in options:
            options = {"grpc": GrpcOptions(**options["grpc"])}
        Server(MODELS, **options)


def test_without_hpack() -> None:
    code = (
        "import sys; sys.modules['hpack'] = None\n"
        "from tritonclient.server import Server\n"
        f"with Server({str(MODELS)!r}) as server: print(server)\n"
        f"Server({str(MODELS)!r}, grpc_port=0).start()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert re.fullmatch(r"<Server at http://127\.0\.0\.1:\d+, running>\n", done.stdout)
    assert "the embedded server needs hpack" in done.stderr
    assert "pip install hpack httptools onnxruntime protobuf uvicorn" in done.stderr


def test_what_is_needed_is_imported_when_it_is_needed() -> None:
    code = (
        "import sys\n"
        "from tritonclient.server import Server\n"
        f"with Server({str(MODELS)!r}, grpc_port=None): print('hpack' in sys.modules)\n"
        f"with Server({str(MODELS)!r}): print('hpack' in sys.modules, 'grpc' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\nTrue False\n"


@pytest.mark.parametrize("coding", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_messages_have_a_limit(repository: RepositoryMaker, coding: grpc.Compression) -> None:
    """It holds before and after decompression."""
    repository.python("a")
    options = GrpcOptions(channel_arguments={"grpc.max_receive_message_length": 1 << 20})
    with (
        Server(repository.directory, grpc=options) as server,
        grpc.insecure_channel(server.grpc_address, LIMITLESS, coding) as channel,
    ):
        ask = asking(channel)
        assert ask("ModelInfer", **fp32("a", np.zeros(1 << 17)))
        with pytest.raises(grpc.RpcError) as caught:
            ask("ModelInfer", **fp32("a", np.zeros(1 << 18)))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "larger than max" in str(caught.value.details())
        assert ask("ModelInfer", **fp32("a", np.zeros(1 << 17)))
