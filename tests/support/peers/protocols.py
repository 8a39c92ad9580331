"""One test body for both protocols: what a hostile server's scripts are made of in each.

@both_protocols
def test_it(protocol):
    with protocol.serve([protocol.read, reset], [protocol.answer_all]) as server:
        ...
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from tests.data import recordings
from tests.data.recordings import rpc as rpc_recordings
from tests.support.peers import echo
from tests.support.peers.fault_proxy import Proxy
from tests.support.peers.grpc_peers import (
    GrpcProxy,
    GrpcServer,
    Session,
    answer,
    answer_calls,
    greet,
    greet_with,
    quick,
    read_call,
    session,
)
from tests.support.peers.h2peer import ACK, HELLO, SETTINGS, frame
from tests.support.peers.h2peer import answer as answer_frames
from tests.support.peers.hostile_peers import (
    PATIENCE,
    Action,
    Peer,
    Server,
    answer_all,
    drain,
    http,
    read_head,
    read_request,
    send,
    signal_to,
    wait_for,
)

# What a real Triton answered to the same inference over both protocols.
_EXCHANGE = next(e for e in recordings.load("infer") if e.name == "binary to binary")
_CALL = next(call for call in rpc_recordings.load("infer") if call.name == "raw")

INPUTS = {
    "INPUT0": np.arange(16, dtype=np.int32)[None],
    "INPUT1": np.ones((1, 16), np.int32),
}


def infer_simple(client: Any, **options: Any) -> Any:
    """Ask what a real Triton was asked."""
    return client.infer("simple", INPUTS, id="7", **options)


def check_simple(result: Any) -> None:
    assert (result["OUTPUT0"] == INPUTS["INPUT0"] + INPUTS["INPUT1"]).all()


@dataclass(frozen=True, eq=False)
class Protocol:
    """A protocol, as the tests need it.

    Attributes:
        name: as URLs begin.
        at_once: how many calls a connection carries at once on asyncio, if the server sets no
            limit.
        read: reads a request.
        read_some: reads no more than the beginning of a large one.
        answer: answers what was read, as the model "echo" would.
        answer_all: answers request after request in that way.
        refuse: answers what was read: "no such thing: ä".
        not_found: the status of the error that this makes.
        quick: a whole script, which answers everything with the numbers 0 to 2 as fast as can be.
        wire: all that a server sends on a connection with one call of `infer_simple`.
        seams: how much of that may come before six kinds of silence.
        replay: a whole script, which answers every request in that way.
        server: `adversity.Server`, or what stands for it.
        proxy: `adversity.Proxy`, or what stands for it.
    """

    name: str
    at_once: int
    read: Action
    read_some: Action
    answer: Action
    answer_all: Action
    refuse: Action
    not_found: str
    quick: Action
    wire: bytes
    seams: Sequence[int]
    replay: Action
    server: Callable[..., Server]
    proxy: Callable[..., Proxy]
    _greet: Callable[[int | None], list[Action]]

    def serve(
        self, *scripts: Sequence[Action], at_once: int | None = None, **options: Any
    ) -> Server:
        """A server that plays scripts, each after what a connection begins with.

        Args:
            at_once: how many calls it allows at once on a connection.
            options: as for `adversity.Server`.
        """
        greeting = self._greet(at_once)
        return self.server(*[[*greeting, *script] for script in scripts], **options)

    @contextmanager
    def hung_up(self, runtime: Any, *ends: Action) -> Iterator[tuple[Any, Server]]:
        """A client that had an answer and whose idle connection the server has ended by `ends`,
        and the server, which answers everything on further connections.
        """
        go, done = threading.Event(), threading.Event()
        script = [self.read, self.answer, wait_for(go), drain, *ends, signal_to(done)]
        with self.serve(script, [self.answer_all]) as server, runtime(server.url) as client:
            echo.check(echo.infer(client))
            go.set()
            assert done.wait(PATIENCE)
            yield client, server

    def url(self, port: int) -> str:
        return f"{self.name}://127.0.0.1:{port}"


def _answer_http(peer: Peer) -> None:
    _, head, body = next(each for each in reversed(peer.server.requests) if each[0] == peer.index)
    peer.sock.sendall(echo.over_http(head, body))


_BODY = _EXCHANGE.response.index(b"\r\n\r\n") + 4
_NUMBERS = b'{"outputs":[{"name":"OUT","datatype":"INT64","shape":[3],"data":[0,1,2]}]}'

HTTP = Protocol(
    name="http",
    at_once=1,
    read=read_request,
    read_some=read_head,
    answer=_answer_http,
    answer_all=answer_all(echo.over_http),
    refuse=send(http('{"error":"no such thing: ä"}'.encode(), status="404 Not Found")),
    not_found="404",
    quick=answer_all(http(_NUMBERS)),
    wire=_EXCHANGE.response,
    seams=[0, 1, 30, _BODY, _BODY + 235, len(_EXCHANGE.response) - 1],
    replay=answer_all(_EXCHANGE.response),
    server=Server,
    proxy=Proxy,
    _greet=lambda at_once: [],
)


def _read_some(peer: Peer) -> None:
    for _ in range(5):
        session(peer).receive()


_BEGIN = HELLO + frame(SETTINGS, ACK)


def _replay(peer: Peer) -> None:
    here = Session(peer)
    begin = _BEGIN
    while received := peer.sock.recv(1 << 16):
        here.http2.receive(received)
        for stream_id, call in here.waiting():
            call.answered = True
            peer.sock.sendall(begin + answer_frames(_CALL.responses[0], stream_id))
            begin = b""
    peer.gone.set()


_WIRE = _BEGIN + answer_frames(_CALL.responses[0])

GRPC = Protocol(
    name="grpc",
    at_once=100,
    read=read_call,
    read_some=_read_some,
    answer=answer(),
    answer_all=answer_calls(),
    refuse=answer((5, "no such thing: %C3%A4")),
    not_found="StatusCode.NOT_FOUND",
    quick=quick,
    wire=_WIRE,
    seams=[0, 1, len(HELLO), len(_BEGIN), 80, len(_WIRE) - 1],
    replay=_replay,
    server=GrpcServer,
    proxy=GrpcProxy,
    _greet=lambda at_once: [greet if at_once is None else greet_with({3: at_once})],
)

both_protocols = pytest.mark.parametrize("protocol", [HTTP, GRPC], ids=lambda each: each.name)
