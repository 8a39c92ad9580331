"""Messages of one gRPC call, as a stream of an HTTP/2 connection; for clients and servers.

Outgoing messages are lists of the caller's buffers, cut into frames as the windows allow. An
incoming one is received into memory of its own length; its memory is the caller's then. What a
reader has not taken yet keeps the stream's window shut, so that a slow reader slows the peer.

Source: gRPC over HTTP/2 (the `PROTOCOL-HTTP2` document), length-prefixed messages.
"""

from __future__ import annotations

import math
import struct
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np

from ..datatypes import Buffer
from ..errors import InferenceServerException, ProtocolError
from .coding import Compressed, Waiting, compress
from .rpc_outcome import Outcome

#: What a peer may send on a stream before its reader has taken any of it.
WINDOW = 4 << 20
PREFIX = struct.Struct(">BL")
PREFIX_SIZE = PREFIX.size
_ALIGNMENT = 16
#: Messages from this size on are placed so that what lies in them is aligned.
_PLACED_SIZE = 64 * 1024
#: What a message that waits to be taken counts for besides its bytes; it may have none.
_MESSAGE_COST = 256
#: Messages up to this size wait behind others as bytes; a view takes hundreds of bytes more, and a
#: window full of small messages hundreds of megabytes.
_SMALL_SIZE = 256

#: Where, in a message of which some first bytes are given, the memory should be aligned.
DataOffset: TypeAlias = Callable[[memoryview], int]


class MessageTooLarge(Exception):
    """A message exceeds the limit; its size and the limit."""


def frame_message(buffers: Sequence[Buffer], coding: str | None = None) -> list[Buffer]:
    """A message with the prefix that tells its length, compressed if a coding is given."""
    if coding is not None:
        buffers = [compress(buffers, coding)]
    return [PREFIX.pack(coding is not None, sum(map(len, buffers))), *buffers]


class Connection(Protocol):
    """What a stream needs of the connection that it is a part of.

    Attributes:
        max_message: largest message accepted, in bytes.
        max_content: largest content of a compressed message, in bytes.
    """

    max_message: int
    max_content: int

    def grant(self, stream_id: int, increment: int) -> None:
        """Allow the peer to send more on a stream."""


class MessageStream:
    """Messages of one call, both ways.

    Attributes:
        messages: received and not taken yet. They are decompressed when they are taken or before,
            by `Compressed.step`, since the flow control windows bound only what comes.
        sent_end: whether the peer is told, or will be with the next bytes, that no more comes.
        trailers: header block that is sent behind the last message, if not empty.
        coming: bytes of the DATA frame under way that are still to be read.
        single: whether one message is all that the peer may send.
        result: the outcome once the call is over, or the error that ended it; None before.
        notify: called with the stream when a message has come, and when the call is over.
        waiter: whatever `notify` needs; nothing here looks at it.
        deadline: by which the call must have ended, by the clock of those who keep it here.
        window: bytes that the peer may still send.
        granted: bytes that the peer allowed for this stream, less those that are sent; what may
            be sent is that and the initial window of its settings, and may be less than nothing.
    """

    #: What errors call the peer, and what it sends.
    _peer = "the server"
    _whole = "the answer"

    # Most of what a call begins with is the same for all.
    out: deque[Buffer] | tuple[()] = ()
    out_size = 0
    out_ends = False
    sent_end = False
    trailers = b""
    coming = 0
    result: Outcome | InferenceServerException | None = None
    notify: Callable[[Any], None] | None = None
    waiter: Any = None
    deadline = math.inf
    granted = 0
    # The message that is being received: its prefix, then its memory.
    _prefix = b""
    _message: memoryview | None = None
    _compressed = False
    _received = 0
    # Flow control: what the peer may still send, and what waits to be taken.
    window = WINDOW
    _queued = 0

    def __init__(
        self,
        id: int,
        connection: Connection,
        data_offset: DataOffset | None,
        single: bool,
    ) -> None:
        self.id = id
        self.messages: deque[Buffer | Waiting | Compressed] = deque()
        self._connection = connection
        self._data_offset = data_offset
        self.single = single

    @property
    def coding(self) -> str:
        """The coding of compressed messages."""
        return "identity"

    # What is sent

    def push(self, buffers: Sequence[Buffer], *, end: bool) -> None:
        """Add to what is to be sent; `end` says that nothing more will come."""
        self.out = self.out or deque[Buffer]()
        self.out += buffers
        self.out_size += sum(map(len, buffers))
        self.out_ends = end

    def cut(self, size: int) -> list[Buffer]:
        """Take the next bytes of what is to be sent."""
        self.out_size -= size
        pieces, out = list[Buffer](), self.out
        if not self.out_size:
            pieces += out
            self.out = ()
        while out and self.out_size:
            buffer = out.popleft()
            if size < len(buffer):
                if size:
                    pieces.append(memoryview(buffer)[:size])
                out.appendleft(memoryview(buffer)[size:])
                break
            pieces.append(buffer)
            size -= len(buffer)
        return pieces

    # What is received

    @property
    def compressed(self) -> Compressed | None:
        """The next message if it is still to be decompressed, otherwise None."""
        first = self.messages[0] if self.messages else None
        if isinstance(first, Waiting):
            first = self.messages[0] = Compressed(*first, self._connection.max_content)
        return first if isinstance(first, Compressed) and not first.done else None

    def take(self) -> Buffer:
        """The next message; the peer may then send more.

        Raises:
            ProtocolError: it can't be decompressed; those behind it are dropped.
        """
        message = self.take_as_it_came()
        if not isinstance(message, Compressed):
            return message
        try:
            return message.content()
        except ProtocolError:
            self.messages.clear()
            raise

    def take_as_it_came(self) -> Buffer | Compressed:
        """The next message, which may have to be decompressed; the peer may then send more."""
        message = self.messages.popleft()
        if isinstance(message, Waiting):
            message = Compressed(*message, self._connection.max_content)
        if self.result is None:
            size = message.size if isinstance(message, Compressed) else len(message)
            self._queued -= size + _MESSAGE_COST
            self._open_window(self.coming)
        return message

    def window_used(self, size: int) -> None:
        """Count what the peer sent against its window."""
        self.window -= size
        if self.window < 0:
            raise ProtocolError(f"{self._peer} sends more than the flow control window allows")

    @property
    def target(self) -> memoryview | None:
        """The memory of which the rest of the current message has to fill, if it has begun."""
        return None if self._message is None else self._message[self._received :]

    def target_filled(self, count: int) -> None:
        """Read bytes that were received into `target`."""
        self.coming -= count
        self._received += count
        self._complete()

    def data_received(self, data: memoryview) -> None:
        """Read bytes of the body.

        Raises:
            MessageTooLarge: a message begins that exceeds the limit.
        """
        self.coming -= len(data)
        while len(data):
            if self._message is None:
                data = self._begin(data)
                continue
            count = min(len(data), len(self._message) - self._received)
            self._message[self._received : self._received + count] = data[:count]
            data = data[count:]
            self._received += count
            self._complete()

    def _begin(self, data: memoryview) -> memoryview:
        """Read the prefix of a message; what is left of the data."""
        if self._prefix or len(data) < 5:
            needed = 5 - len(self._prefix)
            self._prefix += data[:needed]
            data = data[needed:]
            if len(self._prefix) < 5:
                return data
            flag, length = PREFIX.unpack(self._prefix)
            self._prefix = b""
        else:
            flag, length = PREFIX.unpack_from(data)
            data = data[5:]
        if flag > 1:
            raise ProtocolError(f"{self._whole} has a message with the flags {flag}")
        if length > self._connection.max_message:
            raise MessageTooLarge(length, self._connection.max_message)
        self._compressed = flag == 1
        self._message = self._allocate(length, data)
        self._received = 0
        if length > len(data):
            self._open_window(self.coming + len(data))
        elif not length:
            self._complete()
        return data

    def _allocate(self, length: int, data: memoryview) -> memoryview:
        if length < _PLACED_SIZE:
            return memoryview(bytearray(length))
        skip = 0
        if self._data_offset is not None and not self._compressed:
            skip = -self._data_offset(data[:length]) % _ALIGNMENT
        try:
            # Uninitialised, where a bytearray would first be filled with zeros.
            return self._memory(skip + length)[skip:]
        except MemoryError as error:
            raise ProtocolError(f"no memory for a message of {length} bytes") from error

    def _memory(self, size: int) -> memoryview:
        return np.empty(size, np.uint8).data

    def _complete(self) -> None:
        message = self._message
        if message is None or self._received < len(message):
            return
        self._message = None
        if self.single and self.messages:
            raise ProtocolError(f"{self._whole} of a unary call has more than one message")
        self._queued += len(message) + _MESSAGE_COST
        small = bool(self.messages) and len(message) <= _SMALL_SIZE
        kept: memoryview | bytes = bytes(message) if small else message
        if self._compressed:
            self.messages.append(Waiting(kept, self.coding))
        else:
            self.messages.append(kept)
        if self.notify is not None:
            self.notify(self)

    def _open_window(self, unread: int) -> None:
        """Open the window by what a reader has room for, and always for the message it awaits.

        Args:
            unread: what has come, or is about to, and is not part of a message yet.
        """
        message = self._message
        begun = 0 if message is None else PREFIX_SIZE + self._received
        wanted = WINDOW - self._queued - begun
        urgent = 0
        if message is not None and not self.messages:
            urgent = len(message) - self._received
            wanted = max(wanted, urgent)
        increment = wanted - unread - self.window
        if increment >= WINDOW // 2 or urgent > self.window + unread:
            self.window += increment
            self._connection.grant(self.id, increment)

    # The end

    def finish(self, result: Outcome | InferenceServerException) -> None:
        """End the call with its result."""
        if self.result is None:
            self.result = result
            self.out, self.out_size, self._message = (), 0, None
            if self.notify is not None:
                self.notify(self)
