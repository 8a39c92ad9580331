"""HTTP's ASGI server (uvicorn) on a thread and an event loop of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
from contextlib import suppress
from typing import TypeAlias

from .core import InferenceServer
from .extras import optional_import
from .http import HttpApplication

with optional_import("uvicorn and httptools"):
    import httptools  # noqa: F401  # uvicorn imports it late, and says less when it is missing
    import uvicorn

_log = logging.getLogger(__name__)

#: Seconds that an idle connection is kept. Triton keeps them for good, and so do client pools.
_KEEP_ALIVE = 3600
#: Seconds in which requests that were cancelled have to say so to their clients.
_LAST_WORDS = 0.5
#: Seconds that uvicorn takes before it looks whether all is done.
_SETTLING = 0.1

Path: TypeAlias = "str | os.PathLike[str]"


def listen(host: str, port: int) -> socket.socket:
    """A socket that is bound but does not listen yet.

    Raises:
        OSError: the address is taken, or not one of this machine's; the message names it.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only for sockets that say that they are TCP; with it,
    # an answer's body would wait 40 ms for the acknowledgement of its head.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere it lets two servers share one port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        raise OSError(error.errno, f"can't listen at {where}: {error.strerror}") from error
    except BaseException:
        listening.close()
        raise
    return listening


class HttpListener:
    """Serves from `start()`, which returns when it listens, to `stop()`.

    Args:
        host: address to listen at; it is taken when this is made.
        port: port to listen at; 0 for a free one.
        certificate: files with a certificate and its key, to serve https.

    Raises:
        OSError: the address can't be listened at.
    """

    def __init__(
        self,
        host: str,
        port: int,
        certificate: tuple[Path | None, Path | None],
        max_input_size: int,
        exit_timeout: int,
    ) -> None:
        self._socket = listen(host, port)
        self.port: int = self._socket.getsockname()[1]
        self._certificate = certificate
        self._max_input_size = max_input_size
        self._exit_timeout = exit_timeout
        self._application: HttpApplication | None = None
        self._server: _UvicornServer | None = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(
            target=self._run, name=f"tritonclient-http-{self.port}", daemon=True
        )

    def start(self, server: InferenceServer) -> None:
        """Begin to serve.

        Raises:
            OSError: a certificate can't be read.
        """
        application = HttpApplication(server, max_input_size=self._max_input_size)
        self._application = application
        certfile, keyfile = self._certificate
        config = uvicorn.Config(
            application,
            http="httptools",
            ws="none",
            loop="asyncio",
            interface="asgi3",
            lifespan="off",
            log_config=None,
            access_log=False,
            date_header=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE,
            ssl_certfile=certfile and str(certfile),
            ssl_keyfile=keyfile and str(keyfile),
        )
        config.load()
        self._server = _UvicornServer(config, self._exit_timeout)
        self._thread.start()
        self._server.listening.wait()
        if self._failure is not None:
            raise self._failure

    def leave(self) -> None:
        """Begin to stop."""
        if self._server is not None:
            self._server.leave()

    def stop(self) -> None:
        """Answer what is in work, then close every connection and end the thread."""
        self.leave()
        if self._thread.ident is not None:
            self._thread.join()
        self._socket.close()
        if self._application is not None:
            self._application.close()

    def abandon(self) -> None:
        """Let go of the address; in a forked child, which has the sockets but not the thread."""
        self._socket.close()

    def _run(self) -> None:
        assert self._server is not None
        try:
            asyncio.run(self._server.serve(sockets=[self._socket]))
        except BaseException as error:  # uvicorn exits the process when it fails to start
            _log.debug("the HTTP server failed", exc_info=True)
            self._failure = error
        finally:
            self._server.listening.set()


class _UvicornServer(uvicorn.Server):
    """Uvicorn, but it tells when it listens, and leaves when told instead of looking at times."""

    def __init__(self, config: uvicorn.Config, exit_timeout: int) -> None:
        super().__init__(config)
        self._exit_timeout = exit_timeout
        self.listening = threading.Event()
        self._leaving: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def leave(self) -> None:
        """Stop serving; from any thread."""
        if self._loop is not None and self._leaving is not None:
            with suppress(RuntimeError):  # the loop is closed already
                self._loop.call_soon_threadsafe(self._leaving.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._leaving = asyncio.Event()
        await super().startup(sockets=sockets)
        self.listening.set()

    async def main_loop(self) -> None:
        assert self._leaving is not None
        await self._leaving.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        ending = asyncio.ensure_future(super().shutdown(sockets=sockets))
        await asyncio.wait([ending], timeout=self._exit_timeout + _SETTLING)
        if not ending.done():
            await self._cancel_requests()
        # Those whose requests did not end in time, or whose clients do not read.
        for connection in list(self.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()
        await ending

    async def _cancel_requests(self) -> None:
        # Not left to uvicorn, which logs each with a traceback.
        self.force_exit = True
        requests = set(self.server_state.tasks)
        if not requests:
            return
        _log.warning(
            "cancelled %d request(s) that took longer than the exit timeout of %d s",
            len(requests),
            self._exit_timeout,
        )
        for request in requests:
            request.cancel()
        await asyncio.wait(requests, timeout=_LAST_WORDS)
