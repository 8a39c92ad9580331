"""The drivers that these tests run on."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tritonclient.shm import cuda_driver

SOURCE = Path(__file__).with_name("fake_cuda.c")
REAL = cuda_driver.LIBRARY


class Driver:
    """A CUDA driver: its library, and whether it is real."""

    def __init__(self, library: str, directory: Path | None = None) -> None:
        self.library = library
        self.real = directory is None
        self.directory = directory

    def ask(self, name: str) -> int:
        """Call a function of the compiled driver that returns one of its counters."""
        return int(getattr(ctypes.CDLL(self.library), name)())


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Driver:
    """The driver that is compiled from `fake_cuda.c`."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler to compile a CUDA driver for tests")
    directory = tmp_path_factory.mktemp("cuda")
    library = directory / "libcuda.so.1"
    command = [compiler, "-Wall", "-Wextra", "-O1", "-shared", "-fPIC", "-pthread"]
    subprocess.run([*command, "-o", library, SOURCE], check=True, timeout=120)
    return Driver(str(library), directory)


@pytest.fixture
def fake(compiled: Driver, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """The compiled driver, in use."""
    monkeypatch.setenv("FAKE_CUDA_DIRECTORY", str(compiled.directory))
    monkeypatch.setattr(cuda_driver, "LIBRARY", compiled.library)
    monkeypatch.setattr(cuda_driver, "_driver", None)
    return compiled


def why_no_gpu() -> str:
    """Why the real driver can't be used, or ""."""
    try:
        cuda_driver.device(0)
    except cuda_driver.CudaError as error:
        return f"no GPU: {error}"
    return ""


DRIVERS = ["fake"] if why_no_gpu() else ["fake", "real"]


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    """Each driver that there is, in use."""
    if request.param == "real":
        yield Driver(REAL)
        return
    fake: Driver = request.getfixturevalue("fake")
    before = fake.ask("fake_live_blocks")
    yield fake
    assert fake.ask("fake_depth") == 0  # every context that was made current is so no more
    assert fake.ask("fake_live_blocks") == before
