"""The C++ client: its own tests, and its example programs against both servers."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import cpp_build

ROOT = cpp_build.ROOT
IMAGES = ROOT / "examples" / "images" / "digits"
DEADLINE = 300  # seconds; for programs that take one


@pytest.fixture(scope="module")
def built() -> Path:
    """The folder of the programs."""
    if lacking := cpp_build.missing():
        reason = f"the C++ client needs {', '.join(lacking)}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return cpp_build.build()


@pytest.fixture(scope="module", params=["embedded", "triton"])
def addresses(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The addresses for HTTP and gRPC of the embedded server, and of a real Triton."""
    server = request.getfixturevalue(request.param)
    urls = server.http_url, server.grpc_url
    return tuple(url.partition("://")[2] for url in urls)  # type: ignore[return-value]


@pytest.mark.parametrize(
    "name", ["rest_test", "message_test", "http_stub_test", "grpc_stub_test", "utilities_test"]
)
def test_unit_tests(built: Path, name: str) -> None:
    cpp_build.run(built / "tests" / name, "--gtest_brief=1")


def test_clients_against_a_server(built: Path, addresses: tuple[str, str]) -> None:
    http, grpc = addresses
    cpp_build.run(
        built / "tests" / "server_test", "--gtest_brief=1", TRITON_HTTP=http, TRITON_GRPC=grpc
    )


def test_memory_stays_flat(built: Path, embedded) -> None:
    calls = os.environ.get("CPP_CALLS", "3000")
    http, grpc = embedded.http_url, embedded.grpc_url
    cpp_build.run(built / "tests" / "memory_test", http, grpc.partition("://")[2], calls)


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
        ("simple_grpc_infer_client", ("--nonsense",), "Usage"),
    ],
)
def test_wrong_flags_are_named(built, embedded, name, flags, reason) -> None:
    program = Program(name, flags, protocol="grpc" if "grpc" in name else "http")
    addresses = tuple(url.partition("://")[2] for url in (embedded.http_url, embedded.grpc_url))
    done = execute(built, program, addresses)
    assert done.returncode == 1
    assert reason in done.stderr


HTTP_PROGRAM = """
#include <iostream>
#include "http_client.h"
#include "json_utils.h"
#include "shm_utils.h"
namespace tc = triton::client;
int main() {
  std::unique_ptr<tc::InferenceServerHttpClient> client;
  if (!tc::InferenceServerHttpClient::Create(&client, "localhost:1").IsOk()) return 1;
  int fd = -1;
  bool live = true;
  rapidjson::Document document;
  if (!tc::ParseJson(&document, "{}").IsOk()) return 2;
  if (tc::CreateSharedMemoryRegion("", 1, &fd).IsOk()) return 3;
  return client->IsServerLive(&live).IsOk() || live ? 4 : 0;
}
"""
GRPC_PROGRAM = """
#include "grpc_client.h"
namespace tc = triton::client;
int main() {
  std::unique_ptr<tc::InferenceServerGrpcClient> client;
  grpc::ChannelArguments arguments;
  if (!tc::InferenceServerGrpcClient::Create(&client, "localhost:1", arguments).IsOk()) return 1;
  inference::ServerMetadataResponse metadata;
  if (client->ServerMetadata(&metadata).IsOk()) return 2;
  return metadata.DebugString().empty() ? 0 : 3;
}
"""
CONSUMER = """
cmake_minimum_required(VERSION 3.18)
project(consumer CXX)
{how}
add_executable(program program.cc)
target_link_libraries(program PRIVATE {target})
"""


@pytest.fixture(scope="module")
def installed(built: Path) -> Path:
    """Where the library is installed."""
    cpp_build.build(install=True)
    return cpp_build.INSTALLED


def test_installed_files(installed: Path) -> None:
    libraries = ("httpclient", "grpcclient")
    expected = [
        *(f"lib/lib{name}.so" for name in libraries),
        *(f"lib/lib{name}_static.a" for name in (*libraries,)),
        "lib/libshm_utils_static.a",
        "lib/libjson_utils_static.a",
        "lib/cmake/TritonClient/TritonClientConfig.cmake",
        "lib/cmake/TritonClient/TritonClientConfigVersion.cmake",
        "lib/pkgconfig/tritonclient-http.pc",
        "lib/pkgconfig/tritonclient-grpc.pc",
        *(
            f"include/{name}.h"
            for name in (
                *("common", "http_client", "grpc_client", "ipc", "shm_utils", "json_utils"),
                *("grpc_service.pb", "grpc_service.grpc.pb", "model_config.pb"),
            )
        ),
        "bin/image_client",
        "bin/simple_http_infer_client",
    ]
    assert [name for name in expected if not (installed / name).exists()] == []


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_program_is_built_with_pkg_config(installed: Path, tmp_path: Path, protocol: str) -> None:
    source = tmp_path / "program.cc"
    source.write_text(HTTP_PROGRAM if protocol == "http" else GRPC_PROGRAM)
    flags = cpp_build.run(
        *("pkg-config", "--cflags", "--libs", f"tritonclient-{protocol}"),
        PKG_CONFIG_PATH=str(installed / "lib" / "pkgconfig"),
    ).split()
    program = tmp_path / "program"
    cpp_build.run("c++", "-std=c++17", source, "-o", program, *flags)
    cpp_build.run(program, LD_LIBRARY_PATH=str(installed / "lib"))


@pytest.mark.parametrize("target", ["httpclient", "httpclient_static"])
def test_a_program_is_built_with_find_package(installed: Path, tmp_path: Path, target: str) -> None:
    """HTTP needs no gRPC, not even to configure."""
    how = (
        "set(CMAKE_DISABLE_FIND_PACKAGE_gRPC ON)\nset(CMAKE_DISABLE_FIND_PACKAGE_Protobuf ON)\n"
        "find_package(TritonClient 2.73 CONFIG REQUIRED COMPONENTS http)"
    )
    (tmp_path / "program.cc").write_text(HTTP_PROGRAM)
    text = CONSUMER.format(how=how, target=f"TritonClient::{target}")
    (tmp_path / "CMakeLists.txt").write_text(text)
    build = tmp_path / "build"
    cpp_build.run("cmake", "-S", tmp_path, "-B", build, f"-DCMAKE_PREFIX_PATH={installed}")
    cpp_build.run("cmake", "--build", build)
    cpp_build.run(build / "program")


@pytest.mark.parametrize("target", ["grpcclient", "grpcclient_static"])
def test_a_grpc_program_is_built_with_find_package(
    installed: Path, tmp_path: Path, target: str
) -> None:
    (tmp_path / "program.cc").write_text(GRPC_PROGRAM)
    text = CONSUMER.format(
        how="find_package(TritonClient CONFIG REQUIRED)", target=f"TritonClient::{target}"
    )
    (tmp_path / "CMakeLists.txt").write_text(text)
    build = tmp_path / "build"
    cpp_build.run("cmake", "-S", tmp_path, "-B", build, f"-DCMAKE_PREFIX_PATH={installed}")
    cpp_build.run("cmake", "--build", build)
    cpp_build.run(build / "program")


def test_the_source_is_a_subproject(built: Path, tmp_path: Path) -> None:
    (tmp_path / "program.cc").write_text(HTTP_PROGRAM)
    how = (
        f"set(TRITON_ENABLE_CC_GRPC OFF)\nadd_subdirectory({ROOT / 'cpp'} client)\n"
        "if(DEFINED CMAKE_CXX_STANDARD OR CMAKE_BUILD_TYPE)\n"
        '  message(FATAL_ERROR "the subproject changed the project")\nendif()'
    )
    text = CONSUMER.format(how=how, target="TritonClient::httpclient")
    (tmp_path / "CMakeLists.txt").write_text(text)
    build = tmp_path / "build"
    launcher = ["-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"] if shutil.which("ccache") else []
    cpp_build.run("cmake", "-S", tmp_path, "-B", build, *launcher)
    cpp_build.run("cmake", "--build", build, "--parallel", "2", "--target", "program")
    cpp_build.run(build / "program")


def test_components_that_are_not_there_are_named(installed: Path, tmp_path: Path) -> None:
    how = "find_package(TritonClient CONFIG REQUIRED COMPONENTS rest)"
    (tmp_path / "program.cc").write_text("int main() {}")
    (tmp_path / "CMakeLists.txt").write_text(CONSUMER.format(how=how, target=""))
    done = subprocess.run(
        ["cmake", "-S", tmp_path, "-B", tmp_path / "b", f"-DCMAKE_PREFIX_PATH={installed}"],
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "component 'rest' is not installed" in done.stderr
