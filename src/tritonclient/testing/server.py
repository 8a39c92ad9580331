"""`FaultServer`: an embedded server that records requests and injects faults."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..client.signatures import explains_arguments
from ..client.suggestions import meant
from ..errors import ConnectionFailed, InferenceServerException, ProtocolError
from ..messages import GetRepositoryIndex, Infer, Request
from ..server.arguments import check_port
from ..server.core import InferenceServer
from ..server.embedded import Server
from ..server.fault_proxy import FaultProxy
from ..server.faults import Fault, FaultyInferenceServer, ReceivedInference
from ..server.repository.given import GivenModel
from .local import LocalAsyncClient, LocalClient

HOST = "127.0.0.1"


@explains_arguments
class FaultServer(Server):
    """A `tritonclient.server.Server` for tests: it fails on request, and says what it was asked.

    Each method that ends in `_next` concerns the next `times` requests of type `request` to
    `model`, None for any model, in the order in which they were asked for. One request meets one
    fault. It listens at 127.0.0.1 only.

    Args:
        options: those of `Server`, except `host`.
    """

    def __init__(
        self,
        model_repository: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
        *,
        models: Mapping[str, GivenModel] | None = None,
        http_port: int | None = 0,
        grpc_port: int | Literal["auto"] | None = "auto",
        **options: Any,
    ) -> None:
        check_port("http_port", http_port)
        check_port("grpc_port", 0 if grpc_port == "auto" else grpc_port)
        if "host" in options:
            raise TypeError("FaultServer takes no host: it listens at 127.0.0.1 only")
        super().__init__(
            model_repository,
            models=models,
            http_port=None if http_port is None else 0,
            grpc_port=grpc_port if grpc_port in (None, "auto") else 0,
            **options,
        )
        self._wanted = {"http": http_port or 0, "grpc": grpc_port if grpc_port != "auto" else 0}
        self._proxies: dict[str, FaultProxy] = {}

    # Lifecycle

    def _new_core(self, directories: list[Path], **options: Any) -> FaultyInferenceServer:
        return FaultyInferenceServer(directories, **options)

    def _start(self, http_port: int | None, grpc_port: int | Literal["auto"] | None) -> None:
        super()._start(http_port, grpc_port)
        for protocol, listener in (("http", self._http), ("grpc", self._grpc)):
            if listener is not None:
                proxy = FaultProxy(HOST, self._wanted[protocol] or 0, (HOST, listener.port))
                self._proxies[protocol] = proxy
                proxy.start()

    def stop(self) -> None:
        """Stop as `Server.stop` does, and close all connections."""
        proxies, self._proxies = self._proxies, {}
        for proxy in proxies.values():
            proxy.stop()
        super().stop()

    @property
    def http_port(self) -> int:
        """The port of HTTP."""
        return self._running(self._proxies.get("http"), "HTTP").port

    @property
    def grpc_port(self) -> int:
        """The port of gRPC."""
        return self._running(self._proxies.get("grpc"), "gRPC").port

    # What came in

    @property
    def inferences(self) -> list[ReceivedInference]:
        """The inference requests that came in, oldest first."""
        return list(self._faulty.inferences)

    @property
    def requests(self) -> list[Request[Any]]:
        """All requests that came in, as `tritonclient.messages` has them, oldest first."""
        return list(self._faulty.requests)

    @property
    def pending_faults(self) -> list[Fault]:
        """The faults that not enough requests have met yet."""
        return self._faulty.pending()

    def clear(self) -> None:
        """Forget faults and recorded requests, between two tests."""
        self._faulty.clear()

    @property
    def _faulty(self) -> FaultyInferenceServer:
        core = self._running(self._core)
        assert isinstance(core, FaultyInferenceServer)
        return core

    # Faults

    def fail_next(
        self,
        model: str | None,
        error: InferenceServerException,
        *,
        times: int = 1,
        request: type[Request[Any]] = Infer,
    ) -> None:
        """Answer with an error, such as `tritonclient.Unavailable("busy")`."""
        if not isinstance(error, InferenceServerException):
            made = error.__name__ if isinstance(error, type) else "Unavailable"
            raise TypeError(
                f"error is {error!r:.80}, expected an error of this package, such as "
                f'tritonclient.{made}("busy")'
            )
        if isinstance(error, (ConnectionFailed, ProtocolError)):
            raise TypeError(
                f"error is {type(error).__name__}, which no server sends: a client raises it for "
                "its connection; drop_next, reset_next, truncate_next and refusing harm that"
            )
        self._add(model, times, request, error=error)

    def delay_next(
        self,
        model: str | None,
        seconds: float,
        *,
        times: int = 1,
        request: type[Request[Any]] = Infer,
    ) -> None:
        """Answer later. A delayed GET request over HTTP delays others as well."""
        if not _is_number(seconds) or seconds < 0:
            raise ValueError(f"seconds is {seconds!r:.80}, expected a number from 0")
        self._add(model, times, request, delay=float(seconds))

    def drop_next(
        self, model: str | None, *, times: int = 1, request: type[Request[Any]] = Infer
    ) -> None:
        """Close the connection without an answer."""
        self._add(model, times, request, harm=self._harm("drop"), executed=False)

    def reset_next(
        self, model: str | None, *, times: int = 1, request: type[Request[Any]] = Infer
    ) -> None:
        """Reset the connection without an answer."""
        self._add(model, times, request, harm=self._harm("reset"), executed=False)

    def truncate_next(
        self,
        model: str | None,
        *,
        size: int = 10,
        times: int = 1,
        request: type[Request[Any]] = Infer,
    ) -> None:
        """Close the connection after `size` bytes of the answer."""
        size = _count("size", size, "a number of bytes from 1")
        self._add(model, times, request, harm=self._harm("truncate", size))

    def drip_next(
        self,
        model: str | None,
        *,
        bytes_per_second: float = 100,
        times: int = 1,
        request: type[Request[Any]] = Infer,
    ) -> None:
        """Send the answer, and all else that follows on its connection, slowly."""
        if not _is_number(bytes_per_second) or bytes_per_second <= 0:
            raise ValueError(
                f"bytes_per_second is {bytes_per_second!r:.80}, expected a number greater than 0"
            )
        self._add(model, times, request, harm=self._harm("drip", float(bytes_per_second)))

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Close all connections and refuse new ones in a `with` block."""
        proxies = list(self._running(self._proxies or None).values())
        for proxy in proxies:
            proxy.refuse()
        try:
            yield
        finally:
            for proxy in proxies:
                proxy.accept()

    def _add(self, model: str | None, times: int, request: type[Request[Any]], **what: Any) -> None:
        times = _count("times", times, "a whole number from 1")
        if model is not None and not isinstance(model, str):
            raise TypeError(
                f"model is {model!r:.80}, expected the name of a model, or None for any"
            )
        if not (isinstance(request, type) and issubclass(request, Request)):
            raise TypeError(
                f"request is {request!r:.80}, expected a type of tritonclient.messages, such as "
                "messages.IsServerReady"
            )
        if request is Infer and model is not None:
            self._check_model(model)
        self._faulty.add(Fault(model, request, times, **what))

    def _check_model(self, model: str) -> None:
        known = {each.name for each in InferenceServer.handle(self._faulty, GetRepositoryIndex())}
        if model not in known:
            raise ValueError(
                f"model {model!r} is not served, so that no request would meet this"
                f"{meant(str(model), known)}; the models are {', '.join(sorted(known))}; "
                "None is for any model"
            )

    def _harm(self, name: str, *arguments: Any) -> Callable[[str], None]:
        def harm(peer: str) -> None:
            # A peer is at one proxy only; the other ones ignore it.
            for proxy in list(self._proxies.values()):
                getattr(proxy, name)(peer, *arguments)

        return harm

    # Without sockets

    def local_client(self, **options: Any) -> LocalClient:
        """Return a `Client` that calls this server without sockets.

        Faults that concern bytes cannot be met by its calls.
        """
        return LocalClient(self.handle, **options)

    def local_async_client(self, **options: Any) -> LocalAsyncClient:
        """Return an `AsyncClient` that calls this server without sockets."""
        return LocalAsyncClient(self.handle, **options)


def _is_number(value: object) -> bool:
    """True for a finite number, also one of numpy."""
    if isinstance(value, (bool, np.bool_)):
        return False
    return isinstance(value, (int, float, np.integer, np.floating)) and math.isfinite(value)


def _count(name: str, value: Any, expected: str) -> int:
    """Return a number from 1, also one of numpy, as an int of Python; ValueError for others."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} is {value!r:.80}, expected {expected}")
    return int(value)
