"""`ResponseIterator`: the responses of another model that a model called."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

from ....jobs.response import Response
from .response import InferenceResponse, response_of


class ResponseIterator(Iterator[InferenceResponse], AsyncIterator[InferenceResponse]):
    """The responses of a model as they arrive, for `for` and `async for`.

    Args:
        responses: the responses.
        cancel: cancels the request.
    """

    def __init__(self, responses: Iterator[Response], cancel: Callable[[], None]) -> None:
        self._responses = responses
        self._cancel = cancel

    def __iter__(self) -> ResponseIterator:
        return self

    def __next__(self) -> InferenceResponse:
        return response_of(next(self._responses))

    def __aiter__(self) -> ResponseIterator:
        return self

    async def __anext__(self) -> InferenceResponse:
        import asyncio

        try:
            response = await asyncio.to_thread(next, self._responses, None)
        except asyncio.CancelledError:
            self.cancel()
            raise
        if response is None:
            raise StopAsyncIteration
        return response_of(response)

    def cancel(self) -> None:
        """Cancel the request; the iteration ends, and the model sees `is_cancelled()`."""
        self._cancel()
