"""Thread pool of `Client.submit`."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from ..transport.errors import client_closed

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

T = TypeVar("T")


class Workers:
    """A thread pool, started when first needed, and again in a forked child.

    Args:
        count: how many threads there may be; further work waits for one.
        url: of the server, for the error of a closed client.

    Attributes:
        closed: whether no more work is taken.
    """

    def __init__(self, count: int, url: str) -> None:
        self._count = count
        self._url = url
        self._executor: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self.closed = False

    def submit(self, function: Callable[..., T], *arguments: Any, **named: Any) -> Future[T]:
        """Call a function on one of the threads."""
        return self._threads().submit(function, *arguments, **named)

    def _threads(self) -> ThreadPoolExecutor:
        from concurrent.futures import ThreadPoolExecutor  # only those who submit pay for it

        if self._pid != os.getpid():
            # The parent's threads are not there in a forked child, and its lock may be held.
            self._pid, self._lock, self._executor = os.getpid(), threading.Lock(), None
        with self._lock:
            if self.closed:
                raise client_closed(self._url)
            if self._executor is None:
                self._executor = ThreadPoolExecutor(self._count, "tritonclient")
            return self._executor

    def close(self, *, wait: bool = True, cancel: bool = False) -> None:
        """Take no more work.

        Args:
            wait: wait for what was submitted.
            cancel: drop what no thread has begun.
        """
        self.closed = True
        executor, self._executor = self._executor, None
        # The threads of a parent process are not there to wait for.
        if executor is not None and self._pid == os.getpid():
            executor.shutdown(wait=wait, cancel_futures=cancel)
