"""Requests in flight: the one place that decides how batches are sent."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from ..client.blocking import Client
from ..client.model_spec import ModelSpec
from ..client.results import InferResult
from ..errors import InferenceServerException

#: Requests in flight where nothing else is said.
_IN_FLIGHT = 8


def answers(
    client: Client,
    spec: ModelSpec,
    items: Iterator[dict[str, Any]],
    concurrency: int | None,
    options: dict[str, Any],
) -> Iterator[InferResult | BaseException]:
    """Yield an answer, or the error, for each item, in order; items are taken as answers are.

    Args:
        items: inputs of a model.
        concurrency: requests in flight.
        options: those of `Client.infer`.
    """

    def ask(inputs: dict[str, Any]) -> InferResult | BaseException:
        try:
            return client.infer(spec.name, inputs, version=spec.version, **options)
        except (InferenceServerException, ValueError) as error:
            return error

    limit = concurrency or _IN_FLIGHT
    flying: deque[Future[InferResult | BaseException]] = deque()
    with ThreadPoolExecutor(limit, "tritonclient-bulk") as threads:
        try:
            for inputs in items:
                flying.append(threads.submit(ask, inputs))
                if len(flying) >= limit:
                    yield flying.popleft().result()
            while flying:
                yield flying.popleft().result()
        finally:
            for each in flying:
                each.cancel()
