"""`tritonclient models`, `health`, `load`, `unload`, `config` and `completion`."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tritonclient as tc
from tests.server.conftest import MODELS
from tritonclient.cli import main, output
from tritonclient.cli.arguments import server_url
from tritonclient.extras import PACKAGES
from tritonclient.testing import FaultServer


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with FaultServer(
        MODELS,
        models={"double": lambda X: {"Y": 2 * X}},
        model_control_mode="explicit",
        load_models=["simple"],
        forwarded_headers="x-user",
    ) as server:
        yield server


@pytest.fixture(params=["http", "grpc", "host:port"])
def url(request: pytest.FixtureRequest, server: FaultServer) -> str:
    urls = {"http": server.http_url, "grpc": server.grpc_url, "host:port": server.http_address}
    return urls[request.param]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(arguments)
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_models(url: str, server: FaultServer, capsys: pytest.CaptureFixture[str]) -> None:
    with tc.Client(server.http_url) as client:
        client.infer("double", {"X": np.ones(2, np.float32)})
        count = client.statistics("double")[0].inference_count
    status, out, _ = run(capsys, "models", "-u", url)
    assert status == 0
    assert re.search(rf"\| double +\| 1 +\| READY +\| X FP32 \[-1\] .*\| {count} +\|", out)
    assert re.search(r"\| +\| +\| +\| INPUT1 INT32 \[-1, 16\] \| OUTPUT1 INT32", out)
    assert re.search(r"\| echo +\| - +\| not loaded \|", out)
    status, out, _ = run(capsys, "models", "double", "-u", url)
    assert "input: X FP32 [-1]" in out
    assert f"inferences: {count} in {count} executions" in out
    assert re.search(rf"success: {count}, \d+\.\d+ ms each", out)
    _, out, _ = run(capsys, "models", "simple", "-u", url, "--json")
    (found,) = json.loads(out)
    assert (found["name"], found["state"], found["max_batch_size"]) == ("simple", "READY", 8)
    assert found["inputs"][0] == {"name": "INPUT0", "datatype": "INT32", "shape": [-1, 16]}
    assert found["statistics"]["execution_count"] == 0


def test_health(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "health", "-u", url)[:2] == (0, "server live: yes\nserver ready: yes\n")
    assert run(capsys, "health", "simple", "--wait=60", "-u", url)[0] == 0
    status, out, _ = run(capsys, "health", "nope", "-u", url, "--json")
    assert status == 1
    assert json.loads(out) == {"url": server_url(url), "live": True, "ready": True, "model": False}
    status, out, _ = run(capsys, "health", "-u", "localhost:1")
    assert (status, out) == (1, "server live: no\nserver ready: no\n")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("localhost:1", "Connection refused"),
        ("unix:/no_such_socket", "does it listen on this socket?"),
        ("https://{http}", "is this a port without TLS?"),
        ("grpc://{http}", None),  # an error of its own, before any line
    ],
)
def test_health_says_why_not(
    server: FaultServer, url: str, words: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(capsys, "health", "-u", url.format(http=server.http_address), "--json")
    assert status == 1
    if words is None:
        assert (out, err.count("is this its port for HTTP?")) == ("", 1)
    else:
        assert not any(json.loads(out)[key] for key in ("live", "ready"))
        assert err.startswith("error: ")
        assert words in err


def test_health_says_why_a_model_is_not_ready(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "did you mean 'double'?" in run(capsys, "health", "doubl", "-u", url)[2]
    assert "the repository has it, but it is not loaded" in run(
        capsys, "health", "echo", "-u", url
    )[2]  # fmt: skip


def test_load_unload_and_config(
    url: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(capsys, "load", "digits", "-u", url) == (0, "loaded digits\n", "")
    _, out, _ = run(capsys, "config", "digits", "-u", url)
    assert json.loads(out)["name"] == "digits"
    assert len(out.splitlines()) > 10
    config = json.dumps({"backend": "onnxruntime", "max_batch_size": 3})
    (tmp_path / "config.json").write_text(config)
    for given in (config, str(tmp_path / "config.json")):
        file = f"1/model.onnx={MODELS / 'digits' / '1' / 'model.onnx'}"
        assert run(capsys, "load", "own", "--config", given, "--file", file, "-u", url)[0] == 0
        _, out, _ = run(capsys, "config", "own", "--json", "-u", url)
        assert (json.loads(out)["max_batch_size"], out.count("\n")) == (3, 1)
        _, out, _ = run(capsys, "unload", "own", "--json", "-u", url)
        assert json.loads(out) == {"model": "own", "state": "unloaded"}
    assert run(capsys, "unload", "digits", "-u", url)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["load", "nope"], "failed to load 'nope'"),
        (["config", "nope"], "'nope' is not found"),
        (["models", "nope"], "'nope' is not found"),
        (["load", "simple", "--config", "@a.json"], "--config is .@a.json., neither .*: No such"),
        (["load", "simple", "--file", "1/model.onnx=missing"], "No such file .*missing"),
        (["load", "simple", "--config", "[]"], r"--config is '\[\]', expected a JSON object, or"),
    ],
)
def test_errors_end_with_status_1(
    server: FaultServer, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(capsys, *arguments, "-u", server.http_url)
    assert (status, out) == (1, "")
    assert re.match(f"error: .*{message}", err)


@pytest.mark.parametrize(
    "arguments",
    [
        ["models", "--timeout", "0"],
        ["health", "--wait", "x"],
        ["models", "-H", "novalue"],
        ["load"],
        ["load", "a", "--file", "nofile"],
        ["models", "-u", ""],
        ["completion", "fish"],
    ],
)
def test_mistakes_in_the_command_line_end_with_status_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["serv"], "did you mean 'serve'?"),
        (["models", "--jsn"], "tritonclient models: error: .*--jsn; did you mean '--json'?"),
        (["serve", "--http-prt", "1"], "did you mean '--http-port'?"),
        (["completion", "bsh"], "did you mean 'bash'?"),
        (["models", "-u", "http:/localhost:1"], "did you mean 'http://localhost:1'?"),
        (["models", "-u", "grpc//localhost"], "did you mean 'grpc://localhost'?"),
        (["models", "a", "b"], "tritonclient models: error: unrecognized arguments: b"),
        (["start", "--demo"], "here it is serve"),
        (["predict"], "here it is infer"),
        (["ls"], "here it is models"),
        (["ping"], "here it is health"),
        (["help"], "here it is --help"),
        (["version"], "here it is --version"),
        (["health", "http://a:1"], "argument NAME: 'http://a:1' is the address of a server, exp"),
        (["models", "localhost:8000"], "expected the name of a model; .* its flag: -u localhost"),
        (["load", "grpc://a"], "its flag: -u grpc://a"),
        (["infer", "-m", "10.0.0.1:8000", "-i=a", "-o=a"], "argument -m/--model: '10.0.0.1:8000'"),
        ([], "error: expected a command: bench, serve, infer, models, health, load"),
        (["serve", "--demo", "-p", "8000"], "-p; here it is --http-port and --grpc-port"),
        (["serve", "--demo", "--host", "a"], "here it is --http-address and --grpc-address"),
        (["serve", "--demo", "--reload"], "here it is --watch"),
        (["serve", "--demo", "--certfile", "a"], "here it is --http-certificate, and --grpc-serv"),
        (["serve", "--demo", "--log-level", "debug"], "here it is --log-verbose 1"),
        (["serve", "--model", "model.onnx"], "here it is the model's path alone"),
        (["models", "--server", "localhost:1"], "its flag: -u localhost:1"),
        (["models", "--server", "triton"], "here it is -u"),
        (["models", "simple", "digits"], "unrecognized arguments: digits; expected NAME"),
        (["models", "--versoin"], "unrecognized arguments: --versoin; see --help"),
        (["config", "simple", "--model-version=1"], "here it is --version"),
        (["infer", "-m=a", "-i=a", "-o=a", "--column=X"], "here it is --map INPUT=COLUMNS"),
        (["infer", "-m=a", "-i=a", "-o=a", "--jobs=4"], "here it is --concurrency"),
        (["health", "--token", "a"], "here it is -H 'authorization: Bearer"),
    ],
)
def test_what_was_meant(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert re.search(words.replace("?", r"\?"), capsys.readouterr().err)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["-u", "http://localhost:1", "--ca-file", "missing.pem"], "tls is given, but url"),
        (["-u", "localhost:99999"], "ports end at 65535"),
        (["-u", "tcp://localhost:1"], "does not begin with one of"),
        (["-u", "localhost:1/v2"], "ends in /v2"),
        (["-u", "localhost:1/v2/health/live"], "holds '/v2/health/live', which the client adds"),
    ],
)
def test_flags_of_no_server_end_with_status_2(
    flags: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(capsys, "models", *flags)
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert words in err


def test_a_ca_file_that_cannot_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    for file, words in (("missing.pem", "is not a file"), (__file__, "of TLS is not right")):
        status, _, err = run(capsys, "models", "-u", "https://localhost:1", "--ca-file", file)
        assert status == 1
        assert err.startswith("error: ")
        assert words in err


def test_headers_and_timeout(server: FaultServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.delay_next("double", 30, request=tc.messages.LoadModel)
    status, _, err = run(capsys, "load", "double", "-u", server.grpc_url, "--timeout", "0.2")
    assert status == 1
    assert "deadline" in err.lower()


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("localhost:8000", "http://localhost:8000"),
        ("localhost:8001", "grpc://localhost:8001"),
        ("[::1]:9000/base", "http://[::1]:9000/base"),
        ("grpcs://a:1", "grpcs://a:1"),
        ("unix:/a", "unix:/a"),
        ("http+unix:/a", "http+unix:/a"),
        ("GRPC+unix:/a", "GRPC+unix:/a"),
    ],
)
def test_urls(given: str, url: str) -> None:
    assert server_url(given) == url
    with pytest.raises(argparse.ArgumentTypeError):
        server_url("")


def test_completion(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for shell in ("bash", "zsh", "tcsh"):
        status, out, _ = run(capsys, "completion", shell)
        assert status == 0
        assert "unload" in out
    _, out, _ = run(capsys, "completion", "bash")
    script = tmp_path / "complete.bash"
    code = """
COMP_WORDS=(tritonclient mod); COMP_CWORD=1; COMP_LINE='tritonclient mod'
_shtab_tritonclient 2>/dev/null; echo "${COMPREPLY[@]}"
"""
    script.write_text(out + code)
    done = subprocess.run(["bash", str(script)], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["models"]


def test_completion_names_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "shtab", None)
    status, _, err = run(capsys, "completion", "bash")
    assert status == 1
    assert f"pip install {' '.join(PACKAGES['cli'])}" in err


def test_progress_says_nothing_of_short_work(capsys: pytest.CaptureFixture[str]) -> None:
    with output.Progress("reading", 2) as progress:
        progress.advance(2)
    with output.waiting("loading"):
        pass
    assert capsys.readouterr().err == ""


def test_progress_of_long_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "QUIET", 0.0)
    with output.Progress("reading", 3) as progress:
        progress.advance()
    assert re.fullmatch(r"reading: 1 of 3, about \d+ s left\n", capsys.readouterr().err)
    told: Any = __import__("threading").Event()
    monkeypatch.setattr(output, "note", lambda text: told.set())
    with output.waiting("loading"):
        assert told.wait(60)


def test_a_table_with_cells_of_several_lines() -> None:
    drawn = output.table([("A", "B"), ("1\n2", "x"), ("", "y")])
    assert drawn.splitlines() == [
        "+---+---+",
        "| A | B |",
        "+---+---+",
        "| 1 | x |",
        "| 2 |   |",
        "|   | y |",
        "+---+---+",
    ]
