"""Start a real Triton inference server; `triton_installation` tells where it comes from.

Every test session (and benchmark) starts its own, with a guard process that ends it whatever
becomes of the session (see `triton_guard`).
"""

from __future__ import annotations

import http.client
import logging
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.servers import triton_guard
from tests.support.servers.triton_installation import (
    TRITON_VERSION,
    Installation,
    Unavailable,
    build_once,
    cache_directory,
    clean_environment,
    describe,
    ensure_installed,
    make_environment,
    unavailable_reason,
)

__all__ = [
    "CONTROLLED",
    "TRITON_VERSION",
    "RunningServer",
    "StartFailed",
    "Unavailable",
    "build_once",
    "cache_directory",
    "describe",
    "free_ports",
    "make_environment",
    "start",
    "unavailable_reason",
]

START_DEADLINE = 120.0  # seconds; a busy two-core machine takes tens of seconds for many models
POLL_INTERVAL = 0.05
START_ATTEMPTS = 5  # each with new ports

# For control mode "explicit": load everything. Tracing can only be switched on later when a trace
# file was named at the start.
CONTROLLED = ("--load-model=*", "--trace-config=triton,file=trace.json")

log = logging.getLogger(__name__)


class StartFailed(RuntimeError):
    """Triton did not become ready; the message ends with the tail of its log."""


class _BadLuck(Exception):
    """Triton did not start, and may when it is started again."""


@dataclass(frozen=True)
class RunningServer:
    """Where a started Triton listens."""

    http_port: int
    grpc_port: int
    metrics_port: int
    pid: int
    log_path: Path
    repository: Path

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def grpc_url(self) -> str:
        return f"grpc://127.0.0.1:{self.grpc_port}"

    @property
    def metrics_url(self) -> str:
        return f"http://127.0.0.1:{self.metrics_port}/metrics"

    def log_tail(self, lines: int = 40) -> str:
        return _tail(self.log_path, lines)


@contextmanager
def start(
    repository: Path,
    *,
    control_mode: str = "none",
    extra_args: Sequence[str] = (),
    ports: Sequence[int] | None = None,
) -> Iterator[RunningServer]:
    """Serve a model repository until the block ends, on 127.0.0.1.

    The ports, for HTTP, gRPC and metrics, are free ones unless they are given.

    Triton runs in a temporary folder of its own, which is where a relative file name in
    `extra_args` (of a trace, say) leads.
    """
    installation = ensure_installed()
    arguments = (f"--model-control-mode={control_mode}", *extra_args)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="triton-")))
        for attempt in range(START_ATTEMPTS):
            log_path = folder / f"triton-{attempt}.log"
            launched = _launch(
                installation, repository, log_path, arguments, ports or free_ports(3)
            )
            try:
                server = stack.enter_context(launched)
                break
            except _BadLuck as reason:
                log.info("starting again: %s", reason)
        else:
            raise StartFailed(f"{START_ATTEMPTS} attempts failed\n{_tail(log_path)}")
        yield server


class KeptServer(AbstractContextManager["KeptServer"]):
    """A Triton that can be started again on the same ports; takes the arguments of `start`.

    Attributes:
        server: where it listens. Its process and its log are those of the first start.
    """

    def __init__(self, repository: Path, **options: Any) -> None:
        self._repository = repository
        self._options = options
        self._running = ExitStack()

    def __enter__(self) -> KeptServer:
        self.server = self._current = self._running.enter_context(
            start(self._repository, **self._options)
        )
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._running.close()

    @property
    def pid(self) -> int:
        """The id of its process now."""
        return self._current.pid

    @property
    def is_running(self) -> bool:
        """True while its process has not ended."""
        return is_running(self.pid)

    def restart_if_ended(self) -> None:
        """Start it again if its process has ended."""
        if self.is_running:
            return
        log.warning("Triton ended by itself; starting it again\n%s", self._current.log_tail())
        self._running.close()
        ports = (self.server.http_port, self.server.grpc_port, self.server.metrics_port)
        self._current = self._running.enter_context(
            start(self._repository, **self._options, ports=ports)
        )


def is_running(pid: int) -> bool:
    """True while a process exists and has not ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in ("Z", "X")


@contextmanager
def _launch(
    installation: Installation,
    repository: Path,
    log_path: Path,
    arguments: Sequence[str],
    ports: Sequence[int],
) -> Iterator[RunningServer]:
    http_port, grpc_port, metrics_port = ports
    # A name of its own, so that what the Python backend leaves behind can be told and removed.
    prefix = f"tritonclient_tests_{os.getpid()}_{http_port}_"
    command = (
        *(sys.executable, str(Path(triton_guard.__file__).resolve()), prefix),
        str(installation.server),
        f"--model-repository={repository.resolve()}",
        f"--backend-directory={installation.home / 'backends'}",
        f"--cache-directory={installation.home / 'caches'}",
        f"--backend-config=python,shm-region-prefix-name={prefix}",
        *("--http-address=127.0.0.1", f"--http-port={http_port}"),
        *("--grpc-address=127.0.0.1", f"--grpc-port={grpc_port}"),
        f"--metrics-port={metrics_port}",
        *arguments,
    )
    with open(log_path, "wb") as output:
        guard = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            cwd=log_path.parent,
            env=_server_environment(installation),
            start_new_session=True,  # an interrupt at the terminal is for the tests, not for it
        )
    assert guard.stdin is not None
    assert guard.stdout is not None
    try:
        pid = int(guard.stdout.readline())
        server = RunningServer(http_port, grpc_port, metrics_port, pid, log_path, repository)
        _wait_until_ready(guard, server)
        yield server
    finally:
        # Tell the guard to end the server. Closing is not enough when a process that was forked
        # from this one still holds the other copy.
        with suppress(BrokenPipeError):
            os.write(guard.stdin.fileno(), b"\n")
        guard.stdin.close()
        guard.stdout.close()
        try:
            guard.wait(triton_guard.STOP_DEADLINE + 5)
        except subprocess.TimeoutExpired:
            guard.kill()
            guard.wait()


def _server_environment(installation: Installation) -> dict[str, str]:
    environment = clean_environment()
    environment["PATH"] = f"{installation.environment_bin}:{environment.get('PATH', os.defpath)}"
    libraries = (installation.library_directory, environment.get("LD_LIBRARY_PATH"))
    environment["LD_LIBRARY_PATH"] = ":".join(filter(None, libraries))
    environment["PYTHONDONTWRITEBYTECODE"] = "1"  # the repository may be part of a source tree
    environment["PYTHONNOUSERSITE"] = "1"
    return environment


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody uses now."""
    with ExitStack() as stack:  # all held at once, so that they differ
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _wait_until_ready(guard: subprocess.Popen[bytes], server: RunningServer) -> None:
    deadline = time.monotonic() + START_DEADLINE
    # Its own log must say that it listens: another server could be the one answering at that port.
    # The metrics come last, after the HTTP service has bound its port. A port that is taken is told
    # some milliseconds after such a line, hence twice.
    listening = f"Started Metrics Service at 127.0.0.1:{server.metrics_port}"
    ready = 0
    while True:
        exited = guard.poll() is not None
        text = server.log_path.read_text(errors="replace")
        if "already in use" in text:
            raise _BadLuck("somebody took a port between our choosing it and Triton's binding it")
        if exited and "lock_exception" in text:
            raise _BadLuck("the Python backend gives up when the machine is overloaded")
        if exited:
            raise StartFailed(f"Triton exited with {guard.returncode}\n{server.log_tail()}")
        if listening in text and _is_ready(server.http_port):
            ready += 1
            if ready == 2:
                return
        if time.monotonic() > deadline:
            raise StartFailed(f"not ready after {START_DEADLINE:g} s\n{server.log_tail()}")
        time.sleep(POLL_INTERVAL)


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/v2/health/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _tail(path: Path, lines: int = 40) -> str:
    text = path.read_text(errors="replace").splitlines()
    # Triton draws wide tables of its options; what went wrong is said outside of them as well.
    return "\n".join([line for line in text if not line.startswith(("+", "|"))][-lines:])
