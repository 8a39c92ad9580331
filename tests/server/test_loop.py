"""The event loop of a server."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest

from tritonclient.server.loop import ServerLoop


@pytest.fixture
def loop() -> Iterator[ServerLoop]:
    loop = ServerLoop()
    yield loop
    loop.close()


def test_it_has_a_thread_of_its_own(loop: ServerLoop) -> None:
    seen: list[bool] = []
    done = threading.Event()
    loop.call(lambda: (seen.append(loop.is_current()), done.set()))
    assert done.wait(30)
    assert seen == [True]
    assert not loop.is_current()


def test_coroutines(loop: ServerLoop) -> None:
    async def double(number: int) -> int:
        await asyncio.sleep(0)
        return 2 * number

    assert loop.run(double(4)) == 8


def test_other_threads_do_what_takes_long(loop: ServerLoop) -> None:
    seen: list[bool] = []
    done = threading.Event()
    loop.in_thread(lambda: (seen.append(loop.is_current()), done.set()))
    assert done.wait(30)
    assert seen == [False]


def test_closing_ends_tasks_and_threads() -> None:
    loop = ServerLoop()
    before = set(threading.enumerate())
    ended = threading.Event()

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    loop.submit(forever())
    loop.in_thread(lambda: None)
    loop.close()
    assert ended.is_set()
    assert set(threading.enumerate()) <= before
    loop.call(pytest.fail)  # is too late, which harms nothing
    loop.close()


def test_one_that_is_not_used_has_no_thread() -> None:
    before = set(threading.enumerate())
    loop = ServerLoop()
    assert set(threading.enumerate()) <= before
    loop.close()


def test_events_are_seen_while_callbacks_wait(loop: ServerLoop) -> None:
    ours, theirs = socket.socketpair()
    seen = threading.Event()

    def again() -> None:  # there is always a callback
        if not seen.is_set():
            loop.events.call_soon(again)

    with ours, theirs:
        loop.call(again)
        loop.call(loop.events.add_reader, ours, seen.set)
        theirs.send(b"x")
        assert seen.wait(30)

        async def end() -> None:
            loop.events.remove_reader(ours)

        loop.run(end())


def test_timers_after_waits_of_any_length(loop: ServerLoop) -> None:
    fired: list[float] = []
    last = threading.Event()

    def after(seconds: list[float]) -> None:
        if not seconds:
            last.set()
            return
        fired.append(seconds[0])
        loop.events.call_later(seconds[0], after, seconds[1:])

    waits = [0, 1e-6, 1e-4, 1e-3, 1e-2, 1e-4, 0]
    loop.call(after, waits)
    assert last.wait(30)
    assert fired == waits
