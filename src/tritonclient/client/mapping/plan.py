"""The arguments of `map`, checked before anything is sent."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, TypeAlias

from ...messages import RequestedOutput
from ...transport.settings import check_timeout
from ..model_spec import ModelSpec
from ..options import CLIENT_DEFAULT, MapOptions, Timeout, split
from ..requests import TensorLike
from ..requests import request as make_request
from ..suggestions import unknown_argument

#: An item of `map`: inputs by name, or the only input.
Item: TypeAlias = "Mapping[str, TensorLike] | TensorLike"
Items: TypeAlias = "Iterable[Item] | AsyncIterable[Item]"  # the latter on asyncio only
_OPTIONS = MapOptions.__optional_keys__
#: Options of `infer` that concern one request, and why `map` lacks them.
_OF_ONE_REQUEST = {
    "id": "an id is of one request",
    "sequence_id": "the requests of a sequence go one after the other: use infer or stream",
    "sequence_start": "the requests of a sequence go one after the other: use infer or stream",
    "sequence_end": "the requests of a sequence go one after the other: use infer or stream",
    "shared_memory": "its place is of one request: use infer or submit",
}
_NAMED = {"version", "outputs", "batch_size", "concurrency", "errors", "ordered", "timeout"}


@dataclass(frozen=True, slots=True)
class Plan:
    """What `map` was asked to do; see `Client.map` for the attributes."""

    model: str
    version: str
    outputs: Sequence[str | RequestedOutput] | None
    batch_size: int | None  # None for "max"
    concurrency: int | None  # None for "auto"
    keep: bool
    ordered: bool
    timeout: Timeout
    options: MapOptions
    cast: bool = False


def make_plan(
    asked: tuple[str, str, Sequence[str | RequestedOutput] | None],
    batch_size: int | str,
    concurrency: int | str,
    errors: str,
    ordered: bool,
    timeout: Timeout,
    options: Any,
    cast: bool = False,
) -> Plan:
    """Return the plan of these arguments.

    Args:
        asked: model, version and outputs.

    Raises:
        TypeError, ValueError: an argument is not what it should be.
    """
    model, version, outputs = asked
    for name in options:
        if name in _OF_ONE_REQUEST:
            raise TypeError(f"{name!r} is not an argument of map: {_OF_ONE_REQUEST[name]}")
        if name not in _OPTIONS:
            raise unknown_argument(name, _NAMED | _OPTIONS)
    if errors not in ("raise", "keep"):
        raise ValueError(f"errors is {errors!r:.60}, expected 'raise' or 'keep'")
    if not isinstance(ordered, bool):
        raise TypeError(f"ordered is {ordered!r:.60}, expected True or False")
    if timeout is not CLIENT_DEFAULT:
        check_timeout(timeout)
    make_request(model, {}, version=version, outputs=outputs, **split(options)[0])
    if outputs is not None:
        outputs = tuple(outputs)
        for output in outputs:
            if getattr(output, "place", None) is not None:
                raise TypeError(
                    f"output {getattr(output, 'name', '')!r} has a place in shared memory, which "
                    "is of one request: use infer or submit"
                )
    return Plan(
        model,
        version,
        outputs,
        _count("batch_size", batch_size, "max"),
        _count("concurrency", concurrency, "auto"),
        errors == "keep",
        ordered,
        timeout,
        options,
        cast,
    )


def _count(name: str, value: int | str, word: str) -> int | None:
    if isinstance(value, str) and value == word:
        return None
    if isinstance(value, bool) or not isinstance(value, (Integral, str)):
        raise TypeError(f"{name} is {value!r:.60}, expected {word!r} or a number from 1")
    if isinstance(value, str) or value < 1:
        raise ValueError(f"{name} is {value!r:.60}, expected {word!r} or a number from 1")
    return int(value)


def check_items(items: Any, *, asynchronous: bool) -> None:
    """Raise TypeError for items that can't be iterated over, or are one item.

    Args:
        asynchronous: whether an async iterable will do.
    """
    if isinstance(items, AsyncIterable):
        if not asynchronous:
            raise TypeError(
                f"items is {type(items).__name__}, an async iterable; AsyncClient.map takes those"
            )
        return
    if isinstance(items, Mapping):
        raise TypeError(
            f"items is {type(items).__name__}, expected an iterable of items; "
            "infer runs the model once with a mapping of names to arrays, [inputs] is a list of one"
        )
    # What has no __iter__ may still be a sequence, as iter() takes it.
    iterable = isinstance(items, Iterable) or hasattr(type(items), "__getitem__")
    if not iterable or isinstance(items, (str, bytes, bytearray)):
        raise TypeError(
            f"items is {type(items).__name__}, expected an iterable of mappings of names to "
            f"arrays, or of arrays where the model has one input{_way_to_items(items)}"
        )
    if hasattr(items, "columns") and hasattr(items, "shape"):
        raise TypeError(
            f"items is {type(items).__name__}, which gives its columns, expected its rows: "
            "frame.to_numpy(np.float32) for a model with one input, frame.to_dict('records'), or "
            "tritonclient.bulk.infer"
        )


def _way_to_items(items: Any) -> str:
    if inspect.isawaitable(items):
        return "; await it first"
    return "; call it, and give what it returns" if callable(items) else ""


def fit_plan(plan: Plan, spec: ModelSpec) -> int:
    """Return how many rows a request may have; 0 for a model whose items are not stacked.

    Raises:
        ValueError: the model takes no batches of this size, or lacks an output.
    """
    spec.check_outputs(plan.outputs)
    asked, largest = plan.batch_size, spec.max_batch_size
    if largest is None:  # the server does not tell, so the caller does
        if asked is None or not spec.inputs:
            return 0
        if asked > 1 and any(not t.shape or t.shape[0] != -1 for t in spec.inputs.values()):
            raise ValueError(
                f"batch_size is {asked}, but the inputs of model {spec.name!r} have no first "
                "dimension of variable size; leave batch_size out"
            )
        return asked if asked > 1 else 0
    if largest == 0:
        if asked is not None and asked > 1:
            raise ValueError(
                f"batch_size is {asked}, but model {spec.name!r} does not batch "
                "(its max_batch_size is 0); leave batch_size out"
            )
        return 0
    if asked is not None and asked > largest:
        raise ValueError(
            f"batch_size is {asked}, but the max_batch_size of model {spec.name!r} is {largest}"
        )
    return largest if asked is None else asked
