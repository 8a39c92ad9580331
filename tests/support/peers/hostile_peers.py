"""Hostile peers for the tests: servers that play scripts, and clients to meet them.

Everything runs in threads of this process on a free port of 127.0.0.1, is a context manager, and
is over when the block is: sockets closed, threads joined.

    with Server([read_request, send(ANSWER), reset]) as server, Blocking(server.url) as client:
        ...

`Blocking` and `AsyncRunner` make one test body run on both clients; see `both_runtimes`.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import re
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from tritonclient import AsyncClient, Client

#: Far beyond what anything here takes; what is slower hangs.
PATIENCE = 20.0

Action = Callable[["Peer"], object]


class Peer:
    """The server's end of one connection.

    Attributes:
        index: how many connections were accepted before this one.
        gone: set when the client's end of the connection was seen.
    """

    def __init__(self, server: Server, sock: socket.socket, index: int) -> None:
        self.server = server
        self.sock = sock
        self.index = index
        self.gone = threading.Event()
        self._pending = b""
        self._body_size = 0

    def read_head(self) -> bytes | None:
        """Request line and headers, or None when the client has closed the connection."""
        while b"\r\n\r\n" not in self._pending:
            data = self.receive()
            if not data:
                return None
            self._pending += data
        head, _, self._pending = self._pending.partition(b"\r\n\r\n")
        match = re.search(rb"(?i)\r\ncontent-length: *([0-9]+)", head)
        self._body_size = int(match[1]) if match else 0
        return head

    def read_body(self) -> bytes | None:
        """The body that follows the head which was read last."""
        received = bytearray(self._pending)
        while len(received) < self._body_size:
            data = self.receive()
            if not data:
                return None
            received += data
        self._pending = bytes(received[self._body_size :])
        return bytes(received[: self._body_size])

    def read_request(self) -> tuple[bytes, bytes] | None:
        """Head and body of the next request, or None when there is none any more."""
        head = self.read_head()
        if head is None:
            return None
        body = self.read_body()
        if body is None:
            return None
        self.server.requests.append((self.index, head, body))
        return head, body

    def receive(self) -> bytes:
        """Return the next bytes; none if the client has closed the connection."""
        data = self.sock.recv(1 << 20)
        if not data:
            self.gone.set()
        return data

    def wait_until_gone(self) -> None:
        """Read, and throw away, until the client closes the connection."""
        with contextlib.suppress(OSError):
            while self.sock.recv(1 << 20):
                pass
        self.gone.set()


# Actions: what a script is made of


def read_request(peer: Peer) -> None:
    """Read a whole request; the script ends here when there is none."""
    if peer.read_request() is None:
        raise EOFError


def read_head(peer: Peer) -> None:
    """Read a request's head and leave its body alone."""
    if peer.read_head() is None:
        raise EOFError


def read_body(peer: Peer) -> None:
    """Read what follows a head that was read by `read_head`."""
    if peer.read_body() is None:
        raise EOFError


def send(data: bytes) -> Action:
    return lambda peer: peer.sock.sendall(data)


def send_split(data: bytes) -> Action:
    """Send byte by byte, each in a segment of its own."""

    def action(peer: Peer) -> None:
        for index in range(len(data)):
            peer.sock.sendall(data[index : index + 1])

    return action


def stall(peer: Peer) -> None:
    """Do nothing until the client gives up or the server ends."""
    peer.wait_until_gone()


def ignore(peer: Peer) -> None:
    """Do not even read, until the server ends."""
    peer.server.ending.wait(PATIENCE)


def reset(peer: Peer) -> None:
    """Close so that the client gets a reset, not an end of stream."""
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.sock.close()


def drain(peer: Peer) -> None:
    """Read all that has come, since to close with something unread is a reset."""
    while select.select([peer.sock], [], [], 0)[0] and peer.sock.recv(1 << 16):
        pass


def close(peer: Peer) -> None:
    peer.sock.close()


def signal_to(event: threading.Event) -> Action:
    return lambda peer: event.set()


def wait_for(event: threading.Event) -> Action:
    return lambda peer: event.wait(PATIENCE)


def answer_all(answer: bytes | Callable[[bytes, bytes], bytes]) -> Action:
    """Answer request after request, always the same or what a function of it returns."""

    def action(peer: Peer) -> None:
        while (request := peer.read_request()) is not None:
            peer.sock.sendall(answer if isinstance(answer, bytes) else answer(*request))

    return action


class Server:
    """Plays one script per connection, the last one for all further connections.

    Attributes:
        requests: (connection's index, head, body) of every request that was read whole.
        asked_on: the index of the connection that each of them came on.
        peers: all connections so far.
        ending: set when the test is through.
    """

    def __init__(
        self,
        *scripts: Sequence[Action],
        tls: ssl.SSLContext | None = None,
        family: int = socket.AF_INET,
        address: Any = ("127.0.0.1", 0),
    ) -> None:
        self.requests: list[tuple[int, Any, bytes]] = []
        self.peers: list[Peer] = []
        self.ending = threading.Event()
        self._scripts = scripts
        self._tls = tls
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._faults: list[BaseException] = []
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        if family != getattr(socket, "AF_UNIX", None):
            # An address of ours may be taken again at once.
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(address)
        self._listener.listen(128)
        self.address = self._listener.getsockname()

    @property
    def port(self) -> int:
        return int(self.address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        return len(self.peers)

    @property
    def asked_on(self) -> list[int]:
        return [index for index, _, _ in self.requests]

    def wait_for_connections(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.peers) >= count, PATIENCE)

    def __enter__(self) -> Server:
        self._spawn(self._accept)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.ending.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join(PATIENCE)
        for peer in self.peers:
            with contextlib.suppress(OSError):
                peer.sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        if self._faults and exc_info[0] is None:
            raise self._faults[0]

    def _spawn(self, target: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                if self._listener.family != getattr(socket, "AF_UNIX", None):
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._welcome(sock)

    def _welcome(self, sock: socket.socket) -> None:
        with self._changed:
            peer = Peer(self, sock, len(self.peers))
            self.peers.append(peer)
            self._changed.notify_all()
        self._spawn(self._play, peer)

    def _play(self, peer: Peer) -> None:
        try:
            if self._tls is not None:
                peer.sock = self._tls.wrap_socket(peer.sock, server_side=True)
            for action in self._scripts[min(peer.index, len(self._scripts) - 1)]:
                action(peer)
        except ConnectionError:  # a reset, for instance
            peer.gone.set()
        except (OSError, EOFError):
            pass
        except BaseException as fault:
            self._faults.append(fault)
        finally:
            peer.sock.close()


# Both clients behind one face


class Blocking:
    """A `Client`."""

    kind = "blocking"
    make: Callable[..., Any] = Client

    def __init__(self, url: str, **options: Any) -> None:
        self.client = self.make(url, **{"timeout": PATIENCE / 2, **options})

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.client.close()

    def settle(self) -> None:
        """Wait until the client has sent everything."""


class AsyncRunner(Blocking):
    """An `AsyncClient`, each of whose methods runs an event loop until it is through."""

    kind = "asyncio"
    make: Callable[..., Any] = AsyncClient

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self.loop = asyncio.new_event_loop()

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self.client, name)

        def call(*arguments: Any, **keywords: Any) -> Any:
            result = attribute(*arguments, **keywords)
            return self.loop.run_until_complete(result) if inspect.isawaitable(result) else result

        return call if callable(attribute) else attribute

    def settle(self) -> None:
        async def come_round() -> None:
            for _ in range(3):
                await asyncio.sleep(0)

        self.loop.run_until_complete(come_round())

    def __exit__(self, *exc_info: object) -> None:
        try:
            self.loop.run_until_complete(self.client.close())
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        finally:
            self.loop.close()


both_runtimes = pytest.mark.parametrize("runtime", [Blocking, AsyncRunner], ids=lambda r: r.kind)


@contextlib.contextmanager
def deadline_guard(seconds: float = PATIENCE) -> Iterator[None]:
    """Fail when the block takes longer than anything that works could."""
    begin = time.monotonic()
    yield
    assert time.monotonic() - begin < seconds


def free_port() -> int:
    """A port of 127.0.0.1 where nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def http(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """An answer with a Content-Length."""
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body
