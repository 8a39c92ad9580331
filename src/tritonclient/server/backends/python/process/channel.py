"""`Channel`: messages with tensors over a Unix socket, between the server and a model's process.

A message is a JSON object and a body of bytes, which holds the tensors. A large body goes through
shared memory instead of the socket.
"""

from __future__ import annotations

import array
import contextlib
import errno
import json
import os
import socket
import struct
import threading
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

from .....datatypes import Buffer
from .....errors import ProtocolError
from . import memory

#: Bodies above this size in bytes go through shared memory.
INLINE = 64 * 1024
#: Bytes of each part of a body; numpy wants its arrays aligned.
ALIGNMENT = 64
#: Received descriptors that may wait for their messages.
_MOST_DESCRIPTORS = 16
#: Limit of a message's JSON text in bytes, against a process that sends anything.
_MAX_TEXT = 1 << 28

#: Sizes of JSON text and body; 0 if the body follows, else 1 + the number of the segment that holds
#: it; and 1 if the segment is new: its descriptor comes with the message.
_HEAD = struct.Struct("<IQBB")
_CHUNK = 1 << 17
_ANCILLARY = (
    socket.CMSG_SPACE(16 * array.array("i").itemsize) if hasattr(socket, "CMSG_SPACE") else 0
)
# As plain numbers: operations of the enumeration cost more than a system call.
_CLOSE_ON_EXEC = int(getattr(socket, "MSG_CMSG_CLOEXEC", 0))
_NO_WAIT = int(getattr(socket, "MSG_DONTWAIT", 0))
_LOST = int(getattr(socket, "MSG_CTRUNC", 0))

# A model may replace functions of `json`.
_encode = json.JSONEncoder(separators=(",", ":")).encode
_decode = json.JSONDecoder().raw_decode


class Body:
    """The bytes of a message that is made."""

    def __init__(self) -> None:
        self.buffers: list[Buffer] = []
        self.size = 0

    def add(self, data: Buffer) -> tuple[int, int]:
        """Add bytes; return their position and size."""
        start = self.size
        padding = -len(data) % ALIGNMENT
        self.buffers.append(data)
        if padding:
            self.buffers.append(bytes(padding))
        self.size += len(data) + padding
        return start, len(data)


class Message(NamedTuple):
    """A received message."""

    values: dict[str, Any]
    body: memoryview

    def part(self, start: int, size: int) -> memoryview:
        """Return bytes of the body; ProtocolError if it has fewer."""
        if not 0 <= start <= start + size <= len(self.body):
            raise ProtocolError(f"a message names bytes {start} to {start + size} of its body")
        return self.body[start : start + size]


class _Unsent(NamedTuple):
    """A message, or the rest of one; `fd` is -1 or the descriptor of its body."""

    buffers: list[memoryview]
    fd: int


class Channel:
    """One end of the socket. Any thread may send; one thread at a time may receive.

    Args:
        sock: the socket, which `close` closes.
        waits: True if `send` waits while the other end does not receive. Otherwise a thread sends
            what does not fit into the socket.
    """

    def __init__(self, sock: socket.socket, *, waits: bool) -> None:
        self._socket = sock
        self._flags = 0 if waits else _NO_WAIT
        self._sending = threading.Lock()
        self._held: list[bytes] = []
        self._unsent: deque[_Unsent] = deque()
        self._received = bytearray()
        self._descriptors: deque[int] = deque()
        self._outgoing = memory.Outgoing()
        self._incoming = memory.Incoming()

    # Sending

    def send(
        self, values: Mapping[str, Any], body: Body | None = None, *, hold: bool = False
    ) -> None:
        """Send a message.

        Args:
            hold: True to keep a small message until `flush`, or until one is sent at once.

        Raises:
            OSError: the other end is closed.
        """
        text = _encode(values).encode()
        buffers: list[Buffer] = [text]
        size = body.size if body is not None else 0
        place, fd = 0, -1
        if body is not None:
            if memory.AVAILABLE and size > INLINE:
                if self._socket.fileno() < 0:
                    # In a process that the model forked, which has the same memory.
                    raise OSError(errno.EBADF, os.strerror(errno.EBADF))
                number, fd = self._outgoing.write(body.buffers, size)
                place = 1 + number
            else:
                buffers += body.buffers
        head = _HEAD.pack(len(text), size, place, fd >= 0)
        if size <= INLINE or place:
            # One buffer of a small message costs less than several.
            whole = b"".join((head, *buffers))
            if hold and fd < 0:
                with self._sending:
                    self._held.append(whole)
            else:
                self._put(_Unsent([memoryview(whole)], fd))
        else:
            views = [memoryview(each).cast("B") for each in (head, *buffers) if len(each)]
            self._put(_Unsent(views, fd))

    def flush(self) -> None:
        """Send what is held; if that is impossible, whoever receives notices it."""
        try:
            self._put(_Unsent([], -1))
        except OSError:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _put(self, message: _Unsent) -> None:
        with self._sending:
            if self._held:
                held, self._held = self._held, []
                message = _Unsent([memoryview(b"".join(held)), *message.buffers], message.fd)
            first = not self._unsent
            rest = self._write(message, self._flags) if first else message
            if rest is None:
                return
            # Their owner may change the arrays as soon as this returns.
            copies = [memoryview(bytes(each)) for each in rest.buffers]
            self._unsent.append(_Unsent(copies, rest.fd))
            if first:
                threading.Thread(target=self._write_unsent, daemon=True).start()

    def _write(self, message: _Unsent, flags: int) -> _Unsent | None:
        """Write a message; return what does not fit into the socket, None if all does."""
        buffers, fd = message
        try:
            while buffers:
                if fd >= 0:
                    descriptor = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))
                    written = self._socket.sendmsg(buffers[:512], [descriptor], flags)
                    os.close(fd)
                    fd = -1
                else:
                    written = self._socket.sendmsg(buffers[:512], [], flags)
                if len(buffers) == 1 and written == len(buffers[0]):
                    return None
                buffers = _remaining(buffers, written)
        except BlockingIOError:
            return _Unsent(buffers, fd)
        except BaseException:
            if fd >= 0:
                os.close(fd)
            raise
        return None

    def _write_unsent(self) -> None:
        while True:
            with self._sending:
                if not self._unsent:
                    return
                message = self._unsent[0]
            try:
                self._write(message, 0)
            except OSError:
                self._forget_unsent()
                return
            with self._sending:
                self._unsent.popleft()

    def _forget_unsent(self) -> None:
        with self._sending:
            for _, fd in list(self._unsent)[1:]:
                if fd >= 0:
                    os.close(fd)
            self._unsent.clear()

    # Receiving

    def receive(self) -> Message | None:
        """Return the next message; None if the other end is closed.

        Raises:
            ProtocolError: what was received is no message.
        """
        while not self.has_message():
            if not self._receive_some(0):
                return None
        text_size, size, place, new = self._head()
        start = _HEAD.size + text_size
        end = start if place else start + size
        text = self._received[_HEAD.size : start]
        body = memoryview(self._received[start:end])
        del self._received[:end]
        if new:
            self._add_memory(place - 1)
        try:
            values, _ = _decode(text.decode())
        except (ValueError, RecursionError) as error:
            raise ProtocolError(f"a process sent what is not a message: {error}") from error
        if type(values) is not dict:
            raise ProtocolError("a process sent what is not a message")
        return Message(values, self._incoming.read(place - 1, size) if place else body)

    def fill(self) -> bool:
        """Receive what has arrived, without waiting; return False if the other end is closed."""
        try:
            return self._receive_some(_NO_WAIT)
        except BlockingIOError:
            return True

    def has_message(self) -> bool:
        """Return True if a whole message was received.

        Raises:
            ProtocolError: what was received is no message.
        """
        if len(self._received) < _HEAD.size:
            return False
        text_size, size, place, _ = self._head()
        return len(self._received) >= _HEAD.size + text_size + (0 if place else size)

    def next_is_large(self) -> bool:
        """Return True if it takes long to read the next message, which was received."""
        text_size, size, _, _ = self._head()
        return text_size + size > INLINE

    def _head(self) -> tuple[int, int, int, int]:
        """Return the sizes of text and body of the next message, its place, and 1 if that is new.

        Raises:
            ProtocolError: what was received is no message.
        """
        text_size, size, place, new = _HEAD.unpack_from(self._received)
        inline = not (place or new) and (size <= INLINE or not memory.AVAILABLE)
        shared = memory.AVAILABLE and 0 < place <= memory.KEPT + 1 and new <= 1
        if text_size > _MAX_TEXT or not (inline or shared):
            raise ProtocolError("a process sent what is not a message")
        return text_size, size, place, new

    def _receive_some(self, flags: int) -> bool:
        """Receive what there is, or wait for something; False if the other end is closed."""
        try:
            data, ancillary, flags, _ = self._socket.recvmsg(
                _CHUNK, _ANCILLARY, _CLOSE_ON_EXEC | flags
            )
        except BlockingIOError:
            raise
        except OSError:
            return False
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                numbers = array.array("i")
                numbers.frombytes(content[: len(content) - len(content) % numbers.itemsize])
                self._descriptors.extend(numbers)
        if len(self._descriptors) > _MOST_DESCRIPTORS:
            raise ProtocolError("a process sent descriptors without messages")
        if not data:
            return False
        if flags & _LOST:
            raise ProtocolError("a descriptor was lost; this process may have too many open")
        self._received += data
        return True

    def _add_memory(self, number: int) -> None:
        if not self._descriptors:
            raise ProtocolError("a process sent a message without its memory")
        fd = self._descriptors.popleft()
        try:
            self._incoming.add(number, fd)
        finally:
            os.close(fd)

    def fileno(self) -> int:
        """Return the descriptor of the socket; -1 after `close`."""
        return self._socket.fileno()

    # Ending

    def close(self) -> None:
        """Close this end; a thread that sends or receives returns."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._outgoing.close()
        self._incoming.close()
        while self._descriptors:
            os.close(self._descriptors.popleft())


def _remaining(buffers: list[memoryview], written: int) -> list[memoryview]:
    """Return the buffers without the bytes that were written."""
    index = 0
    while index < len(buffers) and written >= len(buffers[index]):
        written -= len(buffers[index])
        index += 1
    rest = buffers[index:]
    if written:
        rest[0] = rest[0][written:]
    return rest
