"""Starting and stopping the embedded server."""

from __future__ import annotations

import gc
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.server.conftest import MODELS, RepositoryMaker
from tests.support.waiting import eventually
from tritonclient import messages as m
from tritonclient.errors import Internal
from tritonclient.server import Server


def ready(server: Server) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=10)
    try:
        connection.request("GET", "/v2/health/ready")
        response = connection.getresponse()
        response.read()
        return response.status == 200
    finally:
        connection.close()


def open_files() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def test_ready_when_started_and_gone_when_stopped(repository: RepositoryMaker) -> None:
    repository.python("a")
    with Server(repository.directory) as server:
        assert server.http_url == f"http://127.0.0.1:{server.http_port}"
        assert server.http_address == f"127.0.0.1:{server.http_port}"
        assert ready(server)
        assert server.handle(m.IsModelReady("a"))
        port = server.http_port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    with pytest.raises(RuntimeError, match="not running"):
        server.http_url  # noqa: B018


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no /proc here")
def test_again_and_again_leaves_nothing(repository: RepositoryMaker) -> None:
    repository.python("a")
    server = Server(repository.directory)
    with server:
        pass
    threads, files = set(threading.enumerate()), open_files()
    for _ in range(5):
        with server:
            assert ready(server)
        eventually(lambda: set(threading.enumerate()) <= threads)
    eventually(lambda: open_files() <= files)


def test_several_at_once(repository: RepositoryMaker) -> None:
    repository.python("a")
    servers = [Server(repository.directory).start() for _ in range(4)]
    assert len({server.http_port for server in servers}) == 4
    assert all(map(ready, servers))
    for server in servers:
        server.stop()
        server.stop()


def test_open_connections_do_not_keep_it(repository: RepositoryMaker) -> None:
    repository.python("a")
    with Server(repository.directory) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.http_port)
        connection.request("GET", "/v2/health/ready")
        connection.getresponse().read()
    connection.close()


def test_a_request_that_never_ends_does_not_keep_it(repository: RepositoryMaker) -> None:
    repository.python("a")
    with Server(repository.directory, exit_timeout=0) as server:
        half = socket.create_connection(("127.0.0.1", server.http_port))
        half.sendall(b"POST /v2/repository/index HTTP/1.1\r\nContent-Length: 5\r\n\r\n")
        assert ready(server)
    half.close()


def test_started_twice(repository: RepositoryMaker) -> None:
    repository.python("a")
    with Server(repository.directory) as server, pytest.raises(RuntimeError, match="already"):
        server.start()


def test_start_that_fails_leaves_nothing(repository: RepositoryMaker) -> None:
    repository.python("a", "1/0")
    server = Server(repository.directory)
    threads = set(threading.enumerate())
    with pytest.raises(Internal, match=r"failed to load all models: .*ZeroDivisionError"):
        server.start()
    eventually(lambda: set(threading.enumerate()) <= threads)
    lenient = Server(repository.directory, exit_on_error=False)
    with lenient:
        assert not ready(lenient)
        assert [row.status[:11] for row in lenient.models()] == ["UNAVAILABLE"]
    with pytest.raises(ValueError, match="no such directory"):
        Server(repository.directory / "missing").start()


def test_port_that_is_taken(repository: RepositoryMaker) -> None:
    repository.python("a")
    with (
        Server(repository.directory) as server,
        pytest.raises(OSError, match=rf"can't listen at 127\.0\.0\.1:{server.http_port}: .*in use"),
    ):
        Server(repository.directory, http_port=server.http_port).start()


def test_missing_package_is_named() -> None:
    code = (
        "import sys; sys.modules['uvicorn'] = None\n"
        "from tritonclient.server import Server\n"
        f"Server({str(MODELS)!r}).start()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "the embedded server needs uvicorn" in done.stderr
    assert "pip install hpack httptools onnxruntime protobuf uvicorn" in done.stderr


def test_missing_package_of_models_is_named_once() -> None:
    code = (
        "import sys; sys.modules['onnxruntime'] = None\n"
        "from tritonclient.server import Server\n"
        f"try: Server({str(MODELS)!r}).start()\n"
        "except Exception as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.count("the embedded server needs onnxruntime") == 1
    assert re.search(r"\(for 'digits', 'simple'.*\)", done.stdout)
    assert done.stderr.count("the embedded server needs onnxruntime") == 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"http_port": 99999}, ValueError, "http_port is 99999"),
        ({"http_port": -1}, ValueError, "http_port is -1"),
        ({"http_port": "8000"}, TypeError, "http_port is '8000'"),
        ({"load_models": "simple"}, TypeError, "load_models is 'simple'"),
    ],
)
def test_arguments_that_make_no_sense(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Server(MODELS, **options)


def test_directory_that_is_no_repository(
    repository: RepositoryMaker, caplog: pytest.LogCaptureFixture
) -> None:
    message = f"there are no models in '{repository.directory}'"
    with pytest.raises(ValueError, match=message):
        Server(repository.directory).start()
    for options in ({"exit_on_error": False}, {"load_models": ["*"]}):
        mode = "explicit" if "load_models" in options else "none"
        caplog.clear()
        with Server(repository.directory, model_control_mode=mode, **options):  # type: ignore[arg-type]
            assert message in caplog.text
    with pytest.raises(ValueError, match=f"give its parent: '{repository.directory}'"):
        Server(repository.python("a")).start()


def test_repr(repository: RepositoryMaker) -> None:
    repository.python("a")
    server = Server(repository.directory)
    assert repr(server) == f"<Server of {repository.directory}, not running>"
    with server:
        assert repr(server) == f"<Server at {server.http_url} and {server.grpc_url}, running>"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_stopping_in_a_forked_child(repository: RepositoryMaker) -> None:
    """It ends in the child without hanging, and goes on in the parent."""
    repository.python("a")
    code = f"""
import os, urllib.request
from tritonclient.server import Server

with Server({str(repository.directory)!r}) as server:
    ready = server.http_url + "/v2/health/ready"
    urllib.request.urlopen(ready).close()
    child = os.fork()
    if child == 0:
        server.stop()
        server.stop()
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    urllib.request.urlopen(ready).close()
    child = os.fork()
    if not child:
        raise SystemExit(8)  # leaves the block
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 8
    urllib.request.urlopen(ready).close()
print("through")
"""
    assert run_forking(code) == "through\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_serving_in_a_forked_child(repository: RepositoryMaker) -> None:
    """Children serve both protocols, while their parent does and afterwards."""
    repository.python("a")
    code = f"""
import os
from tritonclient import Client
from tritonclient.server import Server

def ready(url):
    with Client(url) as client:
        return client.is_server_ready()

def serve(name):
    child = os.fork()
    if child == 0:
        with Server({str(repository.directory)!r}) as server:
            print(name, ready(server.http_url), ready(server.grpc_url), flush=True)
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7

with Server({str(repository.directory)!r}) as server:
    ready(server.grpc_url)
    serve("during")
    print("parent", ready(server.http_url), ready(server.grpc_url), flush=True)
serve("after")
"""
    assert run_forking(code) == "during True True\nparent True True\nafter True True\n"


def run_forking(code: str) -> str:
    """Return the output of a program that forks; kill it and its children if they hang."""
    command = [sys.executable, "-W", "ignore", "-c", code]
    # A session of its own, so that a child that hangs is killed as well.
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            return process.communicate(timeout=20)[0]
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def test_importing_the_package_is_cheap() -> None:
    code = (
        "import sys, tritonclient.server, tritonclient.server.pytest_plugin\n"
        "print(*sorted({'numpy', 'uvicorn', 'onnxruntime', 'google.protobuf'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"uvicorn", "onnxruntime", "google.protobuf"} & set(done.stdout.split())
