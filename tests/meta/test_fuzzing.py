"""The targets of `fuzzing/` without a fuzzer: seeds, mutations of them, and all that ever failed.

Each input is also held to the work and the memory that its size allows.
"""

from __future__ import annotations

import random
import signal
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import fuzzing
import tritonclient

REGRESSIONS = sorted((Path(__file__).parents[1] / "data/fuzz_regressions").glob("*/*"))
SOURCE = str(Path(tritonclient.__file__).parent)
#: Lines of our source that may run, and bytes that may be held, for an input and for each byte.
LINES, LINES_EACH = 50_000, 2_000
MEMORY, MEMORY_EACH = 4 << 20, 1_000
#: Seconds for one test, in case that the work is not done by our lines but in one of them.
GUARD = 120
MUTATIONS = 150

targets = pytest.mark.parametrize("name", fuzzing.TARGETS)


@pytest.fixture(autouse=True)
def guard() -> Iterator[None]:
    """Make a test that hangs fail, on platforms with alarms."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def fail(*_: object) -> None:
        raise TimeoutError(f"it takes more than {GUARD} seconds")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(GUARD)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def bounded(size: int) -> Iterator[None]:
    """Fail when more work is done, or more memory held, than an input of a size may cost."""
    left = LINES + LINES_EACH * size

    def call(frame: FrameType, event: str, argument: Any) -> Any:
        return line if frame.f_code.co_filename.startswith(SOURCE) else None

    def line(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal left
        left -= 1
        assert left, f"too much work for {size} bytes"
        return line

    tracer = sys.gettrace()
    tracemalloc.start()
    sys.settrace(call)
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        sys.settrace(tracer)
        tracemalloc.stop()
    assert peak <= MEMORY + MEMORY_EACH * size


def check(name: str, data: bytes) -> None:
    with bounded(len(data)):
        fuzzing.load(name).check(data)


def mutated(random: random.Random, seeds: list[bytes]) -> bytes:
    """An input with some bytes changed, taken out, put in, repeated, or from another input."""
    data = bytearray(random.choice(seeds))
    for _ in range(random.randint(1, 4)):
        position = random.randint(0, len(data))
        end = position + random.choice([1, 1, 2, 4, 16])
        how = random.randrange(5)
        if how == 0 and position < len(data):
            data[position] ^= 1 << random.randrange(8)
        elif how == 1:
            data[position:end] = b""
        elif how == 2:
            data[position:position] = random.randbytes(end - position)
        elif how == 3:
            data[position:position] = data[position:end] * random.choice([1, 2, 50])
        else:
            other = random.choice(seeds)
            start = random.randint(0, len(other))
            data[position:] = other[start:]
    return bytes(data[:4096])


@targets
def test_seeds(name):
    seeds = list(fuzzing.load(name).seeds())
    assert len(seeds) > 5
    for data in seeds:
        check(name, data)


@targets
def test_mutations(name):
    generator = random.Random(name)
    seeds = list(fuzzing.load(name).seeds())
    for _ in range(MUTATIONS):
        data = mutated(generator, seeds)
        try:
            check(name, data)
        except Exception as error:
            raise AssertionError(f"{data!r} fails") from error


@pytest.mark.parametrize("path", REGRESSIONS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_once_failed(path):
    check(path.parent.name, path.read_bytes())


def test_every_target_is_run():
    modules = {path.stem for path in Path(fuzzing.__file__).parent.glob("*.py")}
    assert modules - {"__init__", "__main__", "worker"} == set(fuzzing.TARGETS)
    assert {path.parent.name for path in REGRESSIONS} <= set(fuzzing.TARGETS)
