"""Models that call models: a request that a Python-backend model made, executed by the server."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from .....errors import Internal, InvalidArgument, NotFound
from ....jobs.errors import own
from ....jobs.host import Host
from ....jobs.job import Call, Job
from ....jobs.reader import AnswerReader
from ....jobs.response import Answer, Sink
from ....jobs.tensor import Tensor


class ModelCall:
    """A request to another model.

    Args:
        version: -1 for the one that is served by default.
    """

    def __init__(
        self, host: Host, name: str, version: int, tensors: list[Tensor], call: Call
    ) -> None:
        self._host = host
        self._name = name
        self._version = "" if version < 0 else str(version)
        self._tensors = tensors
        self._call = call

    def answer(self) -> Answer:
        """The answer of a model that answers once, waiting for it."""
        answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        try:
            self._begin_coupled(answers.put)
        except Exception as error:
            return self._failed(error)
        return answers.get()

    def answer_later(self) -> asyncio.Future[Answer]:
        """The same for the running event loop; the model begins at once."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()

        def settle(answer: Answer) -> None:
            if not future.done():
                future.set_result(answer)

        def sink(answer: Answer) -> None:
            with suppress(RuntimeError):  # the loop is closed, so nobody waits any more
                loop.call_soon_threadsafe(settle, answer)

        try:
            self._begin_coupled(sink)
        except Exception as error:
            future.set_result(self._failed(error))
        return future

    def answers(self) -> Iterator[Answer]:
        """The answers of any model as they come, the last one being final."""
        try:
            return AnswerReader(self._begin, self._call.cancelled)
        except Exception as error:
            return iter([self._failed(error)])

    def _begin_coupled(self, sink: Sink) -> Job:
        """Start the request, which must be to a model that sends one response."""
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

    def _begin(self, sink: Sink) -> Job:
        with self._not_ready():
            return self._host.submit(self._name, self._version, self._tensors, self._call, sink)

    @contextmanager
    def _not_ready(self) -> Iterator[None]:
        """Say in Triton's words that there is no such model."""
        try:
            yield
        except NotFound as error:
            raise NotFound(
                f"Failed for execute the inference request. Model '{self._name}' is not ready."
            ) from error

    def _failed(self, error: Exception) -> Answer:
        """What a request is answered with that no model took."""
        text = own(error).message()
        said = f"Model {self._name} - Error when running inference: {text}"
        return Answer(error=Internal(said), final=True)
