"""The numbers of HTTP/2's frames and settings, and how frames are made.

Source: RFC 9113, sections 4, 6, 7 and 11.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import NamedTuple

from ..errors import ProtocolError
from .header_block import MAX_BLOCK_SIZE
from .message_stream import WINDOW

FRAME = struct.Struct(">LBL")  # length and type, flags, stream
SETTING = struct.Struct(">HL")

# Types of frames, and their flags. Others are passed over.
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0, 1, 2, 3, 4
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 5, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS, PADDED, HAS_PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
# Settings.
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS = 1, 2, 3
INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = 4, 5, 6
# Error codes.
NO_ERROR, PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR = 0, 1, 3, 5, 6
REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 7, 8, 9, 11

LARGEST_WINDOW = 2**31 - 1
#: What either side's windows hold before any setting or update.
DEFAULT_WINDOW = 65535
#: What every peer takes in a frame.
DEFAULT_FRAME = 16384
#: What a client sends before its first frame.
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_BOTH_SETTINGS = {
    INITIAL_WINDOW_SIZE: WINDOW,
    MAX_FRAME_SIZE: 2**24 - 1,
    MAX_HEADER_LIST_SIZE: MAX_BLOCK_SIZE,
}


def pack_frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a whole frame."""
    return FRAME.pack(len(payload) << 8 | kind, flags, stream) + payload


def pack_window_update(stream: int, increment: int) -> bytes:
    """Return a WINDOW_UPDATE frame; stream 0 is the connection."""
    return pack_frame(WINDOW_UPDATE, 0, stream, increment.to_bytes(4, "big"))


def _opening(own: Mapping[int, int]) -> bytes:
    values = {**own, **_BOTH_SETTINGS}
    settings = b"".join([SETTING.pack(name, value) for name, value in values.items()])
    window = pack_window_update(0, LARGEST_WINDOW - DEFAULT_WINDOW)
    return pack_frame(SETTINGS, 0, 0, settings) + window


#: What a client sends first: preface, settings, and all of the connection's window.
OPENING = PREFACE + _opening({HEADER_TABLE_SIZE: 0, ENABLE_PUSH: 0})


def server_opening(max_streams: int) -> bytes:
    """Return what a server sends first.

    Args:
        max_streams: calls that a client may have in work at a time.
    """
    return _opening({MAX_CONCURRENT_STREAMS: max_streams})


def cut_block(stream: int, block: bytes, largest: int, *, end: bool = False) -> list[bytes]:
    """Return a header block as frames of at most `largest` bytes.

    Args:
        end: that nothing follows on the stream.
    """
    frames = []
    for begin in range(0, len(block), largest):
        after = begin + largest
        flags = END_HEADERS if after >= len(block) else 0
        if not begin and end:
            flags |= END_STREAM
        frames.append(
            pack_frame(CONTINUATION if begin else HEADERS, flags, stream, block[begin:after])
        )
    return frames


class CallFrames(NamedTuple):
    """What calls with the same header block and the same size have in common: their two frames.

    Attributes:
        block: the header block.
        size: of the payload, in bytes.
        fit: whether both frames are of a length that every server takes.
        before, between: what comes before the stream's id in each frame; the payload follows.
    """

    block: bytes
    size: int
    fit: bool
    before: bytes
    between: bytes


def frame_call(block: bytes, size: int) -> CallFrames:
    """Return the frames of calls with a payload of this size."""
    length = len(block)
    if max(length, size) > DEFAULT_FRAME:
        return CallFrames(block, size, False, b"", b"")
    before = FRAME.pack(length << 8 | HEADERS, END_HEADERS, 0)[:-4]
    between = block + FRAME.pack(size << 8 | DATA, END_STREAM, 0)[:-4]
    return CallFrames(block, size, True, before, between)


def check_beginning(begin: bytes) -> None:
    """Raise ProtocolError if what a server sends first can't be its settings.

    Args:
        begin: its first bytes, as many as have come; the error quotes them.
    """
    if begin.startswith(b"HTTP/"):
        raise ProtocolError("the server answers with HTTP/1; is this its port for HTTP?")
    if begin.startswith(b"\x15\x03"):  # an alert
        raise ProtocolError("the server answers with TLS; expected a URL with grpcs://")
    if len(begin) > 3 and begin[3] != SETTINGS and begin != b"HTTP":
        what = f"it begins with {begin!r}; is this a port for gRPC?"
        raise ProtocolError(f"the answer is not HTTP/2: {what}")
