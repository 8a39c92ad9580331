"""Connected sockets whose every wait has a deadline; asyncio has its own.

They do three things that blocking sockets with a timeout can't: keep one deadline for all
operations of a call, receive while something large is still being sent, and use few system calls,
which are most of the cost of a small call.
"""

from __future__ import annotations

import contextlib
import math
import socket
import struct
from collections.abc import Callable
from time import monotonic

from ...datatypes import Buffer
from ...errors import DeadlineExceeded
from ..deadline import late, silent
from ..polling import IN, Poll, poller, readable_check, unacknowledged_bytes

#: sendmsg takes no more buffers than IOV_MAX, which is 1024 on Linux and macOS.
_MAX_BUFFERS = 512
#: Microseconds that a receive waits in the kernel, which is shorter than the pauses of what sends
#: signals, of profilers for instance; and seconds after which it has ended, with slow kernel ticks.
_KERNEL_WAIT = 4000
_LATEST = 0.02


class Stream:
    """A non-blocking socket that is waited for with poll(); works on every platform.

    Attributes:
        has_input: true if the peer has closed the connection, or sent something.
        silence: the longest wait for the peer, in seconds, whatever the deadline.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.silence = math.inf
        self._poll: Poll = poller(sock)
        self.has_input: Callable[[], object] = readable_check(sock)

    def send_some(self, buffers: list[Buffer]) -> int:
        """Send what can be sent now; BlockingIOError when that is nothing."""
        return self.sock.send(buffers[0])

    def receive_now(self, buffer: memoryview) -> int:
        """Receive what is there, 0 at the end; BlockingIOError when nothing is."""
        return self.sock.recv_into(buffer)

    def receive(self, buffer: memoryview, deadline: float, whole: bool = False) -> int:
        """Receive at least a byte, or 0 at the end.

        Args:
            whole: that the peer will fill the buffer, so that it may be waited for.

        Raises:
            DeadlineExceeded: nothing came in time.
        """
        while True:
            try:
                return self.receive_now(buffer)
            except BlockingIOError:
                self.wait(IN, deadline)

    def wait(self, events: int, deadline: float) -> int:
        """Wait for events of `polling`, and return those that are ready."""
        return self._wait(events, deadline)

    def _wait(self, events: int, deadline: float) -> int:
        try:
            return wait(self._poll, events, min(deadline, monotonic() + self.silence))
        except DeadlineExceeded:
            raise self._too_late(deadline) from None

    def _too_late(self, deadline: float) -> DeadlineExceeded:
        if monotonic() < deadline:
            return silent(self.silence)
        return late()

    def unacknowledged_bytes(self) -> int | None:
        """Return how many sent bytes the peer's kernel has not acknowledged; None if unknown."""
        return None

    def close(self) -> None:
        self.sock.close()

    def shut_down(self) -> None:
        """End the connection, also under a thread that waits for it."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)


class PlainStream(Stream):
    """A socket without TLS on a POSIX system: receiving waits in the kernel.

    The socket is a blocking one with a short receive timeout, so that a call usually costs one
    system call to send and one to receive. Everything else asks not to wait by a flag. What comes
    later is waited for with poll(): a receive that a signal interrupts begins its whole timeout
    again, so that one for the whole deadline would never end in a program with a periodic signal.
    """

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        sock.setblocking(True)
        value = struct.pack("@ll", 0, _KERNEL_WAIT)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)

    def send_some(self, buffers: list[Buffer]) -> int:
        if len(buffers) == 1:
            return self.sock.send(buffers[0], socket.MSG_DONTWAIT)
        return self.sock.sendmsg(buffers[:_MAX_BUFFERS], (), socket.MSG_DONTWAIT)

    def receive_now(self, buffer: memoryview) -> int:
        return self.sock.recv_into(buffer, 0, socket.MSG_DONTWAIT)

    def unacknowledged_bytes(self) -> int | None:
        return unacknowledged_bytes(self.sock)

    def receive(self, buffer: memoryview, deadline: float, whole: bool = False) -> int:
        now = monotonic()
        left = deadline - now
        if left > self.silence:
            left = self.silence
        if left > _LATEST:
            try:
                # A large body comes in hundreds of pieces; the kernel puts them together cheaper.
                return self.sock.recv_into(buffer, 0, socket.MSG_WAITALL if whole else 0)
            except BlockingIOError:
                pass
        return self._receive_by(buffer, now + left, deadline)

    def _receive_by(self, buffer: memoryview, until: float, deadline: float) -> int:
        try:
            while True:
                wait(self._poll, IN, until)
                with contextlib.suppress(BlockingIOError):
                    return self.receive_now(buffer)
        except DeadlineExceeded:
            raise self._too_late(deadline) from None


def wait(poll: Poll, events: int, deadline: float) -> int:
    """Wait until one of the events is ready.

    Raises:
        DeadlineExceeded: none was in time.
    """
    while True:
        left = deadline - monotonic()
        if left <= 0:
            raise late()
        # Rounded up, so as not to spin through the last millisecond.
        if ready := poll(events, math.ceil(min(left, 86400) * 1000)):
            return ready


def drop_first(buffers: list[Buffer], count: int) -> list[Buffer]:
    """Return buffers without their first `count` bytes."""
    for index, buffer in enumerate(buffers):
        if count < len(buffer):
            return [memoryview(buffer)[count:], *buffers[index + 1 :]]
        count -= len(buffer)
    return []
