"""The process that the processes of models are forked from."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.server.backends.python.process.test_isolation import SERVER, ask, code, reason, worker_of
from tests.server.backends.python.test_backend import TEXT_CONFIG
from tests.server.conftest import RepositoryMaker, fp32
from tests.support.processes import descendants, parent, runs
from tests.support.waiting import eventually
from tritonclient import messages as m
from tritonclient.errors import Internal, InvalidArgument
from tritonclient.server.backends.python.process import template
from tritonclient.server.backends.python.process.launch import ModelProcess
from tritonclient.server.core import InferenceServer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has templates")

Serve = Callable[..., InferenceServer]

#: Answers with the value of an expression as text.
TELLS = """
import os, random, sys
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        text = str({expression})
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", np.array([text], object))])]
"""


@pytest.fixture
def in_process() -> bool:
    return False


def tell(core: InferenceServer, model: str = "m") -> str:
    response = core.handle(m.Infer(model, (fp32("IN", [1]),)))
    return bytes(response.outputs[0].data)[4:].decode()


def test_processes_of_all_models_have_one_template(
    repository: RepositoryMaker, serve: Serve
) -> None:
    repository.python("a")
    repository.python("b")
    core = serve()
    workers = [worker_of(core, each) for each in "ab"]
    assert len(set(workers)) == 2
    assert len({parent(each) for each in workers}) == 1
    assert parent(workers[0]) in descendants(os.getpid())


def test_models_outlive_their_template(repository: RepositoryMaker, serve: Serve) -> None:
    repository.python("m", code("os._exit(3)"))
    core = serve()
    template = parent(worker_of(core, "m"))
    os.kill(template, 9)
    eventually(lambda: not runs(template))
    assert ask(core, 2) == 2
    with pytest.raises(Internal, match="is not healthy"):
        ask(core, 1)
    assert ask(core, 3) == 3
    assert "its exit code is not known" in reason(core)
    assert parent(worker_of(core, "m")) not in (template, 1)


def test_a_model_reports_its_end_after_a_new_template(
    repository: RepositoryMaker, serve: Serve
) -> None:
    repository.python("m", code("os._exit(3)"))
    core = serve()
    os.kill(parent(worker_of(core, "m")), 9)
    for _ in range(2):
        with pytest.raises(Internal, match="is not healthy"):
            ask(core, 1)
        assert ask(core, 2) == 2
    assert "it exited with code 3" in reason(core)


def test_a_killed_server_leaves_no_template(repository: RepositoryMaker) -> None:
    repository.python("m", code())
    command = [sys.executable, "-c", SERVER, str(repository.directory), ""]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        worker = int(server.stdout.readline())
        processes = descendants(server.pid)
        assert {worker, parent(worker)} <= set(processes)
        server.kill()
        eventually(lambda: not any(map(runs, processes)))


#: Two servers, which are closed one after the other.
STOPPED = """
import os, sys
from tests.support.processes import descendants
from tests.support.waiting import eventually
from tritonclient.server.backends.python.process import template
from tritonclient.server.backends.python.process.launch import ModelProcess
from tritonclient.server.core import InferenceServer

one, other = (InferenceServer([sys.argv[1]], in_process=False) for _ in range(2))
assert len(descendants(os.getpid())) == 3
one.close()
eventually(lambda: len(descendants(os.getpid())) == 2)
other.close()
assert not descendants(os.getpid())
"""


def test_a_template_ends_with_the_last_server(repository: RepositoryMaker) -> None:
    repository.python("m", code())
    subprocess.run([sys.executable, "-c", STOPPED, str(repository.directory)], check=True)


def test_a_process_has_the_servers_present_state(
    repository: RepositoryMaker, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expression = "[os.environ.get('COLOUR'), os.getcwd(), 'here' in sys.path]"
    repository.python("m", TELLS.format(expression=expression), TEXT_CONFIG)
    core = serve(control_mode="explicit", load_models=["m"])
    assert tell(core) == str([None, os.getcwd(), False])
    monkeypatch.setenv("COLOUR", "red")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("here")
    core.handle(m.LoadModel("m"))
    assert tell(core) == str(["red", str(tmp_path), True])


@pytest.mark.parametrize("expression", ["random.random()", "np.random.random()"])
def test_processes_have_random_numbers_of_their_own(
    repository: RepositoryMaker, serve: Serve, expression: str
) -> None:
    for each in "ab":
        repository.python(each, TELLS.format(expression=expression), TEXT_CONFIG)
    core = serve()
    assert tell(core, "a") != tell(core, "b")


def test_a_process_writes_to_the_servers_present_output(
    repository: RepositoryMaker, serve: Serve, capfd: pytest.CaptureFixture[str]
) -> None:
    repository.python("m", code("print('one', flush=True)"))
    core = serve()
    assert ask(core, 1) == 1
    assert "one" in capfd.readouterr().out


@pytest.mark.parametrize("script", ["exit 7", "echo hello"])
def test_an_interpreter_that_is_none_refuses_the_model(
    repository: RepositoryMaker, serve: Serve, tmp_path: Path, script: str
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    repository.python("m")
    core = serve(control_mode="explicit", python=str(python))
    with pytest.raises(InvalidArgument) as caught:
        core.handle(m.LoadModel("m"))
    assert f"the interpreter '{python}' ended with exit code" in str(caught.value)


def test_an_interpreter_without_numpy_refuses_the_model(
    repository: RepositoryMaker, serve: Serve, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    python.chmod(0o755)
    repository.python("m")
    core = serve(control_mode="explicit", python=str(python))
    with pytest.raises(InvalidArgument, match="No module named 'numpy'"):
        core.handle(m.LoadModel("m"))


def test_processes_share_no_descriptors(repository: RepositoryMaker, serve: Serve) -> None:
    sockets = "sum('socket' in os.readlink(f'/proc/self/fd/{i}') for i in [*range(3, 64)]"
    expression = f"{sockets} if os.path.lexists(f'/proc/self/fd/{{i}}'))"
    for each in "abc":
        repository.python(each, TELLS.format(expression=expression), TEXT_CONFIG)
    core = serve()
    assert [tell(core, each) for each in "abc"] == ["1", "1", "1"]
    assert np.all([runs(worker_of(core, each)) for each in "abc"])


def test_a_process_that_has_just_been_forked_can_be_killed() -> None:
    for _ in range(20):
        process = ModelProcess("")
        process.kill()
        assert process.end() == "it was killed by SIGKILL"


def test_without_templates_each_process_has_an_interpreter_of_its_own(
    repository: RepositoryMaker, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(template, "AVAILABLE", False)
    repository.python("m", code("os._exit(3)"))
    core = serve()
    assert parent(worker_of(core, "m")) == os.getpid()
    with pytest.raises(Internal, match="is not healthy"):
        ask(core, 1)
    assert ask(core, 2) == 2
    assert "it exited with code 3" in reason(core)
    worker = worker_of(core, "m")
    core.close()
    assert worker not in descendants(os.getpid())
