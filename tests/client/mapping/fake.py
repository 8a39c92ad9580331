"""A client without a server, whose requests take a random number of turns of the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

from tritonclient import ConnectionFailed, InferResult, InvalidArgument
from tritonclient.client.mapping.plan import Plan, make_plan
from tritonclient.client.model_spec import ModelSpec
from tritonclient.client.options import CLIENT_DEFAULT
from tritonclient.messages import TensorMetadata
from tritonclient.testing import infer_result

LARGEST = 4
SPEC = ModelSpec(
    "double",
    "",
    {"X": TensorMetadata("X", "INT64", (-1, 1))},
    {"Y": TensorMetadata("Y", "INT64", (-1, 1))},
    LARGEST,
)
#: A request with this number finds the server gone.
GONE = -1000


class FakeClient:
    """Doubles numbers, and refuses requests with negative ones.

    Attributes:
        in_flight, most, cancelled: requests now, at most, and those that were cancelled.
        arrived: called when a request comes in.
    """

    def __init__(self, random: Random | None = None) -> None:
        self._random = random
        self.in_flight = self.most = self.cancelled = 0
        self.closed = False
        self.arrived: Callable[[], object] = lambda: None
        self.requests: list[list[int]] = []

    async def infer(self, model: str, inputs: Any, **options: Any) -> InferResult:
        """Return the doubled numbers, or never if this client has no randomness."""
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        numbers = inputs["X"]
        self.requests.append(numbers[:, 0].tolist())
        self.arrived()
        try:
            if self._random is None:
                await asyncio.Event().wait()
            else:
                for _ in range(self._random.randrange(6)):
                    await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.in_flight -= 1
        if (numbers == GONE).any():
            raise ConnectionFailed("the server is gone")
        if (numbers < 0).any():
            raise InvalidArgument("a number is negative")
        return infer_result({"Y": 2 * numbers})

    async def close(self) -> None:
        """Note that it was closed."""
        self.closed = True


def plan(**options: Any) -> Plan:
    """Return the plan of `map` with these arguments."""
    given = {"batch_size": "max", "concurrency": "auto", "errors": "raise", "ordered": True}
    return make_plan(
        ("double", "", None), **{**given, **options}, timeout=CLIENT_DEFAULT, options={}
    )


def item(number: int, rows: int = 0) -> Any:
    """Return a row, or a batch of rows, of one number."""
    return np.full((rows, 1) if rows else (1,), number, np.int64)
