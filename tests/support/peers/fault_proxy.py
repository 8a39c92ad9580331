"""A proxy for the tests that harms what passes it, at any byte of an answer."""

from __future__ import annotations

import select
import socket
import struct
import time

from tests.support.peers.hostile_peers import PATIENCE, Peer, Server, reset, stall


class Proxy(Server):
    """Passes on what client and upstream send each other, until an answer's n-th byte.

    Attributes:
        harm: what then happens on connections that begin from now on, and after how many bytes of
            the answer; None for nothing. "truncate", "reset" and "stall" end the answer; "split"
            makes a pause in which the client certainly sees what came before, and then passes on
            the rest.
        recorded: what client and upstream sent, for each connection.
    """

    def __init__(self, upstream: tuple[str, int], harm: tuple[str, int] | None = None) -> None:
        super().__init__([self._relay])
        self._upstream = upstream
        self.harm = harm
        self.recorded: list[tuple[bytearray, bytearray]] = []

    def _relay(self, peer: Peer) -> None:
        sent, received = bytearray(), bytearray()
        self.recorded.append((sent, received))
        harm = self.harm or ("", 1 << 60)
        with socket.create_connection(self._upstream) as upstream:
            upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            passed = 0
            while not self.ending.is_set():
                ready, _, _ = select.select([peer.sock, upstream], [], [], 0.5)
                if peer.sock in ready:
                    data = peer.receive()
                    if not data:
                        return
                    sent += data
                    upstream.sendall(data)
                if upstream in ready:
                    data = upstream.recv(1 << 16)
                    if not data:
                        return
                    received += data
                    if not _pass_on(peer, data, passed, *harm):
                        return
                    passed += len(data)


def _pass_on(peer: Peer, data: bytes, passed: int, harm: str, offset: int) -> bool:
    """Pass on what follows so many bytes of an answer; whether more may follow."""
    if passed + len(data) <= offset:
        peer.sock.sendall(data)
        return True
    peer.sock.sendall(data[: offset - passed])
    if harm == "split":
        _wait_until_read(peer.sock)
        peer.sock.sendall(data[offset - passed :])
        return True
    if harm == "reset":
        reset(peer)
    elif harm == "stall":
        stall(peer)
    return False


def _wait_until_read(sock: socket.socket) -> None:
    """Wait until the other side's kernel has all that was sent, so that segments do not merge."""
    if hasattr(socket, "TCP_INFO"):
        deadline = time.monotonic() + PATIENCE
        while True:
            info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
            if struct.unpack_from("I", info, 24)[0] == 0 or time.monotonic() > deadline:
                return
