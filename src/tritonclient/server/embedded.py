"""`Server`: an inference server in this process, with its own threads and its own free port."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..messages import Request
from .core import InferenceServer, T
from .http import MAX_INPUT_SIZE, HttpApplication
from .repository import ModelStatus

if TYPE_CHECKING:
    from .listener import Listener

#: Seconds that requests in work have to end when the server stops; then they are cancelled.
EXIT_TIMEOUT = 5


class Server:
    """Serves a model repository over HTTP between `start()` and `stop()`, or in a `with` block.

    Any number may run at once in one process, and one may be started again after it was stopped.

    Args:
        model_repository: a directory, or several.
        host: address to listen at.
        http_port: port to listen at; 0 for a free one.
        model_control_mode: "none" (load everything at the start) or "explicit" (load
            `load_models` and what clients ask for).
        load_models: names of models; "*" for all.
        strict_readiness: be ready only while every model that was to be loaded is.
        exit_on_error: let `start()` fail when a model can't be loaded.
        trace_file: lets trace levels be set; nothing is traced yet.
        max_input_size: bytes that a request body may have.
        certfile: certificate (PEM); with `keyfile`, serve https.
        keyfile: the certificate's key.
        exit_timeout: seconds that requests in work have to end at `stop()`.
    """

    def __init__(
        self,
        model_repository: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        host: str = "127.0.0.1",
        http_port: int = 0,
        model_control_mode: str = "none",
        load_models: Iterable[str] = (),
        strict_readiness: bool = True,
        exit_on_error: bool = True,
        trace_file: str = "",
        max_input_size: int = MAX_INPUT_SIZE,
        certfile: str | os.PathLike[str] | None = None,
        keyfile: str | os.PathLike[str] | None = None,
        exit_timeout: int = EXIT_TIMEOUT,
    ) -> None:
        if isinstance(load_models, str):
            raise TypeError(f"load_models is {load_models!r}, expected a list of names")
        if isinstance(http_port, bool) or not isinstance(http_port, int):
            raise TypeError(f"http_port is {http_port!r}, expected a whole number")
        if not 0 <= http_port <= 65535:
            raise ValueError(f"http_port is {http_port}, expected a number from 0 to 65535")
        if isinstance(model_repository, (str, os.PathLike)):
            model_repository = [model_repository]
        self._directories = [Path(each) for each in model_repository]
        self._address = (host, http_port)
        self._core_options: dict[str, Any] = {
            "control_mode": model_control_mode,
            "load_models": tuple(load_models),
            "strict_readiness": strict_readiness,
            "exit_on_error": exit_on_error,
            "trace_file": trace_file,
        }
        self._max_input_size = max_input_size
        self._certificate = (certfile, keyfile)
        self._exit_timeout = exit_timeout
        self._core: InferenceServer | None = None
        self._listener: Listener | None = None
        self._process = os.getpid()

    def __repr__(self) -> str:
        if self._listener is None:
            return f"<Server of {', '.join(map(str, self._directories))}, not running>"
        return f"<Server at {self.http_url}, running>"

    # Lifecycle

    def start(self) -> Server:
        """Load the models and listen; requests are answered as soon as this returns.

        Raises:
            ServerError: a model can't be loaded.
            OSError: the address can't be listened at.
            ImportError: an optional package is missing; the message names the extra.
        """
        if self._listener is not None:
            raise RuntimeError("the server is running already")
        from .listener import Listener, listen

        self._process = os.getpid()
        listening = listen(*self._address)
        try:
            self._core = InferenceServer(self._directories, **self._core_options)
            application = HttpApplication(self._core, max_input_size=self._max_input_size)
            listener = Listener(application, listening, self._certificate, self._exit_timeout)
            self._listener = listener
            listener.start()
        except BaseException:
            self.stop()
            listening.close()
            raise
        return self

    def stop(self) -> None:
        """End requests in work, stop listening and finalize the models; harmless when stopped.

        A model that goes on executing though its request was cancelled is waited for, since a
        thread can't be ended. In a forked child this only lets go of the address: the threads
        and the models are the parent's, where the server runs on.
        """
        listener, self._listener = self._listener, None
        core, self._core = self._core, None
        if self._process != os.getpid():
            if listener is not None:
                listener.abandon()
            return
        if listener is not None:
            listener.stop()
        if core is not None:
            core.close()

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
        """The port that it listens at."""
        return self._running().port

    @property
    def http_url(self) -> str:
        """Where it is to be reached, such as "http://127.0.0.1:41234"."""
        scheme = "https" if self._certificate[0] else "http"
        return f"{scheme}://{self.http_address}"

    @property
    def http_address(self) -> str:
        """The same without the scheme, as the classic clients want it."""
        host = self._address[0]
        host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)
        return f"[{host}]:{self.http_port}" if ":" in host else f"{host}:{self.http_port}"

    def models(self) -> list[ModelStatus]:
        """What became of each version of each model."""
        self._running()
        assert self._core is not None
        return self._core.status()

    def handle(self, request: Request[T]) -> T:
        """The answer to a request without any transport; ServerError when it is refused."""
        self._running()
        assert self._core is not None
        return self._core.handle(request)

    def _running(self) -> Listener:
        if self._listener is None:
            raise RuntimeError("the server is not running")
        return self._listener
