"""Channels between the server and a model's process."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest

from tritonclient.server.backends.python.process.channel import Channel


class Pair:
    """A channel of the server and one of a model's process."""

    def __init__(self) -> None:
        self.sockets = socket.socketpair()
        self.server = Channel(self.sockets[0], waits=False)
        self.model = Channel(self.sockets[1], waits=True)


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    pair.server.close()
    pair.model.close()


def head(text: int, body: int, place: int, new: int = 0) -> bytes:
    """Return the beginning of a message; its arguments as `Channel` sends them."""
    return struct.pack("<IQBB", text, body, place, new)
