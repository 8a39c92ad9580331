"""Compression of messages over gRPC."""

from __future__ import annotations

from collections.abc import Sequence

from ....datatypes import Buffer
from ....engine.coding import CODINGS, Compressed, compress
from ....errors import Internal, ProtocolError, ResourceExhausted, Unimplemented
from .options import COMPRESSION_LEVELS


class Coder:
    """Compresses responses.

    Args:
        level: one of `COMPRESSION_LEVELS`.
    """

    def __init__(self, level: str) -> None:
        self._level = COMPRESSION_LEVELS.index(level)

    def compressed(
        self, message: Sequence[Buffer], accepted: Sequence[str]
    ) -> tuple[Sequence[Buffer], str | None]:
        """Return a message as it is sent, and its coding; None if it is not compressed.

        Args:
            accepted: codings that the client can read.
        """
        coding = self.coding(accepted)
        return (message, None) if coding is None else ((compress(message, coding),), coding)

    def coding(self, accepted: Sequence[str]) -> str | None:
        """Return the coding of responses to a client, None for no compression.

        As in the gRPC core, the level chooses between those that the client can read.
        """
        if not self._level:
            return None
        known = [each for each in CODINGS if each in accepted]
        if not known:
            return None
        return known[(0, len(known) // 2, -1)[self._level - 1]]


def decompressed(message: Buffer | Compressed) -> Buffer:
    """Return the content of a message.

    Raises:
        ServerError: it can't be decompressed, or is too large.
    """
    if not isinstance(message, Compressed):
        return message
    if message.coding not in CODINGS:
        text = f"the request has a message with the coding {message.coding!r:.40}, expected one"
        raise Unimplemented(f"{text} of identity, {', '.join(CODINGS)}")
    try:
        return message.content()
    except ProtocolError as error:
        if message.exceeded:
            text = f"Received message larger than max ({message.limit}) when decompressed"
            raise ResourceExhausted(text) from error
        raise Internal(f"the request has a message that is not valid {message.coding}") from error
