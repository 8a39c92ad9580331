"""The example programs with the official client's names, flags and success lines.

Each runs against the embedded server and a real Triton, and against that under the official client
too, where it has to print the same.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Any, NamedTuple

import pytest

from tests.support import example_programs
from tests.support.example_programs import EXAMPLES

PEAK_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes


class Program(NamedTuple):
    """A program and what it should print last.

    Attributes:
        counts: whether it prints counters and times, which no two runs have in common.
        alone: whether it uses something of the server that another run would use too: regions
            of shared memory, ids of sequences, the loading of a model.
        triton: whether it can be run against a real Triton.
    """

    name: str
    flags: tuple[str, ...] = ()
    last: str = "PASS"
    counts: bool = False
    alone: bool = False
    triton: bool = True

    def __str__(self) -> str:
        return " ".join([self.name, *self.flags])

    @property
    def protocol(self) -> str:
        return "grpc" if "grpc" in self.name or "gRPC" in self.flags else "http"

    def command(self, python: str, server: Any) -> tuple[str, ...]:
        url = getattr(server, f"{self.protocol}_url")
        return (python, self.name, url.partition("://")[2], *self.flags)


KEEP_ALIVE = (
    *("--grpc-keepalive-time", "10000", "--grpc-keepalive-timeout", "5000"),
    *("--grpc-keepalive-permit-without-calls", "--grpc-http2-max-pings-without-data", "0"),
)
REFUSED = r"\[404\] Request for unknown model: 'wrong_model_name' is not found"
PROGRAMS = (
    Program("simple_http_infer_client", (), REFUSED, counts=True),
    Program(
        "simple_http_infer_client",
        ("--request-compression-algorithm", "gzip", "-H", "test:1", "-H", "dummy:2"),
        REFUSED,
        counts=True,
    ),
    Program("simple_http_aio_infer_client", ("-H", "test:1"), "PASS: infer", counts=True),
    Program("simple_http_async_infer_client", (), "15 - 1 = 14"),
    Program("simple_http_string_infer_client", (), "PASS: string"),
    Program("simple_http_sequence_sync_infer_client", (), "PASS: Sequence", alone=True),
    Program(
        "simple_http_sequence_sync_infer_client", ("-d", "-o", "10"), "PASS: Sequence", alone=True
    ),
    Program("simple_http_shm_client", (), "PASS: system shared memory", alone=True),
    Program("simple_http_shm_string_client", (), "PASS: system shared memory", alone=True),
    Program("simple_http_health_metadata", (), "{'name': 'simple', .*}"),
    Program("simple_grpc_infer_client", (), "PASS: infer", counts=True),
    Program("simple_grpc_infer_client", ("-C", "gzip", "-t", "20"), "PASS: infer", counts=True),
    Program("simple_grpc_aio_infer_client", (), "PASS: grpc aio infer", counts=True),
    Program("simple_grpc_async_infer_client", ("-t", "20"), "PASS: Async infer"),
    Program("simple_grpc_string_infer_client", ("-v",), "PASS: string"),
    Program("simple_grpc_sequence_stream_infer_client", ("-t", "50"), "PASS: Sequence", alone=True),
    Program(
        "simple_grpc_sequence_stream_infer_client", ("-d", "-o", "20"), "PASS: Sequence", alone=True
    ),
    Program(
        "simple_grpc_aio_sequence_stream_infer_client",
        (),
        "PASS: grpc aio sequence stream",
        alone=True,
    ),
    Program(
        "simple_grpc_aio_sequence_stream_infer_client",
        ("-d", "-o", "30", "-t", "50"),
        "PASS: grpc aio sequence stream",
        alone=True,
    ),
    Program("simple_grpc_sequence_sync_infer_client", (), "PASS: Sequence", alone=True),
    Program(
        "simple_grpc_sequence_sync_infer_client", ("-d", "-o", "40"), "PASS: Sequence", alone=True
    ),
    Program("simple_grpc_shm_client", (), "PASS: system shared memory", alone=True),
    Program("simple_grpc_shm_string_client", (), "PASS: system shared memory", alone=True),
    Program("simple_grpc_health_metadata", (), ""),
    Program("simple_grpc_keepalive_client", (), "PASS: KeepAlive"),
    Program("simple_grpc_keepalive_client", KEEP_ALIVE, "PASS: KeepAlive"),
    Program("simple_grpc_custom_args_client", (), "PASS: CustomArgs"),
    Program("simple_grpc_custom_repeat", (), "PASS: Decoupled API"),
    Program("grpc_client"),
    Program("grpc_client", ("-m", "simple", "-v")),
    Program("grpc_explicit_byte_content_client", (), "PASS: explicit string"),
    Program("grpc_explicit_int_content_client", (), "PASS: explicit int"),
    Program("grpc_explicit_int8_content_client", ("-v",), "PASS: explicit int8"),
    Program("reuse_infer_objects_client", (), "======== END ========", alone=True),
    Program("reuse_infer_objects_client", ("-i", "gRPC"), "======== END ========", alone=True),
    Program("memory_growth_test", ("-r", "20"), ""),
    Program("memory_growth_test", ("-r", "20", "-i", "gRPC"), ""),
    # They load another configuration and unload it again, so they come last.
    Program("simple_http_model_control", (), "PASS: model control", alone=True),
    # Triton 2.51 crashes at the name of a file that is too long, which this one asks for.
    Program("simple_grpc_model_control", (), "PASS: model control", triton=False, alone=True),
)
NEEDS_GPU = ("simple_http_cudashm_client", "simple_grpc_cudashm_client")
COUNTERS = re.compile(r"(count|ns|last_inference)('?: )\d+")


def check(program: Program, done: subprocess.CompletedProcess[str]) -> list[str]:
    """The lines that a program printed, when it succeeded; counters have no values."""
    assert done.returncode == 0, done.stderr + done.stdout
    lines = done.stdout.splitlines()
    assert re.fullmatch(program.last, lines[-1] if lines else "")
    return [COUNTERS.sub(r"\1\2N", line) for line in lines] if program.counts else lines


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_on_the_embedded_server(program: Program, embedded: Any) -> None:
    python, *arguments = program.command(sys.executable, embedded)
    done = example_programs.run(*arguments, python=python)
    assert done.stderr == ""
    check(program, done)


@pytest.mark.parametrize("program", [each for each in PROGRAMS if each.triton], ids=str)
def test_on_a_real_triton(program: Program, triton: Any, official_python: str) -> None:
    commands = [program.command(python, triton) for python in (sys.executable, official_python)]
    ours, theirs = example_programs.run_all(commands, at_once=1 if program.alone else 2)
    assert ours.stderr == ""
    assert check(program, ours) == check(program, theirs)


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="this platform does not tell peaks of memory")
@pytest.mark.parametrize("flags", [(), ("-i", "gRPC")], ids=["http", "grpc"])
def test_clients_that_come_and_go_leave_no_memory_behind(
    flags: tuple[str, ...], embedded: Any
) -> None:
    program = Program("memory_growth_test", flags)
    few, many = (
        peak_memory([*example_programs.command(*program.command(sys.executable, embedded)), *more])
        for more in (("-r", "10"), ("-r", "300"))
    )
    assert many - few < 2 << 20


def peak_memory(command: list[str]) -> int:
    """The bytes that a program took at most."""
    process = subprocess.Popen(command, cwd=EXAMPLES)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss * PEAK_UNIT
