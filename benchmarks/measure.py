"""The measuring half of a child process: runs one case with one client's calls, prints JSON.

Only the calls differ between the clients; the clocks, the warm-up and the order of things are
these, for both.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import math
import re
import sys
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AbstractContextManager, ExitStack, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, Protocol, TypeAlias

from .cases import CASES, Array, Case, Kind, Workload, make_texts, make_workload, waiting

#: Makes one request and reads its outputs.
Call: TypeAlias = "Callable[[], list[Array]]"
AsyncCall: TypeAlias = "Callable[[], Awaitable[list[Array]]]"

WARM_UP = 30  # calls, for small requests; large ones are warm after two
BLOCKED = 1.2  # seconds for which the server is kept from answering the requests in flight
BLOCKERS = 2  # as many as slow_identity has instances


class Side(Protocol):
    """The calls of one client."""

    shared: bool  # whether threads may share a client

    def blocking(
        self, url: str, workload: Workload, prepared: bool
    ) -> AbstractContextManager[Call]: ...

    def asynchronous(
        self, url: str, workload: Workload, connections: int
    ) -> AbstractAsyncContextManager[AsyncCall]: ...

    def serialise(self, array: Array) -> Any: ...

    def deserialise(self, wire: bytes, count: int) -> Callable[[], Array]: ...


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a round found. Times are seconds per call; `memory` is bytes, see `Kind`."""

    cpu: float = math.nan
    median: float = math.nan
    p99: float = math.nan
    memory: int = 0


def main(side: Side) -> None:
    """Run the case that the arguments name."""
    parser = argparse.ArgumentParser()
    parser.add_argument("case", choices=[case.name for case in CASES])
    parser.add_argument("url")
    parser.add_argument("count", type=int)
    arguments = parser.parse_args()
    (case,) = (case for case in CASES if case.name == arguments.case)
    found = _RUNNERS[case.kind](side, arguments.url, case, arguments.count)
    json.dump(asdict(found), sys.stdout)


def summary(cpu: float, latencies: list[float]) -> Measurement:
    """The measurement that `cpu` seconds for all of these calls make."""
    latencies.sort()
    count = len(latencies)
    p99 = latencies[math.ceil(count * 0.99) - 1]
    return Measurement(cpu / count, latencies[count // 2], p99)


# Time


def _timed(call: Callable[[], object], count: int) -> list[float]:
    latencies = []
    for _ in range(count):
        start = perf_counter()
        call()
        latencies.append(perf_counter() - start)
    return latencies


def _warm_up(call: Callable[[], object], count: int) -> None:
    for _ in range(min(WARM_UP, max(2, count // 10))):
        call()


def _measured(call: Callable[[], object], count: int) -> Measurement:
    _warm_up(call, count)
    start = process_time()
    latencies = _timed(call, count)
    return summary(process_time() - start, latencies)


def _blocking(side: Side, url: str, case: Case, count: int) -> Measurement:
    workload = make_workload(case.workload)
    with side.blocking(url, workload, case.prepared) as call:
        workload.check(call())
        return _measured(call, count)


def _threads(side: Side, url: str, case: Case, count: int) -> Measurement:
    workload = make_workload(case.workload)
    barrier = threading.Barrier(case.width + 1)

    def work(client: AbstractContextManager[Call]) -> list[float]:
        try:
            with client as call:
                workload.check(call())
                _warm_up(call, count)
                barrier.wait()  # all are warm
                barrier.wait()  # the clock runs
                latencies = _timed(call, count // case.width)
                barrier.wait()  # the clock stops
            return latencies
        except threading.BrokenBarrierError:
            return []  # another thread failed and tells why
        except BaseException:
            barrier.abort()
            raise

    with ExitStack() as stack:
        executor = stack.enter_context(ThreadPoolExecutor(case.width))
        if side.shared:
            shared = stack.enter_context(side.blocking(url, workload, case.prepared))
        clients = (
            nullcontext(shared) if side.shared else side.blocking(url, workload, case.prepared)
            for _ in range(case.width)
        )
        futures = [executor.submit(work, client) for client in clients]
        cpu = math.nan
        try:
            barrier.wait()
            start = process_time()
            barrier.wait()
            barrier.wait()
            cpu = process_time() - start
        except threading.BrokenBarrierError:
            pass
        return summary(cpu, [latency for future in futures for latency in future.result()])


def _asyncio(side: Side, url: str, case: Case, count: int) -> Measurement:
    workload = make_workload(case.workload)

    async def run() -> Measurement:
        async with side.asynchronous(url, workload, case.width) as call:
            workload.check(await call())
            await _at_once(call, case.width, 2)  # each task's connection is open now
            start = process_time()
            latencies = await _at_once(call, case.width, count // case.width)
            return summary(process_time() - start, latencies)

    return asyncio.run(run())


async def _at_once(call: AsyncCall, width: int, count: int) -> list[float]:
    """Make `count` calls in each of `width` tasks."""

    async def work() -> list[float]:
        latencies = []
        for _ in range(count):
            start = perf_counter()
            await call()
            latencies.append(perf_counter() - start)
        return latencies

    results = await asyncio.gather(*(work() for _ in range(width)))
    return [latency for result in results for latency in result]


def _serialise(side: Side, url: str, case: Case, count: int) -> Measurement:
    texts = make_texts(case.workload)
    assert bytes(side.serialise(texts.items)) == texts.wire
    return _measured(lambda: side.serialise(texts.items), count)


def _deserialise(side: Side, url: str, case: Case, count: int) -> Measurement:
    texts = make_texts(case.workload)
    call = side.deserialise(texts.wire, len(texts.items))
    assert call().tolist() == texts.items.tolist()
    return _measured(call, count)


# Memory


def _status(field: str) -> int:
    """A line of /proc/self/status, in bytes."""
    match = re.search(
        rf"^{field}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE
    )
    assert match is not None
    return int(match[1]) * 1024


def _restart_peak() -> int:
    """Let the peak of resident memory begin anew; returns where it begins."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmHWM")


def _peak_blocking(side: Side, url: str, case: Case, count: int) -> Measurement:
    with side.blocking(url, make_workload("warm-up"), False) as call:
        call()  # loads what is loaded at the first use
    workload = make_workload(case.workload)
    before = _restart_peak()
    answer: list[Array] = []
    with side.blocking(url, workload, False) as call:
        for _ in range(count):
            answer.clear()  # else the last answer would still be held while the next one comes
            answer = call()
    return _peak(before, workload, answer)


def _peak_asyncio(side: Side, url: str, case: Case, count: int) -> Measurement:
    async def run() -> Measurement:
        async with side.asynchronous(url, make_workload("warm-up"), 1) as call:
            await call()
        workload = make_workload(case.workload)
        before = _restart_peak()
        answer: list[Array] = []
        async with side.asynchronous(url, workload, 1) as call:
            for _ in range(count):
                answer.clear()
                answer = await call()
        return _peak(before, workload, answer)

    return asyncio.run(run())


def _peak(before: int, workload: Workload, answer: list[Array]) -> Measurement:
    # The input was there before, so of the tensors only the answer is in the difference.
    extra = _status("VmHWM") - before - sum(array.nbytes for array in answer)
    workload.check(answer)
    return Measurement(memory=extra)


def _in_flight(side: Side, url: str, case: Case, count: int) -> Measurement:
    async def run() -> Measurement:
        async with side.asynchronous(url, waiting(BLOCKED), BLOCKERS) as block:
            blockers = asyncio.gather(*(block() for _ in range(BLOCKERS)))
            await asyncio.sleep(0.2)
            before = _restart_peak()
            async with side.asynchronous(url, waiting(0), case.width) as call:
                latencies = await _at_once(call, case.width, 1)
            peak = _status("VmHWM")
            await blockers
        if min(latencies) < BLOCKED / 3:
            raise RuntimeError("answers came before all requests were in flight")
        return Measurement(memory=(peak - before) // case.width)

    return asyncio.run(run())


_RUNNERS: dict[Kind, Callable[[Side, str, Case, int], Measurement]] = {
    Kind.BLOCKING: _blocking,
    Kind.THREADS: _threads,
    Kind.ASYNCIO: _asyncio,
    Kind.SERIALISE: _serialise,
    Kind.DESERIALISE: _deserialise,
    Kind.PEAK_BLOCKING: _peak_blocking,
    Kind.PEAK_ASYNCIO: _peak_asyncio,
    Kind.IN_FLIGHT: _in_flight,
}
