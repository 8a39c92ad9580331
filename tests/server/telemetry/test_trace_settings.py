"""Trace settings: initial values, changes, and what a real Triton reads back."""

from __future__ import annotations

import argparse
import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any

import pytest

from tests.server.conftest import RepositoryMaker
from tests.support.servers import triton as real_triton
from tests.support.servers.triton import RunningServer
from tritonclient.cli import serve_trace
from tritonclient.errors import InvalidArgument
from tritonclient.server import Server
from tritonclient.server.telemetry.trace_settings import TraceSettings


def parse(*flags: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    serve_trace.add_arguments(parser)
    return parser.parse_args(flags)


def ask(url: str, path: str, changes: object = None) -> Any:
    """The settings, after changes if there are any; or the error."""
    data = None if changes is None else json.dumps(changes).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url + path, data)) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


GLOBAL, MODEL = "/v2/trace/setting", "/v2/models/a/trace/setting"
OLDER = ("--trace-file=a.json", "--trace-level=TENSORS", "--trace-rate=4", "--trace-count=8")
EXPORT = ("--trace-config=mode=OpenTelemetry", "--trace-config=opentelemetry,url=localhost:1/v1")


@pytest.mark.parametrize(
    "flags",
    [
        ("--trace-config=level=timestamps", "--trace-config=rate=5"),
        (
            *("--trace-config=level=TENSORS", "--trace-config=level=OFF", "--trace-config=rate=5"),
            *("--trace-config=TRITON,file=t.json", "--trace-config=triton,log-frequency=2"),
            *("--trace-config=level=MAX", "--trace-config=count=9", "--trace-config=mode=triton"),
        ),
        (*OLDER, "--trace-log-frequency=2"),
        (*OLDER, "--trace-config=level=MIN", "--trace-config=rate=6", "--trace-config=file=b.json"),
        ("--trace-config=rate=0", "--trace-config=level=TIMESTAMPS"),
        (*EXPORT, "--trace-config=opentelemetry,bsp_max_queue_size=77", "--trace-config=rate=3"),
        (*EXPORT, "--trace-config=mode=triton", "--trace-config=log-frequency=3"),
    ],
)
def test_settings_are_those_of_a_real_triton(
    flags: Sequence[str], triton: RunningServer, repository: RepositoryMaker
) -> None:
    repository.python("a")
    questions: list[tuple[str, object]] = [
        (GLOBAL, None),
        (GLOBAL, {"trace_rate": "7", "log_frequency": "3", "trace_mode": "opentelemetry"}),
        (MODEL, {"trace_count": "3"}),
        (MODEL, {"trace_level": ["TENSORS", "TIMESTAMPS"]}),
        (MODEL, {"trace_level": None}),
        (MODEL, {"trace_level": ["OFF"]}),
        (MODEL, {"trace_count": "3"}),
        (MODEL, {"trace_level": None}),
        (MODEL, {"trace_level": None, "trace_count": None}),
        (GLOBAL, {"trace_level": ["TENSORS"]}),
        (GLOBAL, {"trace_rate": "0"}),
        (GLOBAL, {"trace_level": ["OFF"]}),
        (GLOBAL, {"trace_rate": None, "trace_count": None, "log_frequency": None}),
        (GLOBAL, {"trace_level": None}),
        (MODEL, None),
    ]
    options: dict[str, Any] = {"control_mode": "explicit", "extra_args": ["--load-model=*", *flags]}
    with real_triton.start(repository.directory, **options) as server:
        expected = [ask(server.http_url, *question) for question in questions]
    settings = serve_trace.settings(parse(*flags))
    with Server(repository.directory, grpc_port=None, trace_settings=settings) as embedded:
        found = [ask(embedded.http_url, *question) for question in questions]
    assert found == expected


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--trace-config=level=nope", "'nope' is not a trace level, expected OFF, TIMESTAMPS or"),
        ("--trace-config=level=TENSORS,OFF", "'TENSORS,OFF' is not a trace level"),
        ("--trace-config=mode=nope", "'nope' is not a trace mode, expected triton or"),
        ("--trace-config=other,file=x", "'other' is not a trace mode"),
        ("--trace-config=rate=abc", "'abc' is not a number from 0 to 4294967295"),
        ("--trace-config=rate=-1", "'-1' is not a number from 0"),
        ("--trace-config=count=-2", "'-2' is not a number from -1 to 2147483647"),
        ("--trace-config=triton,log-frequency=x", "'x' is not a number"),
        ("--trace-config=opentelemetry,bsp_schedule_delay=x", "'x' is not a number"),
        ("--trace-config=rate", "'rate' is not [MODE,]NAME=VALUE"),
        ("--trace-config=rate=", "'rate=' is not [MODE,]NAME=VALUE"),
        ("--trace-config=triton,file=", "'triton,file=' is not [MODE,]NAME=VALUE"),
        ("--trace-rate=99999999999", "'99999999999' is not a number from 0"),
        ("--trace-level=", "expected a value"),
    ],
)
def test_wrong_flags(flag: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(flag)
    errors = capsys.readouterr().err
    assert f"argument {flag.partition('=')[0]}: " in errors
    assert message in errors


def test_flags_without_effect_are_named() -> None:
    flags = ("log-frequency=3", "nonsense=1", "triton,nonsense=1", "opentelemetry,url=x", "rate=5")
    assert serve_trace.ignored(parse(*(f"--trace-config={each}" for each in flags))) == [
        "--trace-config log-frequency=3 (write triton,log-frequency=)",
        "--trace-config nonsense=1 (there is no such option)",
        "--trace-config triton,nonsense=1 (triton has file, log-frequency)",
        "--trace-config opentelemetry,url=x (the mode is triton)",
    ]
    assert serve_trace.ignored(parse(*EXPORT, "--trace-file=x")) == [
        "--trace-file (the mode is opentelemetry)"
    ]
    assert serve_trace.ignored(parse(*OLDER)) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"trace_mode": "nope"}, "trace_mode is 'nope', expected one of triton, opentelemetry"),
        ({"rate": "5"}, "unknown trace setting 'rate', the mode 'triton' has trace_level"),
        ({"url": "x"}, "unknown trace setting 'url'"),
        ({"trace_level": "TENSORS"}, "trace_level is 'TENSORS', expected a list of levels"),
        ({"trace_level": ["nope"]}, "trace_level has 'nope', expected OFF, TIMESTAMPS or TENSORS"),
        ({"trace_rate": "x"}, "Unable to parse 'trace_rate', got: x"),
        ({"trace_count": "-2"}, "Expecting value >= -1"),
    ],
)
def test_wrong_initial_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TraceSettings(settings)


def test_settings_that_do_not_fit_together_change_nothing() -> None:
    settings = TraceSettings()
    before = settings.get("")
    with pytest.raises(InvalidArgument, match="trace file name is not given"):
        settings.update("", {"trace_rate": "5", "trace_level": ["TENSORS"]})
    with pytest.raises(InvalidArgument, match="trace file name is not given"):
        settings.update("a", {"trace_level": ["TENSORS"]})
    assert settings.get("") == settings.get("a") == before


def test_numbers_may_be_given_as_such() -> None:
    settings = TraceSettings({"trace_rate": 5, "trace_count": 7, "trace_file": "x"})
    assert settings.get("")["trace_rate"] == "5"
    assert settings.update("", {"trace_count": "8"})["trace_count"] == "8"
    assert settings.update("", {"trace_count": None})["trace_count"] == "7"
