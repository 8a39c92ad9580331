"""`JoinedWrites`: a transport that sends together what is written in one turn of the event loop."""

from __future__ import annotations

import asyncio
from typing import Any

from ....datatypes import Buffer

#: Writes above this size in bytes are not joined, because a copy costs more than a system call.
_LARGE = 1 << 16


class JoinedWrites:
    """A transport in front of another one.

    The head of a response and its body would wake the client twice, which costs more than all the
    rest of a small response.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._waiting: list[Buffer] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: Buffer) -> None:
        """Write data at the end of this turn; large data at once."""
        if len(data) > _LARGE:
            self._flush()
            self._transport.write(data)
            return
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(data)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._transport.write(waiting[0] if len(waiting) == 1 else b"".join(waiting))

    def close(self) -> None:
        """Close the transport after what was written is sent."""
        self._flush()
        self._transport.close()
