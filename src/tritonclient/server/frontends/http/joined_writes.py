"""`JoinedWrites`: a transport that sends the head of a response and its body together."""

from __future__ import annotations

import asyncio
from typing import Any

from ....datatypes import Buffer

#: Writes above this size in bytes are not joined, because a copy costs more than a system call.
_LARGE = 1 << 16


class JoinedWrites:
    """A transport in front of another one.

    It keeps what is written until the next write, at most for this turn of the event loop. A head
    and a body that are sent one after the other would wake the client twice, which costs more than
    all the rest of a small response.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._kept: Buffer | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: Buffer) -> None:
        """Write data, together with what is kept; keep it if there is nothing."""
        if len(data) > _LARGE:
            self._flush()
            self._transport.write(data)
        elif self._kept is None:
            self._kept = data
            self._loop.call_soon(self._flush)
        else:
            kept, self._kept = self._kept, None
            self._transport.write(b"".join((kept, data)))

    def _flush(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            self._transport.write(kept)

    def close(self) -> None:
        """Close the transport after what was written is sent."""
        self._flush()
        self._transport.close()
