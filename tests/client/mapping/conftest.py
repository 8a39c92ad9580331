"""The models that `map` is tested with, and `map` of each runtime over each protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tritonclient import AsyncClient, Client
from tritonclient.server import FunctionModel, Server

#: Shapes of the batches that "double" was called with.
calls: list[tuple[int, ...]] = []


def double(X: Any) -> Any:
    calls.append(X.shape)
    if (X < 0).any():
        raise ValueError("a number is negative")
    return {"Y": 2 * X}


def add(A: Any, B: Any) -> Any:
    return {"SUM": A + B, "FIRST": A[:, 0]}


def upper(TEXT: Any) -> Any:
    return {"UPPER": np.vectorize(bytes.upper, otypes=[object])(TEXT)}


PAIR = ("FP32", [2])
MODELS = {
    "double": FunctionModel(double, inputs={"X": PAIR}, outputs={"Y": PAIR}, max_batch_size=8),
    "lengths": FunctionModel(
        lambda X: {"Y": X.sum(1)},
        inputs={"X": ("INT64", [-1])},
        outputs={"Y": ("INT64", [])},
        max_batch_size=8,
    ),
    "alone": FunctionModel(double, inputs={"X": PAIR}, outputs={"Y": PAIR}),
    "add": FunctionModel(
        add,
        inputs={"A": PAIR, "B": PAIR},
        outputs={"SUM": PAIR, "FIRST": ("FP32", [])},
        max_batch_size=8,
    ),
    "upper": FunctionModel(
        upper, inputs={"TEXT": ("BYTES", [1])}, outputs={"UPPER": ("BYTES", [1])}, max_batch_size=4
    ),
}


class Front:
    """`map` of a client of one runtime."""

    def __init__(self, url: str, runtime: str) -> None:
        self.url = url
        self.runtime = runtime

    def map(
        self, model: str, items: Any, *, handle: bool = False, **options: Any
    ) -> tuple[list[Any], Exception | None]:
        """Return what `map` yields, and the exception that it ends with."""
        results: list[Any] = []
        try:
            if self.runtime == "blocking":
                with Client(self.url) as client:
                    one = client.model(model).map if handle else client.map
                    for result in one(*(() if handle else (model,)), items, **options):
                        results.append(result)
            else:
                asyncio.run(self._collect(results, model, items, handle, options))
        except Exception as error:
            return results, error
        return results, None

    async def _collect(
        self, results: list[Any], model: str, items: Any, handle: bool, options: Any
    ) -> None:
        async with AsyncClient(self.url) as client:
            one = (await client.model(model)).map if handle else client.map
            async for result in one(*(() if handle else (model,)), items, **options):
                results.append(result)


@pytest.fixture(scope="package")
def server() -> Iterator[Server]:
    with Server(models=MODELS) as running:
        yield running


@pytest.fixture(params=["blocking", "aio"])
def runtime(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["http", "grpc"])
def front(request: pytest.FixtureRequest, runtime: str, server: Server) -> Front:
    calls.clear()
    return Front(server.http_url if request.param == "http" else server.grpc_url, runtime)
