"""What a Python model does to its process harms nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.server.conftest import FP32_CONFIG, RepositoryMaker, fp32
from tests.support.processes import descendants, runs
from tests.support.waiting import eventually
from tritonclient import messages as m
from tritonclient.errors import Internal, InvalidArgument
from tritonclient.server.core import InferenceServer

Serve = Callable[..., InferenceServer]

#: A model that does something to its process if its input is 1, and always answers with its input.
CODE = """
import ctypes, json, os, signal, socket, subprocess, sys, time
import triton_python_backend_utils as pb_utils

def sockets():
    links = [(i, f"/proc/self/fd/{{i}}") for i in range(3, 64)]
    return [i for i, link in links if os.path.lexists(link) and "socket" in os.readlink(link)]

class TritonPythonModel:
    {method}
    def execute(self, requests):
        (request,) = requests
        (tensor,) = request.inputs()
        if tensor.as_numpy()[0] == 1:
            {deed}
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", tensor.as_numpy())])]
"""
#: What ends a process, and how the index names it.
ENDS = {
    "os._exit(3)": "it exited with code 3",
    "ctypes.string_at(0)": "it was killed by SIGSEGV",
    "os.abort()": "it was killed by SIGABRT",
    "os.kill(os.getpid(), signal.SIGKILL)": "it was killed by SIGKILL",
    "os.closerange(3, 1000)": "it exited with code 0",
    "[os.write(i, b'x' * 99) for i in sockets()]": "it sent what cannot be read: ProtocolError",
}
#: What harms nothing but, perhaps, the model itself.
HARMLESS = [
    "os.kill(os.getpid(), signal.SIGTERM)",
    "os.kill(os.getpid(), signal.SIGINT)",
    "json.dumps = json.loads = None",
    "os.close(1); os.close(2)",
    "os.environ['PATH'] = ''; socket.setdefaulttimeout(0.001); os.chdir('/')",
    "sys.exit(1)",
    "raise KeyboardInterrupt",
    "pid = os.fork() or os._exit(0); os.waitpid(pid, 0)",
    "sys.exit(0) if os.fork() == 0 else None",
    "subprocess.run([sys.executable, '-c', ''], check=True)",
    "bytearray(256 << 20)",
]


def code(deed: str = "pass", method: str = "") -> str:
    return CODE.format(deed=deed, method=method)


def ask(core: InferenceServer, value: float, model: str = "m") -> float:
    response = core.handle(m.Infer(model, (fp32("IN", [value]),)))
    return float(np.frombuffer(bytes(response.outputs[0].data), "<f4")[0])


def reason(core: InferenceServer, model: str = "m") -> str:
    rows = core.handle(m.GetRepositoryIndex())
    return next(row.reason for row in rows if row.name == model)


@pytest.fixture
def in_process() -> bool:
    return False


@pytest.mark.parametrize("deed", ENDS)
def test_a_process_that_ends_is_started_again(
    repository: RepositoryMaker, serve: Serve, deed: str
) -> None:
    repository.python("m", code(deed))
    core = serve()
    assert ask(core, 2) == 2
    assert reason(core) == ""
    text = "message: Stub process 'm_0' is not healthy.$"
    with pytest.raises(Internal, match=text):
        ask(core, 1)
    assert ask(core, 3) == 3
    assert ENDS[deed] in reason(core)
    assert reason(core).endswith("it was started again once")


def test_the_index_names_the_place_of_a_crash(repository: RepositoryMaker, serve: Serve) -> None:
    repository.python("m", code("os.abort()"))
    core = serve()
    with pytest.raises(Internal):
        ask(core, 1)
    eventually(lambda: "model.py(15): execute" in reason(core))


@pytest.mark.parametrize("deed", HARMLESS)
def test_other_models_and_the_server_are_unaffected(
    repository: RepositoryMaker, serve: Serve, deed: str
) -> None:
    before = (dict(os.environ), os.getcwd(), json.dumps, json.loads)
    repository.python("m", code(deed))
    repository.python("other")
    core = serve()
    try:
        assert ask(core, 1) == 1
    except Internal as error:
        assert "not healthy" not in str(error)
    assert ask(core, 2) == 2
    assert ask(core, 3, "other") == 3
    assert (dict(os.environ), os.getcwd(), json.dumps, json.loads) == before
    assert reason(core) == ""


def test_the_server_answers_while_a_model_holds_the_gil(
    repository: RepositoryMaker, serve: Serve
) -> None:
    # PyDLL keeps the GIL during a call.
    repository.python("m", code("ctypes.PyDLL(None).pause()"))
    repository.python("other")
    core = serve()
    responses = core.stream(m.Infer("m", (fp32("IN", [1]),)))
    assert core.handle(m.IsServerReady())
    assert ask(core, 3, "other") == 3
    os.killpg(worker_of(core, "m"), 9)
    assert isinstance(next(responses), Internal)


def worker_of(core: InferenceServer, model: str) -> int:
    """Return the process of a model, which tells it in its next response."""
    instance = core._repository.get(model)._threads[0]._instance
    return int(instance._process.pid)  # type: ignore[union-attr]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("method", ["initialize(self, args)", "auto_complete_config(config)"])
def test_an_end_while_loading_fails_the_load(
    repository: RepositoryMaker, serve: Serve, method: str, end: str
) -> None:
    repository.python("m", code(method=f"def {method}: {end}"))
    core = serve(control_mode="explicit")
    with pytest.raises(InvalidArgument) as caught:
        core.handle(m.LoadModel("m"))
    assert ENDS[end] in str(caught.value)


def test_a_process_that_always_ends_is_started_again_later_and_later(
    repository: RepositoryMaker, serve: Serve, tmp_path: object
) -> None:
    repository.python("m", code("os._exit(1)"))
    core = serve()
    for _ in range(4):
        with pytest.raises(Internal, match="is not healthy"):
            ask(core, 1)

    def works() -> bool:
        try:
            return ask(core, 2) == 2
        except Internal:
            return False

    eventually(works)
    assert "it exited with code 1" in reason(core)


def test_a_model_that_ends_takes_what_it_started_with_it(
    repository: RepositoryMaker, serve: Serve, tmp_path: object
) -> None:
    child = "subprocess.Popen(['sleep', '1000']).pid"
    deed = f"open({str(tmp_path)!r} + '/pid', 'w').write(str({child})); os._exit(1)"
    repository.python("m", code(deed))
    core = serve()
    with pytest.raises(Internal):
        ask(core, 1)
    with open(f"{tmp_path}/pid") as file:
        pid = int(file.read())
    eventually(lambda: not runs(pid))


def test_closing_ends_the_processes(repository: RepositoryMaker, serve: Serve) -> None:
    repository.python("m", code())
    core = serve()
    pid = worker_of(core, "m")
    assert runs(pid)
    core.close()
    assert not runs(pid)


#: A server in a process of its own, which says the process of its model.
SERVER = """
import os, sys, time
from tests.server.conftest import fp32
from tritonclient import messages as m
from tritonclient.server.core import InferenceServer
core = InferenceServer([sys.argv[1]], in_process=False)
responses = core.stream(m.Infer("m", (fp32("IN", [1]),)))
instance = core._repository.get("m")._threads[0]._instance
if sys.argv[2] == "forks" and os.fork() == 0:
    sys.stdin.read()
    os._exit(0)
print(instance._process.pid, flush=True)
time.sleep(1000)
"""


@pytest.mark.parametrize("forks", ["", "forks"])
def test_a_killed_server_leaves_no_process(repository: RepositoryMaker, forks: str) -> None:
    # The model does not read from the server, and holds the GIL.
    repository.python("m", code("ctypes.PyDLL(None).pause()"))
    command = [sys.executable, "-c", SERVER, str(repository.directory), forks]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as server:
        assert server.stdout is not None
        pid = int(server.stdout.readline())
        assert runs(pid)
        server.kill()
        eventually(lambda: not runs(pid))


def used() -> tuple[int, int, int]:
    """Return the numbers of threads, descriptors and descendants of this process."""
    descriptors = os.listdir("/proc/self/fd")
    return threading.active_count(), len(descriptors), len(descendants(os.getpid()))


def resident() -> int:
    """Return the resident memory of this process in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("count", [5, pytest.param(200, marks=pytest.mark.long)])
def test_ended_processes_leave_nothing(
    repository: RepositoryMaker, serve: Serve, count: int
) -> None:
    repository.python("m", code("os._exit(1)"))
    core = serve()

    def crash() -> None:
        with pytest.raises(Internal):
            ask(core, 1)
        assert ask(core, 2) == 2

    for _ in range(3):
        crash()
    before, memory = used(), resident()
    for _ in range(count):
        crash()
    eventually(lambda: all(now <= then for now, then in zip(used(), before, strict=True)))
    assert resident() - memory < 16 << 20


def test_what_a_model_has_sent_before_it_ends_arrives(
    repository: RepositoryMaker, serve: Serve
) -> None:
    source = """
import os
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        (request,) = requests
        sender = request.get_response_sender()
        for _ in range(12):
            output = pb_utils.Tensor("OUT", request.inputs()[0].as_numpy())
            sender.send(pb_utils.InferenceResponse([output]))
        os._exit(1)
"""
    config = FP32_CONFIG + "model_transaction_policy { decoupled: true }"
    repository.python("m", source, config)
    answers = list(serve().stream(m.Infer("m", (fp32("IN", [1]),))))
    assert [isinstance(each, m.InferResponse) for each in answers] == [True] * 12 + [False]


@pytest.mark.parametrize("method", ["auto_complete_config", "initialize"])
def test_a_model_that_is_never_loaded_does_not_keep_the_server(
    repository: RepositoryMaker, serve: Serve, tmp_path: Path, method: str
) -> None:
    begun = tmp_path / "begun"
    head = "@staticmethod\n    " if method == "auto_complete_config" else ""
    deed = f"open({str(begun)!r}, 'w').close(); time.sleep(10_000)"
    core = serve(control_mode="explicit")
    repository.python("m", code(method=f"{head}def {method}(*arguments): {deed}"))
    errors = []

    def load() -> None:
        try:
            core.handle(m.LoadModel("m"))
        except InvalidArgument as error:
            errors.append(str(error))

    thread = threading.Thread(target=load)
    thread.start()
    eventually(begun.exists)
    core.close()
    thread.join()
    assert "it was killed by SIGKILL" in errors[0]
