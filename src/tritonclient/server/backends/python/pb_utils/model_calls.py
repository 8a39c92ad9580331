"""Requests of a `model.py` to other models (business logic scripting)."""

from __future__ import annotations

import queue
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .....errors import Internal, InvalidArgument, NotFound
from ....jobs.errors import ModelNotReady, as_server_error
from ....jobs.host import Host
from ....jobs.job import Job, JobOptions
from ....jobs.reader import ResponseReader
from ....jobs.response import CancelSwitch, Response, ResponseSink
from ....jobs.tensor import Tensor
from .response import InferenceResponse, response_of
from .response_iterator import ResponseIterator

if TYPE_CHECKING:
    import asyncio  # when first needed: most models call no others


class ModelCall:
    """A request to another model.

    Args:
        version: -1 for the highest.
    """

    def __init__(
        self, host: Host, name: str, version: int, tensors: list[Tensor], options: JobOptions
    ) -> None:
        self._host = host
        self._name = name
        self._version = "" if version < 0 else str(version)
        self._tensors = tensors
        self._cancelled = CancelSwitch()
        self._options = replace(options, cancelled=self._cancelled)

    def cancel(self) -> None:
        """Cancel the request."""
        self._cancelled.set()

    def awaitable(self, decoupled: bool) -> Awaitable[Any]:
        """Start the request; return an awaitable of its response or of its `ResponseIterator`.

        Cancelling the awaitable of a response cancels the request.
        """
        import asyncio

        if decoupled:
            return asyncio.ensure_future(_ready(ResponseIterator(self.responses(), self.cancel)))
        return asyncio.ensure_future(self._await(self.response_future()))

    async def _await(self, future: asyncio.Future[Response]) -> InferenceResponse:
        import asyncio

        try:
            return response_of(await future)
        except asyncio.CancelledError:
            self.cancel()
            raise

    def response(self) -> Response:
        """Execute and wait; return the response of a model that is not decoupled."""
        responses: queue.SimpleQueue[Response] = queue.SimpleQueue()
        try:
            self._begin_coupled(responses.put)
        except Exception as error:
            return self._failed(error)
        return responses.get()

    def response_future(self) -> asyncio.Future[Response]:
        """Start the request; return a future of `response` for the running event loop."""
        import asyncio

        loop = asyncio.get_running_loop()
        future: asyncio.Future[Response] = loop.create_future()

        def settle(response: Response) -> None:
            if not future.done():
                future.set_result(response)

        def sink(response: Response) -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(settle, response)

        try:
            self._begin_coupled(sink)
        except Exception as error:
            future.set_result(self._failed(error))
        return future

    def responses(self) -> Iterator[Response]:
        """Start the request; return the responses of any model as they arrive."""
        try:
            return ResponseReader(self._begin, self._options.cancelled)
        except Exception as error:
            return iter([self._failed(error)])

    def _begin_coupled(self, sink: ResponseSink) -> Job:
        """Start a request to a model that is not decoupled."""
        with self._not_ready():
            info = self._host.model_info(self._name, self._version)
        if info.decoupled:
            raise InvalidArgument(
                f"Model {self._name} is using the decoupled. The current BLS request call doesn't "
                "support models using the decoupled transaction policy. Please use "
                "'decoupled=True' argument to the 'exec' or 'async_exec' calls for decoupled "
                "models.'"
            )
        return self._begin(sink)

    def _begin(self, sink: ResponseSink) -> Job:
        with self._not_ready():
            return self._host.submit(self._name, self._version, self._tensors, self._options, sink)

    @contextmanager
    def _not_ready(self) -> Iterator[None]:
        """Raise NotFound in Triton's words for models."""
        try:
            yield
        except (NotFound, ModelNotReady) as error:
            raise NotFound(
                f"Failed for execute the inference request. Model '{self._name}' is not ready."
            ) from error

    def _failed(self, error: Exception) -> Response:
        """Return the response to a request that could not be started."""
        text = as_server_error(error).message()
        message = f"Model {self._name} - Error when running inference: {text}"
        return Response(error=Internal(message), final=True)


async def _ready(responses: ResponseIterator) -> ResponseIterator:
    return responses
