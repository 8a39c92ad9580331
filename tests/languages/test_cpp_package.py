"""What `make cc-clients python-clients java-clients` and `cpack` leave, and who builds on it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import tritonclient
from tests.support import cpp_build

ROOT = cpp_build.ROOT

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
UTILITIES_PROGRAM = """
#include "json_utils.h"
#include "shm_utils.h"
int main() {
  rapidjson::Document document;
  int fd = -1;
  if (!triton::client::ParseJson(&document, "[1e2]").IsOk()) return 1;
  if (document[0].GetDouble() != 100) return 2;
  return triton::client::CreateSharedMemoryRegion("", 1, &fd).IsOk() ? 3 : 0;
}
"""
CONSUMER = """
cmake_minimum_required(VERSION 3.18)
project(consumer CXX)
{how}
add_executable(program program.cc)
target_link_libraries(program PRIVATE {target})
"""

# The options that the README of the official client gives.
ALL = [
    f"-DTRITON_ENABLE_{name}=ON"
    for name in (
        *("CC_HTTP", "CC_GRPC", "PYTHON_HTTP", "PYTHON_GRPC", "JAVA_HTTP"),
        *("PERF_ANALYZER", "EXAMPLES", "TESTS"),
    )
]


@pytest.fixture(scope="module")
def prefix() -> Path:
    """Where the clients for C++ and Python are installed; those for Java where Maven is."""
    cpp_build.built()
    shutil.rmtree(cpp_build.INSTALLED, ignore_errors=True)
    for name in ("python", "java"):
        shutil.rmtree(cpp_build.BUILD / name, ignore_errors=True)
    cpp_build.configure(*ALL, f"-DPython3_EXECUTABLE={sys.executable}")
    cpp_build.run("cmake", "--build", cpp_build.BUILD, "--target", "cc-clients", "python-clients")
    if shutil.which("mvn"):
        cpp_build.run("cmake", "--build", cpp_build.BUILD, "--target", "java-clients")
    return cpp_build.INSTALLED


@pytest.fixture(scope="module")
def installed(prefix: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release: the tarball that CPack makes, unpacked elsewhere."""
    release = tmp_path_factory.mktemp("release")
    cpp_build.run("cpack", "--config", cpp_build.BUILD / "CPackConfig.cmake", "-B", release)
    (tarball,) = release.glob("*.tar.gz")
    version = tritonclient.__version__.partition("+")[0]
    assert tarball.name.startswith(f"v{version}_")
    assert tarball.name.endswith(".clients.tar.gz")
    target = release / "unpacked"
    with tarfile.open(tarball) as archive:
        archive.extractall(target)
    return target


def lacking(folder: Path) -> list[str]:
    """What is not in a folder of all clients."""
    libraries = ("httpclient", "grpcclient")
    expected = [
        *(f"lib/lib{name}.so" for name in libraries),
        *(f"lib/lib{name}_static.a" for name in (*libraries, "shm_utils", "json_utils")),
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
        "bin/perf_analyzer",
        "python/tritonclient-*.whl",
        "python/simple_http_infer_client.py",
    ]
    return [name for name in expected if not list(folder.glob(name))]


def test_all_clients_are_under_the_prefix(prefix: Path) -> None:
    assert lacking(prefix) == []


def test_all_clients_are_in_the_tarball(installed: Path) -> None:
    assert lacking(installed) == []


def test_the_java_client_is_there(prefix: Path, installed: Path) -> None:
    if not shutil.which("mvn"):
        reason = "the Java client needs mvn"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    for folder in (prefix, installed):
        assert list(folder.glob("java/java-api-*.jar"))
        assert list(folder.glob("java/examples/*.jar"))


def test_perf_analyzer_is_the_one_in_python(installed: Path, embedded) -> None:
    program = installed / "bin" / "perf_analyzer"
    load = ("--request-count", "10", "--concurrency-range", "1")
    said = cpp_build.run(
        *(program, "-m", "simple", "-u", embedded.http_url.partition("://")[2], *load),
        PYTHON=sys.executable,
    )
    assert "Request count: 10" in said
    missing = subprocess.run(
        [program, "-m", "simple"],
        env={**os.environ, "PYTHON": "/nowhere/python"},
        capture_output=True,
        text=True,
    )
    assert missing.returncode == 1
    assert "install the wheel in python/, or set PYTHON" in missing.stderr


def test_an_installed_example_runs(installed: Path, embedded) -> None:
    http = embedded.http_url.partition("://")[2]
    said = cpp_build.run(installed / "bin" / "simple_http_infer_client", "-u", http)
    assert said.rstrip().endswith("PASS : Infer")


def test_python_alone_needs_nothing_of_cpp(prefix: Path, tmp_path: Path) -> None:
    """Options that have a meaning only for the official client are named."""
    said = cpp_build.run(
        *("cmake", "-S", ROOT, "-B", tmp_path, "-DTRITON_CORE_REPO_TAG=r26.02"),
        *("-DTRITON_ENABLE_PYTHON_HTTP=ON", f"-DPython3_EXECUTABLE={sys.executable}"),
        *("-DCMAKE_CXX_COMPILER=/nowhere/c++", "-DRAPIDJSON_INCLUDE_DIR="),
    )
    assert "Options without a meaning here: TRITON_CORE_REPO_TAG" in said
    said = cpp_build.run("cmake", "--build", tmp_path, "--target", "cc-clients")
    assert "neither TRITON_ENABLE_CC_HTTP nor TRITON_ENABLE_CC_GRPC is ON" in said


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


def test_programs_of_the_documentation(installed: Path, tmp_path: Path, embedded) -> None:
    text = (ROOT / "docs" / "cpp.md").read_text()
    for protocol, url in (("http", embedded.http_url), ("grpc", embedded.grpc_url)):
        port = {"http": 8000, "grpc": 8001}[protocol]
        text = text.replace(f'"localhost:{port}"', f'"{url.partition("://")[2]}"')
    first, second = re.findall("```cpp\n(.*?)```", text, re.DOTALL)
    (cmake,) = re.findall("```cmake\n(.*?)```", text, re.DOTALL)
    cmake = cmake.replace(" COMPONENTS http", "")
    cmake += "add_executable(second second.cc)\n"
    cmake += "target_link_libraries(second PRIVATE TritonClient::grpcclient)\n"
    (tmp_path / "first.cc").write_text(first)
    (tmp_path / "second.cc").write_text(second)
    (tmp_path / "CMakeLists.txt").write_text(cmake)
    build = tmp_path / "build"
    cpp_build.run("cmake", "-S", tmp_path, "-B", build, f"-DCMAKE_PREFIX_PATH={installed}")
    cpp_build.run("cmake", "--build", build)
    assert cpp_build.run(build / "first") == "4\n"
    said = cpp_build.run(build / "second")
    assert said.startswith("0.5 0.5 0.5 0.5 " + embedded.grpc_url.partition("://")[2])


def test_the_utilities_need_neither_client(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "program.cc").write_text(UTILITIES_PROGRAM)
    text = CONSUMER.format(
        how="find_package(TritonClient CONFIG REQUIRED)",
        target="TritonClient::json_utils_static TritonClient::shm_utils_static",
    )
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


def test_the_source_is_a_subproject(prefix: Path, tmp_path: Path) -> None:
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


def _configure_with_gpu(build: Path, *options: str) -> str:
    if shutil.which("ccache"):
        options = (*options, "-DCMAKE_CXX_COMPILER_LAUNCHER=ccache")
    return cpp_build.run(
        *("cmake", "-S", ROOT / "cpp", "-B", build, "-DTRITON_ENABLE_GPU=ON"),
        *("-DTRITON_ENABLE_EXAMPLES=ON", "-DTRITON_ENABLE_CC_GRPC=OFF", "-DCMAKE_CXX_FLAGS=-O0"),
        *options,
    )


def test_without_cuda_all_but_its_examples_is_built(prefix: Path, tmp_path: Path) -> None:
    if Path("/usr/local/cuda").exists() or shutil.which("nvcc"):
        pytest.skip("CUDA is here")
    said = _configure_with_gpu(tmp_path)
    assert "CUDA's header and runtime library are not here" in " ".join(said.split())
    targets = cpp_build.run("cmake", "--build", tmp_path, "--target", "help")
    assert "simple_http_shm_client" in targets
    assert "cudashm" not in targets


def test_cuda_examples_say_that_there_is_no_gpu(prefix: Path, tmp_path: Path) -> None:
    nvidia = pytest.importorskip("nvidia.cu13", reason="nvidia-cuda-runtime is only for Linux")
    (cuda,) = nvidia.__path__
    _configure_with_gpu(tmp_path, f"-DCUDAToolkit_ROOT={cuda}")
    cpp_build.run("cmake", "--build", tmp_path, "--target", "simple_http_cudashm_client")
    if Path("/dev/nvidiactl").exists():
        pytest.skip("there is a GPU")
    done = subprocess.run(
        [tmp_path / "examples" / "simple_http_cudashm_client"], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: unable to use a GPU: ")
    assert "this program needs an NVIDIA GPU" in done.stderr
