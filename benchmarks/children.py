"""Runs single measurements: fresh child processes of both clients, and the server they talk to."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.official import ensure_official
from tests.triton import RunningServer, start
from tests.twins import build_repository

from .cases import MODELS, Case, Front, Kind
from .measure import Measurement, summary

ROOT = Path(__file__).resolve().parent.parent
SIDES = ("official", "ours")
DEADLINE = 120.0  # seconds; no case takes a tenth of it
ATTEMPTS = 2

_OURS = {
    Front.MODERN: "benchmarks.ours",
    Front.CLASSIC: "benchmarks.ours_classic",
    Front.GRPCIO: "benchmarks.ours_grpcio",
}
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
    """A child could not measure; the message is the end of what it said."""


class Laboratory:
    """A server and the Pythons of both sides."""

    def __init__(self, repository: Path, server_stack: ExitStack) -> None:
        self.pythons = {"official": str(ensure_official()), "ours": sys.executable}
        self._repository = repository
        self._stack = server_stack
        self._server: RunningServer | None = None

    def measure(self, side: str, case: Case, count: int) -> Measurement:
        """Run a case once in a fresh process.

        An overloaded Triton can break and stay broken, so a failure gets a second chance on a
        fresh server.

        Raises:
            Failed: the second failed as well.
        """
        if case.kind is Kind.IMPORT:
            return self._import(side, case, count)
        for attempt in range(ATTEMPTS):
            try:
                arguments = (case.name, self.server_url(case.protocol), str(count))
                script = _OURS[case.front] if side == "ours" else "benchmarks.official_side"
                # -E and -s keep out what the environment would add to the path.
                said = self.run(side, "-E", "-s", "-m", script, *arguments)
                return Measurement(**json.loads(said))
            except Failed:
                self._stop_server()
                if attempt + 1 == ATTEMPTS:
                    raise
        raise AssertionError

    def _import(self, side: str, case: Case, count: int) -> Measurement:
        modern = side == "ours" and case.front is Front.MODERN
        code = _IMPORT_TIMER.format(
            _MODERN_IMPORT if modern else _CLASSIC_IMPORT.format(case.protocol)
        )
        tries = [json.loads(self.run(side, "-I", "-c", code)) for _ in range(count)]
        cpu = min(cpu for cpu, wall in tries)
        return summary(cpu * count, [wall for cpu, wall in tries])

    def run(self, side: str, *arguments: str) -> str:
        """What a side's Python prints."""
        command = (self.pythons[side], *arguments)
        try:
            done = subprocess.run(
                command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE, check=True
            )
        except subprocess.TimeoutExpired:
            raise Failed(f"no result after {DEADLINE:g} s") from None
        except subprocess.CalledProcessError as error:
            raise Failed(error.stderr.strip()[-2000:]) from None
        return done.stdout

    def server_url(self, protocol: str) -> str:
        """The server's URL; it is started if it does not run."""
        if self._server is None:
            models = (f"--load-model={model}" for model in MODELS)
            running = start(self._repository, control_mode="explicit", extra_args=tuple(models))
            self._server = self._stack.enter_context(running)
        return self._server.http_url if protocol == "http" else self._server.grpc_url

    def _stop_server(self) -> None:
        self._server = None
        self._stack.close()


@contextmanager
def laboratory() -> Iterator[Laboratory]:
    """Everything that measuring needs, until the block ends."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as server_stack:
        repository = Path(folder) / "models"
        build_repository(ROOT / "models", repository)
        yield Laboratory(repository, server_stack)
