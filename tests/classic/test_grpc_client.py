"""The classic gRPC clients themselves: what they send, and what they do in trouble."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import gc
import os
import pickle
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tritonclient
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.grpc.aio.auth
import tritonclient.grpc.auth
import tritonclient.utils
from tests.classic.grpc_server import METHODS, GrpcServer, answer, failed, simple
from tests.classic.runtimes import CLOSED, GrpcBlocking, both_grpc_runtimes, grpc_pair
from tests.support.peers import hostile_peers
from tests.support.peers.hostile_peers import PATIENCE, deadline_guard, free_port
from tritonclient.grpc import (
    InferenceServerClient,
    InferenceServerException,
    InferRequestedOutput,
    KeepAliveOptions,
    service_pb2,
)
from tritonclient.grpc import _utils as utils

A = np.arange(16, dtype=np.int32).reshape(1, 16)
ONES = np.ones((1, 16), np.int32)


def infer(client, **options):
    return client.infer("simple", grpc_pair(A, ONES), **options)


def check(result):
    np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), A + 1)


@pytest.fixture
def server():
    with GrpcServer(ModelInfer=simple) as server:
        yield server


# Importing


def test_importing_brings_only_what_is_needed():
    code = """
import sys, numpy
import tritonclient.grpc
slow = {"asyncio", "ssl", "logging", "concurrent.futures", "ctypes.util", "json", "google", "grpc",
        "hpack", "tritonclient.grpc.service_pb2"}
found = slow.intersection(sys.modules)
assert not found, found
from tritonclient.grpc import service_pb2
assert "google.protobuf" in sys.modules and "grpc" not in sys.modules
import tritonclient.grpc.service_pb2_grpc
assert "grpc" not in sys.modules
"""
    subprocess.run([sys.executable, "-I", "-c", code], check=True)


def test_running_models_takes_neither_grpcio_nor_protobuf(server):
    code = f"""
import sys, numpy as np
sys.modules["google.protobuf"] = sys.modules["grpc"] = None
import tritonclient.grpc as grpcclient
client = grpcclient.InferenceServerClient({server.address!r})
inputs = [grpcclient.InferInput(f"INPUT{{n}}", [2], "INT32") for n in range(2)]
for each in inputs:
    each.set_data_from_numpy(np.int32([1, 2]))
print(client.infer("simple", inputs).as_numpy("OUTPUT0"))
"""
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "[2 4]\n")


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ("'x:1', channel_args=[('grpc.service_config', '{}')]", "channel argument 'grpc.service_c"),
        ("'xds:///name'", "the url 'xds:///name' needs grpcio"),
        ("'x:1', creds=object()", "creds needs grpcio"),
    ],
)
def test_what_needs_grpcio_is_named(arguments, what):
    code = f"""
import sys
sys.modules["grpc"] = None
import tritonclient.grpc as grpcclient
grpcclient.InferenceServerClient({arguments})
"""
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    last = done.stderr.splitlines()[-1]
    assert what in last
    assert last.endswith("pip install grpcio hpack protobuf")


@pytest.mark.parametrize("module", [tritonclient.grpc, tritonclient.grpc.aio])
def test_names(module):
    for name in ("service_pb2", "service_pb2_grpc", "model_config_pb2"):
        assert name in dir(module)
        assert getattr(module, name).__name__ == f"tritonclient.grpc.{name}"
    with pytest.raises(AttributeError, match="nothing"):
        module.nothing  # noqa: B018


def test_all_of_utils_is_there():
    for name in tritonclient.utils.__all__:
        assert getattr(tritonclient.grpc, name) is getattr(tritonclient.utils, name)
    names: dict[str, object] = {}
    exec("from tritonclient.grpc import *", names)
    names.pop("__builtins__")
    assert set(names) == set(tritonclient.grpc.__all__)


# On the wire


@both_grpc_runtimes
def test_a_request_on_the_wire(server, runtime):
    with runtime(server.url) as client:
        outputs = [InferRequestedOutput("OUTPUT0"), InferRequestedOutput("C", class_count=2)]
        check(
            infer(
                client,
                model_version="1",
                outputs=outputs,
                request_id="7",
                sequence_id=9,
                sequence_start=True,
                priority=3,
                timeout=0,
                parameters={"t": "x", "b": True, "i": -5, "f": 0.5, "u": 2**64 - 1},
            )
        )
    ((method, request, *_),) = server.calls
    assert method == "ModelInfer"
    expected = service_pb2.ModelInferRequest(
        model_name="simple",
        model_version="1",
        id="7",
        inputs=[{"name": f"INPUT{n}", "datatype": "INT32", "shape": [1, 16]} for n in range(2)],
        outputs=[{"name": "OUTPUT0"}, {"name": "C"}],
        raw_input_contents=[A.tobytes(), ONES.tobytes()],
    )
    expected.outputs[1].parameters["classification"].int64_param = 2
    for name, kind, value in (
        ("sequence_id", "int64", 9),
        ("sequence_start", "bool", True),
        ("sequence_end", "bool", False),
        ("priority", "uint64", 3),
        ("timeout", "int64", 0),
        ("t", "string", "x"),
        ("b", "bool", True),
        ("i", "int64", -5),
        ("f", "double", 0.5),
        ("u", "uint64", 2**64 - 1),
    ):
        setattr(expected.parameters[name], f"{kind}_param", value)
    assert request == expected


REQUESTS = {
    "is_server_live": ("ServerLive", {}),
    "is_server_ready": ("ServerReady", {}),
    "is_model_ready": ("ModelReady", {"name": "m", "version": "1"}, "m", "1"),
    "get_server_metadata": ("ServerMetadata", {}),
    "get_model_metadata": ("ModelMetadata", {"name": "m"}, "m"),
    "get_model_config": ("ModelConfig", {"name": "m", "version": "2"}, "m", "2"),
    "get_model_repository_index": ("RepositoryIndex", {}),
    "load_model": (
        "RepositoryModelLoad",
        {
            "model_name": "m",
            "parameters": {"config": {"string_param": "{}"}, "file:1/a": {"bytes_param": b"b"}},
        },
        "m",
    ),
    "unload_model": (
        "RepositoryModelUnload",
        {"model_name": "m", "parameters": {"unload_dependents": {"bool_param": True}}},
        "m",
    ),
    "get_inference_statistics": ("ModelStatistics", {"version": "1"}, "", "1"),
    "update_trace_settings": (
        "TraceSetting",
        {"model_name": "m", "settings": {"a": {"value": ["1", "x"]}, "b": {}}},
        *("m", {"a": [1, "x"], "b": None}),
    ),
    "get_trace_settings": ("TraceSetting", {"model_name": "m"}, "m"),
    "update_log_settings": (
        "LogSettings",
        {
            "settings": {
                "log_file": {"string_param": "f"},
                "log_info": {"bool_param": False},
                "log_verbose_level": {"uint32_param": 1},
            }
        },
        {"log_file": "f", "log_info": 0, "log_verbose_level": True},
    ),
    "get_log_settings": ("LogSettings", {}),
    "get_system_shared_memory_status": ("SystemSharedMemoryStatus", {"name": "r"}, "r"),
    "register_system_shared_memory": (
        "SystemSharedMemoryRegister",
        {"name": "r", "key": "/k", "byte_size": 8, "offset": 1},
        *("r", "/k", 8, 1),
    ),
    "unregister_system_shared_memory": ("SystemSharedMemoryUnregister", {}),
    "get_cuda_shared_memory_status": ("CudaSharedMemoryStatus", {}),
    "register_cuda_shared_memory": (
        "CudaSharedMemoryRegister",
        {"name": "r", "raw_handle": b"handle", "device_id": 1, "byte_size": 8},
        *("r", base64.b64encode(b"handle"), 1, 8),
    ),
    "unregister_cuda_shared_memory": ("CudaSharedMemoryUnregister", {"name": "r"}, "r"),
}

KEYWORDS = {
    "load_model": {"config": "{}", "files": {"file:1/a": b"b"}},
    "unload_model": {"unload_dependents": True},
}


@both_grpc_runtimes
@pytest.mark.parametrize("method", REQUESTS)
def test_every_method_on_the_wire(runtime, method):
    procedure, fields, *arguments = REQUESTS[method]
    response = getattr(service_pb2, f"{procedure}Response")
    with GrpcServer(**{procedure: lambda request, context: response()}) as server:
        with runtime(server.url) as client:
            headers = {"X-Mine": 1, "mine-bin": b"\0\xff"}
            keywords = {"headers": headers, "client_timeout": 10, **KEYWORDS.get(method, {})}
            result = getattr(client, method)(*arguments, **keywords)
            as_json = None
            if method.startswith(("get_", "update_")):
                as_json = getattr(client, method)(*arguments, as_json=True)
    call = server.calls[0]
    assert call.request == getattr(service_pb2, f"{procedure}Request")(**fields)
    assert (call.metadata["x-mine"], call.metadata["mine-bin"]) == ("1", b"\0\xff")
    assert headers == {"X-Mine": 1, "mine-bin": b"\0\xff"}
    if as_json is None:
        assert result in (None, False)
    else:
        assert (result, as_json) == (response(), {})


def test_all_procedures_are_used():
    streams = {"ModelInfer", "ModelStreamInfer"}
    assert {procedure for procedure, *_ in REQUESTS.values()} | streams == set(METHODS)


@both_grpc_runtimes
@pytest.mark.parametrize("algorithm", ["gzip", "DEFLATE", None])
def test_compression(server, runtime, algorithm, capsys):
    with runtime(server.url) as client:
        check(infer(client, compression_algorithm=algorithm))
    assert capsys.readouterr().out == ""


@both_grpc_runtimes
@pytest.mark.parametrize("algorithm", ["br", ""])
def test_unknown_compression_is_told_and_left_out(server, runtime, algorithm, capsys):
    with runtime(server.url) as client:
        check(infer(client, compression_algorithm=algorithm))
    text = "The provided client-side compression algorithm is not supported... "
    assert capsys.readouterr().out == f"{text}using no compression\n"


@both_grpc_runtimes
def test_data_is_sent_from_where_the_input_keeps_it(server, runtime):
    inputs = grpc_pair(A, ONES)
    with runtime(server.url) as client:
        for _ in range(2):  # the first, and one that looks like it
            arguments = ("", None, "", 0, False, False, 0, None, None, None, None)
            call = client.client._infer_call("simple", inputs, *arguments)
            sent = call._payload[1::2]
            assert [id(data) for data in sent] == [id(tensor._data) for tensor in inputs]


# Arguments


@both_grpc_runtimes
def test_versions_are_texts(server, runtime):
    with runtime(server.url) as client:
        for method, arguments in (
            ("is_model_ready", ("m", 1)),
            ("get_model_metadata", ("m", 1)),
            ("get_model_config", ("m", 1)),
            ("get_inference_statistics", ("m", 1)),
            ("infer", ("m", grpc_pair(A, ONES), 1)),
        ):
            with pytest.raises(InferenceServerException) as caught:
                getattr(client, method)(*arguments)
            assert str(caught.value) == "model version must be a string"
        for method, arguments in (("get_model_metadata", ("",)), ("infer", ("", []))):
            with pytest.raises(InferenceServerException, match="expected a name"):
                getattr(client, method)(*arguments)
    assert not server.calls


@both_grpc_runtimes
@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"timeout": 1}, 'Parameter "timeout" is a reserved parameter and cannot be specified.'),
        ({"triton_x": 1}, 'Parameter "triton_x" is a reserved parameter and cannot be specified.'),
        (
            {"a": None},
            """The parameter datatype "<class 'NoneType'>" for key "a" is not supported.""",
        ),
        ({"a": [1]}, """The parameter datatype "<class 'list'>" for key "a" is not supported."""),
        ({"a": 2**64}, "parameter 'a' is 18446744073709551616, which does not fit into 64 bits"),
    ],
)
def test_parameters_that_can_not_be_sent(server, runtime, parameters, text):
    with runtime(server.url) as client:
        with pytest.raises(InferenceServerException) as caught:
            infer(client, parameters=parameters)
    assert str(caught.value) == text
    assert not server.calls


@both_grpc_runtimes
def test_numbers_of_numpy(server, runtime):
    parameters = {"i": np.int8(-1), "f": np.float32(0.5), "b": np.bool_(True), "s": np.str_("x")}
    with runtime(server.url) as client:
        infer(client, parameters=parameters, sequence_id=np.uint64(2**63), priority=np.int32(1))
    sent = server.calls[0].request.parameters
    assert sent["i"].int64_param == -1
    assert sent["f"].double_param == 0.5
    assert sent["b"].bool_param is True
    assert sent["s"].string_param == "x"
    assert sent["sequence_id"].int64_param == -(2**63)  # as Triton takes ids of 64 bits
    assert sent["priority"].uint64_param == 1


@both_grpc_runtimes
def test_negative_numbers(server, runtime):
    with runtime(server.url) as client:
        infer(client, sequence_id=-5, timeout=-1)
        for options in ({"priority": -1}, {"sequence_id": -(2**63) - 1}):
            with pytest.raises(InferenceServerException, match="does not fit"):
                infer(client, **options)
        for options in ({"sequence_id": 1.5}, {"priority": "1"}, {"timeout": "1"}):
            with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
                infer(client, **options)
        with pytest.raises(TypeError, match="request_id is 5, expected str"):
            infer(client, request_id=5)
    (call,) = server.calls
    assert call.request.parameters["sequence_id"].int64_param == -5
    assert call.request.parameters["timeout"].int64_param == -1


@both_grpc_runtimes
def test_inputs_and_outputs_from_generators(server, runtime):
    with runtime(server.url) as client:
        for _ in range(2):
            outputs = iter([InferRequestedOutput("OUTPUT0")])
            check(client.infer("simple", iter(grpc_pair(A, ONES)), outputs=outputs))
        for inputs in (None, grpc_pair(A, ONES)[0]):
            with pytest.raises(TypeError, match="is not iterable"):
                client.infer("simple", inputs)


@both_grpc_runtimes
@pytest.mark.parametrize("headers", [{"a b": "x"}, {"a": "\u00e4"}, {"grpc-x": "1"}])
def test_headers_that_can_not_be_sent(server, runtime, headers):
    with runtime(server.url) as client:
        for ask in (infer, lambda c, **options: c.is_server_live(**options)):
            with pytest.raises(InferenceServerException):
                ask(client, headers=headers)
    assert not server.calls


# Plugins


@both_grpc_runtimes
def test_plugins(server, runtime):
    def plugin(request):
        request.headers["mine"] = "2"

    headers = {"mine": "1"}
    with runtime(server.url) as client:
        check(infer(client))
        client.register_plugin(plugin)
        assert client.plugin() is plugin
        with pytest.raises(InferenceServerException, match="already registered"):
            client.register_plugin(plugin)
        check(infer(client, headers=headers))
        check(infer(client))
        client.unregister_plugin()
        check(infer(client))
        with pytest.raises(InferenceServerException, match="No plugin"):
            client.unregister_plugin()
    assert [call.metadata.get("mine") for call in server.calls] == [None, "2", "2", None]
    assert headers == {"mine": "1"}


@both_grpc_runtimes
def test_basic_auth(server, runtime):
    kind = tritonclient.grpc.auth.BasicAuth
    assert tritonclient.grpc.aio.auth.BasicAuth is kind
    with runtime(server.url) as client:
        client.register_plugin(kind("ann", "secret"))
        infer(client)
    assert server.calls[0].metadata["authorization"] == "Basic YW5uOnNlY3JldA=="
    with pytest.raises(AttributeError):  # as when a variable of the environment is not set
        kind("ann", None)


# Errors


def is_plain(error):
    """True if `type(error) == InferenceServerException` holds."""
    same = type(error) == InferenceServerException and InferenceServerException == type(error)  # noqa: E721
    text = f"<class 'tritonclient.utils.InferenceServerException'> {error!r}"
    again = pickle.loads(pickle.dumps(error))
    assert type(again).__mro__ == type(error).__mro__
    assert (again.args, str(again)) == (error.args, str(error))
    return same and f"{type(error)} {error!r}" == text and type(error) != ValueError  # noqa: E721


@both_grpc_runtimes
@pytest.mark.parametrize(
    "code",
    ["INVALID_ARGUMENT", "UNAVAILABLE", "INTERNAL", "UNKNOWN", "CANCELLED", "DEADLINE_EXCEEDED"],
)
def test_refusals(runtime, code):
    refuse = failed(code, "no: \u00fc")
    with GrpcServer(ModelInfer=refuse, ServerLive=refuse) as server, runtime(server.url) as client:
        for ask in (infer, lambda c: c.is_server_live()):
            with pytest.raises(InferenceServerException) as caught:
                ask(client)
            error = caught.value
            assert str(error) == f"[StatusCode.{code}] no: \u00fc"
            assert error.message() == "no: \u00fc"
            assert error.status() == f"StatusCode.{code}"
            assert error.debug_details() == f"{code}:no: \u00fc"
            assert is_plain(error)
            assert isinstance(error, TimeoutError) == (code == "DEADLINE_EXCEEDED")


@both_grpc_runtimes
def test_procedures_that_a_server_does_not_have(runtime):
    with GrpcServer() as server, runtime(server.url) as client:
        with pytest.raises(InferenceServerException) as caught:
            client.get_log_settings()
    assert str(caught.value) == "[StatusCode.UNIMPLEMENTED] Method not implemented!"


@both_grpc_runtimes
def test_nobody_listens(runtime):
    port = free_port()
    with runtime(f"grpc://127.0.0.1:{port}") as client:
        for ask in (infer, lambda c: c.is_server_live(), lambda c: c.is_model_ready("m")):
            with pytest.raises(InferenceServerException) as caught:
                ask(client)
            error = caught.value
            assert error.status() == "StatusCode.UNAVAILABLE"
            assert error.message().startswith("failed to connect to all addresses; last error: ")
            assert f"127.0.0.1:{port}" in error.message()
            assert error.debug_details() == f"UNAVAILABLE:{error.message()}"
            assert is_plain(error)
            assert isinstance(error, ConnectionError)
            assert (error.errno, error.strerror) == (errno.ECONNREFUSED, None)


@both_grpc_runtimes
def test_a_connection_that_is_lost(runtime):
    with hostile_peers.Server([hostile_peers.reset]) as server:
        with runtime(f"grpc://127.0.0.1:{server.port}") as client:
            with pytest.raises(InferenceServerException) as caught:
                infer(client)
    assert caught.value.status() == "StatusCode.UNAVAILABLE"
    assert is_plain(caught.value)
    assert isinstance(caught.value, ConnectionError)


@both_grpc_runtimes
def test_a_server_that_does_not_speak_grpc(runtime):
    with hostile_peers.Server([hostile_peers.send(hostile_peers.http(b"hello"))]) as server:
        with runtime(f"grpc://127.0.0.1:{server.port}") as client:
            with pytest.raises(InferenceServerException) as caught:
                infer(client)
    assert caught.value.status() == "StatusCode.INTERNAL"
    assert type(caught.value) is InferenceServerException


@both_grpc_runtimes
def test_answers_that_can_not_be_read(runtime):
    def short(request, context):
        response = answer(request, A)
        response.raw_output_contents[0] = b"short"
        return response

    with GrpcServer(ModelInfer=short) as server, runtime(server.url) as client:
        with pytest.raises(
            InferenceServerException, match="5 bytes for tensor 'OUTPUT0'"
        ) as caught:
            infer(client)
        assert caught.value.status() == "StatusCode.INTERNAL"
        with pytest.raises(InferenceServerException):  # and the connection is still good
            infer(client)


@both_grpc_runtimes
def test_time_limits(runtime):
    def slow(request, context):
        server.ending.wait(PATIENCE)
        return answer(request, A)

    with GrpcServer(ModelInfer=slow) as server, runtime(server.url) as client, deadline_guard():
        for seconds in (0.05, 0):
            with pytest.raises(InferenceServerException) as caught:
                infer(client, client_timeout=seconds)
            assert str(caught.value) == "[StatusCode.DEADLINE_EXCEEDED] Deadline Exceeded"
        assert server.cancelled.wait(PATIENCE)


# Ends


@both_grpc_runtimes
def test_a_closed_client(server, runtime):
    with runtime(server.url) as client:
        infer(client)
        client.close()
        client.close()
        for ask in (infer, lambda c: c.is_server_live(), lambda c: infer(c, request_id="1")):
            with pytest.raises(ValueError, match=CLOSED):
                ask(client)
    assert len(server.calls) == 1


def test_other_threads_are_told_when_the_client_is_closed():
    def slow(request, context):
        server.ending.wait(PATIENCE)
        return answer(request, A)

    with GrpcServer(ModelInfer=slow) as server, ThreadPoolExecutor() as threads, deadline_guard():
        client = InferenceServerClient(server.address)
        waiting = threads.submit(infer, client)
        server.wait_for_calls(1)
        client.close()
        with pytest.raises(InferenceServerException) as caught:
            waiting.result(PATIENCE)
        assert str(caught.value) == "[StatusCode.CANCELLED] Channel closed!"


def test_cancelling_a_task_cancels_the_call():
    def slow(request, context):
        server.ending.wait(PATIENCE)
        return answer(request, A)

    async def main():
        async with tritonclient.grpc.aio.InferenceServerClient(server.address) as client:
            task = asyncio.ensure_future(infer(client))
            await asyncio.to_thread(server.wait_for_calls, 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(server.cancelled.wait, PATIENCE)

    with GrpcServer(ModelInfer=slow) as server:
        asyncio.run(main())


def test_threads_share_a_client(server):
    with InferenceServerClient(server.address) as client, ThreadPoolExecutor(8) as threads:

        def many(number):
            for _ in range(20):
                array = np.full((1, 16), number, np.int32)
                result = client.infer("simple", grpc_pair(array, A))
                np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), array + A)

        for each in [threads.submit(many, number) for number in range(8)]:
            each.result(PATIENCE)


def test_what_is_never_made_whole_says_nothing_more(tmp_path):
    unraisable = []
    hook, sys.unraisablehook = sys.unraisablehook, unraisable.append
    try:
        with pytest.raises(FileNotFoundError, match="is not a file"):
            InferenceServerClient("x:1", ssl=True, root_certificates=str(tmp_path / "no"))
        with pytest.raises(InferenceServerException, match="url should not include the scheme"):
            InferenceServerClient("http://x:1")
        gc.collect()
    finally:
        sys.unraisablehook = hook
    assert not unraisable


def test_a_client_that_is_dropped_closes_its_connections(server):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        client = InferenceServerClient(server.address)
        infer(client)
        (connection,) = client._transport._pool._all
        del client
        gc.collect()
        assert connection.stream.sock.fileno() == -1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_forked_child(server):
    with InferenceServerClient(server.address) as client:
        infer(client)
        read, write = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that there are threads
            pid = os.fork()
        if pid == 0:
            with contextlib.suppress(BaseException):
                check(infer(client))
                result = client.async_infer("simple", grpc_pair(A, ONES), lambda result, error: 0)
                check(result.result(PATIENCE))
                os.write(write, b"good")
            os._exit(0)
        os.close(write)
        with open(read, "rb") as file:
            assert file.read() == b"good"
        os.waitpid(pid, 0)
        check(infer(client))


# Verbose clients


@both_grpc_runtimes
def test_verbose(server, runtime, capsys):
    with runtime(server.url, verbose=True) as client:
        infer(client, headers={"a": "b"}, request_id="7")
    sent, came = capsys.readouterr().out.split("\n\nmodel_name:", 1)
    assert sent.startswith("infer, metadata dict_items([('a', 'b')])\nmodel_name: \"simple\"\n")
    assert 'id: "7"' in sent
    assert "raw_output_contents" in came


def test_verbose_leaves_out_files(capsys):
    def load(request, context):
        return service_pb2.RepositoryModelLoadResponse()

    with GrpcServer(RepositoryModelLoad=load) as server:
        with GrpcBlocking(server.url, verbose=True) as client:
            client.load_model("m", config="{}", files={"file:1/a": b"large"})
    shown = capsys.readouterr().out
    assert "override files omitted:\n" in shown
    assert "large" not in shown
    assert shown.endswith("\nLoaded model 'm'\n")
    assert server.calls[0].request.parameters["file:1/a"].bytes_param == b"large"


# What others' tests use


def test_requests_as_messages():
    request = utils._get_inference_request(
        "m",
        grpc_pair(A, ONES),
        "1",
        "7",
        [InferRequestedOutput("O")],
        0,
        False,
        False,
        0,
        None,
        None,
    )
    assert isinstance(request, service_pb2.ModelInferRequest)
    assert (request.model_name, request.id) == ("m", "7")
    assert list(request.raw_input_contents) == [A.tobytes(), ONES.tobytes()]
    with pytest.raises(InferenceServerException, match="does not fit"):
        utils._get_inference_request("m", [], "", "", None, 0, 0, 0, 0, None, {"a": 2**70})


def test_the_stub_of_a_client(server):
    request = utils._get_inference_request(
        "simple", grpc_pair(A, ONES), "", "", None, 0, False, False, 0, None, None
    )
    with InferenceServerClient(server.address) as client:
        answer = client._client_stub.ModelInfer(request, timeout=PATIENCE)
        check(tritonclient.grpc.InferResult(answer))
        stub = client._client_stub
    with pytest.raises(ValueError, match="closed channel"):
        stub.ModelInfer(request)

    async def main():
        async with tritonclient.grpc.aio.InferenceServerClient(server.address) as client:
            answer = await client._client_stub.ModelInfer(request, timeout=PATIENCE)
            check(tritonclient.grpc.InferResult(answer))

    asyncio.run(main())


def test_errors_of_grpcio():
    import grpc

    refuse = failed("NOT_FOUND", "not here")
    with GrpcServer(ServerLive=refuse) as server, grpc.insecure_channel(server.address) as channel:
        stub = tritonclient.grpc.service_pb2_grpc.GRPCInferenceServiceStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.ServerLive(service_pb2.ServerLiveRequest())
    error = utils.get_error_grpc(caught.value)
    assert type(error) is InferenceServerException
    assert str(error) == "[StatusCode.NOT_FOUND] not here"
    assert error.debug_details() == caught.value.debug_error_string()
    with pytest.raises(InferenceServerException, match="not here"):
        tritonclient.grpc.raise_error_grpc(caught.value)


def test_keep_alive_options():
    options = KeepAliveOptions(1000, http2_max_pings_without_data=0)
    assert options.keepalive_time_ms == 1000
    assert options.keepalive_timeout_ms == 20000
    assert options.keepalive_permit_without_calls is False
    assert options.http2_max_pings_without_data == 0
