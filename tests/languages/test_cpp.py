"""The C++ client: its own tests, and its example programs against both servers."""

from __future__ import annotations

import itertools
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import cpp_build
from tritonclient import Client

ROOT = cpp_build.ROOT
IMAGES = ROOT / "examples" / "images" / "digits"
DEADLINE = 300  # seconds; for programs that take one


@pytest.fixture(scope="module")
def built() -> Path:
    """The folder of the programs."""
    return cpp_build.built()


@pytest.fixture(scope="module", params=["embedded", "triton"])
def addresses(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The addresses for HTTP and gRPC of the embedded server, and of a real Triton."""
    server = request.getfixturevalue(request.param)
    urls = server.http_url, server.grpc_url
    return tuple(url.partition("://")[2] for url in urls)  # type: ignore[return-value]


UNIT_TESTS = [
    *("rest_test", "message_test", "utilities_test"),
    *("http_stub_test", "http_answers_test", "grpc_stub_test"),
]


@pytest.mark.parametrize("name", UNIT_TESTS)
def test_unit_tests(built: Path, name: str) -> None:
    cpp_build.run(built / "tests" / name, "--gtest_brief=1")


@pytest.mark.parametrize("name", ["server_test", "multi_test"])
def test_clients_against_a_server(built: Path, addresses: tuple[str, str], name: str) -> None:
    http, grpc = addresses
    cpp_build.run(built / "tests" / name, "--gtest_brief=1", TRITON_HTTP=http, TRITON_GRPC=grpc)


@pytest.mark.parametrize("calls", [3000, pytest.param(100_000, marks=pytest.mark.long)])
def test_memory_stays_flat(built: Path, embedded, calls: int) -> None:
    http, grpc = embedded.http_url, embedded.grpc_url.partition("://")[2]
    print(cpp_build.run(built / "tests" / "memory_test", http, grpc, str(calls)))


@dataclass(frozen=True)
class Program:
    """An example program, its flags, and what its output ends with."""

    name: str
    flags: tuple[str, ...] = ()
    ends: str = ""
    code: int = 0
    protocol: str = ""

    @property
    def is_grpc(self) -> bool:
        return "grpc" in (self.protocol or self.name)

    def __str__(self) -> str:
        return " ".join((self.name, *self.flags))


def _both(stem: str, *flags: str, ends: str = "") -> list[Program]:
    return [Program(f"simple_{protocol}_{stem}", flags, ends) for protocol in ("http", "grpc")]


def _images(name: str, protocol: str, *flags: str, images: Path = IMAGES) -> Program:
    return Program(name, ("-i", protocol, *flags, str(images)), protocol=protocol.lower())


PROGRAMS = [
    *_both("infer_client", "-t", "60000000", ends="PASS : Infer"),
    Program("simple_http_infer_client", ("-i", "gzip", "-o", "deflate"), "PASS : Infer"),
    Program("simple_grpc_infer_client", ("-C", "gzip", "-c", "false"), "PASS : Infer"),
    *_both("infer_client", "-H", "x-name: value", "-v", ends="PASS : Infer"),
    Program("simple_http_infer_client", ("-t", "1"), "", code=1),
    Program("simple_grpc_infer_client", ("-t", "1"), "", code=1),
    *_both("async_infer_client", ends="PASS : Async Infer"),
    *_both("string_infer_client", ends="PASS : String Infer"),
    Program(
        "simple_http_string_infer_client",
        ("--json-input-data", "--json-output-data"),
        "PASS : String Infer",
    ),
    *_both("shm_client", ends="PASS : System Shared Memory "),
    Program(
        "simple_grpc_keepalive_client",
        ("--grpc-keepalive-time", "10000", "--grpc-keepalive-permit-without-calls"),
        "PASS : KeepAlive",
    ),
    Program("simple_grpc_custom_args_client", (), "PASS : CustomArgs"),
    Program("simple_http_health_metadata", (), "SUCCESS"),
    Program("simple_grpc_health_metadata", (), "'wrong_model_name' is not found"),
    *_both("model_control", ends="failed to poll from model repository"),
    *_both("sequence_sync_infer_client", ends="[7] 1 : 1 : 1"),
    *_both("sequence_sync_infer_client", "-d", "-o", "500"),
    Program("simple_grpc_sequence_stream_infer_client", (), "[7] 1 : 1 : 1"),
    Program("simple_grpc_sequence_stream_infer_client", ("-d", "-o", "600")),
    Program("simple_grpc_sequence_stream_infer_client", ("-t", "1"), code=1),
    Program("simple_grpc_custom_repeat", ("-r", "3", "-s", "5")),
    Program("reuse_infer_objects_client", ("-i", "http"), "==== END ========", protocol="http"),
    Program("reuse_infer_objects_client", ("-i", "grpc"), "==== END ========", protocol="grpc"),
    _images("image_client", "HTTP", "-m", "digits", "-c", "2", "-b", "3"),
    _images("image_client", "gRPC", "-m", "digits", "-x", "1", "-s", "NONE"),
    _images("image_client", "http", "-m", "digits", "-a", images=IMAGES / "0_0386.png"),
    _images("image_client", "grpc", "-m", "digits", "-a", "--streaming", "-b", "7"),
    _images("ensemble_image_client", "http", "-m", "ensemble_digits", "-c", "3"),
    _images("ensemble_image_client", "grpc", "-m", "ensemble_digits"),
]


def execute(built: Path, program: Program, addresses: tuple[str, str]):
    """Run a program against the server at two addresses."""
    return subprocess.run(
        [built / "examples" / program.name, "-u", addresses[program.is_grpc], *program.flags],
        env={**os.environ, "GRPC_VERBOSITY": "NONE"},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_examples(built: Path, addresses: tuple[str, str], program: Program) -> None:
    # Triton is not ready for a second after a model was removed, as other tests and programs do.
    with Client(f"http://{addresses[0]}") as client:
        client.wait_until_ready(timeout=DEADLINE)
    done = execute(built, program, addresses)
    said = done.stdout + done.stderr
    assert done.returncode == program.code, said
    if program.code:
        assert done.stderr.startswith("error: ")
        assert "Deadline Exceeded" in done.stderr or "Stream has been closed" in done.stderr
    else:
        assert done.stderr == ""
        assert done.stdout.rstrip("\n").endswith(program.ends)


def test_image_client_shows_classes_as_its_readme_does(built: Path, embedded) -> None:
    http = embedded.http_url.partition("://")[2]
    images = sorted(IMAGES.glob("*.png"))
    program = _images("image_client", "HTTP", "-m", "digits", "-b", "3")
    done = execute(built, program, (http, ""))
    lines = done.stdout.splitlines()
    names = ["ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE"]
    expected = []
    for first in range(0, len(images), 3):
        expected.append(f"Request {first // 3}, batch size 3")
        expected += [f"Image '{images[at % len(images)]}':" for at in range(first, first + 3)]
    assert [line for line in lines if not line.startswith("    ")] == expected
    right = 0
    for image, shown in itertools.pairwise(lines):
        if image.startswith("Image"):
            _, index, _, label = shown.split()
            assert label == names[int(index.strip("()"))]
            right += int(Path(image).name[0]) == int(index.strip("()"))
    assert right > len(images) / 2


def test_preprocessed_bytes_are_written(built: Path, embedded, tmp_path: Path) -> None:
    target = tmp_path / "tensor"
    http = embedded.http_url.partition("://")[2]
    flags = ("-m", "digits", "-p", str(target))
    done = execute(built, _images("image_client", "HTTP", *flags), (http, ""))
    assert done.returncode == 0, done.stderr
    assert target.stat().st_size == 8 * 8 * 4


@pytest.mark.parametrize("name", sorted({program.name for program in PROGRAMS}))
def test_unknown_flags_are_refused(built: Path, name: str) -> None:
    program = Program(name, ("--nonsense",))
    done = execute(built, program, ("127.0.0.1:1", "127.0.0.1:1"))
    assert done.returncode == 1
    assert "Usage" in done.stderr


@pytest.mark.parametrize(
    ("name", "flags", "reason"),
    [
        ("image_client", (), "an image file or a folder must be given"),
        ("image_client", ("-m", "digits", "--streaming", str(IMAGES)), "only allowed with gRPC"),
        ("image_client", ("-m", "digits", "-b", "999", str(IMAGES)), "batch size <= 64"),
        ("image_client", ("-m", "simple", str(IMAGES)), "not one input"),
        ("image_client", ("-m", "digits", str(ROOT / "README.md")), "unable to read the image"),
        ("simple_http_infer_client", ("-i", "zip"), "unsupported compression"),
        ("simple_http_infer_client", ("-H", "x"), "Name:Value"),
    ],
)
def test_wrong_flags_are_named(built, embedded, name, flags, reason) -> None:
    program = Program(name, flags, protocol="grpc" if "grpc" in name else "http")
    addresses = tuple(url.partition("://")[2] for url in (embedded.http_url, embedded.grpc_url))
    done = execute(built, program, addresses)
    assert done.returncode == 1
    assert reason in done.stderr
