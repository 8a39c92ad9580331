"""Connecting blocking sockets: all addresses of a host within one deadline, without threads."""

from __future__ import annotations

import math
import os
import selectors
import socket
import sys
from time import monotonic, sleep
from typing import Any

from ...errors import DeadlineExceeded
from .. import name_lookup
from ..deadline import CONNECTING, HANDSHAKE, late, queue_full
from ..endpoint import TLS, Endpoint
from ..errors import unreachable
from ..happy_eyeballs import QUEUE_PAUSE, Address, Race, literal
from .sockets import PlainStream, Stream

#: A list for poll(), which needs no descriptor of its own; Windows has select() only.
_Selector: Any = getattr(selectors, "PollSelector", selectors.SelectSelector)


def connect(endpoint: Endpoint, tls: TLS, context: Any, deadline: float) -> Stream:
    """Return a stream that is connected to an endpoint.

    Args:
        context: the `ssl.SSLContext` of `tls`, or None for no TLS.

    Raises:
        ConnectionFailed: nobody answers there, or the TLS handshake failed.
        DeadlineExceeded: it took too long.
    """
    try:
        sock = connect_any(endpoint, deadline)
    except DeadlineExceeded:  # an OSError as well
        raise
    except (OSError, UnicodeError) as error:
        raise unreachable(error) from error
    if context is not None:
        from .tls import handshake  # ssl takes longer to import than all of this package

        try:
            return handshake(sock, context, tls.server_name or endpoint.server_name, deadline)
        except DeadlineExceeded:
            raise late(HANDSHAKE) from None
    return PlainStream(sock) if sys.platform in ("linux", "darwin") else Stream(sock)


def connect_any(endpoint: Endpoint, deadline: float) -> socket.socket:
    """A socket that is connected to an endpoint; see `happy_eyeballs` for which address.

    Raises:
        DeadlineExceeded: it takes too long.
        OSError: there is no such name, or no address of it can be connected to.
        UnicodeError: no name can be like that.
    """
    if endpoint.socket_path:
        return _connect_unix(endpoint.socket_path, deadline)
    addresses = _addresses(endpoint.host, endpoint.port, deadline)
    race = Race(addresses, monotonic(), deadline)
    with _Selector() as selector:
        try:
            return _first(race, selector, deadline)
        finally:
            for key in list(selector.get_map().values()):
                key.fileobj.close()


def _addresses(host: str, port: int, deadline: float) -> list[Address]:
    address = literal(host, port)
    if address is not None:
        return [address]
    if deadline == math.inf:
        return name_lookup.find(host, port)
    return name_lookup.within(host, port, deadline - monotonic())


def _first(race: Race, selector: Any, deadline: float) -> socket.socket:
    """The first socket that is connected; the others stay in the selector."""
    while True:
        now = monotonic()
        while (address := race.due(now)) is not None:
            try:
                sock, connected = begin(address)
            except OSError as error:
                race.failed(address, error)
                continue
            if connected:
                return sock
            selector.register(sock, selectors.EVENT_WRITE, address)
        if race.lost:
            raise race.error()
        if now >= deadline:
            raise late(f"{CONNECTING}: {race.progress()}")
        left = min(deadline, race.next_time) - now
        # poll() takes its milliseconds as a C int.
        for key, _ in selector.select(None if left == math.inf else min(left, 86400)):
            selector.unregister(key.fileobj)
            code = key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if not code:
                winner: socket.socket = key.fileobj
                return winner
            key.fileobj.close()
            race.failed(key.data, OSError(code, os.strerror(code)))


def begin(address: Address) -> tuple[socket.socket, bool]:
    """A non-blocking socket that begins to connect, and whether it is connected already."""
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            sock.connect(address.sockaddr)
        except BlockingIOError:
            return sock, False
        return sock, True
    except BaseException:
        sock.close()
        raise


def _connect_unix(path: str, deadline: float) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        while True:
            try:
                sock.connect(path)
                return sock
            except BlockingIOError:  # not on its way, as with TCP, but not begun at all
                if monotonic() >= deadline:
                    raise late(queue_full(path)) from None
                sleep(min(QUEUE_PAUSE, max(0.0, deadline - monotonic())))
    except BaseException:
        sock.close()
        raise
