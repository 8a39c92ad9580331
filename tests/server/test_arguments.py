"""Wrong arguments of `Server`, which are refused when it is made."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.server.conftest import MODELS
from tritonclient.server import Server


@pytest.mark.parametrize(
    ("name", "value", "error", "words"),
    [
        ("max_requests", "5", TypeError, "max_requests is '5', expected a number above 0"),
        ("max_requests", 0, ValueError, "max_requests is 0, expected a number above 0"),
        ("max_input_size", True, TypeError, "max_input_size is True, expected a number above 0"),
        ("receive_timeout", "5", TypeError, "receive_timeout is '5', expected a number above 0"),
        ("load_threads", "2", TypeError, "load_threads is '2', expected a number from 1"),
        ("load_threads", 0, ValueError, "load_threads is 0, expected a number from 1"),
        ("watch_interval", "2", TypeError, "watch_interval is '2', expected seconds from 0"),
        ("watch_interval", float("nan"), ValueError, "watch_interval is nan, expected seconds"),
        ("response_cache_size", "1MB", TypeError, "is '1MB', expected bytes from 0; 0 keeps no"),
        ("exit_timeout", "x", TypeError, "exit_timeout is 'x', expected seconds from 0"),
        ("exit_timeout", -1, ValueError, "exit_timeout is -1, expected seconds from 0"),
        ("host", 5, TypeError, "host is 5, expected str, such as '127.0.0.1'"),
        ("grpc", True, TypeError, "grpc is True, expected GrpcOptions or None; grpc_port is the"),
        ("grpc", 8001, TypeError, "grpc is 8001, expected GrpcOptions or None"),
        ("load_models", 5, TypeError, "load_models is 5, expected a list of names"),
        ("load_models", "a", TypeError, "load_models is 'a', expected a list of names"),
        ("in_process", "yes", TypeError, "in_process is 'yes', expected True or False"),
        ("strict_readiness", "no", TypeError, "strict_readiness is 'no', expected True or False"),
        ("exit_on_error", 0, TypeError, "exit_on_error is 0, expected True or False"),
        ("trace_settings", [1], TypeError, "trace_settings is list, expected a mapping, such as"),
        ("forwarded_headers", ["a"], TypeError, "expected str, a regular expression such as"),
        ("python", 3, TypeError, "python is 3, expected the path of an interpreter"),
        ("python", "nothere", ValueError, "python is 'nothere', expected the path of an interp"),
    ],
)
def test_wrong_values(name: str, value: Any, error: type[Exception], words: str) -> None:
    options: Any = {name: value}
    with pytest.raises(error) as caught:
        Server(MODELS, **options)
    assert words in str(caught.value)


def test_async_with() -> None:
    async def enter() -> None:
        async with Server(MODELS):  # type: ignore[attr-defined]
            """There is no such context."""

    with pytest.raises(TypeError, match="use `with`, also in a coroutine"):
        asyncio.run(enter())
