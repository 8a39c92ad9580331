"""Blocking streams whose socket takes no more: whoever waits sends what is left.

The peers do not read until they are asked to. No thread may wait for the server alone, which waits
for the rest of a message.
"""

from __future__ import annotations

import threading

import numpy as np
import pytest

from tests.support.peers.grpc_peers import GrpcServer, greet_with, session
from tests.support.peers.hostile_peers import PATIENCE, deadline_guard, wait_for
from tests.support.waiting import eventually
from tests.transport.test_refused_streams import serve_streams
from tritonclient import Client
from tritonclient.client.blocking_stream import message_of, response_of

#: Larger than what the kernels keep of a connection.
SIZE = 1 << 21
LARGEST_WINDOW = 2**31 - 1


def open_window(peer):
    """Let the client send as much as it likes on the connection."""
    session(peer).http2.h2.increment_flow_control_window(LARGEST_WINDOW - 65535)
    session(peer).flush()


@pytest.fixture
def go():
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def stream(go):
    """A stream to a peer that opens all windows and reads nothing until `go`."""
    script = [greet_with({4: LARGEST_WINDOW}), open_window, wait_for(go), serve_streams]
    with GrpcServer(script) as server, Client(server.url) as client, deadline_guard():
        with client.open_stream(timeout=PATIENCE) as stream:
            yield stream._grpc_stream


@pytest.fixture
def message():
    return message_of({"model": "echo", "inputs": {"IN": np.full(SIZE, 7, np.int64)}})


class Receiving(threading.Thread):
    """Receives a message on a thread."""

    def __init__(self, stream):
        super().__init__(daemon=True)
        self.stream = stream
        self.received = None
        self.start()

    def run(self):
        self.received = self.stream.receive(PATIENCE)

    def check(self):
        self.join(PATIENCE)
        response = response_of(self.received, "", Ignored())
        assert response.outputs[0].shape == (SIZE,)


class Ignored:
    def received(self, *arguments):
        pass


def test_a_receiver_sends_what_is_left(stream, message, go):
    assert not stream.post(message)  # the window of the beginning takes little
    stream.end()
    receiving = Receiving(stream)
    eventually(lambda: stream._unsent)  # the window is open, and the socket is full
    go.set()
    receiving.check()


def test_end_sends_what_a_receiver_does_not_see(stream, message, go):
    receiving = Receiving(stream)
    eventually(lambda: stream._engine._window > 8 * SIZE and stream._reading)
    assert not stream.post(message)
    assert stream._unsent
    assert not stream._writing
    ending = threading.Thread(target=stream.end, daemon=True)
    ending.start()
    eventually(lambda: stream._writing)
    go.set()
    ending.join(PATIENCE)
    receiving.check()


def test_a_sender_waits_beside_a_receiver(stream, message, go):
    receiving = Receiving(stream)
    eventually(lambda: stream._engine._window > 8 * SIZE and stream._reading)
    sending = threading.Thread(target=stream.send, args=(message,), daemon=True)
    sending.start()
    eventually(lambda: stream._writing)
    assert stream._reading
    go.set()
    sending.join(PATIENCE)
    stream.end()
    receiving.check()
