"""`Server`: an inference server in this process, with its own threads and ports."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar

from ..client.signatures import explains_arguments
from ..client.suggestions import (
    SERVER_NAMES,
    by_keyword,
    no_attribute,
    not_picklable,
    unknown_argument,
)
from ..messages import Request
from .arguments import (
    check_flags,
    check_names,
    check_number,
    check_port,
    check_types,
    checked_interpreter,
    directories_of,
)
from .core import IN_PROCESS, LOAD_THREADS, InferenceServer, T
from .frontends.forwarding import HeaderForwarding
from .frontends.grpc.options import GrpcOptions
from .frontends.limits import (
    MAX_INPUT_SIZE,
    MAX_REQUESTS,
    MIN_RECEIVE_RATE,
    RECEIVE_TIMEOUT,
    Limits,
)
from .loop import ServerLoop
from .repository.given import GivenModel, GivenModels
from .repository.versions import ModelStatus

if TYPE_CHECKING:
    from .frontends.grpc.listener import GrpcListener
    from .frontends.http.listener import HttpListener

P = TypeVar("P")

_log = logging.getLogger(__name__)

#: Seconds that running requests have to end when the server stops; then they are cancelled.
EXIT_TIMEOUT = 5


@explains_arguments
class Server:
    """Serves a model repository between `start()` and `stop()`, or in a `with` block.

    A process may run several servers. A stopped server may be started again.

    Args:
        model_repository: one or more directories.
        models: further models by name: the path of an ONNX file, of a Python-backend file or of
            the directory of a model, a function of this process, or a `FunctionModel`. They are
            loaded at the start in each control mode.
        host: address to listen on.
        http_port: port of HTTP; 0 for a free port, None for no HTTP.
        grpc_port: port of gRPC; 0 for a free port, None for no gRPC. "auto" is a free port, or
            None if hpack is missing.
        model_control_mode: "none" to load all models at the start, "explicit" to load
            `load_models` and what clients request, "poll" to load all models and follow the
            directories.
        load_models: names of models; "*" for all.
        strict_readiness: True to be ready only while all models that should be loaded are.
        exit_on_error: True to let `start()` fail if a model cannot be loaded.
        trace_file: the "trace_file" of `trace_settings`; lets clients set trace levels.
        trace_settings: initial trace settings by their names in the trace endpoint, such as
            {"trace_level": ["TIMESTAMPS"], "trace_rate": "5"}. Nothing is traced yet.
        response_cache_size: bytes of responses to keep for models whose configuration has
            `response_cache { enable: true }`; 0 to keep none.
        watch_interval: seconds after which models whose files changed are reloaded, again and
            again; 0 for never. A model that cannot be reloaded goes on as it was.
        max_input_size: largest HTTP request body in bytes.
        max_requests: requests, of HTTP and of gRPC each, that are executed or wait for it; further
            ones are refused.
        receive_timeout: seconds in which some of a half-sent request must come.
        min_receive_rate: bytes per second with which a request must come on average, after the
            seconds of `receive_timeout`.
        forwarded_headers: a regular expression; inference requests over HTTP have each header in
            whose name it is found as a parameter. "" to forward none. `grpc` has the same option.
        certfile: certificate (PEM); with `keyfile`, serve https and grpcs.
        keyfile: key of the certificate (PEM).
        grpc: options of gRPC.
        exit_timeout: seconds that running requests have to end at `stop()`.
        in_process: False for a process per instance of Python-backend models, as in Triton: what a
            model does to its process harms nothing else. True to execute them in this process, for
            breakpoints, coverage and mocks; the default on Windows, which has no other. Functions
            and ONNX models are always executed in this process.
        python: the interpreter of those processes, which needs numpy; "" for that of this process.
        load_threads: how many models are loaded at the same time at the start; with `in_process`,
            one.
    """

    def __init__(
        self,
        model_repository: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
        *surplus: NoReturn,
        models: Mapping[str, GivenModel] | None = None,
        host: str = "127.0.0.1",
        http_port: int | None = 0,
        grpc_port: int | Literal["auto"] | None = "auto",
        model_control_mode: str = "none",
        load_models: Iterable[str] = (),
        strict_readiness: bool = True,
        exit_on_error: bool = True,
        trace_file: str = "",
        trace_settings: Mapping[str, Any] | None = None,
        response_cache_size: int = 0,
        watch_interval: float = 0,
        max_input_size: int = MAX_INPUT_SIZE,
        max_requests: int = MAX_REQUESTS,
        receive_timeout: float = RECEIVE_TIMEOUT,
        min_receive_rate: float = MIN_RECEIVE_RATE,
        forwarded_headers: str = "",
        certfile: str | os.PathLike[str] | None = None,
        keyfile: str | os.PathLike[str] | None = None,
        grpc: GrpcOptions | None = None,
        exit_timeout: int = EXIT_TIMEOUT,
        in_process: bool = IN_PROCESS,
        python: str | os.PathLike[str] = "",
        load_threads: int = LOAD_THREADS,
        **unknown: NoReturn,
    ) -> None:
        if surplus:
            raise by_keyword(surplus, Server.__init__)
        if unknown:
            raise unknown_argument(
                next(iter(unknown)), ["model_repository", *(Server.__init__.__kwdefaults__ or ())]
            )
        check_names("load_models", load_models)
        check_flags(
            strict_readiness=strict_readiness, exit_on_error=exit_on_error, in_process=in_process
        )
        check_types(host, models, trace_settings, grpc)
        check_port("http_port", http_port)
        check_port("grpc_port", 0 if grpc_port == "auto" else grpc_port)
        self._directories = directories_of(model_repository)
        if not self._directories and models is None:
            raise TypeError("there is nothing to serve: give model_repository or models")
        self._models = dict(models or {})
        self._given: GivenModels | None = None
        self._host = host
        self._ports = http_port, grpc_port
        self._core_options: dict[str, Any] = {
            "control_mode": model_control_mode,
            "load_models": tuple(load_models),
            "strict_readiness": strict_readiness,
            "exit_on_error": exit_on_error,
            "trace_settings": {
                **({"trace_file": trace_file} if trace_file else {}),
                **(trace_settings or {}),
            },
        }
        check_number(
            "response_cache_size", response_cache_size, 0, "bytes from 0; 0 keeps no responses"
        )
        self._core_options["response_cache_size"] = response_cache_size
        check_number("watch_interval", watch_interval, 0, "seconds from 0; 0 does not watch")
        self._core_options["watch_interval"] = watch_interval
        check_number("load_threads", load_threads, 1, "a number from 1")
        check_number("exit_timeout", exit_timeout, 0, "seconds from 0")
        self._core_options |= {
            "in_process": in_process,
            "python": checked_interpreter(python),
            "load_threads": load_threads,
        }
        self._limits = Limits(max_input_size, max_requests, receive_timeout, min_receive_rate)
        self._forwarding = HeaderForwarding(forwarded_headers)
        self._certificate = (certfile, keyfile)
        self._grpc_options = (grpc or GrpcOptions()).completed(host, certfile, keyfile)
        self._exit_timeout = exit_timeout
        self._core: InferenceServer | None = None
        self._loop: ServerLoop | None = None
        self._http: HttpListener | None = None
        self._grpc: GrpcListener | None = None
        self._process = os.getpid()

    def __repr__(self) -> str:
        if self._core is None:
            served = [*map(str, self._directories), *self._models]
            return f"<Server of {', '.join(served)}, not running>"
        urls = [self.http_url] if self._http else []
        urls += [self.grpc_url] if self._grpc else []
        return f"<Server at {' and '.join(urls)}, running>"

    if not TYPE_CHECKING:  # a type checker would take it that there is any name

        def __getattr__(self, name: str) -> Any:
            raise no_attribute(self, name, SERVER_NAMES)

    def __reduce__(self) -> Any:
        raise not_picklable(self, "it runs in this process", "give http_url to other processes")

    # Lifecycle

    def start(self) -> Server:
        """Load the models and listen; return when requests are served.

        Raises:
            ServerError: a model cannot be loaded; the message has the cause.
            ValueError: a directory is not a model repository, or is empty.
            OSError: the address is not available, or a certificate cannot be read.
            RuntimeError: gRPC is requested in a process forked from one that serves it.
            ImportError: an optional package is missing; the message names the extra.
        """
        if self._core is not None:
            raise RuntimeError("the server is running already; stop() ends it")
        self._process = os.getpid()
        try:
            self._start(*self._ports)
        except BaseException:
            self.stop()
            raise
        return self

    def _start(self, http_port: int | None, grpc_port: int | Literal["auto"] | None) -> None:
        # Addresses are bound first, because loading models may take long.
        timeout = self._exit_timeout
        loop = self._loop = ServerLoop()
        if http_port is not None:
            from .frontends.certificates import load_certificate
            from .frontends.http.listener import HttpListener

            load_certificate(*self._certificate)
            self._http = HttpListener(
                self._host,
                http_port,
                self._certificate,
                self._limits,
                timeout,
                self._forwarding,
                loop,
            )
        if grpc_port == "auto":
            grpc_port = 0 if importlib.util.find_spec("hpack") else None
        if grpc_port is not None:
            from .frontends.grpc.listener import GrpcListener

            self._grpc = GrpcListener(grpc_port, self._grpc_options, timeout, self._limits, loop)
        self._core = self._make_core(loop)
        for listener in self._listeners():
            listener.start(self._core)

    def _make_core(self, loop: ServerLoop) -> InferenceServer:
        options = {**self._core_options, "loop": loop}
        directories = self._directories
        if self._models:
            self._given = GivenModels(self._models)
            options["functions"] = self._given.functions
            # The first directory that has a model counts.
            directories = [self._given.directory, *directories]
            if options["control_mode"] == "explicit":
                options["load_models"] = (*options["load_models"], *self._models)
        return self._new_core(directories, **options)

    def _new_core(self, directories: list[Path], **options: Any) -> InferenceServer:
        return InferenceServer(directories, **options)

    def stop(self) -> None:
        """Finish running requests, stop listening and finalize the models; idempotent.

        This waits for a model that ignores a cancellation, because a thread cannot be ended. In a
        forked child this only closes the sockets: threads and models belong to the parent, where
        the server continues.
        """
        listeners = self._listeners()
        core, self._core = self._core, None
        loop, self._loop = self._loop, None
        self._http = self._grpc = None
        if self._process != os.getpid():
            for listener in listeners:
                listener.abandon()
            return
        for listener in listeners:
            listener.begin_shutdown()
        for listener in listeners:
            listener.stop()
        if core is not None:
            core.close()
        if loop is not None:
            loop.close()
        given, self._given = self._given, None
        if given is not None:
            given.close()

    def _listeners(self) -> list[HttpListener | GrpcListener]:
        return [listener for listener in (self._http, self._grpc) if listener is not None]

    def __enter__(self) -> Server:
        return self.start()

    if not TYPE_CHECKING:  # type checkers find this mistake themselves

        async def __aenter__(self) -> NoReturn:
            raise TypeError("a server has threads of its own: use `with`, also in a coroutine")

        async def __aexit__(self, *exc_info: object) -> None:
            """Do nothing: there is no such context."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # Status

    @property
    def http_port(self) -> int:
        """The port of HTTP."""
        return self._running(self._http, "HTTP").port

    @property
    def http_url(self) -> str:
        """The URL of HTTP, such as "http://127.0.0.1:41234"."""
        scheme = "https" if self._certificate[0] else "http"
        return f"{scheme}://{self.http_address}"

    @property
    def http_address(self) -> str:
        """The address of HTTP without a scheme, as the classic clients take it."""
        return _reachable(self._host, self.http_port)

    @property
    def grpc_port(self) -> int:
        """The port of gRPC."""
        return self._running(self._grpc, "gRPC").port

    @property
    def grpc_url(self) -> str:
        """The URL of gRPC, such as "grpc://127.0.0.1:41235"."""
        scheme = "grpcs" if self._grpc_options.certfile else "grpc"
        return f"{scheme}://{self.grpc_address}"

    @property
    def grpc_address(self) -> str:
        """The address of gRPC without a scheme, as the classic clients take it."""
        return _reachable(self._grpc_options.host or "", self.grpc_port)

    def models(self) -> list[ModelStatus]:
        """Return the status of each version of each model."""
        return self._running(self._core).status()

    def handle(self, request: Request[T]) -> T:
        """Return the response to a request, without a transport; ServerError if it is refused."""
        return self._running(self._core).handle(request)

    def _running(self, part: P | None, protocol: str = "") -> P:
        if part is not None:
            return part
        if self._core is None:
            raise RuntimeError(
                "the server is not running; call start(), or use it in its `with` block"
            )
        raise RuntimeError(
            f"the server does not serve {protocol}; give {protocol.lower()}_port=0 for a free port"
        )


def _reachable(host: str, port: int) -> str:
    """Return an address that clients on this machine can connect to."""
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
