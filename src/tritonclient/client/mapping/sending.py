"""One batch sent as a request, and halved where its answer is an error about some item."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, TypeAlias

from ...errors import (
    DataLoss,
    InferenceServerException,
    Internal,
    InvalidArgument,
    OutOfRange,
    ResourceExhausted,
    ServerError,
    Unknown,
)
from ...transport.settings import RequestTooLarge
from .batches import Batch, stack
from .items import InvalidItem, Item
from .plan import Plan
from .results import MapResult, cut

#: What became of an item.
Answer: TypeAlias = "MapResult | InferenceServerException"
#: Errors that may be about a single item of several. Others are about the server or the caller.
_OF_CONTENT = (InvalidArgument, OutOfRange, ResourceExhausted, Internal, Unknown, DataLoss)


class Sender:
    """Sends batches through an `AsyncClient`."""

    def __init__(self, client: Any, plan: Plan) -> None:
        self._client = client
        self._plan = plan

    async def send(self, batch: Batch) -> list[Answer]:
        """Return the answers to a batch's items.

        Where the plan does not keep errors, the first of them ends the answers.

        Raises:
            Exception: the request can't be sent, whatever its items are.
        """
        answers = await self._infer(batch.items) if batch.items else []
        if not batch.refused:
            return answers
        return sorted([*answers, *batch.refused], key=_index)

    async def _infer(self, items: Sequence[Item]) -> list[Answer]:
        plan = self._plan
        try:
            result = await self._client.infer(
                plan.model,
                stack(items),
                version=plan.version,
                outputs=plan.outputs,
                timeout=plan.timeout,
                **plan.options,
            )
            return [*cut(result, items)]
        except (InferenceServerException, RequestTooLarge) as error:
            if len(items) > 1 and _is_of_content(error):
                return await self._halve(items)
            if plan.keep:
                return [_of_item(error, item) for item in items]
            return [_of_item(error, items[0])]

    async def _halve(self, items: Sequence[Item]) -> list[Answer]:
        middle = len(items) // 2
        answers = await self._infer(items[:middle])
        if self._plan.keep or not isinstance(answers[-1], Exception):
            answers += await self._infer(items[middle:])
        return answers


def _is_of_content(error: Exception) -> bool:
    return isinstance(error, (*_OF_CONTENT, RequestTooLarge)) or type(error) is ServerError


def _of_item(
    error: InferenceServerException | RequestTooLarge, item: Item
) -> InferenceServerException:
    """Return the error of a request as that of one of its items."""
    if isinstance(error, RequestTooLarge):
        return InvalidItem.of(error, item.position)
    named = copy.copy(error)
    named.index, named.__cause__ = item.position, error.__cause__
    return named.with_traceback(error.__traceback__)


def _index(answer: Answer) -> int:
    assert answer.index is not None
    return answer.index


def to_raise(error: InferenceServerException) -> Exception:
    """Return what is raised for an item's error."""
    return error.reason if isinstance(error, InvalidItem) else error
