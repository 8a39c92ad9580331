"""`tritonclient serve` as a program."""

from __future__ import annotations

import http.client
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
import trustme

from tests.server.conftest import ECHO, RepositoryMaker
from tests.support.waiting import eventually
from tritonclient.cli import main
from tritonclient.cli.serve import table
from tritonclient.server.repository.versions import ModelStatus

COMMAND = (sys.executable, "-m", "tritonclient", "serve")
ANYWHERE = (
    *("--http-port=0", "--http-address=127.0.0.1"),
    *("--grpc-port=0", "--grpc-address=127.0.0.1"),
)
TENSOR = {"name": "IN", "shape": [1], "datatype": "FP32", "data": [1]}
BODY = json.dumps({"inputs": [TENSOR]}).encode()
#: Tells when it executes, and never ends.
ENDLESS = """
import os, time
class TritonPythonModel:
    def execute(self, requests):
        open(__file__ + ".executing", "w").close()
        while True:
            time.sleep(0.01)
"""


@contextmanager
def running(
    *flags: str, line: str = r"Started HTTPService at (127\.0\.0\.1:\d+)$"
) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """The process, its URL and what it printed until it was ready."""
    with subprocess.Popen(
        [*COMMAND, *ANYWHERE, *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            printed = ""
            for each in process.stdout:
                printed += each
                if found := re.match(line, each):
                    yield process, f"http://{found[1]}", printed
                    return
            assert process.stderr is not None
            pytest.fail(process.stderr.read())
        finally:
            process.kill()


def without_progress(errors: str) -> str:
    """Standard error without the lines of a server that loads models for seconds."""
    return re.sub(r"^loading models \(since \d+ s\)\n", "", errors, flags=re.MULTILINE)


def connect(url: str) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)


def ask_endless(
    url: str, executing: Path, process: subprocess.Popen[str]
) -> http.client.HTTPConnection:
    """A connection on which a request to the model ENDLESS is being executed."""
    connection = connect(url)
    connection.request("POST", "/v2/models/a/infer", BODY)
    while not executing.exists():
        assert process.poll() is None
    return connection


#: Where Python models are executed.
PLACES = pytest.mark.parametrize("place", ["--in-process", "--in-process=false"])


@PLACES
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serves_until_it_is_told_to_end(
    repository: RepositoryMaker, number: int, place: str
) -> None:
    repository.python("a")
    flags = (f"--model-repository={repository.directory}", place)
    with running(*flags) as (process, url, printed):
        assert "| a     | 1       | READY  |" in printed
        with urllib.request.urlopen(f"{url}/v2/models/a/ready") as response:
            assert response.status == 200
        process.send_signal(number)
        output, errors = process.communicate(timeout=20)
        assert process.returncode == 0
        assert output == "Signal received, shutting down.\n"
        # A slow machine makes the command say that it still loads.
        assert re.sub(r"loading models \(since \d+ s\)\n", "", errors) == ""


def test_flags(repository: RepositoryMaker) -> None:
    repository.python("a")
    repository.python("b", "1/0")
    flags = (
        *("--model-repository", str(repository.directory), "--model-control-mode=explicit"),
        *("--load-model=*", "--exit-on-error=false", "--strict-readiness", "false"),
        *(
            "--metrics-port=1",
            "--disable-auto-complete-config",
            "--grpc-keepalive-time=60000",
            "--log-verbose=1",
            "--trace-config=triton,file=trace.json",
            "--trace-config=level=TIMESTAMPS",
            "--trace-config=rate=5",
            "--trace-count=7",
        ),
    )
    with running(*flags) as (_, url, printed):
        assert "| b     | 1       | UNAVAILABLE: Internal: ZeroDivisionError" in printed
        with urllib.request.urlopen(f"{url}/v2/health/ready") as response:
            assert response.status == 200
        with urllib.request.urlopen(f"{url}/v2/trace/setting") as response:
            settings = json.load(response)
        assert (settings["trace_file"], settings["trace_level"]) == ("trace.json", ["TIMESTAMPS"])
        assert (settings["trace_rate"], settings["trace_count"]) == ("5", "7")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--allow-http=false", "--allow-grpc=false"], "nothing to serve without HTTP and gRPC"),
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
    command = ["serve", *ANYWHERE, f"--model-repository={repository.directory}", *flags]
    assert main(command) == 1
    assert re.search(f"^error: .*{message}", capsys.readouterr().err, re.MULTILINE | re.DOTALL)


@PLACES
def test_a_model_that_never_ends_does_not_keep_it(repository: RepositoryMaker, place: str) -> None:
    executing = repository.python("a", ENDLESS) / "1" / "model.py.executing"
    flags = (f"--model-repository={repository.directory}", "--exit-timeout-secs=0", place)
    with running(*flags) as (process, url, _):
        connection = ask_endless(url, executing, process)
        process.send_signal(signal.SIGTERM)
        response = connection.getresponse()
        assert (response.status, response.read()) == (
            503,
            b'{"error":"the server is shutting down"}',
        )
        errors = process.communicate(timeout=30)[1]
        connection.close()
    assert process.returncode == 1
    assert "cancelled 1 request(s) that took longer than the exit timeout of 0 s" in errors
    assert "Traceback" not in errors
    assert "ASGI" not in errors
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


def test_a_second_signal_ends_it_at_once(repository: RepositoryMaker) -> None:
    executing = repository.python("a", ENDLESS) / "1" / "model.py.executing"
    with running(f"--model-repository={repository.directory}") as (process, url, _):
        connection = ask_endless(url, executing, process)
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        assert process.stdout.readline() == "Signal received, shutting down.\n"
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=20)[1]
        connection.close()
    assert process.returncode == 1
    assert without_progress(errors) == "error: second signal, exiting immediately\n"


def test_requests_are_logged(repository: RepositoryMaker) -> None:
    repository.python("a")
    flags = (f"--model-repository={repository.directory}", "--log-verbose=1")
    with running(*flags) as (process, url, _):
        connection = connect(url)
        for method, path in (("POST", "/v2/models/a/infer"), ("GET", "/v2/models/b")):
            connection.request(method, path, BODY if method == "POST" else None)
            connection.getresponse().read()
        connection.close()
        process.send_signal(signal.SIGTERM)
        errors = process.communicate(timeout=20)[1]
    assert re.search(r": POST /v2/models/a/infer 200 \d+\.\d ms$", errors, re.MULTILINE)
    assert re.search(r": GET /v2/models/b 404 \d+\.\d ms$", errors, re.MULTILINE)


def test_goes_on_when_nobody_reads_what_it_says(repository: RepositoryMaker) -> None:
    repository.python("a")
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    read, write = os.pipe()
    os.close(read)
    flags = (f"--http-port={port}", "--log-verbose=1")
    with subprocess.Popen(
        [*COMMAND, *ANYWHERE, f"--model-repository={repository.directory}", *flags],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            os.close(write)
            status = None
            while status is None:
                assert process.poll() is None
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/health/live") as live:
                        status = live.status
                except urllib.error.URLError:
                    pass
            process.send_signal(signal.SIGTERM)
            errors = process.communicate(timeout=20)[1]
        finally:
            process.kill()
    assert (process.returncode, status) == (0, 200)
    assert "Broken" not in errors


def test_port_that_is_taken(
    repository: RepositoryMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        flags = [*ANYWHERE, f"--http-port={port}"]
        assert main(["serve", f"--model-repository={repository.directory}", *flags]) == 1
    told = capsys.readouterr().err
    assert f"can't listen at 127.0.0.1:{port}: Address already in use; --http-port and" in told


def test_the_log_is_left_as_it_was(repository: RepositoryMaker) -> None:
    logger = logging.getLogger("tritonclient.server")
    before = [*logger.handlers], logger.level, logger.propagate
    repository.python("a", "1/0")
    assert main(["serve", f"--model-repository={repository.directory}", *ANYWHERE]) == 1
    assert ([*logger.handlers], logger.level, logger.propagate) == before


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert re.fullmatch(r"tritonclient \d+\.\d+\S*\n", capsys.readouterr().out)


def test_what_has_no_effect_is_said(
    repository: RepositoryMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.python("a", "1/0")
    ignored = ["--metrics-port=1", "--strict-model-config", "--grpc-infer-allocation-pool-size=8"]
    flags = [*ANYWHERE, *ignored]
    assert main(["serve", f"--model-repository={repository.directory}", *flags]) == 1
    warnings = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert warnings == [
        "warning: these have no effect: --grpc-infer-allocation-pool-size, --metrics-port, "
        "--strict-model-config"
    ]


@pytest.mark.parametrize("flags", [["--watch"], ["--model-control-mode=poll", "--watch"]])
def test_watch_reloads_a_file(tmp_path: Path, flags: list[str]) -> None:
    file = tmp_path / "it.py"
    code = (
        ECHO
        + """
    @staticmethod
    def auto_complete_config(config):
        config.add_input({"name": "IN", "data_type": "TYPE_FP32", "dims": [-1]})
        config.add_output({"name": "OUT", "data_type": "TYPE_FP32", "dims": [-1]})
        return config
"""
    )
    file.write_text(code)
    with running(str(file), *flags) as (_, url, _):
        file.write_text("broken (")
        file.write_text(code.replace("t.as_numpy()", "t.as_numpy() + 41"))

        def answer() -> list[float]:
            request = urllib.request.Request(f"{url}/v2/models/it/infer", BODY)
            with urllib.request.urlopen(request) as response:
                data: list[float] = json.load(response)["outputs"][0]["data"]
            return data

        eventually(lambda: answer() == [42.0])


# gRPC


def health_over_grpc(url: str, credentials: grpc.ChannelCredentials | None = None) -> bytes:
    """What the health service answers at "host:port"; b"\\x08\\x01" when all is well."""
    if credentials is None:
        channel = grpc.insecure_channel(url)
    else:
        channel = grpc.secure_channel(url, credentials)
    with channel:
        return bytes(channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=30))


def test_grpc_beside_http(repository: RepositoryMaker) -> None:
    repository.python("a")
    flags = (f"--model-repository={repository.directory}", "--log-verbose=1")
    with running(*flags) as (process, _, printed):
        found = re.search(r"^Started GRPCInferenceService at (127\.0\.0\.1:\d+)$", printed, re.M)
        assert found is not None
        assert health_over_grpc(found[1]) == b"\x08\x01"
        with grpc.insecure_channel(found[1]) as channel:
            service = "/inference.GRPCInferenceService"
            channel.unary_unary(f"{service}/ServerLive")(b"")
            with pytest.raises(grpc.RpcError):
                channel.unary_unary(f"{service}/ModelConfig")(b"\x0a\x01b")
        process.send_signal(signal.SIGTERM)
        errors = process.communicate(timeout=20)[1]
    assert re.search(r": ServerLive OK \d+\.\d ms$", errors, re.MULTILINE)
    assert re.search(r": ModelConfig NOT_FOUND \d+\.\d ms$", errors, re.MULTILINE)


def test_grpc_alone_with_certificates_on_both_sides(
    repository: RepositoryMaker, tmp_path: Path
) -> None:
    repository.python("a")
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    flags = (
        *(f"--model-repository={repository.directory}", "--allow-http=false"),
        *("--grpc-use-ssl-mutual=true", f"--grpc-root-cert={tmp_path / 'ca.pem'}"),
        *(
            f"--grpc-server-cert={tmp_path / 'cert.pem'}",
            f"--grpc-server-key={tmp_path / 'key.pem'}",
        ),
        *("--grpc-keepalive-time=7200000", "--grpc-keepalive-timeout", "20000"),
        *("--grpc-keepalive-permit-without-calls=1", "--grpc-http2-max-pings-without-data=2"),
        *("--grpc-http2-min-recv-ping-interval-without-data=300000",),
        *("--grpc-http2-max-ping-strikes=2", "--grpc-max-connection-age=60000"),
        *("--grpc-max-connection-age-grace=1000", "--reuse-grpc-port=1"),
        *("--grpc-infer-allocation-pool-size=8", "--grpc-infer-response-compression-level=low"),
    )
    with running(*flags, line=r"Started GRPCInferenceService at (127\.0\.0\.1:\d+)$") as (
        process,
        url,
        printed,
    ):
        assert "HTTP" not in printed
        credentials = grpc.ssl_channel_credentials(
            authority.cert_pem.bytes(),
            issued.private_key_pem.bytes(),
            issued.cert_chain_pems[0].bytes(),
        )
        assert health_over_grpc(url.removeprefix("http://"), credentials) == b"\x08\x01"
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=20)
    assert output == "Signal received, shutting down.\n"
    assert (
        without_progress(errors)
        == "warning: these have no effect: --grpc-infer-allocation-pool-size\n"
    )


@pytest.mark.parametrize("flags", [(), ("--allow-grpc",), ("--allow-http=false",)])
def test_without_hpack(repository: RepositoryMaker, flags: tuple[str, ...]) -> None:
    """HTTP is served with a note, unless gRPC was asked for."""
    repository.python("a")
    code = (
        "import sys; sys.modules['hpack'] = None; from tritonclient.cli import main; "
        "sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "serve", f"--model-repository={repository.directory}"]
    with subprocess.Popen(
        [*command, *ANYWHERE, *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        started = next((line for line in process.stdout if line.startswith("Started")), "")
        process.send_signal(signal.SIGTERM)
        errors = process.communicate(timeout=20)[1]
    if not flags:
        assert "note: gRPC is not served, since hpack is missing" in errors
        assert started.startswith("Started HTTPService at ")
        assert process.returncode == 0
    else:
        assert not started
        assert "pip install hpack httptools onnxruntime protobuf uvicorn" in errors
        assert process.returncode == 1


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--grpc-use-ssl"], "needs --grpc-server-cert and --grpc-server-key"),
        (["--grpc-use-ssl-mutual"], "needs --grpc-root-cert"),
        (["--grpc-port={taken}"], "can't listen at 127.0.0.1:{taken}: Address already in use"),
        (["--grpc-port={taken}"], "Address already in use; --http-port and --grpc-port choose"),
    ],
)
def test_grpc_that_can_not_be_served(
    repository: RepositoryMaker, capsys: pytest.CaptureFixture[str], flags: list[str], message: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        flags = [flag.format(taken=port) for flag in flags]
        command = ["serve", f"--model-repository={repository.directory}", *ANYWHERE, *flags]
        assert main(command) == 1
    assert message.format(taken=port) in capsys.readouterr().err


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
