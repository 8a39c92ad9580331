"""`tritonclient serve` as a program."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.server.conftest import RepositoryMaker
from tritonclient.cli import main
from tritonclient.cli.serve import table
from tritonclient.server.repository import ModelStatus

COMMAND = (sys.executable, "-m", "tritonclient", "serve")


@contextmanager
def running(*flags: str) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """The process, its URL and what it printed until it was ready."""
    with subprocess.Popen(
        [*COMMAND, "--http-port=0", "--http-address=127.0.0.1", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            printed = ""
            for line in process.stdout:
                printed += line
                if found := re.match(r"Started HTTPService at (127\.0\.0\.1:\d+)$", line):
                    yield process, f"http://{found[1]}", printed
                    return
            assert process.stderr is not None
            pytest.fail(process.stderr.read())
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serves_until_it_is_told_to_end(repository: RepositoryMaker, number: int) -> None:
    repository.python("a")
    with running(f"--model-repository={repository.directory}") as (process, url, printed):
        assert "| a     | 1       | READY  |" in printed
        with urllib.request.urlopen(f"{url}/v2/models/a/ready") as response:
            assert response.status == 200
        process.send_signal(number)
        output, errors = process.communicate(timeout=20)
        assert process.returncode == 0
        assert output == "Signal received, shutting down.\n"
        assert errors == ""


def test_flags(repository: RepositoryMaker) -> None:
    repository.python("a")
    repository.python("b", "1/0")
    flags = (
        *("--model-repository", str(repository.directory), "--model-control-mode=explicit"),
        *("--load-model=*", "--exit-on-error=false", "--strict-readiness", "false"),
        *(
            "--metrics-port=1",
            "--disable-auto-complete-config",
            "--grpc-port=8001",
            "--log-verbose=1",
            "--trace-config=triton,file=trace.json",
        ),
    )
    with running(*flags) as (_, url, printed):
        assert "| b     | 1       | UNAVAILABLE: Internal: ZeroDivisionError" in printed
        with urllib.request.urlopen(f"{url}/v2/health/ready") as response:
            assert response.status == 200
        with urllib.request.urlopen(f"{url}/v2/trace/setting") as response:
            assert b'"trace_file":"trace.json"' in response.read()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--allow-grpc"], "gRPC is not served yet"),
        (["--model-control-mode=poll"], "'poll' is not supported"),
        (["--allow-http=false"], "HTTP is all that is served"),
        (["--http-key=x"], "belong together"),
        (["--load-model=a"], "'explicit' only"),
        ([], "creating server: .* division by zero"),
    ],
)
def test_what_it_can_not_do(
    repository: RepositoryMaker,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    message: str,
) -> None:
    repository.python("a", "1/0")
    assert main(["serve", f"--model-repository={repository.directory}", *flags]) == 1
    assert re.search(f"^error: .*{message}", capsys.readouterr().err, re.MULTILINE | re.DOTALL)


def test_a_model_that_never_ends_does_not_keep_it(repository: RepositoryMaker) -> None:
    code = """
import os, time
class TritonPythonModel:
    def execute(self, requests):
        open(__file__ + ".executing", "w").close()
        while True:
            time.sleep(0.01)
"""
    executing = repository.python("a", code) / "1" / "model.py.executing"
    tensor = {"name": "IN", "shape": [1], "datatype": "FP32", "data": [1]}
    body = json.dumps({"inputs": [tensor]}).encode()
    flags = (f"--model-repository={repository.directory}", "--exit-timeout-secs=0")
    with running(*flags) as (process, url, _):
        port = int(url.rpartition(":")[2])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("POST", "/v2/models/a/infer", body)
        while not executing.exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        errors = process.communicate(timeout=30)[1]
        connection.close()
    assert process.returncode == 1
    assert "error: exit timeout expired, exiting immediately" in errors


@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["--model-repository=x", "--strict-readiness=maybe"],
        ["--model-repository=x", "--http-port=65536"],
        ["--model-repository=x", "--http-port=-1"],
        ["--model-repository=x", "--http-max-input-size=0"],
        ["--model-repository=x", "--http-max-input-size=much"],
    ],
)
def test_wrong_usage(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["serve", *flags])
    assert caught.value.code == 2
    assert "usage: tritonclient serve" in capsys.readouterr().err


def test_table() -> None:
    rows = [ModelStatus("a", "1", "READY"), ModelStatus("long", "-", "Not loaded: one\ntwo")]
    assert table(rows) == (
        "+-------+---------+-----------------+\n"
        "| Model | Version | Status          |\n"
        "+-------+---------+-----------------+\n"
        "| a     | 1       | READY           |\n"
        "| long  | -       | Not loaded: one |\n"
        "|       |         | two             |\n"
        "+-------+---------+-----------------+"
    )
