"""`map` against a server: what it yields for rows, batches, errors and broken sources."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.client.mapping.conftest import Front, calls
from tritonclient import InferenceServerException, InferResult, RequestedOutput, Tensor


def row(number: float) -> Any:
    return np.full(2, number, np.float32)


def rows(count: int) -> list[Any]:
    return [row(number) for number in range(count)]


def firsts(results: Any) -> list[float]:
    return [float(result["Y"].flat[0]) for result in results]


def test_rows_are_stacked_and_come_back_in_order(front: Front) -> None:
    results, error = front.map("double", ({"X": each} for each in rows(50)))
    assert error is None
    assert firsts(results) == [2.0 * number for number in range(50)]
    assert [result.index for result in results] == list(range(50))
    assert all(result["Y"].shape == (2,) for result in results)
    assert max(shape[0] for shape in calls) == 8
    assert sum(shape[0] for shape in calls) == 50


def test_a_bare_array_is_the_only_input(front: Front) -> None:
    results, error = front.map("double", np.stack(rows(20)))
    assert error is None
    assert firsts(results) == [2.0 * number for number in range(20)]


def test_a_handle_maps(front: Front) -> None:
    results, error = front.map("double", rows(20), handle=True)
    assert error is None
    assert firsts(results) == [2.0 * number for number in range(20)]


def test_batches_and_rows_mix(front: Front) -> None:
    items = [np.stack(rows(3)), row(7), np.stack(rows(8)), np.stack(rows(1))]
    results, error = front.map("double", items)
    assert error is None
    assert [result["Y"].shape for result in results] == [(3, 2), (2,), (8, 2), (1, 2)]
    for item, result in zip(items, results, strict=True):
        np.testing.assert_array_equal(result["Y"], 2 * item)


def test_several_inputs_and_outputs_of_no_dimension(front: Front) -> None:
    items = [{"A": row(n), "B": row(1)} for n in range(10)]
    results, error = front.map("add", items, outputs=["FIRST", "SUM"])
    assert error is None
    assert [float(result["FIRST"]) for result in results] == [float(n) for n in range(10)]
    assert all(result["FIRST"].shape == () for result in results)
    assert all(type(result["FIRST"]) is np.ndarray for result in results)
    assert all(set(result) == {"FIRST", "SUM"} for result in results)


def test_texts(front: Front) -> None:
    results, error = front.map("upper", [["a"], np.array(["b"], object), Tensor(["c"], "BYTES")])
    assert error is None
    assert [result["UPPER"].tolist() for result in results] == [[b"A"], [b"B"], [b"C"]]


def test_rows_of_other_shapes_go_by_themselves(front: Front) -> None:
    items = [np.arange(n) for n in (1, 1, 2, 2, 3, 1)]
    results, error = front.map("lengths", items)
    assert error is None
    assert [int(result["Y"]) for result in results] == [0, 0, 1, 1, 3, 0]


def test_a_model_that_does_not_batch_gets_a_request_for_each_item(front: Front) -> None:
    results, error = front.map("alone", rows(10))
    assert error is None
    assert firsts(results) == [2.0 * number for number in range(10)]
    assert calls == [(2,)] * 10


def test_batch_size(front: Front) -> None:
    results, error = front.map("double", rows(10), batch_size=3, concurrency=1)
    assert error is None
    assert len(results) == 10
    assert [shape[0] for shape in calls] == [3, 3, 3, 1]


@pytest.mark.parametrize("concurrency", [1, 5, "auto"])
def test_unordered_results_tell_their_item(front: Front, concurrency: Any) -> None:
    results, error = front.map("double", rows(50), ordered=False, concurrency=concurrency)
    assert error is None
    assert sorted(result.index for result in results) == list(range(50))
    assert all(float(result["Y"][0]) == 2.0 * result.index for result in results)


@pytest.mark.parametrize("ordered", [True, False])
def test_kept_errors_are_those_of_the_guilty_rows(front: Front, ordered: bool) -> None:
    bad = {3, 4, 17, 40}
    items = [row(-1 if number in bad else number) for number in range(43)]
    results, error = front.map("double", items, errors="keep", ordered=ordered)
    assert error is None
    results.sort(key=lambda result: result.index)
    assert [result.index for result in results] == list(range(43))
    for number, result in enumerate(results):
        if number in bad:
            assert isinstance(result, InferenceServerException)
            assert "negative" in str(result)
            assert str(result).startswith(f"item {number}: ")
        else:
            assert float(result["Y"][0]) == 2.0 * number


def test_the_first_error_is_raised_after_the_results_before_it(front: Front) -> None:
    items = [row(-1 if number in (21, 22, 30) else number) for number in range(50)]
    results, error = front.map("double", items)
    assert firsts(results) == [2.0 * number for number in range(21)]
    assert isinstance(error, InferenceServerException)
    assert error.index == 21
    assert "negative" in str(error)


def test_a_source_that_raises_loses_nothing(front: Front) -> None:
    def items() -> Iterator[Any]:
        yield from rows(21)
        raise OSError("the disk is gone")

    for errors in ("raise", "keep"):
        results, error = front.map("double", items(), errors=errors)
        assert firsts(results) == [2.0 * number for number in range(21)]
        assert isinstance(error, OSError)
        assert str(error) == "the disk is gone"


def test_no_items(front: Front) -> None:
    assert front.map("double", []) == ([], None)


def test_results_are_those_of_infer(front: Front) -> None:
    (first, second, whole), error = front.map("double", [row(1), row(2), np.stack(rows(8))])
    assert error is None
    assert isinstance(first, InferResult)
    assert first.model_name == "double"
    assert "FP32[2]" in repr(first)
    assert second.output("Y").shape == (2,)
    assert bytes(second.output("Y").data) == row(4).tobytes()
    again = pickle.loads(pickle.dumps(second))
    assert again.index == 1
    np.testing.assert_array_equal(again["Y"], row(4))
    assert dict(second).keys() == {"Y"}
    assert "Y" in second
    assert "Z" not in second
    with pytest.raises(KeyError, match="no output 'Z'"):
        second["Z"]
    assert whole.output("Y").shape == (8, 2)


def test_classes_of_rows(front: Front) -> None:
    items = [np.array(pair, np.float32) for pair in ([1, 2], [4, 3])]
    results, error = front.map("double", items, outputs=[RequestedOutput("Y", classes=1)])
    assert error is None
    assert [[each.index for each in result.classes("Y")] for result in results] == [[1], [0]]


BAD_ITEMS = {
    "type": ("no array", ValueError, ["'X'", "FP32 [-1, 2]"]),
    "unknown input": ({"Z": row(1)}, ValueError, ["no input 'Z'", "X FP32"]),
    "missing input": ({}, ValueError, ["'X'", "missing"]),
    "dtype": (np.zeros(2), ValueError, ["'X'", "FP32", "float64", "astype"]),
    "shape": (np.zeros(3, np.float32), ValueError, ["'X'", "[-1, 2]", "3"]),
    "dimensions": (np.zeros((1, 1, 2), np.float32), ValueError, ["'X'", "[-1, 2]", "[1, 1, 2]"]),
    "too many rows": (np.zeros((9, 2), np.float32), ValueError, ["'X'", "largest batch is 8"]),
    "no rows": (np.zeros((0, 2), np.float32), ValueError, ["'X'", "no rows"]),
    "None": (None, TypeError, ["'X'", "NoneType"]),
}


@pytest.mark.parametrize("name", BAD_ITEMS)
def test_a_bad_item_is_named_before_it_is_sent(front: Front, name: str) -> None:
    item, kind, words = BAD_ITEMS[name]
    results, error = front.map("double", [*rows(5), item, *rows(5)])
    assert len(results) == 5
    assert type(error) is kind
    for word in ("item 5: ", *words):
        assert word in str(error)
    calls.clear()
    results, error = front.map("double", [*rows(5), item, *rows(5)], errors="keep")
    assert error is None
    assert len(results) == 11
    assert isinstance(results[5], InferenceServerException)
    assert results[5].index == 5
    assert str(results[5]).startswith("item 5: ")
    assert sum(shape[0] for shape in calls) == 10


MIXED = {
    "row and batch": ({"A": row(1), "B": np.stack(rows(2))}, ["'B'", "'A'", "[2, 2]", "[2]"]),
    "rows": ({"A": np.stack(rows(3)), "B": np.stack(rows(2))}, ["3 rows", "2"]),
    "bare": (row(1), ["without names", "A FP32"]),
}


@pytest.mark.parametrize("name", MIXED)
def test_inputs_of_an_item_fit_each_other(front: Front, name: str) -> None:
    item, words = MIXED[name]
    results, error = front.map("add", [{"A": row(1), "B": row(1)}, item])
    assert len(results) == 1
    for word in ("item 1: ", *words):
        assert word in str(error)
