"""Lets the workers take turns: the server, the processes, and who makes calls when."""

from __future__ import annotations

import json
import os
import random
import select
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.servers.triton import RunningServer, start
from tests.support.servers.twins import build_repository

from .cases import Case, Kind
from .sides import ROOT, Side
from .worker import Window
from .workloads import MODELS

WINDOW = 0.05  # seconds: short, so that what else the machine does meets all sides alike
WARM_UP = 0.3  # seconds
MINIMUM = 5  # rounds, however long a call takes
PEAK_ROUNDS = 3
IMPORT_ROUNDS = 10
DEADLINE = 120.0  # seconds for an answer; none takes a tenth of it
ATTEMPTS = 2

_CLASSIC_IMPORT = "from tritonclient.{} import InferenceServerClient"
_MODERN_IMPORT = "from tritonclient import Client"
_IMPORT_TIMER = """
import json, sys, time
import numpy
# of this thread, since those of numpy's linear algebra are still busy with their own start
wall, cpu = time.perf_counter(), time.thread_time()
{}
json.dump([time.thread_time() - cpu, time.perf_counter() - wall], sys.stdout)
"""


class Failed(RuntimeError):
    """A worker could not measure; the message is the end of what it said."""


@dataclass(slots=True)
class Outcome:
    """Measurements of the sides of a case: a window of each per round, or bytes of memory."""

    case: Case
    windows: dict[str, list[Window]] = field(default_factory=dict)
    memory: dict[str, list[int]] = field(default_factory=dict)


class Worker:
    """A process that runs `worker` for a side."""

    def __init__(self, side: Side) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            # -s keeps out what the user's own folder would add to the path.
            (side.python(), "-s", "-m", "benchmarks.worker", f"benchmarks.clients.{side.client}"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            cwd=ROOT,
            env=_environment(side),
        )
        try:
            self.description: dict[str, str] = self._answer()
        except Failed:
            self.close()
            raise

    def ask(self, **command: object) -> Any:
        """Return the answer to a command.

        Raises:
            Failed: there is none.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._failed("ended") from None
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], DEADLINE)[0]:
            raise self._failed(f"no answer after {DEADLINE:g} s")
        line = self._process.stdout.readline()
        if not line:
            raise self._failed("ended")
        return json.loads(line)

    def _failed(self, how: str) -> Failed:
        self._process.kill()
        self._process.wait()
        self._said.seek(0)
        return Failed(f"{how}: {self._said.read().decode(errors='replace').strip()[-2000:]}")

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
        self._said.close()


class Conductor:
    """A server, and the workers that talk to it.

    All clients are pinned to one processor, and the server to the others if there are any.
    """

    def __init__(self, repository: Path) -> None:
        self._repository = repository
        self._stack = ExitStack()
        self._server: RunningServer | None = None
        self._workers: dict[str, Worker] = {}
        cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        self._client_cpus = set(cpus[-1:])
        self._server_cpus = set(cpus[:-1] or cpus)

    def compare(self, case: Case, sides: Sequence[Side], seconds: float) -> Outcome:
        """Measure the sides of a case in turns, each for about so many seconds.

        An overloaded Triton can break and stay broken, so a failure gets a second chance with a
        new server and new workers.

        Raises:
            Failed: the second failed as well.
        """
        measure = self._take_turns
        if case.kind is Kind.IMPORT:
            measure = self._import
        elif case.kind.is_memory:
            measure = self._peak
        for attempt in range(ATTEMPTS):
            try:
                return measure(case, sides, seconds)
            except Failed:
                self.close()
                if attempt + 1 == ATTEMPTS:
                    raise
        raise AssertionError

    def _take_turns(self, case: Case, sides: Sequence[Side], seconds: float) -> Outcome:
        workers = {side.name: self.worker(side) for side in sides}
        for worker in workers.values():
            worker.ask(open=case.name, url=self.url(case.protocol))
            worker.ask(run=WARM_UP)
        outcome = Outcome(case, {name: [] for name in workers})
        end = time.monotonic() + seconds * len(workers)
        order = list(workers)
        while len(outcome.windows[order[0]]) < MINIMUM or time.monotonic() < end:
            # Nobody always comes after the same other.
            random.shuffle(order)
            for name in order:
                outcome.windows[name].append(Window(**workers[name].ask(run=WINDOW)))
        return outcome

    def _peak(self, case: Case, sides: Sequence[Side], seconds: float) -> Outcome:
        outcome = Outcome(case, memory={side.name: [] for side in sides})
        for _ in range(PEAK_ROUNDS):
            for side in sides:
                with self.pinned():
                    worker = Worker(side)  # a new one: a process keeps memory that it has had
                try:
                    peak = worker.ask(peak=case.name, url=self.url(case.protocol))
                finally:
                    worker.close()
                outcome.memory[side.name].append(peak)
        return outcome

    def _import(self, case: Case, sides: Sequence[Side], seconds: float) -> Outcome:
        outcome = Outcome(case, {side.name: [] for side in sides})
        for number in range(IMPORT_ROUNDS + 1):
            for side in sides:
                modern = side.client == "ours:Ours"
                statement = _MODERN_IMPORT if modern else _CLASSIC_IMPORT.format(case.protocol)
                command = [side.python(), "-s", "-c", _IMPORT_TIMER.format(statement)]
                with self.pinned():
                    cpu, wall = json.loads(output(command, _environment(side)))
                if number:  # the first one compiles
                    outcome.windows[side.name].append(Window(cpu, [wall]))
        return outcome

    def worker(self, side: Side) -> Worker:
        """Return a side's worker; it is started if it does not run."""
        if side.name not in self._workers:
            with self.pinned():
                worker = self._workers[side.name] = Worker(side)
            self._stack.callback(worker.close)
        return self._workers[side.name]

    def url(self, protocol: str) -> str:
        """Return the server's URL; it is started if it does not run."""
        if self._server is None:
            models = (f"--load-model={model}" for model in MODELS)
            with _affinity(self._server_cpus):
                running = start(self._repository, control_mode="explicit", extra_args=tuple(models))
                self._server = self._stack.enter_context(running)
        return self._server.http_url if protocol == "http" else self._server.grpc_url

    @contextmanager
    def pinned(self) -> Iterator[None]:
        """Processes that are started within the block run where the clients do."""
        with _affinity(self._client_cpus):
            yield

    def close(self) -> None:
        """End the workers and the server."""
        self._server = None
        self._workers.clear()
        self._stack.close()


@contextmanager
def conductor() -> Iterator[Conductor]:
    """A conductor, until the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder) / "models"
        build_repository(ROOT / "models", repository)
        made = Conductor(repository)
        try:
            yield made
        finally:
            made.close()


def output(command: Sequence[str], environment: dict[str, str] | None = None) -> str:
    """Return what a command prints.

    Raises:
        Failed: it fails, or takes too long.
    """
    try:
        done = subprocess.run(
            command,
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"{command[0]}: no result after {DEADLINE:g} s") from None
    except subprocess.CalledProcessError as error:
        raise Failed(f"{command[0]}: {(error.stderr or error.stdout).strip()[-2000:]}") from None
    return done.stdout


def _environment(side: Side) -> dict[str, str]:
    """Return the environment less all that changes how Python runs, such as without bytecode."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**kept, "PYTHONPATH": str(side.source)} if side.source else kept


@contextmanager
def _affinity(cpus: set[int]) -> Iterator[None]:
    """This thread, and processes that it starts, run on these processors within the block."""
    if not cpus:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
