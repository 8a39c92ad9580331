"""Obtain and start a real Triton inference server, on a machine with no GPU and no container.

The wheel of pytriton carries the true `tritonserver` binary with its Python backend. It is unpacked
once into a cache outside the source tree, together with a virtual environment for the models, and
every test session (and benchmark) starts its own server from there.

Run as a script this file is the guard process that stands between a test session and its server:
the session holds the guard's standard input open, and when something comes from there, or it
closes, for whatever reason, the server's processes are ended and the shared memory they left is
removed.
"""

from __future__ import annotations

import functools
import http.client
import json
import logging
import os
import platform
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

WHEEL = "nvidia-pytriton==0.7.0"
TRITON_VERSION = "2.51.0"
RECIPE = 1  # part of the cache's key: raise it when what is installed changes
# The wheel has a stub for 3.8 to 3.13, but the backend needs numpy 1 (with numpy 2 every output
# comes back empty), which 3.13 can't install, and onnxruntime has left 3.9 behind.
PYTHONS = ("3.11", "3.12", "3.10")
REQUIREMENTS = ("numpy==1.26.4", "onnxruntime>=1.17", "pillow>=9")
OLDEST_GLIBC = (2, 35)
START_DEADLINE = 120.0  # seconds; a busy two-core machine takes tens of seconds for many models
STOP_DEADLINE = 15.0
POLL_INTERVAL = 0.05
START_ATTEMPTS = 5  # each with new ports

# For control mode "explicit": load everything. Tracing can only be switched on later when a trace
# file was named at the start.
CONTROLLED = ("--load-model=*", "--trace-config=triton,file=trace.json")

log = logging.getLogger("tests.triton")


class Unavailable(RuntimeError):
    """What was asked for can't be had here; the message says why."""


class StartFailed(RuntimeError):
    """Triton did not become ready; the message ends with the tail of its log."""


class _PortTaken(Exception):
    """Somebody took one of the ports between our choosing it and Triton's binding it."""


@dataclass(frozen=True)
class Interpreter:
    """A Python for which the wheel has a stub."""

    executable: str
    version: str  # "3.11"
    library_directory: str  # holds the libpython that the stub loads


@dataclass(frozen=True)
class Installation:
    """A Triton that can be started."""

    root: Path
    library_directory: str

    @property
    def home(self) -> Path:
        return self.root / "wheel" / "pytriton" / "tritonserver"

    @property
    def server(self) -> Path:
        return self.home / "bin" / "tritonserver"

    @property
    def environment_bin(self) -> Path:
        return self.root / "venv" / "bin"

    @property
    def python(self) -> Path:
        return self.environment_bin / "python"


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


# --- obtaining it -----------------------------------------------------------------------------


def cache_directory() -> Path:
    """The directory for what the tests download: outside the tree, shared by all checkouts."""
    if chosen := os.environ.get("TRITON_TEST_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tritonclient-tests"


def build_once(target: Path, build: Callable[[Path], None]) -> None:
    """Let `build` fill a directory that then becomes `target`; one process builds, others wait.

    What is built has a virtual environment in `venv`. The rename at the end means that an existing
    `target` is a complete one, however its builder ended.
    """
    if is_built(target):
        return
    import fcntl  # POSIX only, as is everything that is cached here

    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.with_name(target.name + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_built(target):
            return
        log.info("installing %s", target)
        shutil.rmtree(target, ignore_errors=True)
        partial = target.with_name(target.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)  # of a builder that was killed
        partial.mkdir()
        build(partial)
        partial.rename(target)


def is_built(target: Path) -> bool:
    """Whether `build_once` has made it, and the Python that it was made with is still there."""
    return (target / "venv" / "bin" / "python").exists()


def make_environment(python: str, where: Path, requirements: Sequence[str]) -> None:
    """Make a virtual environment in `where` and install `requirements` in it."""
    run_quietly(python, "-m", "venv", str(where))
    pip = (str(where / "bin" / "python"), "-m", "pip", "--disable-pip-version-check")
    run_quietly(*pip, "install", "--only-binary=:all:", *requirements)


def run_quietly(*command: str) -> None:
    """Run a command; when it fails, raise with what it said."""
    log.debug("running %s", " ".join(command))
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=_clean_environment()
    )
    if done.returncode:
        said = done.stdout.decode(errors="replace").strip()[-2000:]
        raise Unavailable(f"`{' '.join(command)}` failed:\n{said}")


def ensure_installed() -> Installation:
    """Return the cached Triton, after fetching and unpacking it when it is not there yet."""
    if reason := _platform_reason():
        raise Unavailable(reason)
    interpreter = find_interpreter()
    root = _root(interpreter)
    build_once(root, functools.partial(_install, interpreter))
    return Installation(root, interpreter.library_directory)


@functools.cache
def unavailable_reason() -> str | None:
    """Say why a real Triton can't run here, or None when it can (and is now installed)."""
    try:
        ensure_installed()
    except (Unavailable, OSError) as error:
        return str(error)
    return None


def describe() -> str:
    """One line on the state of the cache, for a report header; downloads nothing."""
    if reason := _platform_reason():
        return f"unavailable ({reason})"
    try:
        root = _root(find_interpreter())
    except Unavailable as error:
        return f"unavailable ({error})"
    return f"{TRITON_VERSION}, {'cached' if is_built(root) else 'to be fetched'} in {root}"


def _root(interpreter: Interpreter) -> Path:
    name = WHEEL.replace("==", "-")
    return cache_directory() / f"{name}-r{RECIPE}-python{interpreter.version}"


def _platform_reason() -> str | None:
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return f"Triton's wheel is for linux x86_64, not {sys.platform} {platform.machine()}"
    library, version = platform.libc_ver()
    if library != "glibc" or tuple(map(int, version.split(".")[:2])) < OLDEST_GLIBC:
        wanted = ".".join(map(str, OLDEST_GLIBC))
        return f"Triton's wheel needs glibc {wanted} or newer, not {library or 'musl'} {version}"
    return None


@functools.cache
def find_interpreter() -> Interpreter:
    """Find a Python that the stub can embed: the running one, else any other on the machine."""
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    # False sorts first: the running version is preferred.
    for version in sorted(PYTHONS, key=lambda version: version != running):
        for candidate in _candidates(version):
            if found := _examine(candidate, version):
                return found
    wanted = ", ".join(PYTHONS)
    raise Unavailable(f"Triton's Python backend needs one of Python {wanted}; none was found")


def _candidates(version: str) -> Iterator[str]:
    name = f"python{version}"
    yield os.path.join(sys.base_prefix, "bin", name)
    if on_path := shutil.which(name):
        yield on_path
    # Version managers keep their Pythons side by side: `versions/3.x.y/bin`, `3.x.y/x64/bin`.
    prefix = Path(sys.base_prefix)
    yield from map(str, sorted(prefix.parent.glob(f"*/bin/{name}")))
    yield from map(str, sorted(prefix.parent.parent.glob(f"*/{prefix.name}/bin/{name}")))


def _examine(executable: str, version: str) -> Interpreter | None:
    question = (
        "import json, sys, sysconfig as s; json.dump([sys.executable, sys.version_info[:2],"
        " s.get_config_var('LIBDIR'), sys.base_prefix, s.get_config_var('MULTIARCH')], sys.stdout)"
    )
    try:
        answer = subprocess.run(
            (executable, "-c", question), capture_output=True, env=_clean_environment(), check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None  # for example a version manager's shim for a version that is switched off
    executable, found, directory, prefix, multiarch = json.loads(answer.stdout)
    if ".".join(map(str, found)) != version:
        return None
    # Only a Python built with a shared library can be embedded.
    for place in (directory, f"{prefix}/lib", f"{directory}/{multiarch}"):
        if Path(place, f"libpython{version}.so.1.0").exists():
            return Interpreter(executable, version, place)
    return None


def _install(interpreter: Interpreter, where: Path) -> None:
    make_environment(interpreter.executable, where / "venv", REQUIREMENTS)
    pip = (str(where / "venv" / "bin" / "python"), "-m", "pip", "--disable-pip-version-check")
    run_quietly(*pip, "download", "--no-deps", "--dest", str(where), WHEEL)
    (wheel,) = where.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith(("pytriton/tritonserver/", "nvidia_pytriton.libs/")):
                archive.extract(name, where / "wheel")
    wheel.unlink()
    home = where / "wheel" / "pytriton" / "tritonserver"
    stub = home / "backends" / "python" / "triton_python_backend_stub"
    shutil.copy(home / "python_backend_stubs" / interpreter.version / stub.name, stub)
    for program in (home / "bin" / "tritonserver", stub):
        program.chmod(0o755)


def _clean_environment() -> dict[str, str]:
    """The environment less what would lead another Python astray."""
    ours = {"PYTHONHOME", "PYTHONPATH", "PYTHONWARNINGS", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__"}
    return {name: value for name, value in os.environ.items() if name not in ours}


# --- starting it ------------------------------------------------------------------------------


@contextmanager
def start(
    repository: Path, *, control_mode: str = "none", extra_args: Sequence[str] = ()
) -> Iterator[RunningServer]:
    """Serve a model repository until the block ends; every port is a free one on 127.0.0.1.

    Triton runs in a temporary folder of its own, which is where a relative file name in
    `extra_args` (of a trace, say) leads.
    """
    installation = ensure_installed()
    arguments = (f"--model-control-mode={control_mode}", *extra_args)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="triton-")))
        for attempt in range(START_ATTEMPTS):
            log_path = folder / f"triton-{attempt}.log"
            launched = _launch(installation, repository, log_path, arguments)
            try:
                server = stack.enter_context(launched)
                break
            except _PortTaken:
                log.info("a port was taken, trying others")
        else:
            raise StartFailed(f"no free ports in {START_ATTEMPTS} attempts\n{_tail(log_path)}")
        yield server


@contextmanager
def _launch(
    installation: Installation, repository: Path, log_path: Path, arguments: Sequence[str]
) -> Iterator[RunningServer]:
    http_port, grpc_port, metrics_port = _free_ports(3)
    # A name of its own, so that what the Python backend leaves behind can be told and removed.
    prefix = f"tritonclient_tests_{os.getpid()}_{http_port}_"
    command = (
        *(sys.executable, str(Path(__file__).resolve()), prefix),
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
        ports = (http_port, grpc_port, metrics_port)
        server = RunningServer(*ports, pid, log_path, repository)
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
            guard.wait(STOP_DEADLINE + 5)
        except subprocess.TimeoutExpired:
            guard.kill()
            guard.wait()


def _server_environment(installation: Installation) -> dict[str, str]:
    environment = _clean_environment()
    environment["PATH"] = f"{installation.environment_bin}:{environment.get('PATH', os.defpath)}"
    libraries = (installation.library_directory, environment.get("LD_LIBRARY_PATH"))
    environment["LD_LIBRARY_PATH"] = ":".join(filter(None, libraries))
    environment["PYTHONDONTWRITEBYTECODE"] = "1"  # the repository may be part of a source tree
    environment["PYTHONNOUSERSITE"] = "1"
    return environment


def _free_ports(count: int) -> list[int]:
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
            raise _PortTaken
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


# --- the guard process ------------------------------------------------------------------------


def guard(prefix: str, command: Sequence[str]) -> int:
    """Run the server until it exits or standard input speaks or closes; leave nothing of it behind.

    The server logs to standard error; standard output gets one line, its process id.
    """
    server = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=sys.stderr, start_new_session=True
    )
    sys.stdout.write(f"{server.pid}\n")
    sys.stdout.flush()
    exited = os.pidfd_open(server.pid)
    try:
        select.select([sys.stdin, exited], [], [])
    finally:
        # The stubs of the Python backend are in its process group.
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            server.wait(STOP_DEADLINE)
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        for region in Path("/dev/shm").glob(f"{prefix}*"):
            region.unlink(missing_ok=True)
    return server.returncode


if __name__ == "__main__":
    sys.exit(guard(sys.argv[1], sys.argv[2:]))
