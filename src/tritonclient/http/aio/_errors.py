"""Failures of the network, which are also aiohttp's and asyncio's for programs that expect them."""

from __future__ import annotations

import asyncio
import sys
from functools import cache
from types import SimpleNamespace
from typing import Any

from ...classic.errors import NOT_CONNECTED, copy_error_as
from ...errors import ConnectionFailed, DeadlineExceeded, InferenceServerException
from ...transport.endpoint import Endpoint
from .._calls import say_timed_out


def with_aiohttp_type(
    error: ConnectionFailed | DeadlineExceeded, endpoint: Endpoint
) -> InferenceServerException:
    """Return a copy of an error that is also an `asyncio.TimeoutError` or `aiohttp.ClientError`.

    Without an imported aiohttp the error is returned unchanged.
    """
    aiohttp = sys.modules.get("aiohttp")
    kind: Any = type(error)
    if isinstance(error, DeadlineExceeded):
        say_timed_out(error)
        if issubclass(asyncio.TimeoutError, TimeoutError):  # since Python 3.11
            return error
        kind = _both(kind, asyncio.TimeoutError)
    elif aiohttp is None:
        return error
    elif str(error.message()).startswith(NOT_CONNECTED):
        kind = _both(kind, aiohttp.ClientConnectorError)
    else:
        kind = _both(kind, aiohttp.ServerDisconnectedError)
    known: Any = _copy_as(error, kind)
    # Attributes from which aiohttp's error makes its text.
    known._os_error = error.__cause__ or error
    known._conn_key = SimpleNamespace(host=endpoint.host, port=endpoint.port, ssl=endpoint.secure)
    failed: InferenceServerException = known
    return failed


def _copy_as(error: InferenceServerException, kind: Any) -> InferenceServerException:
    return copy_error_as(error, kind, error.message(), error.status(), error.debug_details())


@cache
def _both(ours: Any, theirs: Any) -> Any:
    def reduce(self: Any) -> tuple[Any, ...]:
        return _copy_as(self, ours).__reduce__()  # a class made here can't be found by its name

    members = {"__doc__": ours.__doc__, "__module__": ours.__module__, "__reduce__": reduce}
    return type(ours.__name__, (ours, theirs), members)
