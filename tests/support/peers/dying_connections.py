"""Connections that die without a word, for the tests: a relay with faults, and callers.

The relay stands between a client and a server, and ends TLS where the client speaks it. Armed with
a fault and a stage, it lets the connections of that moment fail at that stage of the next call.
Later connections are sound, except while it is frozen.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

import tritonclient
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
import tritonclient.http.aio
from tests.support.peers.hostile_peers import PATIENCE, Peer, Server, reset
from tests.support.waiting import eventually

FAULTS = ("gone", "frozen", "killed", "half-open", "endless frame")
STAGES = ("sending", "waiting", "receiving")
#: How much of a request or an answer still passes when the fault comes inside of it.
_PASSED = 20
_ENDLESS = 1 << 20


class Relay(Server):
    """Passes on what clients and a server send each other, until it is armed.

    Args:
        listener: family and address of the socket that it listens on.

    Attributes:
        thawed: set unless the relay is frozen.
    """

    def __init__(
        self, upstream: tuple[str, int], tls: ssl.SSLContext | None = None, **listener: Any
    ) -> None:
        super().__init__([self._relay], tls=tls, **listener)
        self._upstream = upstream
        self._fault = self._stage = ""
        self._ill = 0  # connections with a lower index are those of the fault
        self.thawed = threading.Event()
        self.thawed.set()

    def arm(self, fault: str, stage: str) -> None:
        """Make the current connections fail at this stage of their next call."""
        self._fault, self._stage, self._ill = fault, stage, self.connections

    def thaw(self) -> None:
        """End a freeze."""
        self._fault = ""
        self.thawed.set()

    def __exit__(self, *exc_info: object) -> None:
        self.thaw()
        super().__exit__(*exc_info)

    def _relay(self, peer: Peer) -> None:
        with socket.create_connection(self._upstream) as upstream:
            line = _Line(peer.sock, upstream)
            while not self.ending.is_set():
                if not self.thawed.is_set():
                    self.thawed.wait(0.05)
                    continue
                source = line.ready()
                if source is None:
                    continue
                if self._fault and peer.index < self._ill and self._comes(line, source):
                    if not self._harm(peer, line):
                        return
                    continue
                data = line.receive(source)
                if not data:
                    return
                line.send(source, data)

    def _comes(self, line: _Line, source: socket.socket) -> bool:
        """True if the fault happens together with readable data."""
        if self._stage == "sending" and self._fault != "endless frame":
            return source is line.client
        return source is line.server

    def _harm(self, peer: Peer, line: _Line) -> bool:
        """Inject the fault; return True if the connection stays open."""
        fault, inside = self._fault, self._stage != "waiting"
        source = line.client if self._stage == "sending" else line.server
        if fault == "endless frame":
            line.send(line.server, line.endless())
        elif inside and (data := line.receive(source, _PASSED)):
            line.send(source, data)
        if fault == "killed":
            reset(peer)
            return False
        if fault == "frozen":
            self.thawed.clear()
            self.thawed.wait(PATIENCE)
            return True
        while not self.ending.is_set():  # neither side hears of the other again
            ready = line.ready()
            if ready is None or (fault == "half-open" and ready is line.client):
                # A half-open connection is not even read from.
                self.ending.wait(0.01)
            if ready is not None and fault != "half-open" and not line.receive(ready):
                return False
            if ready is line.client and fault == "endless frame":
                line.send(line.server, bytes(100))  # which is not the answer to anything
            if fault == "half-open" and _closed(line.client):
                return False
        return False


def _closed(sock: socket.socket) -> bool:
    poll = select.poll()
    poll.register(sock, select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0))
    return bool(poll.poll(0))


class _Line:
    """The two ends of one connection, and what of HTTP/2 is understood on it."""

    def __init__(self, client: Any, server: socket.socket) -> None:
        self.client, self.server = client, server
        self._sent = b""  # by the client and not understood yet
        self._stream = 0  # that of the client's last request; 0 is HTTP/1

    def ready(self) -> socket.socket | None:
        """An end that can be read from, if one can soon."""
        if isinstance(self.client, ssl.SSLSocket) and self.client.pending():
            return self.client
        ready, _, _ = select.select([self.client, self.server], [], [], 0.05)
        return ready[0] if ready else None

    def receive(self, source: socket.socket, size: int = 1 << 16) -> bytes:
        data = source.recv(size)
        if source is self.client:
            self._understand(data)
        return data

    def send(self, source: socket.socket, data: bytes) -> None:
        """Pass on what came from one of the ends."""
        (self.server if source is self.client else self.client).sendall(data)

    def _understand(self, data: bytes) -> None:
        self._sent += data
        if self._sent.startswith(b"PRI"):
            self._sent = self._sent[24:]
            self._stream = 1
        while self._stream and len(self._sent) >= 9:
            high, low, kind, _, stream = struct.unpack_from(">HBBBL", self._sent)
            if len(self._sent) < 9 + (high << 8 | low):
                return
            if kind == 1:  # HEADERS
                self._stream = stream
            self._sent = self._sent[9 + (high << 8 | low) :]

    def endless(self) -> bytes:
        """The beginning of an answer whose end never comes."""
        if self._stream:
            head = struct.pack(">HBBBL", _ENDLESS >> 8, _ENDLESS & 255, 0, 0, self._stream)
            return _grpc_head(self._stream) + head + bytes([0]) + struct.pack(">L", _ENDLESS - 5)
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % _ENDLESS + bytes(1000)


def _grpc_head(stream: int) -> bytes:
    from tests.support.peers.h2peer import head

    return head(stream)


# Callers


class Caller:
    """Calls of one kind on one client, any number at once.

    Args:
        address: host and port, without a scheme.
        tls: an `ssl.SSLContext` of the client, or None.
        timeout: seconds for each call.
    """

    def __init__(self, protocol: str, address: str, tls: Any, timeout: float) -> None:
        self.protocol, self.address, self.tls, self.timeout = protocol, address, tls, timeout
        self.url = f"{protocol}{'s' if tls else ''}://{address}"
        self.client: Any = None

    def call(self, array: Any, timeout: float) -> Any:
        """Make a call and return its answer."""
        raise NotImplementedError

    def calls(self, count: int, array: Any, timeout: float | None = None) -> list[Any]:
        """Make so many calls at once; the answers, or the errors in their place."""
        with ThreadPoolExecutor(count) as threads:
            futures = [
                threads.submit(self.call, array, timeout or self.timeout) for _ in range(count)
            ]
            return [future.exception(PATIENCE) or future.result() for future in futures]

    def close(self) -> None:
        self.client.close()


class Blocking(Caller):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.client = tritonclient.Client(self.url, **_modern_tls(self.tls))

    def call(self, array: Any, timeout: float) -> Any:
        result = self.client.infer("identity_fp32", {"INPUT0": array}, timeout=timeout)
        return result["OUTPUT0"]


class Submit(Blocking):
    def call(self, array: Any, timeout: float) -> Any:
        future = self.client.submit("identity_fp32", {"INPUT0": array}, timeout=timeout)
        return future.result(PATIENCE)["OUTPUT0"]


class Stream(Blocking):
    """A stream for each call, which is what one that failed has to be followed by."""

    def call(self, array: Any, timeout: float) -> Any:
        inputs = {"INPUT0": array}
        with self.client.stream("identity_fp32", inputs, response_timeout=timeout) as responses:
            return next(responses)["OUTPUT0"]


class AsyncCaller(Caller):
    """Runs an event loop for the time of its calls."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.loop = asyncio.new_event_loop()
        self.client = self.loop.run_until_complete(self._make())

    async def _make(self) -> Any:
        return tritonclient.AsyncClient(self.url, **_modern_tls(self.tls))

    async def acall(self, array: Any, timeout: float) -> Any:
        result = await self.client.infer("identity_fp32", {"INPUT0": array}, timeout=timeout)
        return result["OUTPUT0"]

    def calls(self, count: int, array: Any, timeout: float | None = None) -> list[Any]:
        async def make() -> list[Any]:
            calls = [self.acall(array, timeout or self.timeout) for _ in range(count)]
            return await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), PATIENCE)

        return self.loop.run_until_complete(make())

    def close(self) -> None:
        try:
            self.loop.run_until_complete(self.client.close())
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            assert not asyncio.all_tasks(self.loop)
        finally:
            self.loop.close()


class AsyncStream(AsyncCaller):
    async def acall(self, array: Any, timeout: float) -> Any:
        inputs = {"INPUT0": array}
        stream = self.client.stream("identity_fp32", inputs, response_timeout=timeout)
        async with stream as responses:
            async for response in responses:
                return response["OUTPUT0"]


def _classic(module: Any, array: Any) -> tuple[str, list[Any]]:
    tensor = module.InferInput("INPUT0", list(array.shape), "FP32")
    tensor.set_data_from_numpy(array)
    return "identity_fp32", [tensor]


class Classic(Caller):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        if self.protocol == "grpc":
            options = {} if self.tls is None else {"ssl": True, "root_certificates": self.tls}
            self.client = tritonclient.grpc.InferenceServerClient(self.address, **options)
        else:
            options = (
                {} if self.tls is None else {"ssl": True, "ssl_options": {"ca_certs": self.tls}}
            )
            self.client = tritonclient.http.InferenceServerClient(
                self.address, concurrency=8, network_timeout=self.timeout, **options
            )

    def call(self, array: Any, timeout: float) -> Any:
        if self.protocol == "grpc":
            arguments = _classic(tritonclient.grpc, array)
            result = self.client.infer(*arguments, client_timeout=timeout)
        else:
            result = self.client.infer(*_classic(tritonclient.http, array))
        return result.as_numpy("OUTPUT0")


class AsyncInfer(Classic):
    def call(self, array: Any, timeout: float) -> Any:
        if self.protocol == "http":
            return self._over_http(array)
        done: list[Any] = []
        arguments = _classic(tritonclient.grpc, array)
        self.client.async_infer(
            *arguments, lambda result, error: done.append(error or result), client_timeout=timeout
        )
        eventually(lambda: bool(done), PATIENCE)
        if isinstance(done[0], BaseException):
            raise done[0]
        return done[0].as_numpy("OUTPUT0")

    def _over_http(self, array: Any) -> Any:
        answer = self.client.async_infer(*_classic(tritonclient.http, array))
        return answer.get_result().as_numpy("OUTPUT0")


class ClassicAsyncCaller(AsyncCaller):
    async def _make(self) -> Any:
        if self.protocol == "grpc":
            options = {} if self.tls is None else {"ssl": True, "root_certificates": self.tls}
            return tritonclient.grpc.aio.InferenceServerClient(self.address, **options)
        context = None if self.tls is None else ssl.create_default_context(cafile=self.tls)
        return tritonclient.http.aio.InferenceServerClient(
            self.address, conn_timeout=self.timeout, ssl=context is not None, ssl_context=context
        )

    async def acall(self, array: Any, timeout: float) -> Any:
        if self.protocol == "grpc":
            arguments = _classic(tritonclient.grpc, array)
            result = await self.client.infer(*arguments, client_timeout=timeout)
        else:
            result = await self.client.infer(*_classic(tritonclient.http, array))
        return result.as_numpy("OUTPUT0")


CALLERS: dict[str, type[Caller]] = {
    "blocking": Blocking,
    "aio": AsyncCaller,
    "submit": Submit,
    "streams": Stream,
    "aio streams": AsyncStream,
    "classic sync": Classic,
    "async_infer": AsyncInfer,
    "classic aio": ClassicAsyncCaller,
}


def _modern_tls(ca_file: str | None) -> dict[str, Any]:
    return {} if ca_file is None else {"tls": tritonclient.TLS(ca_file=ca_file)}


@contextlib.contextmanager
def calling(make: Callable[[], Caller]) -> Iterator[Caller]:
    """A caller that is closed afterwards."""
    caller = make()
    try:
        yield caller
    finally:
        caller.close()


#: Arrays for calls that are to fail while sending, and for all others.
LARGE, SMALL = np.zeros(2 << 20, np.float32), np.arange(4, dtype=np.float32)
