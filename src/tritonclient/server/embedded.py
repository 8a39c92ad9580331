"""`Server`: an inference server in this process, with its own threads and its own free ports."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from ..messages import Request
from .core import InferenceServer, T
from .frontends.grpc.options import GrpcOptions
from .frontends.http.application import MAX_INPUT_SIZE
from .repository.repository import ModelStatus

if TYPE_CHECKING:
    from .frontends.grpc.listener import GrpcListener
    from .frontends.http.listener import HttpListener

P = TypeVar("P")

_log = logging.getLogger(__name__)

#: Seconds that requests in work have to end when the server stops; then they are cancelled.
EXIT_TIMEOUT = 5


class Server:
    """Serves a model repository between `start()` and `stop()`, or in a `with` block.

    Any number may run at once in one process, and one may be started again after it was stopped.

    Args:
        model_repository: a directory, or several.
        host: address to listen at.
        http_port: port to serve HTTP at; 0 for a free one, None for no HTTP.
        grpc_port: the same for gRPC; "auto" is a free one when gRPC can be served, else None.
            It can't when grpcio is missing, nor in a process that was forked from one that
            serves gRPC.
        model_control_mode: "none" (load everything at the start) or "explicit" (load
            `load_models` and what clients ask for).
        load_models: names of models; "*" for all.
        strict_readiness: be ready only while every model that was to be loaded is.
        exit_on_error: let `start()` fail when a model can't be loaded.
        trace_file: lets trace levels be set; nothing is traced yet.
        max_input_size: bytes that a request body may have over HTTP.
        certfile: certificate (PEM); with `keyfile`, serve https and grpcs.
        keyfile: the certificate's key.
        grpc: how gRPC is served.
        exit_timeout: seconds that requests in work have to end at `stop()`.
    """

    def __init__(
        self,
        model_repository: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        host: str = "127.0.0.1",
        http_port: int | None = 0,
        grpc_port: int | Literal["auto"] | None = "auto",
        model_control_mode: str = "none",
        load_models: Iterable[str] = (),
        strict_readiness: bool = True,
        exit_on_error: bool = True,
        trace_file: str = "",
        max_input_size: int = MAX_INPUT_SIZE,
        certfile: str | os.PathLike[str] | None = None,
        keyfile: str | os.PathLike[str] | None = None,
        grpc: GrpcOptions | None = None,
        exit_timeout: int = EXIT_TIMEOUT,
    ) -> None:
        if isinstance(load_models, str):
            raise TypeError(f"load_models is {load_models!r}, expected a list of names")
        _check_port("http_port", http_port)
        _check_port("grpc_port", 0 if grpc_port == "auto" else grpc_port)
        if isinstance(model_repository, (str, os.PathLike)):
            model_repository = [model_repository]
        self._directories = [Path(each) for each in model_repository]
        self._host = host
        self._ports = http_port, grpc_port
        self._core_options: dict[str, Any] = {
            "control_mode": model_control_mode,
            "load_models": tuple(load_models),
            "strict_readiness": strict_readiness,
            "exit_on_error": exit_on_error,
            "trace_file": trace_file,
        }
        self._max_input_size = max_input_size
        self._certificate = (certfile, keyfile)
        self._grpc_options = (grpc or GrpcOptions()).completed(host, certfile, keyfile)
        self._exit_timeout = exit_timeout
        self._core: InferenceServer | None = None
        self._http: HttpListener | None = None
        self._grpc: GrpcListener | None = None
        self._process = os.getpid()

    def __repr__(self) -> str:
        if self._core is None:
            return f"<Server of {', '.join(map(str, self._directories))}, not running>"
        urls = [self.http_url] if self._http else []
        urls += [self.grpc_url] if self._grpc else []
        return f"<Server at {' and '.join(urls)}, running>"

    # Lifecycle

    def start(self) -> Server:
        """Load the models and listen; requests are answered as soon as this returns.

        Raises:
            ServerError: a model can't be loaded.
            OSError: the address can't be listened at, or a certificate can't be read.
            RuntimeError: gRPC is asked for in a process forked from one that serves it.
            ImportError: an optional package is missing; the message names the extra.
        """
        if self._core is not None:
            raise RuntimeError("the server is running already")
        self._process = os.getpid()
        try:
            self._start(*self._ports)
        except BaseException:
            self.stop()
            raise
        return self

    def _start(self, http_port: int | None, grpc_port: int | Literal["auto"] | None) -> None:
        # The addresses are taken first, since loading models may take long.
        timeout = self._exit_timeout
        if http_port is not None:
            from .frontends.http.listener import HttpListener

            self._http = HttpListener(
                self._host, http_port, self._certificate, self._max_input_size, timeout
            )
        if grpc_port == "auto":
            grpc_port = 0 if _can_serve_grpc() else None
        if grpc_port is not None:
            from .frontends.grpc.listener import GrpcListener

            self._grpc = GrpcListener(grpc_port, self._grpc_options, timeout)
        self._core = InferenceServer(self._directories, **self._core_options)
        for listener in self._listeners():
            listener.start(self._core)

    def stop(self) -> None:
        """End requests in work, stop listening and finalize the models; harmless when stopped.

        A model that goes on executing though its request was cancelled is waited for, since a
        thread can't be ended. In a forked child this only lets go of HTTP's address: the threads
        and the models are the parent's, where the server runs on. (That of gRPC stays taken as
        long as the child lives.)
        """
        listeners = self._listeners()
        core, self._core = self._core, None
        self._http = self._grpc = None
        if self._process != os.getpid():
            for listener in listeners:
                listener.abandon()
            return
        for listener in listeners:
            listener.leave()
        for listener in listeners:
            listener.stop()
        if core is not None:
            core.close()

    def _listeners(self) -> list[HttpListener | GrpcListener]:
        return [listener for listener in (self._http, self._grpc) if listener is not None]

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # What it is

    @property
    def http_port(self) -> int:
        """The port that it serves HTTP at."""
        return self._running(self._http, "HTTP").port

    @property
    def http_url(self) -> str:
        """Where HTTP is to be reached, such as "http://127.0.0.1:41234"."""
        scheme = "https" if self._certificate[0] else "http"
        return f"{scheme}://{self.http_address}"

    @property
    def http_address(self) -> str:
        """The same without the scheme, as the classic clients want it."""
        return _reachable(self._host, self.http_port)

    @property
    def grpc_port(self) -> int:
        """The port that it serves gRPC at."""
        return self._running(self._grpc, "gRPC").port

    @property
    def grpc_url(self) -> str:
        """Where gRPC is to be reached, such as "grpc://127.0.0.1:41235"."""
        scheme = "grpcs" if self._grpc_options.certfile else "grpc"
        return f"{scheme}://{self.grpc_address}"

    @property
    def grpc_address(self) -> str:
        """The same without the scheme, as the classic clients want it."""
        return _reachable(self._grpc_options.host or "", self.grpc_port)

    def models(self) -> list[ModelStatus]:
        """What became of each version of each model."""
        return self._running(self._core).status()

    def handle(self, request: Request[T]) -> T:
        """The answer to a request without any transport; ServerError when it is refused."""
        return self._running(self._core).handle(request)

    def _running(self, part: P | None, protocol: str = "") -> P:
        if part is not None:
            return part
        if self._core is None:
            raise RuntimeError("the server is not running")
        raise RuntimeError(f"the server does not serve {protocol}")


def _can_serve_grpc() -> bool:
    if importlib.util.find_spec("grpc") is None:
        return False
    from .frontends.grpc import listener as grpc_listener

    try:
        grpc_listener.check_usable()
    except RuntimeError as error:
        _log.warning("only HTTP is served: %s", error)
        return False
    return True


def _check_port(name: str, port: object) -> None:
    if port is None:
        return
    if isinstance(port, bool) or not isinstance(port, int):
        raise TypeError(f"{name} is {port!r}, expected a whole number or None")
    if not 0 <= port <= 65535:
        raise ValueError(f"{name} is {port}, expected a number from 0 to 65535")


def _reachable(host: str, port: int) -> str:
    """An address for clients on this machine."""
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
