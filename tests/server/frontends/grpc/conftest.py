"""A running server, and calls of it."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import grpc.aio
import pytest

from tests.server.conftest import MODELS
from tests.server.frontends.grpc.support import (
    LIMITLESS,
    Ask,
    asking,
)
from tritonclient.server import Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(MODELS, model_control_mode="explicit", load_models=["*"]) as server:
        yield server


@pytest.fixture(scope="module")
def channel(server: Server) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(server.grpc_address, LIMITLESS) as channel:
        yield channel


@pytest.fixture(scope="module")
def ask(channel: grpc.Channel) -> Ask:
    return asking(channel)


@pytest.fixture(scope="module", params=["embedded", "triton"])
def either(request: pytest.FixtureRequest) -> Iterator[grpc.Channel]:
    """A channel to the embedded server, and to a real Triton."""
    server = request.getfixturevalue(request.param)
    with grpc.insecure_channel(server.grpc_url.removeprefix("grpc://"), LIMITLESS) as channel:
        yield channel
