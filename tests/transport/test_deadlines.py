"""Deadlines are kept to within milliseconds by blocking calls, whatever the kernel's timers do."""

from __future__ import annotations

import math
import socket
import struct
import sys
import time

import pytest

from tritonclient.errors import DeadlineExceeded
from tritonclient.transport.blocking import sockets

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the layout of SO_RCVTIMEO is that of Linux"
)
TIMEOUTS = (0.05, 1.0, 17.0, 130.0)


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield sockets.PlainStream(ours), theirs


@pytest.mark.parametrize("timeout", TIMEOUTS)
def test_the_kernels_timer_is_never_late(pair, timeout):
    """It is set to so little that it has rung by the deadline, an eighth late as it may be."""
    stream, _ = pair
    stream._set_patience(timeout)
    value = stream.sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16)
    seconds, microseconds = struct.unpack("@ll", value)
    armed = seconds + microseconds / 1e6
    assert 0 < armed * 9 / 8 < timeout + 0.01


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


def test_no_deadline_is_no_timer(pair):
    stream, theirs = pair
    theirs.sendall(b"here")
    assert stream.receive(memoryview(bytearray(10)), math.inf) == 4
    value = stream.sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16)
    assert not any(value)
