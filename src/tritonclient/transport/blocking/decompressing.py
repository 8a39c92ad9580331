"""Decompression of responses within the deadline of their call."""

from __future__ import annotations

from time import monotonic

from ...engine.coding import Compressed
from ..deadline import DECOMPRESSING, late


def decompress(compressed: Compressed, deadline: float) -> None:
    """Decompress a body in steps, and check the deadline between them.

    Raises:
        DeadlineExceeded: it takes too long.
        ProtocolError: it can't be decompressed, or is too large then.
    """
    while not compressed.step():
        if monotonic() >= deadline:
            raise late(DECOMPRESSING)
