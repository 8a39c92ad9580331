"""Obtain a real Triton inference server, on a machine with no GPU and no container.

The wheel of pytriton carries the true `tritonserver` binary with its Python backend. It is unpacked
once into a cache outside the source tree, together with a virtual environment for the models.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.servers import fetching

WHEEL = "nvidia-pytriton==0.7.0"
TRITON_VERSION = "2.51.0"
RECIPE = 1  # part of the cache's key: raise it when what is installed changes
# The wheel has a stub for 3.8 to 3.13, but the backend needs numpy 1 (with numpy 2 every output
# comes back empty), which 3.13 can't install, and onnxruntime has left 3.9 behind.
PYTHONS = ("3.11", "3.12", "3.10")
REQUIREMENTS = ("numpy==1.26.4", "onnxruntime>=1.17", "pillow>=9")
OLDEST_GLIBC = (2, 35)

log = logging.getLogger(__name__)


class Unavailable(RuntimeError):
    """The server cannot be installed here; the message says why."""


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


def cache_directory() -> Path:
    """The directory for what the tests download: outside the tree, shared by all checkouts."""
    if chosen := os.environ.get("TRITON_TEST_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tritonclient-tests"


def build_once(target: Path, build: Callable[[Path], None]) -> None:
    """Call `build` to fill a directory that becomes `target`; other processes wait.

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
        with fetching.announced(target, partial):
            build(partial)
        partial.rename(target)


def is_built(target: Path) -> bool:
    """True if `build_once` has made it, and its Python still exists."""
    return (target / "venv" / "bin" / "python").exists()


#: Packages that come as a source only, and need no compiler.
SOURCES = ("pyspark",)


def make_environment(python: str, where: Path, requirements: Sequence[str]) -> None:
    """Make a virtual environment in `where` and install `requirements` in it."""
    run_quietly(python, "-m", "venv", str(where))
    pip = (str(where / "bin" / "python"), "-m", "pip", "--disable-pip-version-check")
    sources = f"--no-binary={','.join(SOURCES)}"
    run_quietly(*pip, "install", "--only-binary=:all:", sources, *requirements)


def run_quietly(*command: str) -> None:
    """Run a command; when it fails, raise with what it said."""
    log.debug("running %s", " ".join(command))
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=clean_environment()
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
            (executable, "-c", question), capture_output=True, env=clean_environment(), check=True
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


def clean_environment() -> dict[str, str]:
    """The environment less what would lead another Python astray."""
    ours = {"PYTHONHOME", "PYTHONPATH", "PYTHONWARNINGS", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__"}
    return {name: value for name, value in os.environ.items() if name not in ours}
