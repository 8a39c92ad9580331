"""Fixtures of tests with programs of others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tritonclient.server import FunctionModel, Server


@pytest.fixture(scope="module")
def doubling() -> Iterator[Server]:
    """A server whose model `double` doubles its input X, up to 64 rows at once."""
    model = FunctionModel(
        lambda X: {"Y": 2 * X},
        inputs={"X": ("FP32", [1])},
        outputs={"Y": ("FP32", [1])},
        max_batch_size=64,
    )
    with Server(models={"double": model}) as server:
        yield server
