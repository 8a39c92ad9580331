"""The example programs of the official client's names, flags and success lines.

Each runs as a program of its own: against the embedded server, against a real Triton, and there
under the official client as well, whose output has to be the same.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.official import ensure_official

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
DIGITS = "images/digits"


class Program(NamedTuple):
    """A program and what it should print last.

    Attributes:
        compared: whether the official client prints the same; not where it prints times or ids.
    """

    name: str
    flags: tuple[str, ...] = ()
    last: str = "PASS.*"
    compared: bool = True
    servers: tuple[str, ...] = ("embedded", "triton")

    def __str__(self) -> str:
        return " ".join([self.name, *self.flags])

    @property
    def protocol(self) -> str:
        grpc = "grpc" in self.name or "gRPC" in self.flags
        return "grpc" if grpc else "http"


PROGRAMS = (
    Program("simple_http_infer_client", last=r"\[404\].*Request for unknown model", compared=False),
    Program(
        "simple_http_infer_client",
        ("--request-compression-algorithm", "gzip", "-H", "test:1"),
        r"\[404\].*Request for unknown model",
        compared=False,
    ),
    Program("simple_http_aio_infer_client", last="PASS: infer", compared=False),
    Program("simple_http_async_infer_client", last="15 - 1 = 14"),
    Program("simple_http_string_infer_client", last="PASS: string"),
    Program("simple_http_sequence_sync_infer_client", last="PASS: Sequence"),
    Program("simple_http_sequence_sync_infer_client", ("-d", "-o", "10"), "PASS: Sequence"),
    Program("simple_http_shm_client", last="PASS: system shared memory"),
    Program("simple_http_shm_string_client", last="PASS: system shared memory"),
    Program("simple_http_health_metadata", last=".*'name': 'simple'"),
    Program("simple_grpc_infer_client", last="PASS: infer", compared=False),
    Program("simple_grpc_infer_client", ("-C", "gzip", "-t", "20"), "PASS: infer", compared=False),
    Program("simple_grpc_aio_infer_client", last="PASS: grpc aio infer", compared=False),
    Program("simple_grpc_async_infer_client", ("-t", "20"), "PASS: Async infer"),
    Program("simple_grpc_string_infer_client", last="PASS: string"),
    Program("simple_grpc_sequence_stream_infer_client", last="PASS: Sequence"),
    Program("simple_grpc_sequence_stream_infer_client", ("-d", "-o", "20"), "PASS: Sequence"),
    Program("simple_grpc_aio_sequence_stream_infer_client", last="PASS: grpc aio sequence stream"),
    Program("simple_grpc_aio_sequence_stream_infer_client", ("-d", "-o", "30"), "PASS: grpc aio.*"),
    Program("simple_grpc_sequence_sync_infer_client", last="PASS: Sequence"),
    Program("simple_grpc_shm_client", last="PASS: system shared memory"),
    Program("simple_grpc_shm_string_client", last="PASS: system shared memory"),
    Program("simple_grpc_health_metadata", last=""),
    Program("simple_grpc_keepalive_client", last="PASS: KeepAlive"),
    Program("simple_grpc_custom_args_client", last="PASS: CustomArgs"),
    Program("simple_grpc_custom_repeat", last="PASS: Decoupled API"),
    Program("grpc_client", last="PASS"),
    Program("grpc_explicit_byte_content_client", last="PASS: explicit string"),
    Program("grpc_explicit_int_content_client", last="PASS: explicit int"),
    Program("grpc_explicit_int8_content_client", last="PASS: explicit int8"),
    Program("reuse_infer_objects_client", last="======== END ========"),
    Program("reuse_infer_objects_client", ("-i", "gRPC"), "======== END ========"),
    Program("memory_growth_test", ("-r", "20"), ""),
    Program("memory_growth_test", ("-r", "20", "-i", "gRPC"), ""),
    # They change what the server has loaded, so they come last.
    Program("simple_http_model_control", last="PASS: model control"),
    # Triton 2.51 crashes at a file name that is too long, for which this program asks.
    Program("simple_grpc_model_control", last="PASS: model control", servers=("embedded",)),
)
COMPARED = [each for each in PROGRAMS if each.compared and "triton" in each.servers]
NEEDS_GPU = ("simple_http_cudashm_client", "simple_grpc_cudashm_client")


def run(program: Program, server: Any, python: str = sys.executable) -> list[str]:
    """The lines that a program prints, when it succeeds."""
    address = server.http_url if program.protocol == "http" else server.grpc_url
    address = address.partition("://")[2]
    environment = {**os.environ, "GRPC_VERBOSITY": "NONE", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [python, f"{program.name}.py", "-u", address, *program.flags],
        cwd=EXAMPLES,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("program", "server"),
    [
        (program, server)
        for server in ("embedded", "triton")
        for program in PROGRAMS
        if server in program.servers
    ],
    ids=str,
)
def test_program(program: Program, server: str, request: pytest.FixtureRequest) -> None:
    lines = run(program, request.getfixturevalue(server))
    assert re.match(program.last, lines[-1] if lines else "")


@pytest.mark.parametrize("program", COMPARED, ids=str)
def test_the_official_client_prints_the_same(program: Program, triton: Any) -> None:
    ours = run(program, triton)
    theirs = run(program, triton, str(ensure_official()))
    assert ours == theirs


@pytest.mark.parametrize("name", NEEDS_GPU)
def test_programs_for_a_gpu_say_what_is_missing(name: str, embedded: Any) -> None:
    """Where there is a GPU they are run by hand, since the embedded server has none."""
    address = embedded.http_address if "http" in name else embedded.grpc_address
    done = subprocess.run(
        [sys.executable, f"{name}.py", "-u", address],
        cwd=EXAMPLES,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "CudaSharedMemoryException" in done.stderr or "GPU" in done.stderr
