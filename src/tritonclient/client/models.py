"""`Model` and `AsyncModel`: handles on a model, which know and check its inputs and outputs."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from .. import messages as m
from .mapping.plan import Item, Items, make_plan
from .model_spec import ModelSpec
from .options import CLIENT_DEFAULT, InferOptions, MapOptions, Timeout
from .requests import TensorLike
from .results import InferResult
from .signatures import explains_arguments, explains_missing
from .suggestions import MODEL_NAMES, by_keyword, no_attribute

if TYPE_CHECKING:
    from asyncio import Task
    from concurrent.futures import Future

    from typing_extensions import Never, Unpack

    from .mapping.results import MapResult
    from .mapping.sending import ResultOrError


@explains_arguments
class Model:
    """A model of a server, called like a function: `model(INPUT0=a, INPUT1=b)["OUTPUT0"]`.

    Attributes:
        name: the model's name.
        spec: the model's inputs and outputs, against which a call is checked before it is sent.
    """

    def __init__(self, client: Any, spec: ModelSpec, cast: bool = False) -> None:
        self._client = client
        self._cast = cast
        self.spec = spec
        self.name = spec.name

    if not TYPE_CHECKING:  # a type checker would take it that there is any name

        def __getattr__(self, name: str) -> Any:
            raise no_attribute(self, name, MODEL_NAMES)

    def _repr_html_(self) -> str:
        return self.spec._repr_html_()

    def __call__(self, /, *only: TensorLike, **inputs: TensorLike) -> InferResult:
        """Run the model; inputs are given by name, and an only one also without."""
        if only:
            inputs = {**self.spec.only_input(only), **inputs}
        return self.infer(inputs)

    @explains_missing
    def infer(
        self,
        inputs: Mapping[str, TensorLike],
        *surplus: Never,
        outputs: Sequence[str | m.RequestedOutput] | None = None,
        timeout: Timeout = CLIENT_DEFAULT,
        **options: Unpack[InferOptions],
    ) -> InferResult:
        """Run the model; takes the arguments of `Client.infer`.

        Raises:
            ValueError: an input or output is not the model's; nothing was sent.
        """
        if surplus:
            raise by_keyword(surplus, Model.infer)
        result: InferResult = self._client.infer(
            self.spec.name,
            self.spec.check(inputs, outputs, self._cast),
            version=self.spec.version,
            outputs=outputs,
            timeout=timeout,
            **options,
        )
        return result

    @explains_missing
    def submit(
        self,
        inputs: Mapping[str, TensorLike],
        *surplus: Never,
        outputs: Sequence[str | m.RequestedOutput] | None = None,
        timeout: Timeout = CLIENT_DEFAULT,
        **options: Unpack[InferOptions],
    ) -> Future[InferResult]:
        """Run the model on another thread; takes the arguments of `Client.infer`."""
        if surplus:
            raise by_keyword(surplus, Model.submit)
        future: Future[InferResult] = self._client.submit(
            self.spec.name,
            self.spec.check(inputs, outputs, self._cast),
            version=self.spec.version,
            outputs=outputs,
            timeout=timeout,
            **options,
        )
        return future

    @overload
    def map(
        self,
        items: Iterable[Item],
        *,
        outputs: Sequence[str | m.RequestedOutput] | None = None,
        batch_size: int | Literal["max"] = "max",
        concurrency: int | Literal["auto"] = "auto",
        errors: Literal["raise"] = "raise",
        ordered: bool = True,
        timeout: Timeout = CLIENT_DEFAULT,
        **options: Unpack[MapOptions],
    ) -> Generator[MapResult, None, None]: ...

    @overload
    def map(
        self,
        items: Iterable[Item],
        *,
        outputs: Sequence[str | m.RequestedOutput] | None = None,
        batch_size: int | Literal["max"] = "max",
        concurrency: int | Literal["auto"] = "auto",
        errors: Literal["keep"],
        ordered: bool = True,
        timeout: Timeout = CLIENT_DEFAULT,
        **options: Unpack[MapOptions],
    ) -> Generator[ResultOrError, None, None]: ...

    def map(
        self,
        items: Items,
        *,
        outputs: Sequence[str | m.RequestedOutput] | None = None,
        batch_size: int | Literal["max"] = "max",
        concurrency: int | Literal["auto"] = "auto",
        errors: Literal["raise", "keep"] = "raise",
        ordered: bool = True,
        timeout: Timeout = CLIENT_DEFAULT,
        **options: Unpack[MapOptions],
    ) -> Generator[ResultOrError, None, None]:
        """Run the model on every item of an iterable; takes the arguments of `Client.map`."""
        asked = (self.spec.name, self.spec.version, outputs)
        plan = make_plan(
            asked, batch_size, concurrency, errors, ordered, timeout, options, self._cast
        )
        results: Generator[ResultOrError, None, None] = self._client._map(plan, items, self.spec)
        return results

    def __repr__(self) -> str:
        return f"<Model {self.spec}>"


@explains_arguments
class AsyncModel:
    """A model of a server: `(await model(INPUT0=a, INPUT1=b))["OUTPUT0"]`.

    Attributes:
        name: the model's name.
        spec: the model's inputs and outputs, against which a call is checked before it is sent.
    """

    def __init__(self, client: Any, spec: ModelSpec, cast: bool = False) -> None:
        self._client = client
        self._cast = cast
        self.spec = spec
        self.name = spec.name

    if not TYPE_CHECKING:  # a type checker would take it that there is any name

        def __getattr__(self, name: str) -> Any:
            raise no_attribute(self, name, MODEL_NAMES)

    def _repr_html_(self) -> str:
        return self.spec._repr_html_()

    async def __call__(self, /, *only: TensorLike, **inputs: TensorLike) -> InferResult:
        """Run the model; inputs are given by name, and an only one also without."""
        if only:
            inputs = {**self.spec.only_input(only), **inputs}
        return await self.infer(inputs)

    @explains_missing
    async def infer(
        self,
        inputs: Mapping[str, TensorLike],
        *surplus: Never,
        outputs: Sequence[str | m.RequestedOutput] | None = None,
        timeout: Timeout = CLIENT_DEFAULT,
        **options: Unpack[InferOptions],
    ) -> InferResult:
        """Run the model; takes the arguments of `AsyncClient.infer`.

        Raises:
            ValueError: an input or output is not the model's; nothing was sent.
        """
        if surplus:
            raise by_keyword(surplus, AsyncModel.infer)
        result: InferResult = await self._client.infer(
            self.spec.name,
            self.spec.check(inputs, outputs, self._cast),
            version=self.spec.version,
            outputs=outputs,
            timeout=timeout,
            **options,
        )
        return result

    @explains_missing
    def submit(
        self,
        inputs: Mapping[str, TensorLike],
        *surplus: Never,
        outputs: Sequence[str | m.RequestedOutput] | None = None,
        timeout: Timeout = CLIENT_DEFAULT,
        **options: Unpack[InferOptions],
    ) -> Task[InferResult]:
        """Run the model in a task; takes the arguments of `AsyncClient.infer`."""
        if surplus:
            raise by_keyword(surplus, AsyncModel.submit)
        task: Task[InferResult] = self._client.submit(
            self.spec.name,
            self.spec.check(inputs, outputs, self._cast),
            version=self.spec.version,
            outputs=outputs,
            timeout=timeout,
            **options,
        )
        return task

    @overload
    def map(
        self,
        items: Iterable[Item] | AsyncIterable[Item],
        *,
        outputs: Sequence[str | m.RequestedOutput] | None = None,
        batch_size: int | Literal["max"] = "max",
        concurrency: int | Literal["auto"] = "auto",
        errors: Literal["raise"] = "raise",
        ordered: bool = True,
        timeout: Timeout = CLIENT_DEFAULT,
        **options: Unpack[MapOptions],
    ) -> AsyncGenerator[MapResult, None]: ...

    @overload
    def map(
        self,
        items: Iterable[Item] | AsyncIterable[Item],
        *,
        outputs: Sequence[str | m.RequestedOutput] | None = None,
        batch_size: int | Literal["max"] = "max",
        concurrency: int | Literal["auto"] = "auto",
        errors: Literal["keep"],
        ordered: bool = True,
        timeout: Timeout = CLIENT_DEFAULT,
        **options: Unpack[MapOptions],
    ) -> AsyncGenerator[ResultOrError, None]: ...

    def map(
        self,
        items: Items,
        *,
        outputs: Sequence[str | m.RequestedOutput] | None = None,
        batch_size: int | Literal["max"] = "max",
        concurrency: int | Literal["auto"] = "auto",
        errors: Literal["raise", "keep"] = "raise",
        ordered: bool = True,
        timeout: Timeout = CLIENT_DEFAULT,
        **options: Unpack[MapOptions],
    ) -> AsyncGenerator[ResultOrError, None]:
        """Run the model on every item of an iterable; takes the arguments of `AsyncClient.map`."""
        asked = (self.spec.name, self.spec.version, outputs)
        plan = make_plan(
            asked, batch_size, concurrency, errors, ordered, timeout, options, self._cast
        )
        results: AsyncGenerator[ResultOrError, None] = self._client._map(plan, items, self.spec)
        return results

    def __repr__(self) -> str:
        return f"<AsyncModel {self.spec}>"
