"""`InferenceServer`: handles every request of the protocol, without a transport.

Frontends (HTTP, gRPC) translate bytes to requests and responses to bytes. `handle` blocks, and any
number of threads may call it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from .. import messages as m
from ..errors import (
    InferenceServerException,
    InvalidArgument,
    NotFound,
    Unavailable,
    Unimplemented,
)
from .inference import Outcome, Responses, begin, infer, submit
from .jobs.errors import ModelNotReady, as_server_error
from .jobs.job import Job, JobOptions
from .jobs.model_info import ModelInfo
from .jobs.response import CancelFlag, ResponseSink
from .jobs.tensor import Tensor
from .loop import ServerLoop
from .repository.given import Functions
from .repository.model import Model
from .repository.repository import IN_PROCESS as IN_PROCESS
from .repository.repository import ModelSource, Repository
from .repository.startup import LOAD_THREADS as LOAD_THREADS
from .repository.startup import all_names, load_all
from .repository.versions import ModelStatus, version_number
from .repository.watch import RepositoryWatch
from .telemetry.log_settings import LogSettings
from .telemetry.metrics import HeldMetrics, Metrics
from .telemetry.trace_settings import NO_SETTINGS, TraceSettings
from .tensors.shared_memory import Regions

T = TypeVar("T")

CONTROL_MODES = ("none", "explicit", "poll")
#: Seconds between two looks at the repository in mode "poll", as in Triton.
POLL_INTERVAL = 15
#: The version of Triton whose responses are reproduced.
VERSION = "2.51.0"
EXTENSIONS = (
    *("classification", "sequence", "model_repository", "model_repository(unload_dependents)"),
    *("schedule_policy", "model_configuration", "system_shared_memory", "binary_tensor_data"),
    *("parameters", "statistics", "trace", "logging"),
)


class InferenceServer:
    """Serves the models of a repository until it is closed.

    Args:
        control_mode: "none" loads all models at the start and none later; "explicit" loads
            `load_models` at the start and others on request; "poll" loads all models and follows
            the directories.
        load_models: names of models to load at the start in mode "explicit"; "*" means all.
        strict_readiness: True to be ready only while all models that should be loaded are.
        exit_on_error: True to fail if a model cannot be loaded at the start.
        trace_settings: initial trace settings, see `TraceSettings`; nothing is traced yet.
        functions: the models of the repository that are functions, by name.
        response_cache_size: bytes of responses to keep for models whose configuration has
            `response_cache { enable: true }`; 0 to keep none.
        watch_interval: seconds after which models whose files changed are reloaded, again and
            again; 0 for never, and for `POLL_INTERVAL` in mode "poll".
        in_process: True to execute Python models in this process, not in one per instance.
        python: the interpreter of their processes; "" for that of this process.
        load_threads: how many models are loaded at the same time at the start.
        loop: reads what the processes of models send; None for a loop that this closes.

    Raises:
        ValueError: an argument is invalid, or a directory is not a model repository.
        ServerError: a model cannot be loaded, with `exit_on_error`.
    """

    def __init__(
        self,
        directories: Iterable[Path],
        *,
        control_mode: str = "none",
        load_models: Iterable[str] = (),
        strict_readiness: bool = True,
        exit_on_error: bool = True,
        trace_settings: Mapping[str, Any] = NO_SETTINGS,
        functions: Functions = MappingProxyType({}),
        response_cache_size: int = 0,
        watch_interval: float = 0,
        in_process: bool = IN_PROCESS,
        python: str = "",
        load_threads: int = LOAD_THREADS,
        loop: ServerLoop | None = None,
    ) -> None:
        if control_mode not in CONTROL_MODES:
            raise ValueError(
                f"model control mode {control_mode!r} is not supported by this server, "
                f"which has {', '.join(map(repr, CONTROL_MODES))}"
            )
        self._explicit = control_mode == "explicit"
        directories = list(directories)
        chosen = list(load_models)
        if chosen and not self._explicit:
            raise ValueError(
                "load_models is for the control mode 'explicit' only: --model-control-mode explicit"
            )
        self._strict = strict_readiness
        self._closed = False
        self._watch: RepositoryWatch | None = None
        self._metrics = Metrics()
        self._loop = ServerLoop() if loop is None else loop
        self._owns_loop = loop is None
        source = partial(
            ModelSource, host=self, loop=self._loop, in_process=in_process, python=python
        )
        self._repository = Repository(directories, self, source, functions, response_cache_size)
        self._regions = Regions()
        self._trace = TraceSettings(trace_settings)
        self._logging = LogSettings()
        if not self._explicit or "*" in chosen:
            chosen = all_names(self._repository, directories, exit_on_error and not self._explicit)
        if control_mode == "poll":
            watch_interval = watch_interval or POLL_INTERVAL
        if watch_interval:
            self._watch = RepositoryWatch(self._repository, every=not self._explicit)
        try:
            # Models that share a process are loaded one after the other, as a debugger expects.
            threads = 1 if in_process else load_threads
            load_all(self._repository, chosen, exit_on_error, threads)
        except BaseException:
            self.close()
            raise
        if self._watch is not None:
            self._watch.start(watch_interval)

    def close(self) -> None:
        """Refuse further requests, finalize the models and unmap shared memory."""
        self._closed = True
        # A model that is being loaded may take for ever.
        self._loop.interrupt()
        if self._watch is not None:
            self._watch.close()
        self._repository.close()
        self._regions.unregister("")
        if self._owns_loop:
            self._loop.close()

    def status(self) -> list[ModelStatus]:
        """Return the status of each version of each model."""
        return self._repository.status()

    def handle(
        self, request: m.Request[T], cancelled: CancelFlag | None = None, peer: str = ""
    ) -> T:
        """Return the response to a request.

        Args:
            cancelled: set by the caller to cancel the request.
            peer: the client's address; of use to subclasses only.

        Raises:
            ServerError: the request is refused, or failed.
        """
        self._check_open()
        try:
            if isinstance(request, m.Infer):
                return self._infer(request, cancelled or threading.Event())  # type: ignore[return-value]
            handler = _HANDLERS.get(type(request))
            if handler is None:
                name = type(request).__name__
                raise Unimplemented(f"{name} is not supported by this server", "501")
            return handler(self, request)  # type: ignore[no-any-return]
        except InferenceServerException:
            raise
        except Exception as error:
            raise as_server_error(error) from error

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("the server is closed", "503")

    # Health and metadata

    def _is_live(self, request: m.IsServerLive) -> bool:
        return True

    def _is_ready(self, request: m.IsServerReady) -> bool:
        return not (self._strict and self._repository.failed())

    def _is_model_ready(self, request: m.IsModelReady) -> bool:
        try:
            return self._repository.get(request.model, request.version).is_ready()
        except (NotFound, ModelNotReady):
            return False

    def _server_metadata(self, request: m.GetServerMetadata) -> m.ServerMetadata:
        return m.ServerMetadata("triton", VERSION, EXTENSIONS)

    def _model_metadata(self, request: m.GetModelMetadata) -> m.ModelMetadata:
        model = self._repository.get(request.model, request.version)
        # As in Triton, a request for one version lists only that version.
        asked = (str(model.info.version),) if request.version else ()
        return model.metadata(asked or self._repository.versions(request.model))

    def _model_config(self, request: m.GetModelConfig) -> dict[str, Any]:
        return self._repository.get(request.model, request.version).config

    def _statistics(self, request: m.GetStatistics) -> tuple[m.ModelStatistics, ...]:
        version = version_number(request.version)
        found = [
            model for model in self._repository.ready() if request.model in ("", model.info.name)
        ]
        if request.model and not found:
            raise InvalidArgument(f"requested model '{request.model}' is not available", "400")
        if version is not None:
            found = [model for model in found if model.info.version == version]
            if not found:
                raise InvalidArgument(
                    f"requested model version is not available for model '{request.model}'", "400"
                )
        return tuple(
            model.statistics.snapshot(model.info.name, str(model.info.version)) for model in found
        )

    # Inference

    def stream(
        self,
        request: m.Infer,
        cancelled: CancelFlag | None = None,
        peer: str = "",
        arrived: Callable[[], None] = lambda: None,
    ) -> Responses:
        """Start a request and return its responses; a model that is not decoupled sends one.

        Each response has the parameter `triton_final_response`, True for the last. If a decoupled
        model ends without a last response, an empty one is added if the request has the parameter
        `triton_enable_empty_final_response`. Errors are items as well, so this raises none. The
        request is queued before this returns. A slow reader slows the model. Closing the
        responses cancels the request.

        Args:
            cancelled: set by the caller to cancel the request and end the responses.
            peer: the client's address; of use to subclasses only.
            arrived: called after each response became available, on any thread.
        """
        find, cancelled = partial(self._find, request), cancelled or threading.Event()
        return Responses(find, request, self._regions, cancelled, arrived)

    #: True if `begin` may block its caller.
    may_block = False

    def begin(
        self, request: m.Infer, cancelled: CancelFlag, deliver: Callable[[Outcome], None]
    ) -> None:
        """Start a request to a model that is not decoupled; this does not wait for its execution.

        Args:
            cancelled: set by the caller to cancel the request.
            deliver: called once with the outcome, on any thread, also before this returns.

        Raises:
            ServerError: the request is refused.
        """
        self._check_open()
        find = partial(self._find, request)
        try:
            begin(find, request, self._regions, cancelled, deliver)
        except InferenceServerException:
            raise
        except Exception as error:
            raise as_server_error(error) from error

    def _infer(self, request: m.Infer, cancelled: CancelFlag) -> m.InferResponse:
        find = partial(self._find, request)
        return infer(find, request, self._regions, cancelled)

    def _find(self, request: m.Infer) -> Model:
        self._check_open()
        return self._repository.get(request.model, request.version)

    # `Host`, for models that execute other models

    def model_info(self, name: str, version: str = "") -> ModelInfo:
        """Return the interface of a ready model; NotFound if there is none."""
        return self._repository.get(name, version).info

    def submit(
        self,
        name: str,
        version: str,
        tensors: Sequence[Tensor],
        options: JobOptions,
        sink: ResponseSink,
    ) -> Job:
        """Start a request to a model and return its job; the responses go to `sink`."""
        return submit(partial(self._repository.get, name, version), tensors, options, sink)

    def metrics(self) -> HeldMetrics:
        """Return the metrics for one instance, which closes them at its end."""
        return HeldMetrics(self._metrics)

    # Model repository

    def _index(self, request: m.GetRepositoryIndex) -> tuple[m.ModelIndex, ...]:
        return self._repository.index(request.ready)

    def _load(self, request: m.LoadModel) -> None:
        self._check_explicit()
        self._repository.load(request.model, request.config, request.files)

    def _unload(self, request: m.UnloadModel) -> None:
        self._check_explicit()
        self._repository.unload(request.model, dependents=request.unload_dependents)

    def _check_explicit(self) -> None:
        if not self._explicit:
            raise Unavailable(
                "explicit model load / unload is not allowed if polling is enabled", "503"
            )

    # Settings

    def _trace_settings(self, request: m.GetTraceSettings) -> dict[str, Any]:
        self._check_traced(request.model)
        return self._trace.get(request.model)

    def _update_trace(self, request: m.UpdateTraceSettings) -> dict[str, Any]:
        self._check_traced(request.model)
        return self._trace.update(request.model, request.settings)

    def _check_traced(self, model: str) -> None:
        if model and all(each.info.name != model for each in self._repository.ready()):
            raise InvalidArgument(f"Request for unknown model : {model}", "400")

    def _log_settings(self, request: m.GetLogSettings) -> dict[str, Any]:
        return self._logging.get()

    def _update_log(self, request: m.UpdateLogSettings) -> dict[str, Any]:
        return self._logging.update(request.settings)

    # Shared memory

    def _system_status(
        self, request: m.GetSystemSharedMemoryStatus
    ) -> tuple[m.SystemSharedMemoryRegion, ...]:
        return self._regions.status(request.name)

    def _register_system(self, request: m.RegisterSystemSharedMemory) -> None:
        self._regions.register(request)

    def _unregister_system(self, request: m.UnregisterSystemSharedMemory) -> None:
        self._regions.unregister(request.name)

    def _cuda_status(
        self, request: m.GetCudaSharedMemoryStatus
    ) -> tuple[m.CudaSharedMemoryRegion, ...]:
        if request.name:
            raise NotFound(f"Unable to find cuda shared memory region: '{request.name}'", "404")
        return ()

    def _register_cuda(self, request: m.RegisterCudaSharedMemory) -> None:
        raise InvalidArgument(
            f"failed to register CUDA shared memory region '{request.name}': "
            "this server runs without a GPU",
            "400",
        )

    def _unregister_cuda(self, request: m.UnregisterCudaSharedMemory) -> None:
        return None


_HANDLERS: dict[type[m.Request[Any]], Callable[[InferenceServer, Any], Any]] = {
    m.IsServerLive: InferenceServer._is_live,
    m.IsServerReady: InferenceServer._is_ready,
    m.IsModelReady: InferenceServer._is_model_ready,
    m.GetServerMetadata: InferenceServer._server_metadata,
    m.GetModelMetadata: InferenceServer._model_metadata,
    m.GetModelConfig: InferenceServer._model_config,
    m.GetStatistics: InferenceServer._statistics,
    m.GetRepositoryIndex: InferenceServer._index,
    m.LoadModel: InferenceServer._load,
    m.UnloadModel: InferenceServer._unload,
    m.GetTraceSettings: InferenceServer._trace_settings,
    m.UpdateTraceSettings: InferenceServer._update_trace,
    m.GetLogSettings: InferenceServer._log_settings,
    m.UpdateLogSettings: InferenceServer._update_log,
    m.GetSystemSharedMemoryStatus: InferenceServer._system_status,
    m.RegisterSystemSharedMemory: InferenceServer._register_system,
    m.UnregisterSystemSharedMemory: InferenceServer._unregister_system,
    m.GetCudaSharedMemoryStatus: InferenceServer._cuda_status,
    m.RegisterCudaSharedMemory: InferenceServer._register_cuda,
    m.UnregisterCudaSharedMemory: InferenceServer._unregister_cuda,
}
