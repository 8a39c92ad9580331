"""The classic HTTP clients themselves: what they put on the wire, and what they do in trouble."""

from __future__ import annotations

import base64
import contextlib
import errno
import gc
import json
import pickle
import re
import socket
import subprocess
import sys
import threading
import time
import traceback
import zlib
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest

import tritonclient
import tritonclient.http
import tritonclient.http.aio
import tritonclient.http.aio.auth
import tritonclient.http.auth
import tritonclient.utils
from tests.classic.runtimes import AsyncRunner, Blocking, bare, both_runtimes, pair
from tests.data import recordings
from tests.support.peers.hostile_peers import (
    PATIENCE,
    Server,
    answer_all,
    deadline_guard,
    free_port,
    http,
    read_request,
    send,
    stall,
    wait_for,
)
from tests.support.waiting import deadlines
from tritonclient.http import (
    InferAsyncRequest,
    InferenceServerClient,
    InferenceServerException,
    InferRequestedOutput,
)
from tritonclient.http._client import _raise_if_error

REAL = next(e.response for e in recordings.load("infer") if e.name == "binary to binary")
A = np.arange(16, dtype=np.int32).reshape(1, 16)
ONES = np.ones((1, 16), np.int32)
READY = http(b"")


def infer(client, **options):
    return client.infer("simple", pair(A, ONES), **options)


def check(result):
    np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), A + 1)


@pytest.fixture
def server():
    with Server([answer_all(REAL)]) as server:
        yield server


@pytest.fixture
def empty():
    with Server([answer_all(http(b"{}"))]) as server:
        yield server


def heads(server):
    return [head.decode("latin-1").split("\r\n") for _, head, _ in server.requests]


def sent_headers(server):
    """The headers of the last request, names in lower case."""
    lines = heads(server)[-1][1:]
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


# Importing


def test_importing_brings_only_what_is_needed():
    code = """
import sys, numpy
import tritonclient.http
slow = {"asyncio", "ssl", "logging", "concurrent.futures", "ctypes.util", "google", "grpc", "hpack"}
found = slow.intersection(sys.modules)
for name in sys.modules:
    if name.startswith(("tritonclient.engine.http2", "tritonclient.engine.rpc")):
        found.add(name)
assert not found, found
"""
    subprocess.run([sys.executable, "-I", "-c", code], check=True)


def test_a_client_that_outlives_its_modules_says_nothing(server):
    code = f"""
import warnings
from tritonclient import grpc, http
clients = [module.InferenceServerClient({bare(server.url)!r}) for module in (http, grpc)]
# What refers to this module from another keeps it longer than ours.
warnings.showwarning = lambda *arguments: clients
"""
    python = [sys.executable, "-I", "-c", code]
    done = subprocess.run(python, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_all_of_utils_is_there():
    for name in tritonclient.utils.__all__:
        assert getattr(tritonclient.http, name) is getattr(tritonclient.utils, name)
    with pytest.raises(AttributeError, match="nothing"):
        tritonclient.http.nothing  # noqa: B018
    names: dict[str, object] = {}
    exec("from tritonclient.http import *", names)
    names.pop("__builtins__")
    assert set(names) == set(tritonclient.http.__all__)


# On the wire


@both_runtimes
def test_a_request_on_the_wire(server, runtime):
    with runtime(server.url) as client:
        check(infer(client, model_version="1", outputs=[InferRequestedOutput("OUTPUT0")]))
    ((_, head, body),) = server.requests
    assert head.startswith(b"POST /v2/models/simple/versions/1/infer HTTP/1.1\r\n")
    length = int(sent_headers(server)["inference-header-content-length"])
    assert json.loads(body[:length]) == {
        "inputs": [
            {
                "name": f"INPUT{n}",
                "shape": [1, 16],
                "datatype": "INT32",
                "parameters": {"binary_data_size": 64},
            }
            for n in range(2)
        ],
        "outputs": [{"name": "OUTPUT0", "parameters": {"binary_data": True}}],
    }
    assert body[length:] == A.tobytes() + ONES.tobytes()


@both_runtimes
def test_nothing_is_asked_for_that_nobody_wanted(server, runtime):
    with runtime(server.url) as client:
        infer(client)
    assert set(sent_headers(server)) == {
        "host",
        "content-type",
        "content-length",
        "inference-header-content-length",
    }


PATHS = {
    "is_server_live": ("GET", "health/live"),
    "is_server_ready": ("GET", "health/ready"),
    "is_model_ready": ("GET", "models/m%20m/versions/1/ready", "m m", "1"),
    "get_server_metadata": ("GET", ""),
    "get_model_metadata": ("GET", "models/m", "m"),
    "get_model_config": ("GET", "models/m/versions/1%202/config", "m", "1 2"),
    "load_model": ("POST", "repository/models/a%2Fb/load", "a/b"),
    "unload_model": ("POST", "repository/models/m/unload", "m"),
    "get_inference_statistics": ("GET", "models/stats"),
    "update_trace_settings": ("POST", "models/m/trace/setting", "m", {"trace_rate": None}),
    "get_trace_settings": ("GET", "trace/setting"),
    "update_log_settings": ("POST", "logging", {"log_info": True}),
    "get_log_settings": ("GET", "logging"),
    "register_system_shared_memory": (
        "POST", "systemsharedmemory/region/r/register", "r", "/k", 8, 1,
    ),
    "unregister_system_shared_memory": ("POST", "systemsharedmemory/unregister"),
    "register_cuda_shared_memory": (
        "POST", "cudasharedmemory/region/r/register", "r", base64.b64encode(b"h"), 0, 8,
    ),
    "unregister_cuda_shared_memory": ("POST", "cudasharedmemory/region/r/unregister", "r"),
}  # fmt: skip
BODIES = {
    "load_model": {},
    "unload_model": {"parameters": {"unload_dependents": False}},
    "update_trace_settings": {"trace_rate": None},
    "update_log_settings": {"log_info": True},
    "register_system_shared_memory": {"key": "/k", "offset": 1, "byte_size": 8},
    "register_cuda_shared_memory": {
        "raw_handle": {"b64": base64.b64encode(b"h").decode()},
        "device_id": 0,
        "byte_size": 8,
    },
}


@both_runtimes
@pytest.mark.parametrize("method", PATHS)
def test_every_method_on_the_wire(empty, runtime, method):
    verb, path, *arguments = PATHS[method]
    with runtime(f"{empty.url}/base/") as client:
        query = {"q": ["a b", 2], "r": "\u00e4"}
        getattr(client, method)(*arguments, headers={"X-Mine": 1}, query_params=query)
        getattr(client, method)(*arguments, query_params={})
    (_, head, body), (_, plain, _) = empty.requests
    path = f"/base/v2/{path}".rstrip("/")
    assert head.startswith(f"{verb} {path}?q=a+b&q=2&r=%C3%A4 HTTP/1.1\r\n".encode())
    assert plain.startswith(f"{verb} {path} HTTP/1.1\r\n".encode())
    assert b"\r\nX-Mine: 1" in head
    assert (json.loads(body) if body else None) == BODIES.get(method)


@both_runtimes
def test_headers_are_left_as_they_are(server, runtime):
    headers = {"x-mine": "1"}
    with runtime(server.url) as client:
        infer(client, headers=headers, request_compression_algorithm="gzip")
        assert headers == {"x-mine": "1"}
        compressed = sent_headers(server)
        infer(client, headers=headers)
    assert compressed["content-encoding"] == "gzip"
    assert "content-encoding" not in sent_headers(server)
    assert sent_headers(server)["x-mine"] == "1"


@both_runtimes
def test_framing_headers_of_an_earlier_request_do_no_harm(server, runtime):
    stale = {"Inference-Header-Content-Length": "7", "content-length": "8", "X-Mine": b"\xe4"}
    with runtime(server.url) as client:
        check(infer(client, headers=stale))
    headers = sent_headers(server)
    assert headers["content-length"] == str(len(server.requests[0][2]))
    assert headers["inference-header-content-length"] != "7"
    assert headers["x-mine"] == "\xe4"


@both_runtimes
def test_transfer_encoding_is_refused(server, runtime):
    text = (
        "Unsupported HTTP header: 'Transfer-Encoding' is not supported in the Python client "
        "library. Use raw HTTP request libraries or the C++ client instead for this header."
    )
    with runtime(server.url) as client:
        for method in (infer, lambda c, **options: c.is_server_live(**options)):
            with pytest.raises(InferenceServerException) as caught:
                method(client, headers={"transfer-Encoding": "chunked"})
            assert str(caught.value) == text
    assert not server.requests


@both_runtimes
@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compression_on_the_wire(server, runtime, algorithm):
    with runtime(server.url) as client:
        check(infer(client, request_compression_algorithm=algorithm))
        plain = sent_headers(server)
        check(infer(client, response_compression_algorithm=algorithm))
    assert plain["content-encoding"] == algorithm
    assert "accept-encoding" not in plain
    assert sent_headers(server)["accept-encoding"] == algorithm
    body = zlib.decompress(server.requests[0][2], 47)  # either container
    length = int(plain["inference-header-content-length"])
    assert json.loads(body[:length])["inputs"][0]["name"] == "INPUT0"
    assert body[length:] == A.tobytes() + ONES.tobytes()


@both_runtimes
def test_unknown_compression_is_refused(server, runtime):
    with runtime(server.url) as client:
        for name in ("request_compression_algorithm", "response_compression_algorithm"):
            with pytest.raises(InferenceServerException, match=r"'br' is not one of gzip, deflate"):
                infer(client, **{name: "br"})
    assert not server.requests


@both_runtimes
def test_a_compressed_answer_to_an_admin_request(runtime):
    body = zlib.compress(b'{"name":"m"}')
    with Server([answer_all(http(body, "Content-Encoding: deflate"))]) as server:
        with runtime(server.url) as client:
            assert client.get_server_metadata() == {"name": "m"}


@both_runtimes
def test_data_is_sent_from_where_the_input_keeps_it(server, runtime):
    inputs = pair(A, ONES)
    with runtime(server.url) as client:
        for _ in range(2):  # the first, and one that looks like it
            arguments = ("", None, "", 0, False, False, 0, None, None, None, None, None, None)
            call = client.client._infer_call("simple", inputs, *arguments)
            sent = call._body[-2:]
            assert [id(data) for data in sent] == [id(tensor._data) for tensor in inputs]


# Arguments


@both_runtimes
def test_versions_are_texts(server, runtime):
    with runtime(server.url) as client:
        for method, arguments in (
            ("is_model_ready", ("m", 1)),
            ("get_model_metadata", ("m", 1)),
            ("get_model_config", ("m", 1)),
            ("get_inference_statistics", ("m", 1)),
            ("infer", ("m", pair(A, ONES), 1)),
        ):
            with pytest.raises(InferenceServerException) as caught:
                getattr(client, method)(*arguments)
            assert str(caught.value) == "model version must be a string"
        with pytest.raises(InferenceServerException, match="needs a model name"):
            client.get_inference_statistics(model_version="1")
        with pytest.raises(InferenceServerException, match="expected a name"):
            client.get_model_metadata("")
        with pytest.raises(InferenceServerException, match="expected a name"):
            client.infer("", pair(A, ONES))
    assert not server.requests


@both_runtimes
def test_headers_that_would_break_out_are_refused(server, runtime):
    with runtime(server.url) as client:
        for ask in (infer, lambda c, **options: c.is_server_live(**options)):
            with pytest.raises(InferenceServerException, match="'x-mine'"):
                ask(client, headers={"x-mine": "1\r\nx-other: 2"})
    assert not server.requests


@both_runtimes
@pytest.mark.parametrize("url", ["http://localhost:8000", "https://x", "grpc://x:1"])
def test_urls_have_no_scheme(runtime, url):
    with pytest.raises(InferenceServerException) as caught:
        runtime.make(f"x://{url}", timeout=None)
    assert str(caught.value) == "url should not include the scheme"


def test_ports_are_those_of_http():
    for url, secure, authority in (
        ("localhost", False, "localhost"),
        ("localhost/a/b/", False, "localhost"),
        ("localhost:", False, "localhost"),
        ("localhost", True, "localhost"),
        ("localhost:8000", True, "localhost:8000"),
        ("[::1]:8000/x", False, "[::1]:8000"),
    ):
        with InferenceServerClient(url, ssl=secure) as client:
            endpoint = client._settings.endpoint
        assert endpoint.authority == authority
        assert endpoint.port == (8000 if "8000" in url else 443 if secure else 80)
        assert not endpoint.base_path.endswith("/")


@pytest.mark.parametrize("url", [None, 8000, b"localhost:8000"])
def test_urls_are_texts(url):
    with pytest.raises(TypeError, match="expected str"):
        InferenceServerClient(url)


@pytest.mark.parametrize("url", ["", "/a", "localhost:abc", "localhost?x=1"])
def test_urls_that_make_no_sense(url, recwarn):
    unraisable = []
    hook, sys.unraisablehook = sys.unraisablehook, unraisable.append
    try:
        with pytest.raises(ValueError, match=r".+"):
            InferenceServerClient(url)
        gc.collect()  # a client that was never made whole has nothing to say
    finally:
        sys.unraisablehook = hook
    assert not unraisable


def test_missing_certificate_files(tmp_path):
    with pytest.raises(OSError, match=r"ca_certs '.*' of ssl_options is not a file"):
        InferenceServerClient("localhost:1", ssl=True, ssl_options={"ca_certs": tmp_path / "no"})
    gc.collect()


# Errors


@both_runtimes
def test_nobody_listens(runtime):
    with runtime(f"http://127.0.0.1:{free_port()}") as client:
        for ask in (infer, lambda c: c.is_server_live(), lambda c: c.is_model_ready("m")):
            with pytest.raises(InferenceServerException, match="can't connect") as caught:
                ask(client)
            assert isinstance(caught.value, ConnectionRefusedError)
            assert caught.value.errno == errno.ECONNREFUSED
            assert caught.value.status() is None


@both_runtimes
@pytest.mark.parametrize("status", ["400 Bad", "401 No", "404 No", "500 Oops", "503 No"])
def test_health_is_false_for_whatever_is_no_success(runtime, status):
    page = b"<html>" + b"x" * 100_000
    with Server([answer_all(http(page, status=status))]) as server:
        with runtime(server.url) as client:
            for _ in range(3):
                assert client.is_server_live() is False
                assert client.is_server_ready() is False
                assert client.is_model_ready("m") is False
        assert server.connections == 1  # the body was read, so the connection went on


@both_runtimes
@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"error":"no such thing"}', "[404] no such thing"),
        (b"plain text", "[404] plain text"),
        (b"", "[404] client received an empty response from the server."),
        (b"[]", "[404] []"),
    ],
)
def test_refusals(runtime, body, text):
    with Server([answer_all(http(body, status="404 Not Found"))]) as server:
        with runtime(server.url) as client:
            for ask in (infer, lambda c: c.get_server_metadata(), lambda c: c.load_model("m")):
                with pytest.raises(InferenceServerException) as caught:
                    ask(client)
                error = caught.value
                assert (str(error), error.status()) == (text, "404")
                told = b"error" in body or not body
                assert error.debug_details() == (None if told else body.decode())
                assert traceback.format_exception_only(error) == [
                    f"tritonclient.utils.InferenceServerException: {text}\n"
                ]
                again = pickle.loads(pickle.dumps(error))
                assert (type(again), str(again)) == (type(error), text)


@both_runtimes
@pytest.mark.parametrize("body", [b"", b"no JSON", b"7", b"[" * 100_000])
def test_answers_that_are_none(runtime, body):
    with Server([answer_all(http(body))]) as server, runtime(server.url) as client:
        for ask in (infer, lambda c: c.get_server_metadata()):
            with pytest.raises(InferenceServerException):
                ask(client)
        with pytest.raises(InferenceServerException):
            client.get_model_repository_index()


def test_raise_if_error():
    class Answer:
        def __init__(self, status_code, body):
            self.status_code = status_code
            self.read = lambda: body

    _raise_if_error(Answer(200, b""))
    for answer in (Answer(400, b'{"error":"foo"}'), Answer(404, b"<html>")):
        with pytest.raises(InferenceServerException) as caught:
            _raise_if_error(answer)
        assert caught.value.status() == str(answer.status_code)


# Time


def test_silence_ends_a_call():
    with Server([read_request, stall], [answer_all(REAL)]) as server, deadline_guard():
        with Blocking(server.url, timeout=0.05) as client:
            with pytest.raises(InferenceServerException, match=r"for 0\.05 s") as caught:
                infer(client)
            assert isinstance(caught.value, TimeoutError)
            server.peers[0].gone.wait(PATIENCE)
            check(infer(client))


def test_a_slow_answer_that_goes_on_is_waited_for():
    """The whole takes longer than `network_timeout`, but no part of it does."""
    pieces = [REAL[start : start + 40] for start in range(0, len(REAL), 40)]

    def trickle(peer):
        for piece in pieces:
            peer.sock.sendall(piece)
            peer.server.ending.wait(seconds / 3)

    for seconds in deadlines(0.5):
        with Server([read_request, trickle]) as server:
            with Blocking(server.url, timeout=seconds) as client:
                begin = time.monotonic()
                try:
                    result = infer(client)
                except TimeoutError:
                    continue  # the machine was so busy that a part took that long
                check(result)
                assert time.monotonic() - begin > seconds
                break


def test_connecting_has_a_limit_of_its_own():
    with socket.socket() as listener:  # its queue is full, so connecting hangs
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with contextlib.ExitStack() as stack:
            for _ in range(8):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(listener.getsockname())
            with Blocking(url, connection_timeout=0.05) as client, deadline_guard():
                with pytest.raises(InferenceServerException) as caught:
                    client.is_server_live()
            assert isinstance(caught.value, TimeoutError)


@pytest.mark.parametrize("limit", [None, 1])
def test_limits_may_be_left_out(server, limit):
    options = {"connection_timeout": limit, "network_timeout": limit}
    with InferenceServerClient(bare(server.url), **options) as client:
        check(infer(client))


def test_limits_can_be_looked_up_where_pytriton_looks():
    with InferenceServerClient("localhost", connection_timeout=7) as client:
        limits = client._client_stub._connection_pool
        assert (limits.connection_timeout, limits.network_timeout) == (7, 60.0)


def test_the_whole_call_has_a_limit_on_asyncio():
    def trickle(peer):
        for index in range(len(REAL)):
            peer.sock.sendall(REAL[index : index + 1])
            if peer.server.ending.wait(0.02):
                return

    with Server([read_request, trickle]) as server, deadline_guard(len(REAL) * 0.02):
        with AsyncRunner(server.url, timeout=0.2) as client:
            with pytest.raises(InferenceServerException) as caught:
                infer(client)
            assert isinstance(caught.value, TimeoutError)


# Many at once


def test_async_infer(server):
    with Blocking(server.url, concurrency=4) as client:
        requests = [client.async_infer("simple", pair(A, ONES)) for _ in range(50)]
        for request in requests:
            check(request.get_result())
            check(request.get_result(block=False))  # any number of times
    assert 1 <= server.connections <= 4


def test_async_infer_that_is_not_through_yet():
    go_on = threading.Event()
    with Server([read_request, wait_for(go_on), send(REAL)]) as server:
        with Blocking(server.url) as client:
            request = client.async_infer("simple", pair(A, ONES))
            for arguments in ({"block": False}, {"timeout": 0.01}):
                with pytest.raises(InferenceServerException) as caught:
                    request.get_result(**arguments)
                assert str(caught.value) == "failed to obtain inference response"
            go_on.set()
            check(request.get_result(timeout=PATIENCE))


def test_async_infer_that_fails():
    answer = http(b'{"error":"no"}', status="400 Bad")
    with Server([answer_all(answer)]) as server, Blocking(server.url) as client:
        request = client.async_infer("simple", pair(A, ONES))
        for _ in range(2):
            with pytest.raises(InferenceServerException, match=r"^\[400\] no$"):
                request.get_result()
        with pytest.raises(InferenceServerException, match="must be a string"):
            client.async_infer("simple", pair(A, ONES), model_version=1)


@pytest.mark.parametrize(("options", "expected"), [({}, 3), ({"max_greenlets": 2}, 2)])
def test_as_many_at_once_as_there_are_connections(options, expected):
    go_on = threading.Event()
    script = [read_request, wait_for(go_on), send(REAL)] * 9
    with Server(script) as server:
        with Blocking(server.url, concurrency=3, **options) as client:
            requests = [client.async_infer("simple", pair(A, ONES)) for _ in range(9)]
            server.wait_for_connections(expected)
            go_on.set()
            for request in requests:
                check(request.get_result(timeout=PATIENCE))
        assert server.connections == expected


def test_an_async_request_of_any_future():
    future = Future()
    request = InferAsyncRequest(greenlet=future, verbose=False)
    future.set_exception(tritonclient.DeadlineExceeded("its own"))
    with pytest.raises(InferenceServerException, match="its own"):
        request.get_result(timeout=0)


def test_threads_may_share_a_client(server):
    with Blocking(server.url, concurrency=3) as client, ThreadPoolExecutor(16) as pool:
        for result in pool.map(lambda _: infer(client), range(100)):
            check(result)
    assert server.connections <= 3


# Beginning and end


@both_runtimes
def test_calls_after_the_end(server, runtime):
    with runtime(server.url) as client:
        check(infer(client))
        client.close()
        client.close()
        with pytest.raises(RuntimeError, match="closed"):
            infer(client)
        with pytest.raises(RuntimeError, match="closed"):
            client.is_server_live()
    if runtime is Blocking:
        with pytest.raises(RuntimeError, match="closed"):
            client.async_infer("simple", pair(A, ONES))


def test_close_waits_for_what_was_sent(server):
    client = InferenceServerClient(bare(server.url))
    requests = [client.async_infer("simple", pair(A, ONES)) for _ in range(10)]
    client.close()
    for request in requests:
        check(request.get_result(block=False))


def test_a_forgotten_client_closes_its_connections(server):
    client = InferenceServerClient(bare(server.url))
    check(infer(client))
    del client
    gc.collect()
    assert server.peers[0].gone.wait(PATIENCE)


def test_results_of_a_forgotten_client():
    """The client may go while its requests are on their way."""
    with Server([answer_all(REAL)]) as server:
        requests = [
            InferenceServerClient(bare(server.url)).async_infer("simple", pair(A, ONES))
            for _ in range(5)
        ]
        gc.collect()
        for request in requests:
            check(request.get_result(timeout=PATIENCE))


# Plugins


class Signature(tritonclient.http.InferenceServerClientPlugin):
    def __call__(self, request):
        request.headers["x-signature"] = str(len(request.headers))


@both_runtimes
def test_plugins(server, runtime):
    headers = {"a": "1"}
    with runtime(server.url) as client:
        assert client.plugin() is None
        plugin = Signature()
        client.register_plugin(plugin)
        assert client.plugin() is plugin
        with pytest.raises(InferenceServerException) as caught:
            client.register_plugin(plugin)
        assert str(caught.value) == (
            "A plugin is already registered. Please unregister the previous plugin first "
            "before registering a new plugin."
        )
        infer(client)
        assert sent_headers(server)["x-signature"] == "0"
        infer(client, headers=headers)
        assert sent_headers(server)["x-signature"] == "1"
        assert headers == {"a": "1"}
        client.is_server_live()
        assert sent_headers(server)["x-signature"] == "0"
        client.unregister_plugin()
        infer(client)
        assert "x-signature" not in sent_headers(server)
        with pytest.raises(InferenceServerException) as caught:
            client.unregister_plugin()
        assert str(caught.value) == "No plugin has been registered."


@both_runtimes
def test_a_plugin_may_replace_the_headers(server, runtime):
    def replace(request):
        assert request.headers == {"a": "1"}
        request.headers = {"b": "2"}

    with runtime(server.url) as client:
        client.register_plugin(replace)
        infer(client, headers={"a": "1"})
    assert sent_headers(server)["b"] == "2"
    assert "a" not in sent_headers(server)


@both_runtimes
@pytest.mark.parametrize("module", [tritonclient.http.auth, tritonclient.http.aio.auth])
def test_basic_auth(server, runtime, module):
    with runtime(server.url) as client:
        client.register_plugin(module.BasicAuth("user", "p:w"))
        infer(client)
    assert sent_headers(server)["authorization"] == "Basic " + base64.b64encode(b"user:p:w").decode(
        "ascii"
    )
    for names in (("\u00fc", "x"), ("x", "\u00fc")):
        with pytest.raises(ValueError, match=r"^(username|password) holds .* outside of ASCII$"):
            module.BasicAuth(*names)


def test_requests_as_plugins_see_them():
    headers = {"a": "1"}
    assert tritonclient.http.Request(headers).headers is headers
    assert tritonclient.http.Request(None).headers == {}


# What is printed


@both_runtimes
def test_verbose(server, runtime, capsys):
    with runtime(server.url, verbose=True) as client:
        infer(client, headers={"x-mine": "1"})
        said = capsys.readouterr().out
    head = f"http://{bare(server.url)}" if runtime is AsyncRunner else ""
    assert f"POST {head}/v2/models/simple/infer, headers {{'x-mine': '1'" in said
    for part in ("[200 OK]" if runtime is AsyncRunner else "status=200", '"INPUT0"', '"OUTPUT0"'):
        assert part in said
    with Server([answer_all(http(b'{"name":"shown"}'))]) as other:
        with runtime(other.url, verbose=True) as client:
            client.get_server_metadata()
            client.unload_model("m")
    said = capsys.readouterr().out
    assert re.search(r"^GET (http://127[^ ]*)?/v2, headers \{\}$", said, re.MULTILINE)
    assert "shown" in said
    assert said.endswith("\nUnloaded model 'm'\n")


def test_verbose_writes_the_names_of_headers_as_aiohttp_does(capsys):
    answer = http(b"{}", "content-type: a/b", "x-mine: 1")
    with Server([answer_all(answer)]) as server, AsyncRunner(server.url, verbose=True) as client:
        client.get_server_metadata()
    assert "'Content-Type': 'a/b'" in (said := capsys.readouterr().out)
    assert "'x-mine': '1'" in said


@both_runtimes
def test_nothing_is_printed_otherwise(server, runtime, capsys):
    with runtime(server.url) as client:
        infer(client)
        client.unload_model("m")
    assert capsys.readouterr() == ("", "")
