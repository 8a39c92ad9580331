"""`python -m benchmarks.embedded`: the embedded server beside a real Triton.

All serve one Python model that returns its input. The embedded server runs twice: with a process
per instance, and with models in its own process. "Libraries" are uvicorn and grpcio alone, with
fixed responses: what nothing that is built on them can reach. The client is the same for all, and
the servers take turns. A ratio is Triton's time divided by that of the other server, so 2.00x is
twice as fast; it is the median over the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tests.support.servers import triton as real_triton

import tritonclient

MODEL = "identity"
SMALL = np.zeros(16, np.float32)
LARGE = np.zeros(1 << 22, np.float32)
IN_FLIGHT = 16
DEADLINE = 60.0
POLL_INTERVAL = 0.01

CONFIG = """
backend: "python"
max_batch_size: 0
input [ { name: "IN" data_type: TYPE_FP32 dims: [ -1 ] } ]
output [ { name: "OUT" data_type: TYPE_FP32 dims: [ -1 ] } ]
"""
SOURCE = """
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            array = pb_utils.get_input_tensor_by_name(request, "IN").as_numpy()
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("OUT", array)]))
        return responses
"""


class Urls(NamedTuple):
    """Where a server listens."""

    http: str
    grpc: str


class Case(NamedTuple):
    """What is measured: `measure` returns seconds per request of a server."""

    name: str
    measure: Callable[[Urls], float]


def main() -> None:
    """Print the time of each case on each server, and the ratios to Triton."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.embedded")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--starts", type=int, default=3, help="starts of each server")
    parser.add_argument("--seconds", type=float, default=1.0, help="for a case in a round")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        repository = write_repository(Path(folder))
        sides: dict[str, Callable[[], AbstractContextManager[Urls]]] = {
            "processes": lambda: embedded(repository, "--in-process=false"),
            "in-process": lambda: embedded(repository, "--in-process=true"),
            "libraries": bare,
        }
        if reason := real_triton.unavailable_reason():
            print(f"no real Triton: {reason}")
        else:
            sides = {"Triton": lambda: triton(repository), **sides}
        print(f"{'case':22}" + "".join(f" {side:>12} {'ratio':>7}" for side in sides))
        ready = {
            side: [until_ready(start) for _ in range(arguments.starts)]
            for side, start in sides.items()
        }
        report("ready", ready)
        with ExitStack() as stack:
            urls = {side: stack.enter_context(start()) for side, start in sides.items()}
            for case in cases(arguments.seconds):
                report(case.name, in_turns(case, urls, arguments.rounds))


def cases(seconds: float) -> list[Case]:
    """Return the cases; each takes this many seconds on a server."""
    found = []
    for protocol in ("http", "grpc"):
        name = {"http": "HTTP", "grpc": "gRPC"}[protocol]

        def one(urls: Urls, protocol: str = protocol) -> float:
            return blocking(getattr(urls, protocol), SMALL, seconds)

        def many(urls: Urls, protocol: str = protocol) -> float:
            return asyncio.run(concurrent(getattr(urls, protocol), SMALL, seconds))

        def large(urls: Urls, protocol: str = protocol) -> float:
            return blocking(getattr(urls, protocol), LARGE, seconds)

        found += [
            Case(f"{name}, 64 B", one),
            Case(f"{name}, 64 B, {IN_FLIGHT} at once", many),
            Case(f"{name}, 16 MiB", large),
        ]
    return found


def in_turns(case: Case, urls: Mapping[str, Urls], rounds: int) -> dict[str, list[float]]:
    """Return seconds per request of each server, one for each round."""
    took: dict[str, list[float]] = {side: [] for side in urls}
    for _ in range(rounds):
        for side, where in urls.items():
            took[side].append(case.measure(where))
    return took


def report(name: str, took: Mapping[str, list[float]]) -> None:
    """Print the medians of a case, and the ratios to Triton."""
    line = f"{name:22}"
    for seconds in took.values():
        pairs = zip(took.get("Triton", seconds), seconds, strict=True)
        ratio = statistics.median(theirs / ours for theirs, ours in pairs)
        line += f" {text(statistics.median(seconds)):>12} {ratio:6.2f}x"
    print(line, flush=True)


def text(seconds: float) -> str:
    """Return a duration with its unit."""
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{1e3 * seconds:.1f} ms" if seconds >= 0.01 else f"{1e6 * seconds:.0f} us"


def blocking(url: str, array: np.ndarray, seconds: float) -> float:
    """Return seconds per request, one in flight."""
    with tritonclient.Client(url) as client:
        client.infer(MODEL, {"IN": array})  # connects
        return loop(lambda: client.infer(MODEL, {"IN": array}), seconds)


def loop(call: Callable[[], object], seconds: float) -> float:
    """Return seconds per call of calls one after the other."""
    count, start = 0, time.perf_counter()
    while (now := time.perf_counter()) < start + seconds or not count:
        call()
        count += 1
    return (now - start) / count


async def concurrent(url: str, array: np.ndarray, seconds: float) -> float:
    """Return seconds per request of `IN_FLIGHT` in flight."""
    async with tritonclient.AsyncClient(url) as client:
        count, start = 0, time.perf_counter()

        async def ask() -> None:
            nonlocal count
            while time.perf_counter() < start + seconds:
                await client.infer(MODEL, {"IN": array})
                count += 1

        await asyncio.gather(*(ask() for _ in range(IN_FLIGHT)))
        return (time.perf_counter() - start) / count


def until_ready(start: Callable[[], AbstractContextManager[Urls]]) -> float:
    """Return the seconds from the start of a server until it is ready."""
    begin = time.perf_counter()
    with start():
        return time.perf_counter() - begin


def write_repository(folder: Path) -> Path:
    """Write the model repository and return its folder."""
    version = folder / MODEL / "1"
    version.mkdir(parents=True)
    (version.parent / "config.pbtxt").write_text(CONFIG)
    (version / "model.py").write_text(SOURCE)
    return folder


@contextmanager
def triton(repository: Path) -> Iterator[Urls]:
    """Start a real Triton, and end it with the block."""
    with real_triton.start(repository) as server:
        yield Urls(server.http_url, server.grpc_url)


@contextmanager
def embedded(repository: Path, *flags: str) -> Iterator[Urls]:
    """Start the embedded server in a process of its own, and end it with the block."""
    ports = real_triton.free_ports(2)
    command = [sys.executable, "-m", "tritonclient", "serve", *flags]
    command += ["--model-repository", str(repository)]
    command += ["--http-port", str(ports[0]), "--grpc-port", str(ports[1])]
    with running(command, ports) as urls:
        yield urls


@contextmanager
def bare() -> Iterator[Urls]:
    """Start uvicorn and grpcio with fixed responses, and end them with the block."""
    ports = real_triton.free_ports(2)
    command = [sys.executable, "-m", "benchmarks.bare_servers", *map(str, ports)]
    with running(command, ports) as urls:
        yield urls


@contextmanager
def running(command: list[str], ports: list[int]) -> Iterator[Urls]:
    """Start a server that listens at these ports, and end it with the block."""
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_ready(server, ports[0])
        yield Urls(f"http://127.0.0.1:{ports[0]}", f"grpc://127.0.0.1:{ports[1]}")
    finally:
        server.terminate()
        server.wait()


def wait_until_ready(server: subprocess.Popen[bytes], port: int) -> None:
    """Wait for a server; without the client, whose own waits grow."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        assert server.poll() is None, f"the server ended with {server.returncode}"
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/v2/health/ready")
            if connection.getresponse().status == 200:
                return
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(POLL_INTERVAL)
    raise TimeoutError(f"not ready after {DEADLINE:g} s")


if __name__ == "__main__":
    main()
