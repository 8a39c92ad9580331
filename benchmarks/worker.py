"""A worker: a process that makes the calls of one client when it is told to.

`python -m benchmarks.worker MODULE:CLASS` reads a command from each line of its standard input and
answers with a line, both JSON:

- `{"open": CASE, "url": URL}`: make the client of a case, and one call;
- `{"run": SECONDS}`: make calls for so long; answers a `Window`;
- `{"peak": CASE, "url": URL}`: make a few calls; answers the bytes of memory that they took.

The clocks, and the order of things, are the same for all clients.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import importlib.metadata
import json
import os
import platform
import re
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    ExitStack,
    contextmanager,
)
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, Protocol, TypeAlias

import numpy

from .cases import Case, Kind, find
from .workloads import (
    Array,
    AsyncCall,
    Call,
    Workload,
    make_texts,
    make_workload,
    waiting,
)

PEAK_CALLS = 3
BLOCKED = 1.2  # seconds for which the server is kept from answering the requests in flight
BLOCKERS = 2  # as many as slow_identity has instances


class Client(Protocol):
    """The calls of a client; a case needs only some of them."""

    package: str  # the distribution, "" for none
    shared: bool  # True if threads may share a client

    def blocking(
        self, url: str, workload: Workload, prepared: bool
    ) -> AbstractContextManager[Call]: ...

    def asynchronous(
        self, url: str, workload: Workload, connections: int
    ) -> AbstractAsyncContextManager[AsyncCall]: ...

    def serialise(self, array: Array) -> Any: ...

    def deserialise(self, wire: bytes, count: int) -> Callable[[], Array]: ...


@dataclass(frozen=True, slots=True)
class Window:
    """Measurements of a window: CPU (user and system) of the process, and latencies of its calls,
    in seconds.
    """

    cpu: float
    latencies: list[float]


#: Makes calls for so many seconds, at least one.
Run: TypeAlias = "Callable[[float], Window]"


def main() -> None:
    """Obey until the standard input ends."""
    # What else is printed must not get between the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    module, _, name = sys.argv[1].partition(":")
    client: Client = getattr(importlib.import_module(module), name)()
    print(json.dumps(_description(client.package)), file=answers)
    with ExitStack() as stack:
        for line in sys.stdin:
            match json.loads(line):
                case {"open": name, "url": url}:
                    stack.close()
                    run = stack.enter_context(_opened(client, url, find(name)))
                    answer: object = None
                case {"run": seconds}:
                    answer = asdict(run(seconds))
                case {"peak": name, "url": url}:
                    case = find(name)
                    answer = _PEAKS[case.kind](client, url, case)
                case other:
                    raise ValueError(f"no such command: {other!r}")
            print(json.dumps(answer), file=answers)


def _description(package: str) -> dict[str, str]:
    version = importlib.metadata.version(package) if package else ""
    place = importlib.import_module(package).__file__ if package else ""
    return {
        "package": f"{package} {version}".strip(),
        "place": str(place),
        "python": platform.python_version(),
        "numpy": numpy.__version__,
    }


# Time


@contextmanager
def _opened(client: Client, url: str, case: Case) -> Iterator[Run]:
    """The client of a case, which has made a call: a function that makes more of them."""
    if case.kind is Kind.SERIALISE:
        texts = make_texts(case.workload)
        assert bytes(client.serialise(texts.items)) == texts.wire
        yield lambda seconds: _run(lambda: client.serialise(texts.items), seconds)
    elif case.kind is Kind.DESERIALISE:
        texts = make_texts(case.workload)
        call = client.deserialise(texts.wire, len(texts.items))
        assert call().tolist() == texts.items.tolist()
        yield lambda seconds: _run(call, seconds)
    else:
        opened = {Kind.THREADS: _threads, Kind.ASYNCIO: _asyncio}.get(case.kind, _blocking)
        with opened(client, url, case, make_workload(case.workload)) as run:
            yield run


def _run(call: Callable[[], object], seconds: float) -> Window:
    cpu = process_time()
    latencies = _timed(call, perf_counter() + seconds)
    return Window(process_time() - cpu, latencies)


def _timed(call: Callable[[], object], end: float) -> list[float]:
    latencies = []
    now = perf_counter()
    while not latencies or now < end:
        start = now
        call()
        now = perf_counter()
        latencies.append(now - start)
    return latencies


@contextmanager
def _blocking(client: Client, url: str, case: Case, workload: Workload) -> Iterator[Run]:
    with client.blocking(url, workload, case.kind is Kind.PREPARED) as call:
        workload.check(call())
        yield lambda seconds: _run(call, seconds)


@contextmanager
def _threads(client: Client, url: str, case: Case, workload: Workload) -> Iterator[Run]:
    with ExitStack() as stack:
        threads = [stack.enter_context(ThreadPoolExecutor(1)) for _ in range(case.width)]

        def enter(thread: ThreadPoolExecutor) -> Call:
            context = client.blocking(url, workload, False)
            leave = context.__exit__
            stack.callback(lambda: thread.submit(leave, None, None, None).result())
            return thread.submit(context.__enter__).result()

        # A client that threads must not share is made where it is used.
        calls = [enter(thread) for thread in (threads[:1] if client.shared else threads)]
        calls *= case.width // len(calls)
        for thread, call in zip(threads, calls, strict=True):
            workload.check(thread.submit(call).result())

        def run(seconds: float) -> Window:
            cpu, end = process_time(), perf_counter() + seconds
            futures = [
                thread.submit(_timed, call, end)
                for thread, call in zip(threads, calls, strict=True)
            ]
            latencies = [latency for future in futures for latency in future.result()]
            return Window(process_time() - cpu, latencies)

        yield run


@contextmanager
def _asyncio(client: Client, url: str, case: Case, workload: Workload) -> Iterator[Run]:
    loop = asyncio.new_event_loop()
    context = client.asynchronous(url, workload, case.width)
    try:
        call = loop.run_until_complete(_entered(context))
        workload.check(loop.run_until_complete(_called(call)))

        def run(seconds: float) -> Window:
            cpu = process_time()
            timed = _all_timed(call, case.width, perf_counter() + seconds)
            latencies = loop.run_until_complete(timed)
            return Window(process_time() - cpu, latencies)

        yield run
        loop.run_until_complete(context.__aexit__(None, None, None))
    finally:
        loop.close()


async def _entered(context: AbstractAsyncContextManager[AsyncCall]) -> AsyncCall:
    return await context.__aenter__()


async def _called(call: AsyncCall) -> Any:
    return await call()


async def _all_timed(call: AsyncCall, width: int, end: float) -> list[float]:
    """Make calls in each of `width` tasks, at least one in each."""

    async def work() -> list[float]:
        latencies = []
        now = perf_counter()
        while not latencies or now < end:
            start = now
            await call()
            now = perf_counter()
            latencies.append(now - start)
        return latencies

    results = await asyncio.gather(*(work() for _ in range(width)))
    return [latency for result in results for latency in result]


# Memory


def _status(field: str) -> int:
    """A line of /proc/self/status, in bytes."""
    match = re.search(
        rf"^{field}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE
    )
    assert match is not None
    return int(match[1]) * 1024


def _restart_peak() -> int:
    """Reset the peak of resident memory; return its current value."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmHWM")


def _peak_blocking(client: Client, url: str, case: Case) -> int:
    with client.blocking(url, make_workload("warm-up"), False) as call:
        call()  # loads what is loaded at the first use
    workload = make_workload(case.workload)
    before = _restart_peak()
    answer: Any = None
    with client.blocking(url, workload, False) as call:
        for _ in range(PEAK_CALLS):
            answer = None  # else the last answer would still be held while the next one comes
            answer = call()
    return _beyond(before, workload, answer)


def _peak_asyncio(client: Client, url: str, case: Case) -> int:
    async def run() -> int:
        async with client.asynchronous(url, make_workload("warm-up"), 1) as call:
            await call()
        workload = make_workload(case.workload)
        before = _restart_peak()
        answer: Any = None
        async with client.asynchronous(url, workload, 1) as call:
            for _ in range(PEAK_CALLS):
                answer = None
                answer = await call()
        return _beyond(before, workload, answer)

    return asyncio.run(run())


def _beyond(before: int, workload: Workload, answer: list[Array]) -> int:
    # The input was there before, so of the tensors only the answer is in the difference.
    extra = _status("VmHWM") - before - sum(array.nbytes for array in answer)
    workload.check(answer)
    return extra


def _in_flight(client: Client, url: str, case: Case) -> int:
    async def run() -> int:
        async with client.asynchronous(url, waiting(BLOCKED), BLOCKERS) as block:
            blockers = asyncio.gather(*(block() for _ in range(BLOCKERS)))
            await asyncio.sleep(0.2)
            before = _restart_peak()
            async with client.asynchronous(url, waiting(0), case.width) as call:
                latencies = await _all_timed(call, case.width, 0)
            peak = _status("VmHWM")
            await blockers
        if min(latencies) < BLOCKED / 3:
            raise RuntimeError("answers came before all requests were in flight")
        return (peak - before) // case.width

    return asyncio.run(run())


_PEAKS: dict[Kind, Callable[[Client, str, Case], int]] = {
    Kind.PEAK_BLOCKING: _peak_blocking,
    Kind.PEAK_ASYNCIO: _peak_asyncio,
    Kind.IN_FLIGHT: _in_flight,
}

if __name__ == "__main__":
    main()
