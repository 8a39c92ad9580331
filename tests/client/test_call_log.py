"""One record for each call, at debug level."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import subprocess
import sys

import numpy as np
import pytest

import tritonclient
from tests.support.peers.hostile_peers import both_runtimes, free_port
from tritonclient import AsyncClient, Client, ConnectionFailed, NotFound, ServerError

A = np.ones((1, 16), np.int32)
PAIR = {"INPUT0": A, "INPUT1": A}


def records(caplog):
    return [
        (record.name, record.levelname, record.getMessage().partition(" in ")[0])
        for record in caplog.records
        if record.name.startswith("hpack")
        or (record.name == "tritonclient" and record.getMessage().endswith(" ms"))
    ]


@both_runtimes
@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_one_record_for_each_call(embedded, runtime, protocol, caplog):
    url = getattr(embedded, f"{protocol}_url")
    with runtime(url) as client, caplog.at_level(logging.DEBUG):
        client.infer("simple", PAIR, id="r1")
        client.is_server_ready()
        with pytest.raises(NotFound):
            client.model_config("nope")
    status = "404" if protocol == "http" else "StatusCode.NOT_FOUND"
    kinds = [
        (name, level, text) for name, level, text in records(caplog) if "Repository" not in text
    ]
    assert kinds == [
        ("tritonclient", "DEBUG", f"{url} Infer model 'simple' id 'r1': OK"),
        ("tritonclient", "DEBUG", f"{url} IsServerReady: OK"),
        ("tritonclient", "DEBUG", f"{url} GetModelConfig model 'nope': {status}"),
    ]


@both_runtimes
def test_failures(runtime, caplog):
    url = f"http://127.0.0.1:{free_port()}"
    with runtime(url) as client, caplog.at_level(logging.DEBUG):
        with pytest.raises(ConnectionFailed):
            client.server_metadata()
    assert records(caplog) == [
        ("tritonclient", "DEBUG", f"{url} GetServerMetadata: ConnectionRefused")
    ]


def run(url, requests, cancel):
    with Client(url) as client:
        responses = client.stream(requests)
        with contextlib.suppress(ServerError):
            next(responses)
        if not cancel:
            assert len(list(responses)) == len(requests) - 1
        responses.cancel()


async def run_async(url, requests, cancel):
    async with AsyncClient(url) as client:
        responses = client.stream(requests)
        with contextlib.suppress(ServerError):
            await anext(responses)
        if not cancel:
            assert len([each async for each in responses]) == len(requests) - 1
        responses.cancel()


@pytest.mark.parametrize("run", [run, lambda *given: asyncio.run(run_async(*given))])
@pytest.mark.parametrize(
    ("model", "ids", "cancel", "said"),
    [
        ("simple", ("r1",), False, ["StreamInfer model 'simple' id 'r1': OK"]),
        ("simple", ("r1", "r2"), False, ["StreamInfer model 'simple': OK"]),
        ("simple", ("r1",), True, ["StreamInfer model 'simple' id 'r1': Cancelled"]),
        # The question for the error's hint has a record of its own.
        (
            "nope",
            ("r1",),
            False,
            ["GetRepositoryIndex: OK", "StreamInfer id 'r1': ServerError"],
        ),
    ],
)
def test_streams(embedded, run, model, ids, cancel, said, caplog):
    requests = [tritonclient.request(model, PAIR, id=id) for id in ids]
    with caplog.at_level(logging.DEBUG):
        run(embedded.grpc_url, requests, cancel)
    assert records(caplog) == [
        ("tritonclient", "DEBUG", f"{embedded.grpc_url} {each}") for each in said
    ]


@both_runtimes
def test_none_at_other_levels(embedded, runtime, caplog):
    with runtime(embedded.http_url) as client, caplog.at_level(logging.INFO):
        client.infer("simple", PAIR)
    assert records(caplog) == []


def test_logging_is_not_imported(embedded):
    """Nor are other modules that the hints need, before there is an error."""
    code = (
        "import sys, numpy, tritonclient\n"
        f"with tritonclient.Client({embedded.http_url!r}) as client: client.server_metadata()\n"
        "print({'logging', 'difflib', 'asyncio'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], check=True, capture_output=True, text=True
    )
    assert done.stdout == "set()\n"
