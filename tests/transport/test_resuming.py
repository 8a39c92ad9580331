"""Tasks that are resumed as soon as the response to their call has been read."""

from __future__ import annotations

import asyncio
import sys
from asyncio import AbstractEventLoop, Future, Task
from collections.abc import Callable, Coroutine
from contextvars import ContextVar, copy_context
from typing import Any

import pytest

from tests.support.peers.echo import check, infer
from tests.support.peers.grpc_peers import GrpcServer, answer_calls, greet
from tests.support.peers.hostile_peers import PATIENCE, stall
from tritonclient import AsyncClient, DeadlineExceeded
from tritonclient.engine.http2 import Http2
from tritonclient.transport.aio.resuming import resume

_name = ContextVar("_name", default="nobody")


def _python_task(
    loop: AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **options: Any
) -> Task[Any]:
    return asyncio.tasks._PyTask(coroutine, loop=loop, **options)


@pytest.fixture(params=["C", "Python"])
def run(request) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Run a coroutine, with tasks and futures of either kind."""

    def run(main: Coroutine[Any, Any, Any]) -> Any:
        loop = asyncio.new_event_loop()
        if request.param == "Python":
            loop.set_task_factory(_python_task)
            loop.create_future = lambda: asyncio.futures._PyFuture(loop=loop)
        try:
            return loop.run_until_complete(main)
        finally:
            loop.close()

    return run


class Waiting:
    """A task that waits for a future; `log` tells in what order things happen."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.future: Future[None] = self.loop.create_future()
        self.log: list[str] = []

    async def wait(self) -> str:
        await self.future
        self.log.append("resumed")
        return _name.get()

    def resume(self) -> None:
        resume(self.loop, self.future)
        self.log.append("returned")

    async def begin(self) -> Task[Any]:
        task = self.loop.create_task(self.wait())
        await asyncio.sleep(0)
        return task


def test_the_task_runs_at_once(run):
    async def main():
        waiting = Waiting()
        _name.set("Ada")
        task = await waiting.begin()
        _name.set("Bob")
        waiting.loop.call_soon(waiting.resume)
        assert await task == "Ada"  # its own context
        assert waiting.log == ["resumed", "returned"]

    run(main())


def test_not_within_another_task(run):
    async def main():
        waiting = Waiting()
        task = await waiting.begin()
        waiting.resume()
        assert await task == "nobody"
        assert waiting.log == ["returned", "resumed"]

    run(main())


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tasks take no context")
def test_not_within_its_own_context(run):
    async def main():
        waiting = Waiting()
        context = copy_context()
        task = waiting.loop.create_task(waiting.wait(), context=context)
        await asyncio.sleep(0)
        waiting.loop.call_soon(waiting.resume, context=context)
        await task
        assert waiting.log == ["returned", "resumed"]

    run(main())


def test_the_loop_resumes_several(run):
    async def main():
        waiting = Waiting()
        tasks = [await waiting.begin() for _ in range(2)]
        waiting.loop.call_soon(waiting.resume)
        await asyncio.gather(*tasks)
        assert waiting.log == ["returned", "resumed", "resumed"]

    run(main())


def test_loops_that_may_run_within_a_task():
    """Such a loop does not read from a socket whose read callback has not returned."""

    class Nesting(asyncio.SelectorEventLoop):
        def run_until_complete(self, future):
            return super().run_until_complete(future)

    async def main():
        waiting = Waiting()
        task = await waiting.begin()
        waiting.loop.call_soon(waiting.resume)
        await task
        assert waiting.log == ["returned", "resumed"]

    loop = Nesting()
    try:
        loop.run_until_complete(main())
    finally:
        loop.close()


def test_nobody_waits(run):
    async def main():
        waiting = Waiting()
        waiting.resume()
        assert await waiting.wait() == "nobody"

    run(main())


def test_what_ends_the_program_comes_out(run):
    class Waits(Waiting):
        async def wait(self) -> str:
            await self.future
            raise KeyboardInterrupt

    async def main():
        waiting = Waits()
        tasks.append(await waiting.begin())
        waiting.loop.call_soon(waiting.resume)
        await waiting.loop.create_future()

    tasks: list[Task[Any]] = []
    with pytest.raises(KeyboardInterrupt):
        run(main())
    assert isinstance(tasks[0].exception(), KeyboardInterrupt)


def _within_a_read() -> bool:
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "buffer_updated":
            return True
        frame = frame.f_back
    return False


def test_a_call_is_resumed_by_the_read_that_ends_it():
    async def main():
        async with AsyncClient(server.url, timeout=PATIENCE) as client:
            within = []
            for number in range(20):
                check(await infer(client, number), number)
                within.append(_within_a_read())
            assert all(within)

    with GrpcServer([greet, answer_calls()]) as server:
        asyncio.run(main())


def test_a_task_may_close_the_client_there():
    async def main():
        client = AsyncClient(server.url, timeout=PATIENCE)
        check(await infer(client, 1), 1)
        assert _within_a_read()
        await client.close()
        with pytest.raises(RuntimeError, match="closed"):
            await infer(client, 2)

    with GrpcServer([greet, answer_calls()]) as server:
        asyncio.run(main())


def test_a_signal_while_a_response_is_read_leaves_no_call_waiting(monkeypatch):
    """The exception of a handler comes out of the loop, and the call ends when it runs again."""
    read, strikes = Http2.buffer_updated, [KeyboardInterrupt]

    def buffer_updated(self, count):
        busy = bool(self.streams)
        read(self, count)
        if busy and not self.streams and strikes:
            raise strikes.pop()

    monkeypatch.setattr(Http2, "buffer_updated", buffer_updated)
    with GrpcServer([greet, answer_calls()]) as server:
        loop = asyncio.new_event_loop()
        client = AsyncClient(server.url, timeout=PATIENCE)
        task = loop.create_task(infer(client, 1))
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(task)
        check(loop.run_until_complete(asyncio.wait_for(task, PATIENCE)), 1)
        loop.run_until_complete(client.close())
        loop.close()


def test_a_timeout_comes_through_the_loop():
    async def main():
        async with AsyncClient(server.url, timeout=0.1) as client:
            with pytest.raises(DeadlineExceeded):
                await infer(client, 1)
            assert not _within_a_read()

    with GrpcServer([greet, stall]) as server:
        asyncio.run(main())
