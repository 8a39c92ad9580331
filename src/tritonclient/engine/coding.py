"""HTTP content codings: gzip and deflate, both ways.

"deflate" is the zlib container (RFC 9110, section 8.4.1.2); some servers send the bare stream,
which is therefore read as well.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any, NamedTuple

from ..datatypes import Buffer
from ..errors import ProtocolError

CODINGS = ("gzip", "deflate")
#: Largest content of a compressed body unless a caller chooses, in bytes. A body can grow a
#: thousandfold, so that what was received bounds nothing; this takes about half a second.
MAX_CONTENT = 256 << 20
_WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_BARE = -15
#: Content that ends a step, and what is asked of zlib at once, in bytes.
_STEP = 1 << 20
_PIECE = 1 << 18
#: Compressed bytes given to zlib at once: it copies what it is given and leaves over.
_SLICE = 1 << 14
#: Calls of zlib that end a step, whatever came of them.
_ROUNDS = 64


def compress(buffers: Iterable[Buffer], coding: str) -> bytes:
    """The buffers, one after another, compressed.

    Raises:
        ValueError: the coding is neither gzip nor deflate.
    """
    if coding not in CODINGS:
        raise ValueError(f"compression {coding!r} is not one of {', '.join(CODINGS)}")
    # Level 1: over a network worth compressing for, the faster levels win.
    compressor = zlib.compressobj(1, zlib.DEFLATED, _WINDOW_BITS[coding])
    return b"".join([compressor.compress(buffer) for buffer in buffers] + [compressor.flush()])


def decompress(body: Buffer, coding: str, limit: int) -> memoryview:
    """The content of a compressed body, at most `limit` bytes.

    Raises:
        ProtocolError: unknown coding, broken or truncated data, or more than `limit` bytes.
    """
    return Compressed(body, coding, limit).content()


class Waiting(NamedTuple):
    """A compressed body that is not looked into yet, in as little memory as can be."""

    data: memoryview | bytes
    coding: str


class Compressed:
    """A compressed body, decompressed in steps of a few milliseconds.

    Attributes:
        size: bytes before decompression.
        done: whether the content is there, or an error was raised.
        coding: its content coding.
        limit: largest content, in bytes.
        exceeded: whether the error is that the content is larger.
    """

    __slots__ = (
        "_body",
        "_content",
        "_error",
        "_position",
        "_stream",
        "_window_bits",
        "coding",
        "done",
        "exceeded",
        "limit",
        "size",
    )

    def __init__(self, body: Buffer, coding: str, limit: int) -> None:
        self.size = len(body)
        self.done = self.exceeded = False
        self._body = body
        self.coding = coding
        self.limit = limit
        self._window_bits = _WINDOW_BITS.get(coding)
        self._error: ProtocolError | None = None
        self._begin()

    def _begin(self) -> None:
        self._position = 0
        self._content = bytearray()
        self._stream: Any = None  # zlib's, whose type has no public name

    def content(self) -> memoryview:
        """The content; what is left of the steps is done first.

        Raises:
            ProtocolError: see `step`.
        """
        while not self.step():
            pass
        return memoryview(self._content)

    def step(self) -> bool:
        """Decompress some more; whether that was all.

        Raises:
            ProtocolError: unknown coding, broken or truncated data, or too much content.
        """
        if not self.done:
            try:
                self.done = self._step()
            except ProtocolError as error:
                self._fail(error)
            except MemoryError:
                size = len(self._content)
                self._fail(ProtocolError(f"no memory for more than {size} decompressed bytes"))
        if self._error is not None:
            raise self._error
        return self.done

    def _fail(self, error: ProtocolError) -> None:
        self.done, self._error = True, error
        self._content, self._body, self._stream = bytearray(), b"", None

    def _step(self) -> bool:
        if self._window_bits is None:
            raise ProtocolError(f"the answer has an unknown content coding {self.coding!r:.40}")
        try:
            return self._inflate(self._window_bits)
        except zlib.error as error:
            if self._window_bits != _WINDOW_BITS["deflate"]:
                raise ProtocolError(f"the answer is not valid {self.coding}: {error}") from error
            self._window_bits = _BARE
            self._begin()
            return False

    def _inflate(self, window_bits: int) -> bool:
        view = memoryview(self._body)
        enough = len(self._content) + _STEP
        for _ in range(_ROUNDS):
            stream = self._stream
            if stream is None:
                stream = self._stream = zlib.decompressobj(window_bits)
            pending = view[self._position : self._position + _SLICE]
            # One byte more than the limit tells that it is exceeded.
            room = self.limit + 1 - len(self._content)
            piece = stream.decompress(pending, min(_PIECE, room))
            # After the end of a member zlib may repeat in one what it has put into the other.
            left = len(stream.unused_data if stream.eof else stream.unconsumed_tail)
            used = len(pending) - left
            assert used >= 0, "zlib left over more than it was given"
            if not (piece or used or stream.eof):
                raise zlib.error("the data is truncated")
            self._position += used
            self._content += piece
            if len(self._content) > self.limit:
                self.exceeded = True
                raise ProtocolError(
                    f"the decompressed answer exceeds {self.limit} bytes; a larger "
                    "max_response_size lets it pass"
                )
            if stream.eof:
                self._stream = None
                if self._position == len(view):
                    return True
                if window_bits != _WINDOW_BITS["gzip"]:
                    raise zlib.error("data follows the end")
                # gzip allows several members, one after another
            if len(self._content) >= enough:
                return False
        return False
