"""Programs written for the official client say the same with ours, against the same real Triton.

Each program prints what it gets. What the clients do differently on purpose is in
`docs/migrating.md`, and no program here prints it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import MODELS
from tests.support.servers import triton as real_triton
from tests.support.servers.triton_installation import clean_environment

FOLDER = Path(__file__).parent / "programs"
#: What it asks for ends Triton itself now and then.
FATAL = FOLDER / "grpc_stream_error.py"
PROGRAMS = sorted(set(FOLDER.glob("*.py")) - {FATAL})
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


@pytest.mark.usefixtures("triton")  # which says what to do where there is none
def test_a_stream_that_an_error_ends(tmp_path, official_python):
    shutil.copytree(MODELS / "failing", tmp_path / "models" / "failing")
    with real_triton.KeptServer(tmp_path / "models") as kept:
        url = f"127.0.0.1:{kept.server.grpc_port}"

        def output(*command):
            for _ in range(10):
                kept.restart_if_ended()
                found = run(*command)
                if found.returncode == 0 and "StatusCode.UNAVAILABLE" not in found.stdout:
                    return found
            pytest.fail(f"it fails every time, if Triton ends or not: {found}")

        expected = output(official_python, FATAL, url)
        assert "INTERNAL" in expected.stdout
        found = output(sys.executable, FATAL, url, "-W", "error")
        assert found.stdout == expected.stdout, found.stderr
        assert (found.returncode, found.stderr) == (0, "")
