"""Deadlines are kept to within milliseconds by blocking calls, whatever the kernel's timers do."""

from __future__ import annotations

import math
import signal
import socket
import struct
import sys
import time
from unittest import mock

import pytest

from tests.support.peers.echo import infer
from tests.support.peers.hostile_peers import PATIENCE, stall
from tests.support.peers.protocols import both_protocols
from tests.support.waiting import deadlines
from tritonclient import Client
from tritonclient.errors import DeadlineExceeded
from tritonclient.transport.blocking import sockets
from tritonclient.transport.deadline import late

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the layout of SO_RCVTIMEO is that of Linux"
)


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield sockets.PlainStream(ours), theirs


def armed(sock):
    """The seconds of a socket's receive timeout."""
    value = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16)
    seconds, microseconds = struct.unpack("@ll", value)
    return seconds + microseconds / 1e6


def test_the_kernels_timer_is_never_late(pair):
    """It is used only where it has rung by the deadline, two ticks of slow kernels late as well."""
    stream, _ = pair
    assert 0 < armed(stream.sock) <= 0.02 / 2  # rounded up to the kernel's ticks
    wait = mock.Mock(side_effect=late())
    stream.sock = mock.Mock()
    with pytest.MonkeyPatch.context() as context:
        context.setattr(sockets, "wait", wait)
        context.setattr(sockets, "monotonic", lambda: 100.0)
        with pytest.raises(DeadlineExceeded):
            stream.receive(memoryview(bytearray(10)), 100.019)
    assert not stream.sock.recv_into.called
    assert wait.call_args.args[2] == pytest.approx(100.019)


@pytest.fixture
def ticks():
    """A signal every 20 ms; the list of those that came. It ends what waits for too long."""
    seen = []

    def tick(*_):
        seen.append(None)
        if len(seen) > PATIENCE / 0.02:
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise AssertionError("the deadline passed unseen")

    before = signal.signal(signal.SIGALRM, tick)
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    yield seen
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("whole", [False, True])
def test_signals_do_not_put_a_deadline_off(pair, ticks, whole):
    """A receive in the kernel that they interrupt begins its whole time again."""
    stream, _ = pair
    for seconds in deadlines(0.3):
        del ticks[:]
        with pytest.raises(DeadlineExceeded):
            stream.receive(memoryview(bytearray(10)), time.monotonic() + seconds, whole)
        if len(ticks) > 2:
            break  # otherwise the machine was so busy that the signals were put together


@both_protocols
def test_a_call_ends_among_signals(protocol, ticks):
    with protocol.serve([protocol.read, stall]) as server, Client(server.url) as client:
        with pytest.raises(DeadlineExceeded):
            infer(client, timeout=0.3)


def test_the_rest_is_waited_for(pair):
    """Neither too early, nor until something comes only when the kernel's timer has rung."""
    stream, theirs = pair
    begin = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        stream.receive(memoryview(bytearray(10)), begin + 0.5)
    assert time.monotonic() >= begin + 0.5

    def comes_now(poll, events, until):
        assert until == pytest.approx(deadline, abs=1e-6)
        theirs.sendall(b"late")
        return wait(poll, events, math.inf)  # on a busy machine it may be later than the deadline

    wait = sockets.wait
    deadline = time.monotonic() + 0.2
    with pytest.MonkeyPatch.context() as context:
        context.setattr(sockets, "wait", comes_now)
        assert stream.receive(memoryview(bytearray(10)), deadline) == 4


def test_silence_is_one_time_as_well(pair):
    stream, _ = pair
    stream.silence = 0.2
    with pytest.raises(DeadlineExceeded, match=r"nothing came or went for 0\.2 s"):
        stream.receive(memoryview(bytearray(10)), math.inf)


def test_no_deadline_is_no_end(pair):
    """What the kernel's timer ends is waited for again."""
    stream, theirs = pair

    def comes_now(poll, events, until):
        assert until == math.inf
        theirs.sendall(b"late")
        return wait(poll, events, until)

    wait = sockets.wait
    theirs.sendall(b"here")
    assert stream.receive(memoryview(bytearray(10)), math.inf) == 4
    with pytest.MonkeyPatch.context() as context:
        context.setattr(sockets, "wait", comes_now)
        assert stream.receive(memoryview(bytearray(10)), math.inf) == 4
