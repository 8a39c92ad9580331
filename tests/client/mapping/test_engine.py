"""The loops of both runtimes with random sources, failures and delays."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Iterator
from random import Random
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.mapping.fake import GONE, LARGEST, SPEC, FakeClient, item, plan
from tritonclient import ConnectionFailed, InferenceServerException, InvalidArgument
from tritonclient.client.mapping import aio, blocking

GOOD, GUILTY, INVALID, LOST = range(4)


class Case(NamedTuple):
    """What is mapped, and how."""

    kinds: list[tuple[int, int]]  # of each item: what it is, and its rows
    source_fails: bool
    batch_size: Any
    concurrency: Any
    ordered: bool
    errors: str
    random: Random


def kinds(*chosen: int) -> st.SearchStrategy[list[tuple[int, int]]]:
    kind = st.sampled_from([GOOD] * 6 + list(chosen))
    return st.lists(st.tuples(kind, st.sampled_from([0, 0, 0, 1, 2, LARGEST])), max_size=60)


CASES = st.builds(
    Case,
    kinds(GUILTY, INVALID, LOST),
    st.booleans(),
    st.sampled_from(["max", 1, 3]),
    st.sampled_from(["auto", 1, 2, 7]),
    st.booleans(),
    st.sampled_from(["raise", "keep"]),
    st.integers(0, 1 << 32).map(Random),
)


class Source:
    """The items of a case; counts those that were taken."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self.taken = 0

    def __iter__(self) -> Iterator[Any]:
        for index, (kind, rows) in enumerate(self._case.kinds):
            self.taken += 1
            number = {GOOD: index, GUILTY: -1 - index, INVALID: index, LOST: GONE}[kind]
            yield item(number, rows).astype("f8") if kind == INVALID else item(number, rows)
        if self._case.source_fails:
            raise OSError("the source is broken")

    async def __aiter__(self) -> AsyncIterator[Any]:
        for each in self:
            for _ in range(self._case.random.randrange(3)):
                await asyncio.sleep(0)
            yield each


class AsyncOnly:
    """An async iterable of a source."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._source.__aiter__()


def run(runtime: str, case: Case) -> tuple[list[Any], Exception | None, FakeClient, int]:
    """Return results, the exception that ended them, the client and how far reading was ahead."""
    client, source = FakeClient(case.random), Source(case)
    chosen = plan(
        batch_size=case.batch_size,
        concurrency=case.concurrency,
        ordered=case.ordered,
        errors=case.errors,
    )
    results: list[Any] = []
    ahead = 0

    def see(result: Any) -> None:
        nonlocal ahead
        results.append(result)
        ahead = max(ahead, source.taken - len(results))

    async def collect() -> None:
        async def describe() -> Any:
            return SPEC

        items = AsyncOnly(source) if runtime == "async items" else list_of(source)
        async for result in aio.iterate(client, chosen, items, describe):
            see(result)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    try:
        if runtime == "blocking":
            sending = blocking.Sending(client, chosen)
            for result in blocking.iterate(lambda _: sending, chosen, source, lambda: SPEC):
                see(result)
        else:
            asyncio.run(collect())
    except (InferenceServerException, OSError, ValueError) as error:
        return results, error, client, ahead
    return results, None, client, ahead


def list_of(source: Source) -> Iterator[Any]:
    """Return the items as an iterator that is no async iterable."""
    return iter(source)


@pytest.mark.parametrize("runtime", ["blocking", "items", "async items"])
@given(case=CASES)
def test_every_item_has_its_result(runtime: str, case: Case) -> None:
    results, error, client, ahead = run(runtime, case)
    indexes = [result.index for result in results]
    bad = [index for index, (kind, _) in enumerate(case.kinds) if kind != GOOD]
    for result in results:
        check(result, case)
    if case.ordered:
        assert indexes == list(range(len(indexes)))
    assert len(set(indexes)) == len(indexes)
    if case.errors == "keep":
        assert sorted(indexes) == list(range(len(case.kinds)))
        ended_early = False
    else:
        # A lost request fails also those that were sent along.
        lost = any(kind == LOST for kind, _ in case.kinds)
        ended_early = bool(bad)
        if bad and case.ordered and not lost:
            assert indexes == list(range(bad[0]))
        assert not any(isinstance(result, Exception) for result in results)
    if ended_early:
        assert isinstance(error, (InferenceServerException, ValueError))
    elif case.source_fails:
        assert str(error) == "the source is broken"
    else:
        assert error is None
    if not ended_early:
        assert client.cancelled == 0
    assert client.in_flight == 0
    limit = 64 if case.concurrency == "auto" else case.concurrency
    assert client.most <= limit
    size = LARGEST if case.batch_size == "max" else case.batch_size
    assert ahead <= (2 * limit + 2) * 2 * size


def check(result: Any, case: Case) -> None:
    """Fail unless a result is that of its item."""
    kind, rows = case.kinds[result.index]
    if not isinstance(result, Exception):
        assert kind == GOOD
        assert result["Y"].shape == ((rows, 1) if rows else (1,))
        assert (result["Y"] == 2 * result.index).all()
    elif isinstance(result, ConnectionFailed):
        assert any(kind == LOST for kind, _ in case.kinds)
    elif isinstance(result, InvalidArgument):
        assert kind == GUILTY
    else:
        assert kind == INVALID
        assert "FP64" in str(result) or "float64" in str(result)


@pytest.mark.parametrize("runtime", ["blocking", "items"])
def test_neighbours_of_a_guilty_row_are_asked_for_again(runtime: str) -> None:
    kinds = [(GUILTY if index == 2 else GOOD, 0) for index in range(4)]
    case = Case(kinds, False, "max", 1, True, "keep", Random(0))
    results, _, client, _ = run(runtime, case)
    assert [isinstance(result, Exception) for result in results] == [False, False, True, False]
    assert client.requests == [[0, 1, -3, 3], [0, 1], [-3, 3], [-3], [3]]


@pytest.mark.parametrize("runtime", ["blocking", "items"])
def test_a_server_that_is_gone_is_not_asked_for_each_row(runtime: str) -> None:
    kinds = [(LOST if index == 2 else GOOD, 0) for index in range(4)]
    case = Case(kinds, False, "max", 1, True, "keep", Random(0))
    results, _, client, _ = run(runtime, case)
    assert [str(result)[:8] for result in results] == [f"item {n}: " for n in range(4)]
    assert len(client.requests) == 1


@pytest.mark.parametrize("runtime", ["blocking", "items"])
def test_nothing_is_sent_after_the_error_that_is_raised(runtime: str) -> None:
    kinds = [(GUILTY if index == 2 else GOOD, 0) for index in range(4)]
    case = Case(kinds, False, "max", 1, True, "raise", Random(0))
    results, error, client, _ = run(runtime, case)
    assert len(results) == 2
    assert isinstance(error, InvalidArgument)
    assert error.index == 2
    assert client.requests == [[0, 1, -3, 3], [0, 1], [-3, 3], [-3]]


@pytest.mark.parametrize("runtime", ["blocking", "items"])
def test_kept_errors_keep_no_inputs(runtime: str) -> None:
    kinds = [(GUILTY, 0), (LOST, 0), (GOOD, 0)]
    results, *_ = run(runtime, Case(kinds, False, 1, 1, True, "keep", Random(0)))
    assert [type(each) for each in results[:2]] == [InvalidArgument, ConnectionFailed]
    assert [each.__traceback__ for each in results[:2]] == [None, None]


@pytest.mark.parametrize("runtime", ["blocking", "items"])
def test_an_error_that_is_raised_tells_where_it_came_from(runtime: str) -> None:
    _, error, *_ = run(runtime, Case([(GUILTY, 0)], False, 1, 1, True, "raise", Random(0)))
    assert error is not None
    assert "infer" in [frame.name for frame in traceback.extract_tb(error.__traceback__)]
