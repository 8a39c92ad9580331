"""Connecting sockets on an event loop; see `connecting` for the blocking twin.

The loop's own way to connect is not used: it looks up names on the few threads that it shares with
the program, and tries one address after another.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import ssl
from asyncio import AbstractEventLoop, Task
from collections.abc import Callable
from typing import Any

from .. import name_lookup
from ..deadline import CONNECTING, HANDSHAKE, late, looking_up, queue_full, seconds_left
from ..endpoint import TLS, Endpoint
from ..errors import insecure, unreachable
from ..happy_eyeballs import QUEUE_PAUSE, Address, Race, literal
from ..settings import Settings


class Connector:
    """Opens connections to one endpoint."""

    def __init__(
        self,
        settings: Settings,
        context: ssl.SSLContext | None,
        tls: TLS,
        make: Callable[[AbstractEventLoop], Any],
    ) -> None:
        self.url = settings.endpoint.url
        self._settings = settings
        self._context = context
        self._tls = tls
        self._make = make

    async def __call__(self, deadline: float) -> Any:
        loop = asyncio.get_running_loop()
        attempt = Attempt(self._settings.endpoint, loop, deadline)
        timeout = seconds_left(deadline, loop.time())
        # Not `wait_for`, which before Python 3.12 forgets a cancellation that comes in the moment
        # when there is a connection.
        connecting = loop.create_task(self._connect(attempt, loop))
        try:
            await asyncio.wait([connecting], timeout=timeout)
        except asyncio.CancelledError:
            _give_up(connecting)
            raise
        if not connecting.done():
            progress = attempt.progress
            _give_up(connecting)
            await asyncio.wait([connecting])
            raise late(progress)
        try:
            return connecting.result()
        except (OSError, ValueError) as error:
            # asyncio has no words for a server that hangs up.
            if isinstance(error, ssl.SSLError) or (self._context and not str(error)):
                raise insecure(
                    error if str(error) else "the server closed the connection"
                ) from error
            raise unreachable(error) from error
        finally:
            del connecting  # its error refers to this frame, which would be a circle

    async def _connect(self, attempt: Attempt, loop: AbstractEventLoop) -> Any:
        sock = await attempt.connect()
        name = None
        if self._context:
            name = self._tls.server_name or self._settings.endpoint.server_name
            attempt.phase = HANDSHAKE
        made: list[Any] = []

        def protocol() -> Any:
            made.append(self._make(loop))
            return made[0]

        try:
            await loop.create_connection(
                protocol, sock=sock, ssl=self._context, server_hostname=name
            )
        except BaseException:
            if not made:  # otherwise the socket is the loop's
                sock.close()
            raise
        return made[0]


class Attempt:
    """Connecting to an endpoint, step by step.

    Args:
        deadline: the loop's time for which there is time for all addresses. To end it then is up
            to the caller.

    Attributes:
        phase: what it is at, for the error that tells of a deadline.
    """

    def __init__(self, endpoint: Endpoint, loop: AbstractEventLoop, deadline: float) -> None:
        self._endpoint = endpoint
        self._loop = loop
        self._deadline = deadline
        self._race: Race | None = None
        self.phase = CONNECTING

    @property
    def progress(self) -> str:
        """The current phase, with the state of the attempts."""
        if self._race is None:
            return self.phase
        return f"{self.phase}: {self._race.progress()}"

    async def connect(self) -> socket.socket:
        """A socket that is connected to the endpoint.

        Raises:
            OSError: there is no such name, or no address of it can be connected to.
            UnicodeError: no name can be like that.
        """
        endpoint = self._endpoint
        if endpoint.socket_path:
            return await self._connect_unix(endpoint.socket_path)
        address = literal(endpoint.host, endpoint.port)
        addresses = await self._look_up() if address is None else [address]
        self.phase = CONNECTING
        self._race = Race(addresses, self._loop.time(), self._deadline)
        attempts: dict[Task[socket.socket], Address] = {}
        try:
            sock = await self._first(self._race, attempts)
        finally:
            for losing in attempts:
                losing.add_done_callback(_close_unwanted)
                losing.cancel()
        self._race = None
        return sock

    async def _look_up(self) -> list[Address]:
        host, port = self._endpoint.host, self._endpoint.port
        self.phase = looking_up(host)
        done: asyncio.Future[None] = self._loop.create_future()

        def notify() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(_finish, done)

        lookup = name_lookup.begin(host, port, notify)
        try:
            await done
        finally:
            name_lookup.stop_waiting(lookup, notify)
        return lookup.result()

    async def _first(
        self, race: Race, attempts: dict[Task[socket.socket], Address]
    ) -> socket.socket:
        """The first socket that is connected; the other attempts stay in the dictionary."""
        while True:
            now = self._loop.time()
            while (address := race.due(now)) is not None:
                attempts[self._loop.create_task(self._connect_one(address))] = address
            if race.lost:
                raise race.error()
            left = None if race.next_time == math.inf else max(0.0, race.next_time - now)
            await asyncio.wait(attempts, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            sock = _winner(race, attempts)
            if sock is not None:
                return sock

    async def _connect_one(self, address: Address) -> socket.socket:
        sock = socket.socket(address.family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            # asyncio does so only with sockets that say that they are TCP.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.sock_connect(sock, address.sockaddr)
        except BaseException:
            sock.close()
            raise
        return sock

    async def _connect_unix(self, path: str) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            while True:
                try:
                    sock.connect(path)  # which never waits
                    return sock
                except BlockingIOError:
                    self.phase = queue_full(path)
                    await asyncio.sleep(QUEUE_PAUSE)
        except BaseException:
            sock.close()
            raise


def _winner(race: Race, attempts: dict[Task[socket.socket], Address]) -> socket.socket | None:
    """Take out the attempts that ended, up to one that is connected, whose socket is returned.

    Nothing else may refer to the others: their errors refer to the frames that wait for them.
    """
    for attempt in [each for each in attempts if each.done()]:
        address, error = attempts.pop(attempt), attempt.exception()
        if error is None:
            return attempt.result()
        if not isinstance(error, OSError):
            raise error
        race.failed(address, error)
    return None


def _give_up(connecting: Task[Any]) -> None:
    connecting.add_done_callback(_close_unwanted)
    connecting.cancel()


def _finish(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)


def _close_unwanted(attempt: Task[Any]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()
