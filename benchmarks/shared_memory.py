"""`python -m benchmarks.shared_memory`: what shared memory saves, on a real Triton."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tests.support.servers import triton
from tests.support.servers.twins import build_repository

import tritonclient

MODELS = Path(__file__).parent.parent / "models"
SIZES = (256, 1 << 18, 1 << 22, 1 << 24, 1 << 26)
ROUNDS = 5


def main() -> None:
    """Print a table of milliseconds per call: until its output is an array, and of CPU."""
    with tempfile.TemporaryDirectory() as directory:
        repository = Path(directory) / "models"
        build_repository(MODELS, repository)
        with triton.start(repository) as server, tritonclient.Client(server.http_url) as client:
            client.wait_until_ready("identity_fp32", timeout=60)
            print(f"{'bytes each way':>14} {'':>12}", *(f"{kind:>14}" for kind in KINDS))
            for size in SIZES:
                best = measure(client, size)
                for row, name in enumerate(("time", "client's CPU")):
                    cells = (f"{best[kind][row]:11.3f} ms" for kind in KINDS)
                    print(f"{size:14} {name:>12}", *cells, flush=True)


def measure(client: tritonclient.Client, size: int) -> dict[str, tuple[float, float]]:
    """The best rounds of every kind of call, by kind."""
    array = np.zeros(size // 4, np.float32)
    found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
    with client.shared_memory(4 * size) as memory:
        calls = {kind: make(client, memory, array) for kind, make in KINDS.items()}
        count = max(20, min(300, (1 << 27) // size))
        for _ in range(ROUNDS):
            for kind, call in calls.items():
                call()
                start, cpu = time.perf_counter(), time.process_time()
                for _ in range(count):
                    call()
                took = time.perf_counter() - start, time.process_time() - cpu
                found[kind].append((took[0] / count * 1e3, took[1] / count * 1e3))
    return {
        k: (min(r[0] for r in rounds), min(r[1] for r in rounds)) for k, rounds in found.items()
    }


def over_http(client: tritonclient.Client, memory: object, array: object) -> Callable[[], object]:
    return lambda: client.infer("identity_fp32", {"INPUT0": array})["OUTPUT0"]


def placed(
    client: tritonclient.Client, memory: tritonclient.SharedMemory, array: np.ndarray
) -> Callable[[], object]:
    outputs = [memory.output("OUTPUT0", array.nbytes)]
    inputs = {"INPUT0": array}
    return lambda: client.infer("identity_fp32", inputs, outputs=outputs, shared_memory=memory)[
        "OUTPUT0"
    ]


def staying(
    client: tritonclient.Client, memory: tritonclient.SharedMemory, array: np.ndarray
) -> Callable[[], object]:
    output = memory.empty(array.shape, array.dtype)
    inputs = {"INPUT0": memory.put(array)}
    call = client.prepare("identity_fp32", inputs, outputs=[output.output("OUTPUT0")])
    return lambda: client.infer_prepared(call)["OUTPUT0"]


KINDS: dict[str, Callable[..., Callable[[], object]]] = {
    "over HTTP": over_http,
    "placed": placed,
    "staying": staying,
}

if __name__ == "__main__":
    main()
