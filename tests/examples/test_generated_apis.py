"""The clients in other languages, built and run by the commands of docs/generated_apis.md."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.servers.triton_installation import cache_directory
from tritonclient.server import Server
from tritonclient.utils import serialize_byte_tensor

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "generated_apis.md"
ADDRESS = "localhost:8001"  # the page's name for the server
PATIENCE = 300  # seconds for one block: a compiler's first run on a busy machine takes a minute
GO_LIBRARIES = Path("/usr/share/gocode/src")
JAVA_LIBRARIES = Path("/usr/share/java")


@dataclass(frozen=True)
class Language:
    """A section of the page: the folder of its client, and what its commands need."""

    folder: str
    commands: tuple[str, ...]
    files: tuple[Path, ...] = ()
    after: str | None = None  # the language whose commands are run before
    clients: int = 1  # how many the page runs
    in_ci: bool = False  # whether .ci/run installs what it needs

    def missing(self) -> list[str]:
        lacking = [command for command in self.commands if shutil.which(command) is None]
        return lacking + [str(path) for path in self.files if not path.exists()]


_JAVA = tuple(
    JAVA_LIBRARIES / f"{name}.jar"
    for name in (
        *("grpc-netty", "grpc-protobuf", "grpc-stub", "netty-codec-http2", "protobuf", "guava"),
        *("perfmark-api", "geronimo-annotation-1.3-spec"),
    )
)
LANGUAGES = {
    "Go": Language(
        "go",
        ("go", "protoc", "protoc-gen-go", "protoc-gen-go-grpc"),
        (
            GO_LIBRARIES / "google.golang.org/grpc",
            GO_LIBRARIES / "github.com/golang/protobuf/proto/registry.go",  # not in version 1.3
        ),
        in_ci=True,
    ),
    "Java": Language("java", ("java", "javac", "protoc", "grpc_java_plugin"), _JAVA),
    "Scala": Language("scala", ("scala", "scalac"), after="Java"),
    "JavaScript": Language("javascript", ("node", "npm", "npx"), clients=2, in_ci=True),
}

EXPECTED = [
    "server is live: true",
    "server is ready: true",
    "model simple is ready: true",
    "input: INPUT0 INT32 [-1, 16]",
    "input: INPUT1 INT32 [-1, 16]",
    "output: OUTPUT0 INT32 [-1, 16]",
    "output: OUTPUT1 INT32 [-1, 16]",
    *(line for a in range(16) for line in (f"{a} + 1 = {a + 1}", f"{a} - 1 = {a - 1}")),
]
REFUSED = "refused: Request for unknown model: 'nowhere' is not found"


@dataclass(frozen=True)
class Built:
    """A copy of a language's client that is ready to run."""

    folder: Path
    runs: list[str]  # a command for each client

    def run(self, command: str, address: str) -> subprocess.CompletedProcess[str]:
        return _bash(command.replace(ADDRESS, address), self.folder)


def blocks(language: str) -> list[str]:
    """The fenced commands of a language's section."""
    text = PAGE.read_text()
    (section,) = re.findall(rf"^## {language}\n(.*?)(?=^## )", text, re.MULTILINE | re.DOTALL)
    return re.findall(r"^```bash\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def _bash(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    cache = cache_directory()
    environment = {
        **os.environ,
        "GOCACHE": str(cache / "go-build"),
        "npm_config_cache": str(cache / "npm"),
        "npm_config_prefer_offline": "true",
        "npm_config_update_notifier": "false",
    }
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Built]:
    """Builds the client of a language, once; a test whose language lacks tools is skipped."""
    root = tmp_path_factory.mktemp("generated_apis")
    shutil.copytree(ROOT / "proto", root / "proto")
    done: dict[str, Built] = {}

    def build(name: str) -> Built:
        language = LANGUAGES[name]
        if language.after is not None:
            build(language.after)
        if missing := language.missing():
            _unavailable(language, f"{name} needs {', '.join(missing)}")
        if name not in done:
            done[name] = _build(name, root / "examples" / language.folder)
        return done[name]

    return build


def _unavailable(language: Language, reason: str) -> None:
    if language.in_ci and os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def _build(name: str, folder: Path) -> Built:
    language = LANGUAGES[name]
    ignored = shutil.ignore_patterns("build", "node_modules")
    shutil.copytree(ROOT / "examples" / language.folder, folder, ignore=ignored)
    commands = blocks(name)
    for block in commands:
        if ADDRESS not in block:
            built = _bash(block, folder)
            if built.returncode and block.startswith("npm install"):
                _unavailable(language, f"no packages of npm: {built.stderr}")
            assert built.returncode == 0, f"{block}\n{built.stdout}\n{built.stderr}"
    return Built(folder, [block for block in commands if ADDRESS in block])


@pytest.fixture
def unused_address() -> Iterator[str]:
    """Where nobody listens, and nobody can while the test runs."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


@pytest.fixture(params=["embedded", "triton"])
def address(request: pytest.FixtureRequest) -> str:
    """Where a server with all of `models/` listens for gRPC."""
    url: str = request.getfixturevalue(request.param).grpc_url
    return url.removeprefix("grpc://")


@pytest.mark.parametrize("language", LANGUAGES)
def test_client(language: str, build: Callable[[str], Built], address: str) -> None:
    built = build(language)
    assert len(built.runs) == LANGUAGES[language].clients
    for command in built.runs:
        done = built.run(command, address)
        assert (done.returncode, done.stderr) == (0, "")
        lines = done.stdout.splitlines()
        assert lines[: len(EXPECTED)] == EXPECTED
        assert lines[len(EXPECTED) :] == ([REFUSED] if "node client.js" in command else [])


@pytest.mark.parametrize("language", LANGUAGES)
def test_client_without_a_server(
    language: str, build: Callable[[str], Built], unused_address: str
) -> None:
    built = build(language)
    for command in built.runs:
        done = built.run(command, unused_address)
        assert (done.returncode, done.stdout) == (1, "")
        assert re.search(r"unavailable", done.stderr, re.IGNORECASE)


_WRONG = """
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        answers = []
        for request in requests:
            names = ("INPUT0", "INPUT1")
            a, b = (pb_utils.get_input_tensor_by_name(request, x).as_numpy() for x in names)
            outputs = [pb_utils.Tensor("OUTPUT0", a + b), pb_utils.Tensor("OUTPUT1", b - a)]
            answers.append(pb_utils.InferenceResponse(outputs))
        return answers
"""


@pytest.fixture(scope="session")
def wrong_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a model "simple" listens that subtracts the wrong way round."""
    repository = tmp_path_factory.mktemp("wrong")
    code = repository / "simple" / "1" / "model.py"
    code.parent.mkdir(parents=True)
    code.write_text(_WRONG)
    config = (ROOT / "models" / "simple" / "config.pbtxt").read_text()
    config = config.replace('platform: "onnxruntime_onnx"', 'backend: "python"')
    (repository / "simple" / "config.pbtxt").write_text(config)
    with Server(repository, http_port=None) as server:
        yield server.grpc_url.removeprefix("grpc://")


@pytest.mark.parametrize("language", LANGUAGES)
def test_client_notices_wrong_answers(
    language: str, build: Callable[[str], Built], wrong_address: str
) -> None:
    built = build(language)
    for command in built.runs:
        done = built.run(command, wrong_address)
        assert done.returncode == 1
        assert "0 + 1 = 1\n0 - 1 = 1\n" in done.stdout
        assert "wrong" in done.stderr


def test_output_in_the_page() -> None:
    block = r"^```console\n\$ [^\n]+\n(.*?)^```$"
    (shown,) = re.findall(block, PAGE.read_text(), re.MULTILINE | re.DOTALL)
    begin, end = (part.splitlines() for part in shown.split("...\n"))
    assert begin == EXPECTED[: len(begin)]
    assert end == EXPECTED[-len(end) :]


# The modules for JavaScript


def _tensors() -> dict[str, np.ndarray[Any, Any]]:
    """A tensor [2, 3] of each datatype, floats of 16 bits as these bits."""
    tensors = {"BOOL": np.array([[0, 1, 1], [1, 0, 0]], np.uint8)}
    for datatype in (f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)):
        kind = np.dtype(datatype.lower())
        least, most = np.iinfo(kind).min, np.iinfo(kind).max
        tensors[datatype] = np.array([[least, least + 1, 0], [1, most - 1, most]], kind)
    floats = np.array([[0.1, -0.0, 1e-7], [1.5, -3e4, 65504]])
    tensors["FP16"] = floats.astype(np.float16).view(np.uint16)
    tensors["FP32"] = floats.astype(np.float32)
    tensors["BF16"] = tensors["FP32"].view(np.uint16)[:, 1::2]
    tensors["FP64"] = floats
    tensors["BYTES"] = np.array([["", "na\u00efve", "\0"], ["\u706b", "x" * 300, "7"]], object)
    return tensors


def _json(tensor: np.ndarray[Any, Any]) -> dict[str, Any]:
    """A tensor as `tensors_check.mjs` reads and writes it."""
    values = tensor.ravel().tolist()
    if tensor.dtype in (np.int64, np.uint64):
        values = [str(value) for value in values]
    return {"shape": list(tensor.shape), "values": values}


def test_tensors_of_all_datatypes(build: Callable[[str], Built], address: str) -> None:
    folder = build("JavaScript").folder
    tensors = _tensors()
    done = subprocess.run(
        ["node", ROOT / "tests/examples/tensors_check.mjs", folder, address],
        input=json.dumps({datatype: _json(tensor) for datatype, tensor in tensors.items()}),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) == (0, "")
    received = json.loads(done.stdout)
    assert received.keys() == tensors.keys()
    for datatype, tensor in tensors.items():
        bytes_ = serialize_byte_tensor(tensor).item() if datatype == "BYTES" else tensor.tobytes()
        contents = None if datatype in ("FP16", "BF16") else bytes_.hex()
        expected = {**_json(tensor), "raw": bytes_.hex(), "contents": contents}
        assert received[datatype] == expected, datatype


_SHORT = "{ name: 'X', datatype: 'INT8', shape: [2], data: [1, 2, 3] }"
_FP16 = "{ name: 'X', datatype: 'FP16', shape: ['1'], contents: { fp32_contents: [1] } }"


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("toRaw('FP8', [])", "TypeError: FP8 is no datatype"),
        ("fromRaw('FP8', Buffer.alloc(1))", "TypeError: FP8 is no datatype"),
        ("fromRaw('INT32', Buffer.alloc(3))", "RangeError: "),
        ("fromRaw('BYTES', Buffer.from([1, 0, 0]))", "RangeError: the element at byte 0 goes"),
        (
            "fromRaw('BYTES', Buffer.from([1, 0, 0, 0, 65, 2, 0, 0, 0, 65]))",
            "RangeError: the element at byte 5 goes beyond the tensor's end",
        ),
        (f"inferRequest('m', [{_SHORT}])", "RangeError: input X of shape [2] has 3 elements"),
        (
            f"outputsOf({{ outputs: [{_FP16}], raw_output_contents: [] }})",
            "TypeError: an output of datatype FP16 has no contents",
        ),
        (
            "outputsOf({ outputs: [{ name: 'X', datatype: 'INT8', shape: ['2'] }],"
            " raw_output_contents: [Buffer.alloc(3)] })",
            "RangeError: output X of shape [2] has 3 elements",
        ),
    ],
)
def test_malformed_tensors(build: Callable[[str], Built], expression: str, message: str) -> None:
    code = (
        "import { fromRaw, inferRequest, outputsOf, toRaw } from './tensors.js';"
        f" try {{ {expression}; }} catch (error) {{ console.log(String(error)); }}"
    )
    done = subprocess.run(
        ["node", "--input-type=module", "--eval", code],
        cwd=build("JavaScript").folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(message)


def test_code_in_the_page(build: Callable[[str], Built], address: str) -> None:
    folder = build("JavaScript").folder
    (code,) = re.findall(r"^```js\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    program = folder / "page.js"
    program.write_text(code.replace(ADDRESS, address))
    done = subprocess.run(
        ["node", program], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    promised = re.findall(r"console\.log\(.*\); // (.*)", code)
    assert done.stdout.splitlines() == promised
