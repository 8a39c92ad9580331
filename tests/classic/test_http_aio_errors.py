"""Network errors of the asyncio HTTP client, for programs that expect aiohttp's errors.

Such programs import aiohttp, which the official client's environment has; ours runs there as well.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import tritonclient
from tests.classic.runtimes import bare
from tests.support.peers.hostile_peers import Server, deadline_guard, free_port, stall
from tests.support.servers.triton_installation import clean_environment
from tritonclient.http import InferenceServerException
from tritonclient.http.aio import InferenceServerClient

SOURCE = Path(tritonclient.__file__).parent.parent
PROGRAM = """
import asyncio, pickle, sys, aiohttp
import tritonclient.http.aio as httpclient

async def hang_up(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    writer.close()

async def say_half(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 10\\r\\n\\r\\n{")
    writer.close()

async def stay_silent(reader, writer):
    await reader.read()
    writer.close()

async def ask(url):
    async with httpclient.InferenceServerClient(url, conn_timeout=0.5) as client:
        try:
            await client.get_server_metadata()
        except asyncio.TimeoutError:
            print("too late")
        except aiohttp.ClientConnectorError as error:
            print("not there", error.host, error.port, isinstance(error.os_error, OSError))
            return error
        except aiohttp.ClientConnectionError as error:
            print("gone")
        except aiohttp.ClientError as error:
            print("gone" if isinstance(error, aiohttp.ClientPayloadError) else error)

async def main():
    error = await ask(sys.argv[1])
    if len(sys.argv) > 2:
        again = pickle.loads(pickle.dumps(error))
        assert isinstance(again, ConnectionRefusedError) and str(again) == str(error), again
    for serve in (hang_up, say_half, stay_silent):
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            await ask("127.0.0.1:%d" % server.sockets[0].getsockname()[1])

asyncio.run(main())
"""


def test_programs_that_expect_aiohttp(official_python):
    def run(*arguments, **environment):
        return subprocess.run(
            (official_python, "-c", PROGRAM, f"127.0.0.1:{port}", *arguments),
            capture_output=True,
            env={**clean_environment(), **environment},
            text=True,
            timeout=60,
        )

    port = free_port()
    expected = run()
    assert expected.stdout.splitlines()[1:] == ["gone", "gone", "too late"], expected.stderr
    found = run("ours", PYTHONPATH=os.fspath(SOURCE))
    assert found.stdout == expected.stdout, found.stderr


def test_time_is_up_for_asyncio_too():
    async def ask(url):
        async with InferenceServerClient(bare(url), conn_timeout=0.2) as client:
            with pytest.raises(asyncio.TimeoutError) as caught:
                await client.is_server_live()
        return caught.value

    with Server([stall]) as server, deadline_guard():
        error = asyncio.run(ask(server.url))
    assert isinstance(error, TimeoutError)
    assert isinstance(error, InferenceServerException)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_aiohttp_is_not_needed():
    async def ask():
        async with InferenceServerClient(f"127.0.0.1:{free_port()}") as client:
            with pytest.raises(ConnectionRefusedError) as caught:
                await client.is_server_live()
        return caught.value

    assert isinstance(asyncio.run(ask()), tritonclient.ConnectionRefused)
    assert "aiohttp" not in sys.modules
