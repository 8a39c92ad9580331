"""The command; see the package."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from scripts.record_vectors import (
    administration,
    inference,
    recorder,
    refusals,
    rpc_administration,
    rpc_inference,
    rpc_recorder,
    rpc_refusals,
)
from scripts.record_vectors.requests import MODELS
from tests.data.recordings import rpc as rpc_recordings
from tests.data.recordings import save
from tests.support.servers import triton
from tests.support.servers.twins import build_repository


def _subjects(*modules: ModuleType) -> Mapping[str, Callable[[Any], None]]:
    return {
        name.removeprefix("record_"): value
        for module in modules
        for name, value in vars(module).items()
        if name.startswith("record_")
    }


#: What is recorded, in this order: the statistics come first, so that they count no other's.
HTTP = _subjects(administration, inference, refusals)
RPC = _subjects(rpc_administration, rpc_inference, rpc_refusals)


def main(wanted: Sequence[str]) -> None:
    known = [*HTTP, *(f"rpc/{name}" for name in RPC)]
    if unknown := set(wanted) - set(known):
        sys.exit(f"unknown subject {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    chosen = wanted or known
    if set(chosen) & set(HTTP):
        with _server() as server:
            for subject, record in HTTP.items():
                if subject in chosen:
                    to = recorder.Recorder(server.http_port)
                    record(to)
                    save(subject, to.exchanges)
    if set(chosen) - set(HTTP):
        with _server() as server:
            for subject, record in RPC.items():
                if f"rpc/{subject}" in chosen:
                    calls = rpc_recorder.Recorder(server.grpc_port)
                    record(calls)
                    calls.close()
                    rpc_recordings.save(subject, calls.calls)


@contextmanager
def _server() -> Iterator[triton.RunningServer]:
    """A Triton of its own, with models that nobody has used."""
    # A fixed place, because errors of the Python backend tell the path of the model.
    repository = Path(tempfile.gettempdir(), "tritonclient-recording", "models")
    shutil.rmtree(repository.parent, ignore_errors=True)
    repository.parent.mkdir()
    try:
        build_repository(MODELS, repository)
        with triton.start(
            repository, control_mode="explicit", extra_args=triton.CONTROLLED
        ) as server:
            yield server
    finally:
        shutil.rmtree(repository.parent)


if __name__ == "__main__":
    main(sys.argv[1:])
