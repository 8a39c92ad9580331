"""Servers for the tests of perf_analyzer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.perf import sink as sinks


@pytest.fixture(scope="session")
def shared_sink() -> Iterator[sinks.Running]:
    with sinks.start() as running:
        yield running


@pytest.fixture
def sink(shared_sink: sinks.Running) -> Iterator[sinks.Running]:
    """A sink that behaves; what a test asks of it ends with the test."""
    yield shared_sink
    shared_sink.control()


@pytest.fixture
def own_sink() -> Iterator[sinks.Running]:
    """A sink that a test may end."""
    with sinks.start() as running:
        yield running
