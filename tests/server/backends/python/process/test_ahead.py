"""Batches that a process gets while it executes others."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.server.conftest import FP32_CONFIG, RepositoryMaker, fp32
from tests.support.waiting import eventually
from tritonclient import messages as m
from tritonclient.datatypes import unpack
from tritonclient.errors import Cancelled, Internal
from tritonclient.server.core import InferenceServer
from tritonclient.server.inference import Outcome

Serve = Callable[..., InferenceServer]

END, WAIT = 1.0, 2.0
#: A model that ends its process at the input 1, and waits for the test at the input 2. It adds what
#: it executes to a file.
CODE = """
import os
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        (request,) = requests
        array = request.inputs()[0].as_numpy()
        with open(os.path.join({folder!r}, "executed"), "a") as file:
            file.write(str(array[0]) + " ")
        if array[0] == {end}:
            os._exit(3)
        if array[0] == {wait}:
            open(os.path.join({folder!r}, "go")).close()
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", array)])]
"""


class Asker:
    """Starts requests without waiting for them."""

    def __init__(self, core: InferenceServer, folder: Path) -> None:
        self.core = core
        self._folder = folder
        os.mkfifo(folder / "go")

    def start(
        self, value: float, cancelled: threading.Event | None = None
    ) -> queue.SimpleQueue[Outcome]:
        """Start a request, and return the queue of its outcome."""
        outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        request = m.Infer("m", (fp32("IN", [value]),))
        self.core.begin(request, cancelled or threading.Event(), outcomes.put)
        return outcomes

    def ask(self, value: float) -> float:
        """Return the response to a request."""
        return answer(self.start(value))

    def executed(self) -> list[float]:
        """Return what the model has executed, or begun to."""
        path = self._folder / "executed"
        return [*map(float, path.read_text().split())] if path.exists() else []

    def release(self) -> None:
        """Let the model go on that waits."""
        with (self._folder / "go").open("w"):
            pass


def answer(outcomes: queue.SimpleQueue[Outcome]) -> float:
    """Return the output of a request; raise its error."""
    (output,) = outcomes.get(timeout=30).encode().outputs
    assert output.data is not None
    return float(unpack(output.data, "FP32", (1,))[0])


@pytest.fixture
def in_process() -> bool:
    return False


@pytest.fixture
def instances() -> int:
    return 1


@pytest.fixture
def asker(
    repository: RepositoryMaker, serve: Serve, tmp_path: Path, instances: int
) -> Iterator[Asker]:
    code = CODE.format(folder=str(tmp_path), end=END, wait=WAIT)
    config = f"{FP32_CONFIG} instance_group [{{ count: {instances} }}]"
    repository.python("m", code, config)
    asker = Asker(serve(), tmp_path)
    yield asker
    with suppress(OSError):  # the model does not wait
        os.close(os.open(tmp_path / "go", os.O_WRONLY | os.O_NONBLOCK))


def test_what_a_process_had_not_begun_is_executed_by_the_next(asker: Asker) -> None:
    values = [10.0 + n for n in range(12)]
    assert [asker.ask(value) for value in values] == values  # it is quick, so it gets more at once
    ends = asker.start(END)
    others = [asker.start(value) for value in values]
    with pytest.raises(Internal, match="is not healthy"):
        answer(ends)
    assert [answer(each) for each in others] == values
    assert asker.executed() == [*values, END, *values]


def test_a_process_gets_more_only_while_it_is_quick(asker: Asker) -> None:
    first = asker.start(WAIT)
    eventually(lambda: asker.executed() == [WAIT])
    asker.release()
    assert answer(first) == WAIT
    second = asker.start(WAIT)
    cancelled = threading.Event()
    waiting = asker.start(7.0, cancelled)
    cancelled.set()  # it is in the queue still, where this counts
    asker.release()
    assert answer(second) == WAIT
    with pytest.raises(Cancelled):
        answer(waiting)
    assert asker.ask(8.0) == 8.0
    assert asker.executed() == [WAIT, WAIT, 8.0]


@pytest.mark.parametrize("instances", [2])
def test_no_request_waits_behind_a_slow_one_while_an_instance_is_idle(asker: Asker) -> None:
    values = [10.0 + n for n in range(12)]
    assert [asker.ask(value) for value in values] == values
    slow = asker.start(WAIT)
    eventually(lambda: WAIT in asker.executed())
    others = [asker.start(value) for value in values]
    assert [answer(each) for each in others] == values
    asker.release()
    assert answer(slow) == WAIT


def test_waiting_in_the_process_counts_as_queue(asker: Asker) -> None:
    for _ in range(5):
        assert asker.ask(10.0) == 10.0
    before = statistics(asker)
    begin = time.monotonic()
    slow = asker.start(WAIT)
    behind = asker.start(11.0)
    eventually(lambda: WAIT in asker.executed())
    # Most of the time that the one is executed the other waits.
    now = time.monotonic()
    eventually(lambda: time.monotonic() - now > 3 * (now - begin))
    asker.release()
    assert [answer(slow), answer(behind)] == [WAIT, 11.0]
    after = statistics(asker)
    queued = after.queue.ns - before.queue.ns
    assert queued > after.compute_input.ns - before.compute_input.ns
    assert queued > (after.compute_infer.ns - before.compute_infer.ns) / 2


def statistics(asker: Asker) -> m.InferStatistics:
    (model,) = asker.core.handle(m.GetStatistics("m"))
    return model.inference_stats
