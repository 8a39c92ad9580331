"""Models with `async def execute`, and what they do with coroutines."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from tests.server.conftest import FP32_CONFIG, Gate, RepositoryMaker, fp32
from tests.support.waiting import eventually
from tritonclient import messages as m
from tritonclient.errors import ServerError
from tritonclient.server.core import InferenceServer

#: Models are executed in the test's process, and in a process per instance.
IN_BOTH = True
Serve = Callable[..., InferenceServer]

DECOUPLED = FP32_CONFIG + "model_transaction_policy { decoupled: true }"
HEAD = """
import asyncio
import numpy as np
import triton_python_backend_utils as pb_utils

def tensor(value, name="OUT"):
    return pb_utils.Tensor(name, np.array([value], np.float32))

def ask(model, value=0.0):
    return pb_utils.InferenceRequest(
        model_name=model, requested_output_names=["OUT"], inputs=[tensor(value, "IN")]
    )

def number(response):
    return response.output_tensors()[0].as_numpy()[0]
"""
ONE = (
    HEAD
    + """
class TritonPythonModel:
    async def execute(self, requests):
        return [pb_utils.InferenceResponse([tensor(await self.one(r))]) for r in requests]
"""
)
MANY = (
    HEAD
    + """
class TritonPythonModel:
    async def execute(self, requests):
        await asyncio.gather(*(self.answer(r) for r in requests))

    async def answer(self, request):
        sender = request.get_response_sender()
        async for value in self.values(request):
            sender.send(pb_utils.InferenceResponse([tensor(value)]))
        sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""
)


def first(answer: object) -> float:
    assert isinstance(answer, m.InferResponse), answer
    return float(memoryview(answer.outputs[0].data or b"").cast("B").cast("f")[0])


def ask(core: InferenceServer, name: str = "a", value: float = 0) -> float:
    return first(core.handle(m.Infer(name, (fp32("IN", [value]),))))


def test_the_loop_lives_as_long_as_the_instance(repository: RepositoryMaker, serve: Serve) -> None:
    code = """
    async def one(self, request):
        loop = asyncio.get_running_loop()
        self.loops = getattr(self, "loops", {loop}) | {loop}
        await asyncio.sleep(0)
        return len(self.loops)
"""
    repository.python("a", ONE + code)
    before = set(threading.enumerate())
    core = serve()
    assert [ask(core) for _ in range(3)] == [1, 1, 1]
    core.close()
    assert set(threading.enumerate()) <= before


def test_an_error_in_a_coroutine(repository: RepositoryMaker, serve: Serve) -> None:
    repository.python("a", ONE + "    async def one(self, request): 1 / 0")
    with pytest.raises(ServerError, match="message: ZeroDivisionError") as caught:
        ask(serve())
    assert "model.py(20): one\n" in caught.value.message()


def test_batches_of_a_decoupled_model_overlap(repository: RepositoryMaker, serve: Serve) -> None:
    """The first waits for the second, which a model that executes one at a time never reaches."""
    code = """
    event = None

    async def values(self, request):
        if self.event is None:
            self.event = asyncio.Event()
            await self.event.wait()
        self.event.set()
        yield 1
"""
    repository.python("a", MANY + code, DECOUPLED)
    core = serve()
    streams = [core.stream(m.Infer("a", (fp32("IN", [0]),))) for _ in range(2)]
    assert [first(next(each)) for each in streams] == [1, 1]


def test_a_decoupled_coroutine_that_fails_answers_its_requests(
    repository: RepositoryMaker, serve: Serve
) -> None:
    code = "    async def values(self, request):\n        yield 1\n        1 / 0"
    repository.python("a", MANY + code, DECOUPLED)
    value, error = serve().stream(m.Infer("a", (fp32("IN", [0]),)))
    assert first(value) == 1
    assert isinstance(error, ServerError)
    assert "ZeroDivisionError" in error.message()


def test_closing_finalizes_and_cancels_coroutines(
    repository: RepositoryMaker, serve: Serve, gate: Gate
) -> None:
    """A task goes on after the last response; at the end it is cancelled."""
    code = """
    async def values(self, request):
        yield 1
        self.task = asyncio.get_running_loop().create_task(self.linger())
        await asyncio.sleep(0)

    async def linger(self):
        from tests.server.conftest import GATES
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            GATES[-1].batches.append("cancelled")
            raise

    def finalize(self):
        from tests.server.conftest import GATES
        GATES[-1].batches.append("finalized")
"""
    repository.python("a", MANY + code, DECOUPLED)
    core = serve()
    list(core.stream(m.Infer("a", (fp32("IN", [0]),))))
    core.close()
    assert gate.batches == ["finalized", "cancelled"]


@pytest.fixture
def callees(repository: RepositoryMaker) -> None:
    """Models that coroutines call: `echo` gives its input, `count` counts up to it."""
    echo = "    async def one(self, r): return r.inputs()[0].as_numpy()[0]"
    repository.python("echo", ONE + echo)
    code = """
    async def values(self, request):
        for number in range(int(request.inputs()[0].as_numpy()[0])):
            yield number
"""
    repository.python("count", MANY + code, DECOUPLED)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("number(await ask('echo', 5).async_exec())", 5),
        (
            "sum(number(r) for r in"
            " await asyncio.gather(*(ask('echo', n).async_exec() for n in range(5))))",
            10,
        ),
        (
            "sum([number(r) async for r in await ask('count', 4).async_exec(decoupled=True)"
            " if r.output_tensors()])",
            6,
        ),
        (
            "sum(number(r) for r in await ask('count', 4).async_exec(decoupled=True)"
            " if r.output_tensors())",
            6,
        ),
        ("number(await asyncio.to_thread(ask('echo', 7).exec))", 7),
    ],
)
@pytest.mark.usefixtures("callees")
def test_calls_inside_coroutines(
    repository: RepositoryMaker, serve: Serve, body: str, expected: float
) -> None:
    repository.python("a", ONE + f"    async def one(self, request):\n        return {body}")
    assert ask(serve()) == expected


#: Sends until it is cancelled.
ENDLESS = """
    async def values(self, request):
        from tests.server.conftest import GATES
        while not request.is_cancelled():
            yield 1
            await asyncio.sleep(0.001)
        GATES[-1].batches.append("seen")
"""


@pytest.mark.parametrize(
    "body",
    [
        "it = ask('endless').exec(decoupled=True); next(it); it.cancel()",
        "it = await ask('endless').async_exec(decoupled=True); next(it); it.cancel()",
        "it = await ask('endless').async_exec(decoupled=True); await anext(it); it.cancel()",
    ],
)
def test_a_model_cancels_what_it_called(
    repository: RepositoryMaker, serve: Serve, gate: Gate, body: str
) -> None:
    repository.python("endless", MANY + ENDLESS, DECOUPLED)
    code = f"    async def one(self, request):\n        self.it = None; {body}; self.it = it\n"
    repository.python("a", ONE + code + "        return 3")
    assert ask(serve()) == 3
    eventually(lambda: gate.batches == ["seen"])


def test_cancelling_the_awaitable_cancels_the_request(
    repository: RepositoryMaker, serve: Serve, gate: Gate
) -> None:
    slow = """
    async def one(self, request):
        from tests.server.conftest import GATES
        GATES[-1].batches.append("executing")
        while not request.is_cancelled():
            await asyncio.sleep(0.001)
        GATES[-1].batches.append("seen")
        return 1
"""
    repository.python("slow", ONE + slow)
    code = """
    async def one(self, request):
        from tests.server.conftest import GATES
        call = ask("slow").async_exec()
        while not GATES[-1].batches:
            await asyncio.sleep(0.001)
        call.cancel()
        await asyncio.wait([call])
        return 3
"""
    repository.python("a", ONE + code)
    assert ask(serve()) == 3
    eventually(lambda: gate.batches == ["executing", "seen"])
