"""Running perf_analyzer as people do, and reading its report."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass

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


def run(*arguments: str, timeout: float = 120) -> Report:
    """Run perf_analyzer until it ends."""
    done = subprocess.run(
        [*PROGRAM, *arguments], capture_output=True, text=True, timeout=timeout, check=False
    )
    return Report(done.returncode, done.stdout, done.stderr)


def begin(*arguments: str) -> subprocess.Popen[str]:
    """Start perf_analyzer and leave it running."""
    return subprocess.Popen(
        [*PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
