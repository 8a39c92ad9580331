"""One batch sent as a request, and halved where its error may be about a single item."""

from __future__ import annotations

import copy
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
from .batches import Batch
from .items import InvalidItem
from .plan import Plan
from .results import MapResult, cut

#: What became of an item.
ResultOrError: TypeAlias = "MapResult | InferenceServerException"
#: Errors that may be about a single item of several. Others are about the server or the caller.
_OF_CONTENT = (InvalidArgument, OutOfRange, ResourceExhausted, Internal, Unknown, DataLoss)


class Sender:
    """Sends batches through an `AsyncClient`."""

    def __init__(self, client: Any, plan: Plan) -> None:
        self._client = client
        self._plan = plan

    async def send(self, batch: Batch) -> list[ResultOrError]:
        """Return the results of a batch's items.

        Where the plan does not keep errors, the first of them ends the results.

        Raises:
            Exception: the request can't be sent, whatever its items are.
        """
        results = await self._infer(batch) if batch.positions else []
        if not batch.refused:
            return results
        return sorted([*results, *batch.refused], key=_index)

    async def _infer(self, batch: Batch) -> list[ResultOrError]:
        plan = self._plan
        try:
            result = await self._client.infer(
                plan.model,
                batch.stack(),
                version=plan.version,
                outputs=plan.outputs,
                timeout=plan.timeout,
                **plan.options,
            )
            return [*cut(result, batch)]
        except (InferenceServerException, RequestTooLarge) as error:
            if len(batch) > 1 and _is_of_content(error):
                return await self._halve(batch)
            if not plan.keep:
                first = _of_item(error, batch.positions[0])
                return [first.with_traceback(error.__traceback__)]
            if error.__cause__ is not None:
                error.__cause__.__traceback__ = None  # it would keep the inputs in memory
            return [_of_item(error, position) for position in batch.positions]

    async def _halve(self, batch: Batch) -> list[ResultOrError]:
        middle = len(batch) // 2
        results = await self._infer(batch.part(slice(middle)))
        if self._plan.keep or not isinstance(results[-1], Exception):
            results += await self._infer(batch.part(slice(middle, None)))
        return results


def _is_of_content(error: Exception) -> bool:
    return isinstance(error, (*_OF_CONTENT, RequestTooLarge)) or type(error) is ServerError


def _of_item(
    error: InferenceServerException | RequestTooLarge, position: int
) -> InferenceServerException:
    """Return the error of a request as that of one of its items."""
    if isinstance(error, RequestTooLarge):
        invalid = InvalidItem.of(error, position)
        text, invalid.reason = invalid.reason.args, RequestTooLarge(error.size, error.limit)
        invalid.reason.args = text
        return invalid
    named = copy.copy(error)
    named.index, named.__cause__ = position, error.__cause__
    return named


def _index(result: ResultOrError) -> int:
    assert result.index is not None
    return result.index


def to_raise(error: InferenceServerException) -> Exception:
    """Return what is raised for an item's error."""
    return error.reason if isinstance(error, InvalidItem) else error
