"""Triton in process: a process of its own holds the server, and is the worker as well."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Mapping
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

from ...codec import rest
from ...messages import GetModelMetadata, GetStatistics
from ..data.dataset import Dataset
from ..data.model import ModelInfo, check_batch, describe
from ..exits import SetupError
from ..load import requests
from ..load.connection import Target, Wire, in_process_target
from ..load.plan import Plan
from ..load.sequences import rules_for
from ..options.settings import Settings
from .service import Statistics

#: Seconds that the server may take to end.
_PATIENCE = 20.0


class InProcessTriton:
    """A Triton in a process of ours, reached through its C API.

    Raises:
        SetupError: it does not start, or does not have the model.
    """

    kind = "TRITON_C_API"
    library = ""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        if not os.path.isdir(settings.triton_server_directory):
            raise SetupError(
                f"--triton-server-directory is {settings.triton_server_directory!r}, expected a "
                "folder that exists"
            )
        self._pipe, theirs = multiprocessing.Pipe()
        self._lock = threading.Lock()
        # Triton has threads, which do not outlive a fork: so it begins after it.
        self._process = multiprocessing.get_context("fork").Process(
            target=_host,
            args=(settings.triton_server_directory, settings.model_repository, theirs),
            daemon=True,
        )
        self._process.start()
        theirs.close()
        try:
            self._ask("hello")
            self.model = self._model()
        except BaseException:
            self.close()
            raise

    def _ask(self, *question: Any) -> Any:
        with self._lock:
            try:
                self._pipe.send(question)
                error, answer = self._pipe.recv()
            except (EOFError, OSError):
                raise SetupError("error: the process with the server has ended") from None
        if error:
            raise SetupError(error)
        return answer

    def _model(self) -> ModelInfo:
        settings = self._settings
        name, version = settings.model_name, settings.model_version
        request = GetModelMetadata(name, version)
        metadata = _decoded(request, self._ask("Metadata", name, version))
        config = self._config(name, version)
        model = describe(metadata, config, version, self._config, settings.bls_composing_models)
        check_batch(model, settings.batch_size)
        return model

    def _config(self, name: str, version: str) -> Mapping[str, Any]:
        config: Mapping[str, Any] = self._ask("Config", name, version)
        return config

    def plan(self, data: Dataset, settings: Settings) -> Plan:
        """What workers send."""
        target: Target = in_process_target()
        made, expected = requests.make(self.model, data, settings)
        return Plan(
            target=target,
            wires=[Wire(b"", (), request) for request in made],
            requests=made,
            expected=expected,
            sequences=rules_for(settings, data) if self.model.sequence else None,
            decoupled=self.model.decoupled,
            timeout=int(settings.timeout * 1e9),
            seed=settings.seed,
            output_names=tuple(self.model.outputs),
        )

    def share(self, plan: Plan, places: int) -> Plan:
        """Nothing: tensors are not sent, so there is nothing to share."""
        return replace(plan)

    def start_worker(
        self, index: int, count: int, plan: Plan, board: tuple[int, str], pipe: Connection
    ) -> Any:
        """Let the process with the server be the worker."""
        self._ask("work", index, count, plan, board, pipe)
        return self._process

    def statistics(self) -> Statistics | None:
        """The server's statistics by now."""
        names = [(self._settings.model_name, self.model.version), *self.model.composing]
        found = {}
        for name, version in names:
            request = GetStatistics(name, version)
            for each in _decoded(request, self._ask("Statistics", name, version)):
                found[(each.name, each.version)] = each
        return found

    def describe(self, plan: Plan) -> str:
        """The first request, for people to read."""
        request = plan.requests[0]
        lines = [f"request to a server in process, model {request.model}"]
        lines += [
            f"  input {each.name} {each.datatype}{list(each.shape)}" for each in request.inputs
        ]
        return "\n".join(lines)

    def close(self) -> None:
        """End the process with the server."""
        self._pipe.close()
        self._process.join(_PATIENCE)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _decoded(request: Any, value: Any) -> Any:
    """What JSON of the C API means, which is that of HTTP."""
    import json

    body = json.dumps(value).encode()
    return rest.decode_response(request, rest.HttpResponse(200, {}, (body,)))


def _host(directory: str, repository: str, pipe: Connection) -> None:
    """Hold a server, and be a worker when told to."""
    from ..load.process import detach, run_load
    from ..load.process_lanes import use_server
    from ..load.shared import Board
    from ..load.worker import Worker
    from .c_api_library import Server

    detach()
    try:
        server = Server(directory, repository)
    except (SetupError, OSError, AttributeError) as error:
        with contextlib.suppress(OSError, EOFError):
            pipe.recv()
            pipe.send((str(error), None))
        os._exit(1)
    use_server(server)

    def answer() -> tuple[Any, ...] | None:
        """Answer questions until told to work; what to work on."""
        while True:
            name, *arguments = pipe.recv()
            if name == "work":
                pipe.send(("", None))
                return tuple(arguments)
            try:
                found = None if name == "hello" else server.describe(name, *arguments)
                pipe.send(("", found))
            except SetupError as error:
                pipe.send((str(error), None))

    def serve() -> None:
        with contextlib.suppress(EOFError, OSError):
            answer()

    with contextlib.suppress(EOFError, OSError):
        work = answer()
        if work is not None:
            index, count, plan, board, theirs = work
            threading.Thread(target=serve, daemon=True).start()
            Worker(index, count, plan, Board(*board), theirs).run(run_load)
    with contextlib.suppress(SetupError):
        server.stop()  # which ends the processes of its models
    os._exit(0)
