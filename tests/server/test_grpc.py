"""The gRPC front, end to end over grpcio's own channels."""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import grpc.aio
import numpy as np
import pytest
import trustme

from tests.record_vectors.rpc_inference import raw, simple, tensor
from tests.record_vectors.rpc_recorder import encode
from tests.server.conftest import ECHO, MODELS, RepositoryMaker
from tests.waiting import eventually
from tritonclient.codec import messages_pb, rpc
from tritonclient.errors import Internal
from tritonclient.server import GrpcOptions, Server

HEALTH = "/grpc.health.v1.Health"
LIMITLESS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
#: Adds 1 to its input, in its own memory.
IN_PLACE = """
import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def execute(self, requests):
        (tensor,) = requests[0].inputs()
        array = tensor.as_numpy()
        array += 1
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", array)])]
"""
#: Tells when it executes, and ends when its request is cancelled.
PATIENT = """
import time
class TritonPythonModel:
    def execute(self, requests):
        open(__file__ + ".executing", "w").close()
        while not requests[0].is_cancelled():
            time.sleep(0.001)
        open(__file__ + ".cancelled", "w").close()
        raise ValueError("cancelled")
"""
#: Tells when it executes, and takes a while.
SLOW = """
import time
import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def execute(self, requests):
        open(__file__ + ".executing", "w").close()
        time.sleep(0.2)
        tensor = pb_utils.Tensor("OUT", requests[0].inputs()[0].as_numpy())
        return [pb_utils.InferenceResponse([tensor])]
"""
WORDY = """
class TritonPythonModel:
    def execute(self, requests):
        raise ValueError("\N{GREEK SMALL LETTER OMEGA}" * 99999)
"""

Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(MODELS, model_control_mode="explicit", load_models=["*"]) as server:
        yield server


@pytest.fixture(scope="module")
def channel(server: Server) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(server.grpc_address, LIMITLESS) as channel:
        yield channel


@pytest.fixture(scope="module")
def ask(channel: grpc.Channel) -> Ask:
    return asking(channel)


def asking(channel: grpc.Channel) -> Ask:
    """Makes unary calls, with the fields of their requests; gives the answers' messages."""

    def ask(method: str, timeout: float = 30, /, **fields: Any) -> Any:
        data = procedure(channel, method)(encode(f"{method}Request", fields), timeout=timeout)
        return messages_pb.message(f"{method}Response").FromString(data)

    return ask


def procedure(channel: grpc.Channel, method: str) -> grpc.UnaryUnaryMultiCallable[bytes, bytes]:
    return channel.unary_unary(f"/{rpc.SERVICE}/{method}")


@contextmanager
def refused(code: grpc.StatusCode, text: str = "") -> Iterator[None]:
    with pytest.raises(grpc.RpcError) as caught:
        yield
    assert caught.value.code() is code
    if text:
        assert caught.value.details() == text


def stream(
    channel: grpc.Channel, *messages: bytes, metadata: Any = None, timeout: float = 30
) -> Any:
    """A stream with all requests sent at once; the call, which gives bytes."""
    callable = channel.stream_stream(f"/{rpc.SERVICE}/ModelStreamInfer")
    return callable(iter(messages), metadata=metadata, timeout=timeout)


def fp32(model: str, values: Any) -> dict[str, Any]:
    data = np.asarray(values, "<f4")
    return raw(model, [tensor("IN", "FP32", data.shape)], data.tobytes())


def test_every_procedure(ask: Ask) -> None:
    assert ask("ServerLive").live
    assert ask("ServerReady").ready
    assert ask("ModelReady", name="simple").ready
    assert not ask("ModelReady", name="nope").ready
    assert ask("ServerMetadata").name == "triton"
    assert ask("ModelMetadata", name="versioned").versions == ["1", "2"]
    assert ask("ModelConfig", name="simple").config.max_batch_size == 8
    assert ask("ModelInfer", **simple(id="7")).id == "7"
    assert ask("ModelStatistics", name="simple").model_stats[0].inference_count > 0
    assert "simple" in {model.name for model in ask("RepositoryIndex", ready=True).models}
    ask("RepositoryModelUnload", model_name="versioned")
    assert not ask("ModelReady", name="versioned").ready
    ask("RepositoryModelLoad", model_name="versioned")
    assert ask("ModelReady", name="versioned").ready
    assert not ask("SystemSharedMemoryStatus").regions
    ask("SystemSharedMemoryUnregister")
    assert not ask("CudaSharedMemoryStatus").regions
    ask("CudaSharedMemoryUnregister")
    assert ask("TraceSetting").settings["trace_count"].value == ["-1"]
    assert ask("LogSettings").settings["log_info"].bool_param


def test_every_procedure_has_a_handler(channel: grpc.Channel) -> None:
    service = messages_pb.file("grpc_service.proto").services_by_name["GRPCInferenceService"]
    assert len(service.methods) == 20
    for method in service.methods:
        with pytest.raises(grpc.RpcError) as caught:
            # No message has this form.
            channel.stream_stream(f"/{rpc.SERVICE}/{method.name}")(iter([b"\xff"])).result()
        assert caught.value.code() is grpc.StatusCode.INTERNAL
        assert str(caught.value.details()).startswith("Unable to parse request")


def test_procedure_that_is_none(channel: grpc.Channel) -> None:
    with refused(grpc.StatusCode.UNIMPLEMENTED, "Method not found!"):
        procedure(channel, "Nope")(b"")


def test_errors_have_the_code_of_their_kind(ask: Ask) -> None:
    with refused(grpc.StatusCode.NOT_FOUND, "Request for unknown model: 'nope' is not found"):
        ask("ModelInfer", **simple(model_name="nope"))
    with refused(
        grpc.StatusCode.INVALID_ARGUMENT, "unexpected inference output 'X' for model 'simple'"
    ):
        ask("ModelInfer", **simple(outputs=[{"name": "X"}]))


def test_words_of_an_error_that_are_too_many_for_clients(repository: RepositoryMaker) -> None:
    repository.python("a", WORDY)
    with Server(repository.directory) as server:
        with grpc.insecure_channel(server.grpc_address) as channel:
            with pytest.raises(grpc.RpcError) as caught:
                asking(channel)("ModelInfer", **fp32("a", [1]))
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    details = str(caught.value.details())
    assert "ValueError: \N{GREEK SMALL LETTER OMEGA}" in details
    assert details.endswith("\N{GREEK SMALL LETTER OMEGA}...")


def test_large_messages(ask: Ask) -> None:
    data = bytes(range(256)) * (1 << 17)  # 32 MiB, and clients and servers refuse 4 by default
    request = raw("identity_fp32", [tensor("INPUT0", "FP32", [len(data) // 4])], data)
    assert ask("ModelInfer", **request).raw_output_contents == [data]


def test_models_may_write_to_their_inputs(repository: RepositoryMaker) -> None:
    repository.python("a", IN_PLACE)
    with Server(repository.directory) as server:
        with grpc.insecure_channel(server.grpc_address) as channel:
            (data,) = asking(channel)("ModelInfer", **fp32("a", [1, 2])).raw_output_contents
    assert np.frombuffer(data, "<f4").tolist() == [2, 3]


# Calls that end early


@contextmanager
def patient(repository: RepositoryMaker, **options: Any) -> Iterator[tuple[Server, Path]]:
    """A server whose model ends when its request is cancelled, and tells by files."""
    directory = repository.python("patient", PATIENT)
    with Server(repository.directory, **options) as server:
        yield server, directory / "1"


def test_a_client_that_cancels(repository: RepositoryMaker) -> None:
    with patient(repository) as (server, place):
        with grpc.insecure_channel(server.grpc_address) as channel:
            message = encode("ModelInferRequest", fp32("patient", [1]))
            call = procedure(channel, "ModelInfer").future(message)
            eventually((place / "model.py.executing").exists)
            call.cancel()
            eventually((place / "model.py.cancelled").exists)


def test_a_deadline_ends_the_work(repository: RepositoryMaker) -> None:
    with patient(repository) as (server, place):
        with grpc.insecure_channel(server.grpc_address) as channel:
            with pytest.raises(grpc.RpcError) as caught:
                asking(channel)("ModelInfer", 0.5, **fp32("patient", [1]))
            assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            eventually((place / "model.py.cancelled").exists)


def test_stopping_cancels_what_takes_too_long(
    repository: RepositoryMaker, caplog: pytest.LogCaptureFixture
) -> None:
    with patient(repository, exit_timeout=0) as (server, place):
        channel = grpc.insecure_channel(server.grpc_address)
        message = encode("ModelInferRequest", fp32("patient", [1]))
        call = procedure(channel, "ModelInfer").future(message)
        eventually((place / "model.py.executing").exists)
    with channel, refused(grpc.StatusCode.UNAVAILABLE, "the server is shutting down"):
        call.result()
    assert "cancelled 1 call(s) that took longer than the exit timeout of 0 s" in caplog.text
    assert (place / "model.py.cancelled").exists()


def test_stopping_does_not_wait_for_a_request_that_never_ends(repository: RepositoryMaker) -> None:
    with Server(repository.directory, exit_timeout=0) as server:
        channel = grpc.insecure_channel(server.grpc_address)
        forever = threading.Event()
        half = channel.stream_unary(f"/{rpc.SERVICE}/ModelInfer").future(iter(forever.wait, None))
        assert asking(channel)("ServerReady").ready
    with channel, pytest.raises(grpc.RpcError):
        half.result()
    forever.set()


def test_stopping_waits_for_what_is_in_work(repository: RepositoryMaker) -> None:
    executing = repository.python("slow", SLOW) / "1" / "model.py.executing"
    with Server(repository.directory) as server:
        channel = grpc.insecure_channel(server.grpc_address)
        call = procedure(channel, "ModelInfer").future(
            encode("ModelInferRequest", fp32("slow", [7]))
        )
        eventually(executing.exists)
    with channel:
        answer = messages_pb.message("ModelInferResponse").FromString(call.result())
    assert np.frombuffer(answer.raw_output_contents[0], "<f4").tolist() == [7]


def test_nobody_waits_for_a_model_to_learn_how_the_server_is(repository: RepositoryMaker) -> None:
    with patient(repository, exit_timeout=0) as (server, place):
        with grpc.insecure_channel(server.grpc_address) as channel:
            message = encode("ModelInferRequest", fp32("patient", [1]))
            calls = [procedure(channel, "ModelInfer").future(message) for _ in range(300)]
            eventually((place / "model.py.executing").exists)
            assert asking(channel)("ServerReady").ready
            for call in calls:
                call.cancel()


# Compression


@pytest.mark.parametrize(
    ("level", "magic"), [("none", b"\x0a\x06"), ("low", b"\x1f\x8b"), ("high", b"\x78\x9c")]
)
def test_compressed_answers(level: str, magic: bytes) -> None:
    """Seen by a client that leaves them as they come."""
    as_they_come = [("grpc.per_message_decompression", 0)]
    options = GrpcOptions(compression_level=level)
    message = encode("ModelInferRequest", simple(id="x" * 99))
    with Server(MODELS, http_port=None, grpc=options) as server:
        with grpc.insecure_channel(server.grpc_address) as channel:
            plain = procedure(channel, "ModelInfer")(message)
        with grpc.insecure_channel(server.grpc_address, as_they_come) as channel:
            found = procedure(channel, "ModelInfer")(message)
            streamed = next(stream(channel, message))
    assert found[:2] == magic
    assert (found if level == "none" else zlib.decompress(found, 47)) == plain
    assert (streamed[:2] == magic) == (level != "none")


def test_no_compressed_answers_for_those_who_do_not_take_them() -> None:
    none = [
        ("grpc.compression_enabled_algorithms_bitset", 1),
        ("grpc.per_message_decompression", 0),
    ]
    with Server(MODELS, http_port=None, grpc=GrpcOptions(compression_level="high")) as server:
        with grpc.insecure_channel(server.grpc_address, none) as channel:
            answer = procedure(channel, "ModelInfer")(
                encode("ModelInferRequest", simple(id="x" * 99))
            )
    assert answer.startswith(b"\x0a\x06simple")


@pytest.mark.parametrize("coding", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_compressed_requests(server: Server, coding: grpc.Compression) -> None:
    with grpc.insecure_channel(server.grpc_address, compression=coding) as channel:
        assert asking(channel)("ModelInfer", **simple(id="x" * 99)).id == "x" * 99


# TLS


class Certificates(NamedTuple):
    """Files of a server and of a client, signed by an authority."""

    authority: Path
    certfile: Path
    keyfile: Path
    client: grpc.ChannelCredentials
    stranger: grpc.ChannelCredentials


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    authority, other = trustme.CA(), trustme.CA()
    files = Certificates(
        *(tmp_path / name for name in ("ca.pem", "cert.pem", "key.pem")), None, None
    )
    issued = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(files.authority)
    issued.private_key_pem.write_to_path(files.keyfile)
    issued.cert_chain_pems[0].write_to_path(files.certfile)

    def credentials(signer: trustme.CA) -> grpc.ChannelCredentials:
        own = signer.issue_cert("client@example.org")
        return grpc.ssl_channel_credentials(
            authority.cert_pem.bytes(),
            own.private_key_pem.bytes(),
            own.cert_chain_pems[0].bytes(),
        )

    return files._replace(client=credentials(authority), stranger=credentials(other))


def ready(server: Server, credentials: grpc.ChannelCredentials) -> bool:
    with grpc.secure_channel(server.grpc_address, credentials) as channel:
        return bool(asking(channel)("ServerReady").ready)


def test_tls(certificates: Certificates) -> None:
    """One certificate serves both protocols."""
    with Server(
        MODELS, host="localhost", certfile=certificates.certfile, keyfile=certificates.keyfile
    ) as server:
        assert server.grpc_url == f"grpcs://localhost:{server.grpc_port}"
        assert server.http_url == f"https://localhost:{server.http_port}"
        anonymous = grpc.ssl_channel_credentials(certificates.authority.read_bytes())
        assert ready(server, anonymous)
        with grpc.insecure_channel(server.grpc_address) as channel:
            with refused(grpc.StatusCode.UNAVAILABLE):
                asking(channel)("ServerReady")


def test_tls_on_both_sides(certificates: Certificates) -> None:
    options = GrpcOptions(
        certfile=certificates.certfile,
        keyfile=certificates.keyfile,
        client_ca_file=certificates.authority,
    )
    with Server(MODELS, host="localhost", grpc=options) as server:
        assert server.grpc_url.startswith("grpcs://")
        assert server.http_url.startswith("http://")
        assert ready(server, certificates.client)
        with refused(grpc.StatusCode.UNAVAILABLE):
            ready(server, certificates.stranger)
        with refused(grpc.StatusCode.UNAVAILABLE):
            ready(server, grpc.ssl_channel_credentials(certificates.authority.read_bytes()))


def test_tls_for_http_alone(certificates: Certificates) -> None:
    certificate = {"certfile": certificates.certfile, "keyfile": certificates.keyfile}
    with Server(MODELS, grpc=GrpcOptions(secure=False), **certificate) as server:
        assert server.grpc_url.startswith("grpc://")
        with grpc.insecure_channel(server.grpc_address) as channel:
            assert asking(channel)("ServerReady").ready


def test_certificates_that_are_none(certificates: Certificates, tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("no")
    good = {"certfile": certificates.certfile, "keyfile": certificates.keyfile}
    for wrong in (
        {"keyfile": tmp_path / "no.pem"},
        {"certfile": tmp_path / "missing.pem"},
        {"client_ca_file": tmp_path / "no.pem"},
    ):
        with pytest.raises(OSError):  # noqa: PT011  # whose kinds and words are OpenSSL's
            Server(MODELS, http_port=None, grpc=GrpcOptions(**{**good, **wrong})).start()


# Health


def check(channel: grpc.Channel, service: str = "") -> int:
    kind = messages_pb.message("grpc.health.v1.HealthCheckRequest")
    answer = channel.unary_unary(f"{HEALTH}/Check")(kind(service=service).SerializeToString())
    return status_of(answer)


def status_of(answer: bytes) -> int:
    return int(messages_pb.message("grpc.health.v1.HealthCheckResponse").FromString(answer).status)


SERVING, NOT_SERVING = 1, 2


def test_health(channel: grpc.Channel) -> None:
    for service in ("", "inference.GRPCInferenceService", "anything"):
        assert check(channel, service) == SERVING
    for procedure in (f"{HEALTH}/Check", f"{HEALTH}/Watch"):
        with refused(grpc.StatusCode.INTERNAL, "Unable to parse request"):
            channel.stream_stream(procedure)(iter([b"\xff"])).result()


def test_health_is_watched(repository: RepositoryMaker) -> None:
    place = repository.python("a", "1/0")
    options: dict[str, Any] = {"model_control_mode": "explicit", "exit_on_error": False}
    with Server(repository.directory, load_models=["a"], **options) as server:
        channel = grpc.insecure_channel(server.grpc_address)
        watch = channel.unary_stream(f"{HEALTH}/Watch")(b"")
        assert check(channel) == status_of(next(watch)) == NOT_SERVING
        (place / "1" / "model.py").write_text(ECHO)
        asking(channel)("RepositoryModelLoad", model_name="a")
        assert status_of(next(watch)) == SERVING
    with channel, refused(grpc.StatusCode.UNAVAILABLE, "the server is shutting down"):
        next(watch)


# Serving


def test_where_it_is(repository: RepositoryMaker) -> None:
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
    """The servers' and the clients' loops share one thread of grpcio."""
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
    with Server(repository.directory) as server:
        for port in (server.grpc_port, server.http_port):
            with pytest.raises(OSError, match=rf"can't listen at 127\.0\.0\.1:{port}: .*in use"):
                Server(repository.directory, grpc_port=port).start()


def test_ports_that_are_shared(repository: RepositoryMaker) -> None:
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
    ],
)
def test_arguments_that_make_no_sense(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        if "grpc" in options:
            options = {"grpc": GrpcOptions(**options["grpc"])}
        Server(MODELS, **options)


def test_without_grpcio() -> None:
    code = (
        "import sys; sys.modules['grpc'] = None\n"
        "from tritonclient.server import Server\n"
        f"with Server({str(MODELS)!r}) as server: print(server)\n"
        f"Server({str(MODELS)!r}, grpc_port=0).start()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert re.fullmatch(r"<Server at http://127\.0\.0\.1:\d+, running>\n", done.stdout)
    assert "the embedded server needs grpcio" in done.stderr
    assert "pip install 'tritonclient[server]'" in done.stderr


def test_grpcio_is_imported_when_it_is_needed() -> None:
    code = (
        "import sys\n"
        "from tritonclient.server import Server\n"
        f"with Server({str(MODELS)!r}, grpc_port=None): print('grpc' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n"


def test_decompressed_requests_have_a_limit():
    """grpcio holds it against messages after decompression as well."""
    from tritonclient.server.grpc_listener import _arguments

    name = "grpc.max_receive_message_length"
    assert dict(_arguments(GrpcOptions()))[name] == 2**31 - 1
    options = GrpcOptions(channel_arguments={name: 1 << 20})
    assert dict(_arguments(options))[name] == 1 << 20
