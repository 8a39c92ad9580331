"""Programs written for the official client say the same with ours, against the same real Triton.

Each program prints what it gets. What the clients do differently on purpose is in
`docs/migrating.md`, and no program here prints it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.servers.triton_installation import clean_environment

PROGRAMS = sorted((Path(__file__).parent / "programs").glob("*.py"))
DEADLINE = 120


def run(python, program, url, *options):
    return subprocess.run(
        (python, "-I", *options, str(program), url),
        capture_output=True,
        env=clean_environment(),
        text=True,
        timeout=DEADLINE,
    )


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_a_program_says_the_same(program, triton, official_python):
    port = triton.grpc_port if program.stem.startswith("grpc_") else triton.http_port
    url = f"127.0.0.1:{port}"
    expected = run(official_python, program, url)
    assert expected.returncode == 0, expected.stderr
    found = run(sys.executable, program, url, "-W", "error")
    assert found.stdout.splitlines() == expected.stdout.splitlines(), found.stderr
    assert (found.returncode, found.stderr) == (0, "")
    assert len(found.stdout.splitlines()) > 5
