"""Fuzzes targets one after another, each in a process of its own, and says what came of it.

What was found worth keeping stays in `.fuzz/TARGET/corpus` for the next time. An input that fails
is written beside it; its place, once the fault is mended, is `tests/fuzz_regressions/TARGET`.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
from pathlib import Path

import fuzzing

_ROOT = Path(__file__).parents[1]
_REGRESSIONS = _ROOT / "tests" / "fuzz_regressions"
_LIMITS = ("-max_len=4096", "-timeout=5", "-rss_limit_mb=2048", "-use_value_profile=1")
_PROGRESS = re.compile(r"cov: (\d+) ft: \d+ corp: (\d+)")
_COUNT = re.compile(r"stat::number_of_executed_units: *(\d+)")


def fuzz(name: str, seconds: int) -> bool:
    """Fuzz a target for so long; whether nothing failed."""
    folder = _ROOT / ".fuzz" / name
    corpus, seeds = folder / "corpus", folder / "seeds"
    for each in (corpus, seeds):
        each.mkdir(parents=True, exist_ok=True)
    for data in fuzzing.load(name).seeds():
        (seeds / hashlib.sha1(data).hexdigest()).write_bytes(data)
    print(f"{name}: {seconds} s", flush=True)
    command = [sys.executable, "-m", "fuzzing.worker", name, str(corpus), str(seeds)]
    if (_REGRESSIONS / name).is_dir():
        command.append(str(_REGRESSIONS / name))
    command += [*_LIMITS, f"-max_total_time={seconds}", "-print_final_stats=1"]
    command.append(f"-artifact_prefix={folder}/")
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, errors="replace")
    (folder / "log").write_text(done.stdout + done.stderr, encoding="utf-8")
    progress, count = _PROGRESS.findall(done.stderr), _COUNT.findall(done.stderr)
    if progress and count:
        coverage, kept = progress[-1]
        print(f"  {count[0]} inputs, {coverage} branches covered, {kept} inputs kept")
    if done.returncode:
        print(done.stdout[-3000:] + done.stderr[-1000:])
        print(f"  FAILED: the input is in {folder}, and what was said in {folder / 'log'}")
    return not done.returncode


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="fuzzing", description="Fuzz the parsers of network data."
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="all, if none is named")
    parser.add_argument("--time", type=int, default=60, help="seconds for each target (60)")
    arguments = parser.parse_args()
    if unknown := set(arguments.targets) - set(fuzzing.TARGETS):
        parser.error(f"{min(unknown)} is none of {', '.join(fuzzing.TARGETS)}")
    passed = [fuzz(name, arguments.time) for name in arguments.targets or fuzzing.TARGETS]
    sys.exit(not all(passed))


if __name__ == "__main__":
    main()
