"""Running perf_analyzer as people do, and reading its report."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

PROGRAM = (sys.executable, "-c", "from tritonclient.perf.main import entry; entry()")


@dataclass
class Report:
    """What a run printed, and how it ended."""

    code: int
    out: str
    err: str

    def number(self, label: str) -> float:
        """The number behind a label of the report."""
        match = re.search(rf"{re.escape(label)}: (-?[0-9.e+]+)", self.out)
        assert match is not None, f"no {label!r} in\n{self.out}\n{self.err}"
        return float(match[1])

    def numbers(self, label: str) -> list[float]:
        return [float(each) for each in re.findall(rf"{re.escape(label)}: (-?[0-9.e+]+)", self.out)]


def run(
    *arguments: str, timeout: float = 120, environment: Mapping[str, str] | None = None
) -> Report:
    """Run perf_analyzer until it ends; it and its workers are killed after the timeout."""
    with subprocess.Popen(
        [*PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            # All of its session: workers that are left would hold the pipes open.
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            pytest.fail(f"not ended after {timeout:g} s: {' '.join(arguments)}\n{out}\n{err}")
    return Report(process.returncode, out, err)


def begin(*arguments: str) -> subprocess.Popen[str]:
    """Start perf_analyzer and leave it running."""
    return subprocess.Popen(
        [*PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
