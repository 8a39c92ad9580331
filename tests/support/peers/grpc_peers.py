"""Hostile gRPC servers for the tests, in the manner of `adversity`: scripts, and harm on the way.

A script is made of `adversity`'s actions and of those here. `greet` comes first; it makes a peer
on the h2 package, through which the others speak, save `raw`, which says anything.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tests.support.peers.echo import over_grpc
from tests.support.peers.fault_proxy import Proxy
from tests.support.peers.h2peer import (
    ACK,
    DATA,
    END_STREAM,
    HELLO,
    SETTINGS,
    Http2Peer,
    ServedCall,
    frame,
    window_update,
)
from tests.support.peers.h2peer import answer as answer_frames
from tests.support.peers.h2peer import message as framed
from tests.support.peers.hostile_peers import Action, Peer, Server
from tritonclient.codec import rpc_infer
from tritonclient.messages import InferResponse, InferTensor

#: What a call is answered with: a message, or a status and its text.
Reply = bytes | tuple[int, str]
Respond = Callable[[dict[str, str], bytes], Reply]


class GrpcServer(Server):
    """A server whose URL says gRPC.

    Attributes:
        requests: (connection's index, headers, message) of every request that was read whole.
        most_at_once: the largest number of requests of a connection that were unanswered at once.
    """

    def __init__(self, *scripts: Any, **options: Any) -> None:
        super().__init__(*scripts, **options)
        self.most_at_once = 0

    @property
    def url(self) -> str:
        return f"grpc://127.0.0.1:{self.port}"


class GrpcProxy(Proxy):
    """A proxy whose URL says gRPC."""

    @property
    def url(self) -> str:
        return f"grpc://127.0.0.1:{self.port}"


class Session:
    """The server's state of one connection."""

    def __init__(self, peer: Peer, values: dict[int, int] | None = None) -> None:
        self.peer = peer
        self.http2 = Http2Peer(values)
        self.seen: set[int] = set()

    def flush(self) -> None:
        if wire := self.http2.to_send():
            self.peer.sock.sendall(wire)

    def receive(self) -> None:
        """Read once, and answer what HTTP/2 itself has to be answered."""
        data = self.peer.sock.recv(1 << 20)
        if not data:
            self.peer.gone.set()
            raise EOFError
        self.http2.receive(data)
        self.http2.open_windows()
        self.flush()

    def waiting(self) -> Iterator[tuple[int, ServedCall]]:
        """Requests that came whole and were not answered."""
        for stream_id, call in self.http2.calls.items():
            if call.ended and call.reset is None and not call.answered:
                if stream_id not in self.seen:
                    self.seen.add(stream_id)
                    record = (self.peer.index, call.headers, bytes(call.received[5:]))
                    self.server.requests.append(record)
                yield stream_id, call

    @property
    def server(self) -> GrpcServer:
        assert isinstance(self.peer.server, GrpcServer)
        return self.peer.server

    def reply(self, stream_id: int, reply: Reply, *more: tuple[str, str]) -> None:
        if isinstance(reply, bytes):
            self.http2.begin_answer(stream_id, *more)
            self.http2.send(stream_id, framed(reply))
            self.http2.end(stream_id)
        else:
            self.http2.calls[stream_id].answered = True
            code, text = reply
            fields = [("grpc-status", str(code)), ("grpc-message", text)]
            kind = ("content-type", "application/grpc")
            head = [(":status", "200"), kind, *fields, *more]
            self.http2.h2.send_headers(stream_id, head, end_stream=True)


def session(peer: Any) -> Session:
    found = peer.session
    assert isinstance(found, Session)
    return found


# Actions


def greet(peer: Any) -> None:
    """Send settings; what the client sends is understood from now on."""
    peer.session = Session(peer)
    session(peer).flush()


def greet_with(values: dict[int, int]) -> Action:
    """Return an action that greets with these settings, by their numbers."""

    def action(peer: Any) -> None:
        peer.session = Session(peer, values)
        session(peer).flush()

    return action


def read_calls(count: int = 1) -> Action:
    """Read until so many requests are there and not answered; the script ends without them."""

    def action(peer: Peer) -> None:
        while len(list(session(peer).waiting())) < count:
            session(peer).receive()

    return action


read_call = read_calls()


def answer(respond: Respond | Reply = over_grpc, *more: tuple[str, str]) -> Action:
    """Answer all requests that were read."""

    def action(peer: Peer) -> None:
        here = session(peer)
        for stream_id, call in list(here.waiting()):
            given = respond
            if callable(given):
                given = given(call.headers, bytes(call.received[5:]))
            here.reply(stream_id, given, *more)
        here.flush()

    return action


def answer_calls(respond: Respond | Reply = over_grpc, at_once: int = 1) -> Action:
    """Answer request after request, once so many wait for it or no more come for a while."""

    def action(peer: Peer) -> None:
        here = session(peer)
        server = here.server
        while True:
            here.receive()
            count = len(list(here.waiting()))
            server.most_at_once = max(server.most_at_once, count)
            if count >= at_once:
                answer(respond)(peer)

    return action


def refuse(peer: Peer) -> None:
    """Refuse all requests that were read, as never begun."""
    here = session(peer)
    for stream_id, call in list(here.waiting()):
        call.answered = True
        here.http2.h2.reset_stream(stream_id, 7)
    here.flush()


def raw(data: bytes | Callable[[Peer], bytes]) -> Action:
    """Send bytes past h2, which does not learn of them."""
    return lambda peer: peer.sock.sendall(data if isinstance(data, bytes) else data(peer))


def until_gone(peer: Peer) -> None:
    """Keep up HTTP/2, answering pings for instance, until the client closes the connection."""
    while True:
        session(peer).receive()


def serve(tls: ssl.SSLContext | None = None, respond: Respond | Reply = over_grpc) -> GrpcServer:
    """A server that answers everything."""
    return GrpcServer([greet, answer_calls(respond)], tls=tls)


def quick(peer: Peer) -> None:
    """Answer every request with the same array, as fast as can be and without h2."""
    output = InferTensor("OUT", "INT64", (3,), np.arange(3).tobytes())
    message = b"".join(rpc_infer.encode_response(InferResponse("echo", "1", "", {}, (output,))))
    peer.sock.sendall(HELLO + window_update(1 << 30) + frame(SETTINGS, ACK))
    received = peer.sock.recv(1 << 20)[24:]  # behind the preface
    position = 0
    while True:
        answers = []
        while position + 9 <= len(received):
            end = position + 9 + int.from_bytes(received[position : position + 3], "big")
            if end > len(received):
                break
            if received[position + 3] == DATA and received[position + 4] & END_STREAM:
                stream = int.from_bytes(received[position + 5 : position + 9], "big")
                answers.append(answer_frames(message, stream))
            position = end
        peer.sock.sendall(b"".join(answers))
        more = peer.sock.recv(1 << 20)
        if not more:
            peer.gone.set()
            return
        received, position = received[position:] + more, 0
