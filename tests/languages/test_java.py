"""The Java client: its own tests and its examples, run by Maven and java."""

from __future__ import annotations

import http.server
import os
import re
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import trustme

from tests.support.servers import triton as real_triton
from tritonclient.server import Server

ROOT = Path(__file__).parents[2]
PATIENCE = 900  # seconds for one run of Maven: the first one fetches its plugins
GRPC = "triton.client:java-grpc"
MAVEN = ("mvn", "-B", "-ntp", "-q")
SUMS = [line for i in range(1, 17) for line in (f"{i} + {i} = {2 * i}", f"{i} - {i} = 0")]


def _unavailable(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(autouse=True, scope="module")
def tools() -> None:
    """Skips the tests, or fails them in continuous integration, where a tool is missing."""
    if missing := [name for name in ("java", "javac", "mvn") if shutil.which(name) is None]:
        _unavailable(f"the Java client needs {', '.join(missing)}")


def _run(command: Sequence[str | Path], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, command)),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def _maven(arguments: Sequence[str], folder: Path) -> None:
    done = _run([*MAVEN, *arguments], folder)
    if done.returncode and "Could not transfer artifact" in done.stdout:
        _unavailable(f"Maven can't fetch what it needs: {done.stdout[-2000:]}")
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


@pytest.fixture(scope="module")
def real(request: pytest.FixtureRequest) -> str:
    """The URL of a real Triton, or "" where there is none."""
    if real_triton.unavailable_reason() and not os.environ.get("CI"):
        return ""
    url: str = request.getfixturevalue("triton").http_url
    return url


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the library, built from a copy of `java/` and `proto/` alone."""
    root = tmp_path_factory.mktemp("java")
    for name in ("java", "proto"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("target"))
    _maven(["package", "-DskipTests", "-Ddir=programs"], root / "java")
    return root / "java"


@pytest.fixture(scope="module")
def built_for_grpc(built: Path) -> Path:
    """The folder of the library for gRPC, built from the same copy."""
    _maven(["-f", "reactor.xml", "-pl", GRPC, "-am", "package", "-DskipTests"], built)
    return built / "grpc"


def test_its_own_tests(
    built: Path, embedded: Server, real: str, request: pytest.FixtureRequest
) -> None:
    over_grpc = request.getfixturevalue("triton").grpc_url if real else ""
    properties = [
        f"-Dtriton.recordings={ROOT / 'tests/data/recordings'}",
        f"-Dtriton.root={ROOT}",
        f"-Dtriton.url.embedded={embedded.http_url}",
        f"-Dtriton.grpc.embedded={embedded.grpc_url}",
        f"-Dtriton.url.real={real}",
        f"-Dtriton.grpc.real={over_grpc}",
    ]
    _maven(["-f", "reactor.xml", "-pl", GRPC, "-am", "test", *properties], built)


@pytest.mark.parametrize("name", ["GrpcInferClient", "GrpcStreamClient"])
def test_examples_over_grpc(name: str, built_for_grpc: Path, embedded: Server) -> None:
    program = f"triton.client.grpc.examples.{name}"
    command = ["java", "-cp", "target/*:target/lib/*", program, embedded.grpc_url]
    done = _run(command, built_for_grpc)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.splitlines()[-1].startswith("PASS: ")


def test_what_is_built(built: Path) -> None:
    (jar,) = built.glob("target/java-api-*.jar")
    assert jar.name.removeprefix("java-api-").removesuffix(".jar").count(".") == 2
    assert [path.name.split("-2")[0] for path in built.glob("target/lib/*")] == ["jackson-core"]
    assert sorted(path.name for path in built.glob("programs/*")) == [
        "MemoryGrowthTest.jar",
        "SimpleInferClient.jar",
        "SimpleInferPerf.jar",
    ]


@pytest.mark.parametrize("kind", ["embedded", "real"])
def test_classic_programs(
    built: Path, kind: str, embedded: Server, request: pytest.FixtureRequest
) -> None:
    url = embedded.http_url if kind == "embedded" else request.getfixturevalue("real")
    if not url:
        pytest.skip("no real Triton")
    address = url.removeprefix("http://")

    def run(name: str, *arguments: str) -> list[str]:
        done = _run(["java", "-jar", f"programs/{name}.jar", address, *arguments], built)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()

    assert run("SimpleInferClient") == SUMS
    assert run("MemoryGrowthTest") == []
    first, *lines = run("SimpleInferPerf", "200")
    assert first == "Testing simple with 8 threads."
    for count in (100, 200):
        wanted = f"[GAP] Requests: {count}, avg latency(ms): "
        assert sum(wanted in line for line in lines) == 8
    assert sum("[TOTAL] avg latency(ms): " in line for line in lines) == 8
    assert lines[-4] == lines[-1] == "=" * 34
    assert lines[-3].startswith("[ALL]         QPS: ")
    assert lines[-2].startswith("[ALL] Latency(ms): ")


def test_first_program_of_the_page(built: Path, embedded: Server, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "java.md").read_text()
    blocks = re.findall(r"^```java\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (code,) = [block for block in blocks if "class First" in block]
    (tmp_path / "First.java").write_text(code.replace("http://localhost:8000", embedded.http_url))
    libraries = f"{built}/target/*:{built}/target/lib/*"
    compiled = _run(["javac", "-cp", libraries, "First.java"], tmp_path)
    assert (compiled.returncode, compiled.stderr) == (0, "")
    done = _run(["java", "-cp", f"{libraries}:.", "First"], tmp_path)
    assert (done.stdout, done.stderr) == ("15\n", "")


EXAMPLES = [
    "InferClient",
    "AsyncInferClient",
    "StringInferClient",
    "HealthMetadata",
    "StatisticsSettings",
    "ModelControl",
    "SharedMemoryClient",
    "SequenceClient",
    "ClassificationClient",
    "CompressionClient",
    "ErrorsAndDeadlines",
]


def _java(built: Path, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    classes = f"triton.client.examples.{name}"
    return _run(["java", "-cp", "target/*:target/lib/*", classes, *arguments], built)


def test_every_example_is_run(built: Path) -> None:
    sources = (built / "src/main/java/triton/client/examples").glob("*.java")
    programs = {path.stem for path in sources if "void main(" in path.read_text()}
    classic = {"SimpleInferClient", "SimpleInferPerf", "MemoryGrowthTest"}
    assert programs == {*EXAMPLES, *classic, "ImageClient", "TlsClient"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name: str, built: Path, embedded: Server) -> None:
    done = _java(built, name, embedded.http_url)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.splitlines()[-1].startswith("PASS: ")


@pytest.mark.parametrize(
    "options", ["-b 1 -c 2", "-b 8 -c 3 -a", "-b 3 -s INCEPTION", "-x 1 -s VGG -v"]
)
def test_image_client(options: str, built: Path, embedded: Server) -> None:
    address = embedded.http_url.removeprefix("http://")
    arguments = ["-m", "digits", "-u", address, *options.split()]
    images = str(ROOT / "examples" / "images" / "digits")
    ours = _java(built, "ImageClient", *arguments, images)
    assert ours.returncode == 0, ours.stderr
    command = Path(sys.executable).parent / "image_client"
    assert ours.stdout == _run([command, *arguments, images], ROOT).stdout
    assert "PASS" in ours.stdout


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["-m", "digits"], "the image or folder is missing"),
        (["-m", "digits", "-b", "0", "x"], "-b is 0, expected a number from 1"),
        (["-m", "digits", "--streaming", "x"], "Streaming is only allowed with gRPC protocol"),
        (["-m", "digits", "nowhere"], "there is no file or folder 'nowhere'"),
        (["-m", "simple", str(ROOT / "README.md")], "it is no image classifier"),
        (["-m", "digits", "-b", "65", str(ROOT / "README.md")], "at most 64 images"),
        (["-m", "digits", str(ROOT / "README.md")], "is not an image"),
    ],
)
def test_image_client_tells_mistakes(
    arguments: list[str], text: str, built: Path, embedded: Server
) -> None:
    address = embedded.http_url.removeprefix("http://")
    done = _java(built, "ImageClient", "-u", address, *arguments)
    assert done.returncode in (1, 2)
    assert f"image_client: error: {text}" in done.stderr or text in done.stderr


class _Https(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = b'{"name":"secure","version":"1","extensions":[]}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture(params=["ECDSA", "RSA"])
def secure(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The URL of a server that wants a client's certificate, and a folder with PEM files."""
    kind = trustme.KeyType[request.param]
    authority = trustme.CA(key_type=kind)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    own = authority.issue_cert("client@example.org", key_type=kind)
    own.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    for blob in own.cert_chain_pems:
        blob.write_to_path(str(tmp_path / "certificate.pem"), append=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", key_type=kind).configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Https) as server:
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}", tmp_path
        server.shutdown()
        thread.join()


def test_tls(secure: tuple[str, Path], built: Path) -> None:
    url, folder = secure
    own = [str(folder / "certificate.pem"), str(folder / "key.pem")]
    good = _java(built, "TlsClient", url, str(folder / "ca.pem"), *own)
    assert (good.returncode, good.stdout) == (0, "server: secure\nPASS: TLS\n"), good.stderr
    for arguments in (
        [str(folder / "ca.pem")],  # the server wants our certificate
        [str(folder / "other.pem"), *own],  # another authority's
    ):
        bad = _java(built, "TlsClient", url, *arguments)
        assert bad.returncode == 1
        assert "InferenceConnectionException" in bad.stderr


def test_cmake_installs_jars_and_examples(built: Path, tmp_path: Path) -> None:
    if shutil.which("cmake") is None:
        _unavailable("the CMake target java-clients needs cmake")
    off = [f"-DTRITON_ENABLE_CC_{name}=OFF" for name in ("HTTP", "GRPC")]
    on = [f"-DTRITON_ENABLE_{name}=ON" for name in ("JAVA_HTTP", "EXAMPLES")]
    prefix = f"-DCMAKE_INSTALL_PREFIX={tmp_path / 'prefix'}"
    build = tmp_path / "build"
    for command in (
        ["cmake", "-S", ROOT, "-B", build, prefix, *off, *on],
        ["cmake", "--build", build, "--target", "java-clients"],
    ):
        done = _run(command, tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    java = tmp_path / "prefix" / "java"
    version = re.search(r"<version>(.*?)</version>", (ROOT / "java/pom.xml").read_text())
    assert version is not None
    assert {path.name for path in java.glob("*.jar")} == {
        f"java-api-{version[1]}.jar",
        f"java-grpc-{version[1]}.jar",
    }
    assert {path.stem for path in (java / "examples").glob("*.jar")} == {
        *("MemoryGrowthTest", "SimpleInferClient", "SimpleInferPerf"),
    }
