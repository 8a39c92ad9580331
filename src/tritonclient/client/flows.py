"""Work that takes several requests, written once for both runtimes.

A flow is a generator. It yields requests, is sent their responses (or thrown their errors), yields
pauses in seconds, and returns its result. `run` drives one with blocking calls; `AsyncClient`
has the awaiting twin.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from time import monotonic
from typing import Any, TypeAlias, TypeVar

from ..errors import (
    ConnectionFailed,
    DeadlineExceeded,
    InferenceServerException,
    NotFound,
    ServerError,
    Unimplemented,
)
from ..messages import (
    GetModelConfig,
    GetModelMetadata,
    GetRepositoryIndex,
    IsModelReady,
    IsServerReady,
    Request,
)
from .model_spec import ModelSpec
from .refusals import of_models

T = TypeVar("T")
#: What a flow yields: a request with the seconds it may take, or a pause in seconds.
Step: TypeAlias = "tuple[Request[Any], float | None] | float"
Flow: TypeAlias = Generator[Step, Any, T]


def run(
    flow: Flow[T],
    send: Callable[[Request[Any], float | None], Any],
    sleep: Callable[[float], object],
) -> T:
    """Drive a flow to its end."""
    try:
        step = next(flow)
        while True:
            try:
                response = send(*step) if isinstance(step, tuple) else sleep(step)
            except InferenceServerException as error:
                step = flow.throw(error)
            else:
                step = flow.send(response)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


async def run_async(
    flow: Flow[T],
    send: Callable[[Request[Any], float | None], Awaitable[Any]],
    sleep: Callable[[float], Awaitable[None]],
) -> T:
    """Drive a flow to its end, awaiting each step."""
    try:
        step = next(flow)
        while True:
            try:
                response = await (send(*step) if isinstance(step, tuple) else sleep(step))
            except InferenceServerException as error:
                step = flow.throw(error)
            else:
                step = flow.send(response)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def wait_until_ready(
    url: str,
    model: str,
    version: str,
    timeout: float | None,
    clock: Callable[[], float] = monotonic,
) -> Flow[None]:
    """Ask until the server, or a model, says that it is ready.

    Raises:
        DeadlineExceeded: it was not ready in time; the message tells what it said last.
    """
    request: Request[bool] = IsModelReady(model, version) if model else IsServerReady()
    end = None if timeout is None else clock() + timeout
    pause = 0.01
    not_ready = last = "it answered that it is not ready"
    asked = not model
    while True:
        left = None if end is None else end - clock()
        if left is not None and left <= 0:
            what = f"model {model!r}" if model else "the server"
            text = f"{what} was not ready after {timeout:g} s: {last}"
            raise DeadlineExceeded(text, endpoint=url, model=model)
        try:
            # A server that accepts and then hangs should not use up all the time at once.
            if (yield request, 5.0 if left is None else min(left, 5.0, max(left / 2, 1.0))):
                return
            last = not_ready
            if not asked:
                asked = True
                last = not_ready = yield from _why_not_ready(model, left, not_ready)
        except (ConnectionFailed, DeadlineExceeded, ServerError) as error:
            if isinstance(error, ServerError) and error.status() in ("401", "403"):
                raise
            last = str(error.message())
        yield pause if left is None else min(pause, left)
        pause = min(pause * 1.5, 0.5)


def _why_not_ready(model: str, left: float | None, otherwise: str) -> Flow[str]:
    """Ask once what the server says of a model that is not ready."""
    try:
        index = yield GetRepositoryIndex(), min(5.0, 5.0 if left is None else max(left / 2, 1e-6))
    except InferenceServerException:  # some servers have none
        index = None
    if index is not None:
        return of_models(model, index) or otherwise
    try:
        yield GetModelMetadata(model), min(5.0, 5.0 if left is None else max(left / 2, 1e-6))
    except NotFound as error:
        return str(error.message()) or otherwise
    except InferenceServerException:
        pass
    return otherwise


def describe_model(
    name: str, version: str, timeout: float | None, clock: Callable[[], float] = monotonic
) -> Flow[ModelSpec]:
    """Learn a model's interface; the timeout is for both requests together."""
    end = None if timeout is None else clock() + timeout
    metadata = yield GetModelMetadata(name, version), timeout
    try:
        left = None if end is None else max(end - clock(), 1e-6)
        config = yield GetModelConfig(name, version), left
    except (NotFound, Unimplemented):
        config = None  # an extension of Triton's, which other servers lack
    return ModelSpec.of(name, version, metadata, config)
