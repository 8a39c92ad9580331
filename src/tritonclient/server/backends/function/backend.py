"""`FunctionBackend`: executes `FunctionModel`s."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import traceback
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .... import datatypes
from ....datatypes import Array
from ....errors import InferenceServerException, Internal
from ...config.specification import Specification, specifications
from ...jobs.job import Job
from ...jobs.tensor import Tensor
from ...telemetry.statistics import Stopwatch
from ..base import RAISED, Backend, InstanceFactory, LocalInstance, ModelSource
from ..batches import concatenate, split
from ..execution import Result
from .model import FunctionModel, described
from .outputs import found_outputs, outputs_of
from .tensor_types import TensorType

_log = logging.getLogger(__name__)


class FunctionBackend(Backend):
    """Loads models that are functions of this process."""

    def complete(self, source: ModelSource) -> None:
        """Fill in the outputs, found by calling the function once with zeros."""
        config = source.config
        if config.output:
            return
        model = _function(source)
        names = [each.name for each in specifications(config.input) if not each.optional]
        arrays = {
            each.name: _zeros(each, config.max_batch_size > 0)
            for each in specifications(config.input)
            if each.name in names
        }
        try:
            returned = _first(model, arrays)
        except RAISED as error:
            raise ValueError(
                f"the outputs of model '{source.name}' were to be found by calling its function "
                f"with zeros, which failed ({_describe(error)}); {_declaring(model)}"
            ) from error
        for tensor in found_outputs(source.name, returned):
            rank = max(1, tensor.array.ndim - (config.max_batch_size > 0))
            item = described(tensor.name, TensorType(tensor.datatype, (-1,) * rank))
            added = config.output.add(name=tensor.name, dims=item["dims"])
            kinds = added.DESCRIPTOR.fields_by_name["data_type"].enum_type.values_by_name
            added.data_type = kinds[item["data_type"]].number

    def instances(self, source: ModelSource, config: dict[str, Any]) -> list[InstanceFactory]:
        """Return as many factories as all instance groups count."""
        model = _function(source)
        outputs = {each.name: each for each in specifications(source.config.output)}
        kind = _AsyncInstance if model.is_coroutine or model.is_async_generator else _Instance
        count = sum(group["count"] for group in config["instance_group"])
        return [partial(kind, source.name, model, outputs)] * count


def _function(source: ModelSource) -> FunctionModel:
    model = source.function
    if not isinstance(model, FunctionModel):
        raise ValueError(
            f"model '{source.name}' has the backend 'function', which serves functions given to "
            "Server(models=...) only"
        )
    return model


def _declaring(model: FunctionModel) -> str:
    """Return how to declare the tensors of a function that can't be called with zeros."""
    if not model.untyped:
        return 'declare them: FunctionModel(function, outputs={"Y": "FP32"})'
    name, names = model.untyped[0], ", ".join(map(repr, model.untyped))
    return (
        f"{names} without a type {'is' if len(model.untyped) == 1 else 'are'} FP32; an annotation "
        f"such as `{name}: str` makes it BYTES; or declare them: "
        f'FunctionModel(function, inputs={{"{name}": "BYTES"}}, outputs={{"Y": "FP32"}})'
    )


def _zeros(specification: Specification, batched: bool) -> Array:
    shape = (*((1,) if batched else ()), *(max(size, 1) for size in specification.shape))
    if specification.datatype == "BYTES":
        return np.full(shape, b"", object)
    return np.zeros(shape, datatypes.NUMPY[specification.datatype])


class _Instance(LocalInstance):
    """Calls a plain function, or iterates over what a generator function yields."""

    def __init__(
        self, name: str, model: FunctionModel, outputs: Mapping[str, Specification]
    ) -> None:
        self._name = name
        self._model = model
        self._outputs = outputs

    def execute(self, jobs: Sequence[Job], watch: Stopwatch) -> Sequence[Result]:
        if self._model.is_generator:
            return [self._iterate(job) for job in jobs]
        if not self._model.joins:
            return [self._alone(job) for job in jobs]
        feeds = concatenate([{each.name: each.array for each in job.inputs} for job in jobs])
        watch.lap()
        try:
            tensors = self.tensors(_call(self._model, feeds), jobs)
            watch.lap()
            return split(tensors, [job.batch_size for job in jobs])
        except RAISED as error:
            if len(jobs) == 1:
                return [self.failure(error)]
            # The error may concern one request only, and does not say which.
            return [self._alone(job) for job in jobs]

    def _alone(self, job: Job) -> Result:
        try:
            return self.tensors(_call(self._model, arrays(job), job), [job])
        except RAISED as error:
            return self.failure(error)

    def _iterate(self, job: Job) -> Result:
        try:
            for item in _call(self._model, arrays(job), job):
                if job.cancelled:
                    break
                job.send(self.tensors(item), final=False)
        except RAISED as error:
            job.send(error=self.failure(error), final=True)
        job.send(final=True)  # without effect after an error
        return None

    def tensors(self, returned: Any, jobs: Sequence[Job] = ()) -> list[Tensor]:
        """Return the outputs that a function returned, checked against those that it declares.

        Args:
            jobs: those that it returned all outputs of; without any, they may be some of several.
        """
        rows = sum(job.batch_size for job in jobs) if self._model.max_batch_size else 0
        return outputs_of(
            returned, self._outputs, self._model.outputs or {}, rows, whole=bool(jobs)
        )

    def failure(self, error: BaseException) -> InferenceServerException:
        """Return what clients receive for an exception; errors of this package are passed on."""
        if isinstance(error, InferenceServerException):
            return error
        _log.debug("the function of model '%s' failed", self._name, exc_info=error)
        return Internal(
            f"Failed to process the request(s) for model '{self._name}', message: "
            f"{_describe(error)}",
            "500",
        )

    def close(self) -> None:
        """There is nothing to release."""


class _AsyncInstance(_Instance):
    """Runs coroutine functions on an event loop of its own, any number at the same time."""

    def __init__(
        self, name: str, model: FunctionModel, outputs: Mapping[str, Specification]
    ) -> None:
        super().__init__(name, model, outputs)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name=f"tritonclient-{name}-loop", daemon=True
        )
        self._thread.start()

    def execute(self, jobs: Sequence[Job], watch: Stopwatch) -> Sequence[Result]:
        respond = self._iterate_async if self._model.is_async_generator else self._await
        for job in jobs:
            asyncio.run_coroutine_threadsafe(respond(job), self._loop)
        return [None] * len(jobs)

    async def _await(self, job: Job) -> None:
        try:
            found = self.tensors(await _call(self._model, arrays(job), job), [job])
        except RAISED as error:
            job.send(error=self.failure(error), final=True)
        else:
            job.send(found, final=True)

    async def _iterate_async(self, job: Job) -> None:
        async def send(*outputs: Any, **options: Any) -> None:
            # On a thread, because it waits while the reader has no room.
            work = partial(job.send, *outputs, **options)
            await asyncio.get_running_loop().run_in_executor(None, work)

        try:
            async for item in _call(self._model, arrays(job), job):
                if job.cancelled:
                    break
                await send(self.tensors(item), final=False)
        except RAISED as error:
            await send(error=self.failure(error), final=True)
        await send(final=True)  # without effect after an error

    def close(self) -> None:
        """End the event loop; no call is running any more."""
        asyncio.run_coroutine_threadsafe(self._finish(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _finish(self) -> None:
        loop = asyncio.get_running_loop()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await loop.shutdown_asyncgens()
        await loop.shutdown_default_executor()


def arrays(job: Job) -> dict[str, Array]:
    """Return the inputs of a job by name."""
    return {each.name: each.array for each in job.inputs}


def _call(model: FunctionModel, given: Mapping[str, Array], job: Job | None = None) -> Any:
    """Call the function with arrays that it may write to."""
    writable = {
        name: array if array.flags.writeable else array.copy() for name, array in given.items()
    }
    ordered = [writable.pop(name) for name in model.by_position if name in writable]
    extra = {
        "parameters": {**job.options.parameters, **job.options.custom} if job else {},
        "request_id": job.options.id if job else "",
    }
    asked = {name: extra[name] for name in model.asks_for}
    return model.function(*ordered, **writable, **asked)


def _first(model: FunctionModel, given: Mapping[str, Array]) -> Any:
    """Return what the function returns, or its first item."""
    if model.is_coroutine:
        return asyncio.run(_run(_call(model, given)))
    if model.is_async_generator:
        return asyncio.run(_first_of(_call(model, given)))
    returned = _call(model, given)
    if not model.is_generator:
        return returned
    items: Iterator[Any] = iter(returned)
    try:
        return next(items, {})
    finally:
        if inspect.isgenerator(returned):
            returned.close()


async def _run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return await coroutine


async def _first_of(items: AsyncIterator[Any]) -> Any:
    try:
        async for item in items:
            return item
    finally:
        if inspect.isasyncgen(items):
            await items.aclose()
    return {}


def _describe(error: BaseException) -> str:
    """Return an exception's text and the innermost line outside of this folder's own code."""
    text = "".join(traceback.format_exception_only(type(error), error)).strip()
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).parent != Path(__file__).parent
    ]
    if not frames:
        return text
    return f"{text} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})"
