"""Whatever a model does, the server answers its other clients."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from tests.server.backends.python.process.test_isolation import code
from tests.server.conftest import RepositoryMaker
from tests.support.processes import descendants, parent, runs
from tests.support.waiting import eventually
from tritonclient import Client, InferenceServerException
from tritonclient.server import Server

X = np.array([2], np.float32)
#: What a model does when it executes.
EXECUTES = {
    "exit": "os._exit(3)",
    "segmentation fault": "ctypes.string_at(0)",
    "abort": "os.abort()",
    "SIGKILL": "os.kill(os.getpid(), signal.SIGKILL)",
    "SIGTERM": "os.kill(os.getpid(), signal.SIGTERM)",
    "SIGINT": "os.kill(os.getpid(), signal.SIGINT)",
    "holds the lock of Python": "ctypes.PyDLL(None).usleep(400_000)",
    "poisoned modules": "json.dumps = json.loads = socket.socket = os.read = None",
    "closed outputs": "os.close(1); os.close(2)",
    "closed descriptors": "os.closerange(3, 1000)",
    "changed process": "os.environ.clear(); socket.setdefaulttimeout(0.001); os.chdir('/')",
    "2 GiB": "bytearray(2 << 30)",
    "forks": "[os.waitpid(os.fork() or os._exit(0), 0) for _ in range(3)]",
    "forks that go on": "os.fork()",
    "a child": "subprocess.Popen(['sleep', '1000'])",
    "recursion": "f = lambda n: f(n + 1); f(0)",
}
#: What a model does when it is loaded.
LOADS = [
    "os._exit(3)",
    "ctypes.string_at(0)",
    "os.abort()",
    "os.kill(os.getpid(), signal.SIGKILL)",
    "os.closerange(3, 1000)",
    "ctypes.PyDLL(None).usleep(400_000); raise SystemExit",
]


class Health(threading.Thread):
    """Asks whether the server is live, over and over.

    Attributes:
        answers: how many times it was.
        problems: what else it was.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        self.answers = 0
        self.problems: list[object] = []
        self._url = url
        self._over = threading.Event()

    def run(self) -> None:
        with Client(self._url, timeout=60) as client:
            while not self._over.is_set():
                try:
                    if client.is_server_live():
                        self.answers += 1
                    else:
                        self.problems.append(False)
                except InferenceServerException as error:
                    self.problems.append(error)

    def await_answers(self) -> None:
        """Wait for answers to questions from now on."""
        goal = self.answers + 3
        eventually(lambda: self.answers >= goal or bool(self.problems))

    def end(self) -> None:
        """End the questions."""
        self._over.set()
        self.join()


@pytest.fixture
def server(repository: RepositoryMaker) -> Iterator[Server]:
    repository.python("other")
    with Server(repository.directory, model_control_mode="explicit", grpc_port=None) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.http_url, timeout=60) as client:
        client.load_model("other")
        yield client


@pytest.fixture
def health(server: Server, client: Client) -> Iterator[Health]:
    health = Health(server.http_url)
    health.start()
    yield health
    health.end()


def ask(client: Client, model: str, value: float) -> float:
    return float(client.infer(model, {"IN": np.array([value], np.float32)})["OUT"][0])


@pytest.mark.parametrize("deed", EXECUTES.values(), ids=EXECUTES)
def test_others_go_on_while_a_model_executes(
    repository: RepositoryMaker, server: Server, client: Client, health: Health, deed: str
) -> None:
    repository.python("m", code(deed))
    client.load_model("m")
    assert ask(client, "m", 2) == 2
    health.await_answers()
    results: list[object] = []

    def harm() -> None:
        with Client(server.http_url, timeout=60) as own:
            try:
                results.append(ask(own, "m", 1))
            except InferenceServerException as error:
                results.append(error)

    thread = threading.Thread(target=harm)
    thread.start()
    assert ask(client, "other", 3) == 3
    health.await_answers()
    thread.join()
    assert len(results) == 1
    assert ask(client, "m", 4) == 4
    assert ask(client, "other", 5) == 5
    assert health.problems == []


@pytest.mark.parametrize("method", ["initialize(self, args)", "auto_complete_config(config)"])
@pytest.mark.parametrize("deed", LOADS)
def test_others_go_on_while_a_model_is_loaded(
    repository: RepositoryMaker, client: Client, health: Health, method: str, deed: str
) -> None:
    repository.python("m", code(method=f"def {method}: {deed}"))
    health.await_answers()
    with pytest.raises(InferenceServerException, match="load failed for model 'm'"):
        client.load_model("m")
    assert ask(client, "other", 3) == 3
    health.await_answers()
    assert health.problems == []


@pytest.fixture
def of_others() -> set[int]:
    """Processes of other tests' servers."""
    return set(descendants(os.getpid()))


def test_a_stopped_server_leaves_no_process_of_a_model(
    of_others: set[int], repository: RepositoryMaker, server: Server, client: Client
) -> None:
    repository.python("m", code("os.fork(); subprocess.Popen(['sleep', '1000'])"))
    client.load_model("m")
    ask(client, "m", 1)
    # Those of two models, a fork and a program; the template belongs to this process.
    found = set(descendants(os.getpid())) - of_others
    processes = [each for each in found if parent(each) != os.getpid()]
    assert len(processes) >= 4
    server.stop()
    eventually(lambda: not any(map(runs, processes)))
