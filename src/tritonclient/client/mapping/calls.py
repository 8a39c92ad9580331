"""The methods `map` of the clients."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload
from weakref import WeakSet

from ...messages import RequestedOutput
from ...transport.errors import client_closed
from ..flows import Flow, describe_model
from ..model_spec import ModelSpec
from ..options import CLIENT_DEFAULT, MapOptions, Timeout, make_transport_options
from ..signatures import explains_arguments
from .plan import Item, Items, Plan, check_items, fit_plan, make_plan

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ...transport.call import Options
    from ..executor import Workers
    from .blocking import Sending
    from .results import MapResult
    from .sending import ResultOrError


@explains_arguments
class MapCalls:
    """`map` of a `Client`."""

    _seconds: Any
    _run: Any
    _twin: Any
    _workers: Workers
    _url: str

    @overload
    def map(
        self,
        model: str,
        items: Iterable[Item],
        *,
        version: str = "",
        outputs: Sequence[str | RequestedOutput] | None = None,
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
        model: str,
        items: Iterable[Item],
        *,
        version: str = "",
        outputs: Sequence[str | RequestedOutput] | None = None,
        batch_size: int | Literal["max"] = "max",
        concurrency: int | Literal["auto"] = "auto",
        errors: Literal["keep"],
        ordered: bool = True,
        timeout: Timeout = CLIENT_DEFAULT,
        **options: Unpack[MapOptions],
    ) -> Generator[ResultOrError, None, None]: ...

    def map(
        self,
        model: str,
        items: Items,
        *,
        version: str = "",
        outputs: Sequence[str | RequestedOutput] | None = None,
        batch_size: int | Literal["max"] = "max",
        concurrency: int | Literal["auto"] = "auto",
        errors: Literal["raise", "keep"] = "raise",
        ordered: bool = True,
        timeout: Timeout = CLIENT_DEFAULT,
        **options: Unpack[MapOptions],
    ) -> Generator[ResultOrError, None, None]:
        """Run a model on every item of an iterable, with several requests in flight.

        Items are stacked into requests, and are read only as there is room for more, so that
        memory is bounded however many there are:

            for result in client.map("digits", images):
                result["SCORES"]

        Args:
            model: name of the model.
            items: mappings from names of inputs to arrays, or arrays where the model has one
                input. An item is a row, without the model's batch dimension, or a batch with it.
            version, outputs: those of `infer`.
            batch_size: rows of a request; "max" for the model's max_batch_size, up to 32 MiB.
                Items of a model that does not batch get a request each.
            concurrency: requests in flight; "auto" for as many as raise the throughput, up to 64
                and 256 MiB of tensors.
            errors: "raise" to end with the first error, "keep" to yield an item's error in its
                place.
            ordered: False to yield results as their responses come; their `index` tells the item.
            timeout: seconds that a request may take; the client's own by default.
            priority, server_timeout, parameters, binary: those of `infer`, for every request.
            headers, query, request_compression, response_compression: those of `infer` as well.

        Returns:
            An iterator of one result for each item. The result of a row has no batch dimension.
            Closing or dropping it cancels the requests in flight.

        Raises:
            TypeError, ValueError: an argument is not what it should be; or, by the iteration, an
                item is not, whose index the message names.
            InferenceServerException: by the iteration, after the results of all items before; its
                `index` tells the item.
        """
        plan = make_plan(
            (model, version, outputs), batch_size, concurrency, errors, ordered, timeout, options
        )
        return self._map(plan, items)

    def _map(
        self, plan: Plan, items: Items, spec: ModelSpec | None = None
    ) -> Generator[ResultOrError, None, None]:
        """Return the iterator of `map`, for a model whose interface may be known."""
        check_items(items, asynchronous=False)
        if spec is not None:
            fit_plan(plan, spec)
        from .blocking import iterate  # asyncio takes long to import

        def describe() -> ModelSpec:
            if spec is not None:
                return spec
            described: ModelSpec = self._run(*_question(self, plan))
            return described

        return iterate(self._start_sending, plan, items, describe)

    def _start_sending(self, plan: Plan) -> Sending:
        from .blocking import Sending

        if self._workers.closed:
            raise client_closed(self._url)
        sending = Sending(self._twin(), plan)
        self._open_maps().add(sending)
        return sending

    def _open_maps(self) -> WeakSet[Sending]:
        maps: WeakSet[Sending] = self.__dict__.setdefault("_maps", WeakSet())
        return maps

    def _close_maps(self) -> None:
        for sending in list(self._open_maps()):
            sending.close()


@explains_arguments
class AsyncMapCalls:
    """`map` of an `AsyncClient`."""

    _seconds: Any
    _run: Any

    @overload
    def map(
        self,
        model: str,
        items: Iterable[Item] | AsyncIterable[Item],
        *,
        version: str = "",
        outputs: Sequence[str | RequestedOutput] | None = None,
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
        model: str,
        items: Iterable[Item] | AsyncIterable[Item],
        *,
        version: str = "",
        outputs: Sequence[str | RequestedOutput] | None = None,
        batch_size: int | Literal["max"] = "max",
        concurrency: int | Literal["auto"] = "auto",
        errors: Literal["keep"],
        ordered: bool = True,
        timeout: Timeout = CLIENT_DEFAULT,
        **options: Unpack[MapOptions],
    ) -> AsyncGenerator[ResultOrError, None]: ...

    def map(
        self,
        model: str,
        items: Items,
        *,
        version: str = "",
        outputs: Sequence[str | RequestedOutput] | None = None,
        batch_size: int | Literal["max"] = "max",
        concurrency: int | Literal["auto"] = "auto",
        errors: Literal["raise", "keep"] = "raise",
        ordered: bool = True,
        timeout: Timeout = CLIENT_DEFAULT,
        **options: Unpack[MapOptions],
    ) -> AsyncGenerator[ResultOrError, None]:
        """Run a model on every item of an iterable or an async iterable; see `Client.map`.

        Items are read by a task of its own.
        """
        plan = make_plan(
            (model, version, outputs), batch_size, concurrency, errors, ordered, timeout, options
        )
        return self._map(plan, items)

    def _map(
        self,
        plan: Plan,
        items: Items,
        spec: ModelSpec | None = None,
    ) -> AsyncGenerator[ResultOrError, None]:
        """Return the iterator of `map`, for a model whose interface may be known."""
        check_items(items, asynchronous=True)
        if spec is not None:
            fit_plan(plan, spec)
        from .aio import iterate

        async def describe() -> ModelSpec:
            if spec is not None:
                return spec
            described: ModelSpec = await self._run(*_question(self, plan))
            return described

        return iterate(self, plan, items, describe)


def _question(client: MapCalls | AsyncMapCalls, plan: Plan) -> tuple[Flow[ModelSpec], Options]:
    """Return the flow that asks for the interface of a plan's model, and its options."""
    flow = describe_model(plan.model, plan.version, client._seconds(plan.timeout))
    options = plan.options
    return flow, make_transport_options(options.get("headers"), options.get("query"))
