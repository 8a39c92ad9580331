"""Items made into the inputs of requests, and results cut from those of requests."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from tritonclient import ProtocolError, Tensor
from tritonclient.client.mapping.batches import MAX_REQUEST_BYTES, Batch, Batcher
from tritonclient.client.mapping.items import ItemReader
from tritonclient.client.mapping.results import cut
from tritonclient.client.model_spec import ModelSpec
from tritonclient.client.requests import make_input
from tritonclient.messages import TensorMetadata
from tritonclient.testing import infer_result


def spec(
    datatype: str, *shape: int, largest: int | None = 8, optional: frozenset[str] = frozenset()
) -> ModelSpec:
    names = ("X", *sorted(optional))
    tensors = {name: TensorMetadata(name, datatype, shape) for name in names}
    return ModelSpec("m", "", tensors, {}, largest, optional)


def batches(model: ModelSpec, *items: Any, cast: bool = False) -> list[Batch]:
    """Return the batches of items."""
    size = model.max_batch_size or 0
    batcher = Batcher(ItemReader(model, size > 0, cast), size, True)
    for each in items:
        batcher.add(each)
    batcher.flush()
    assert [refused for batch in batcher.ready for refused in batch.refused] == []
    return list(batcher.ready)


def stacked(model: ModelSpec, *items: Any, cast: bool = False) -> list[Any]:
    """Return the tensors "X" of the requests for items."""
    return [make_input("X", each.stack()["X"]) for each in batches(model, *items, cast=cast)]


BITS = np.array([0x3F80], np.uint16)  # 1.0 in BF16


@pytest.mark.parametrize("largest", [8, 0])
@pytest.mark.parametrize(
    "value",
    [BITS, [1.0], np.ones(1, np.float32), Tensor(BITS, "BF16")],
    ids=lambda v: type(v).__name__,
)
def test_bf16_stays_bf16(largest: int, value: Any) -> None:
    model = spec("BF16", *([-1, 1] if largest else [1]), largest=largest)
    for tensor in stacked(model, value, value, value):
        assert tensor.datatype == "BF16"
        assert bytes(tensor.data or b"") == BITS.tobytes() * (3 if largest else 1)


@pytest.mark.parametrize("largest", [8, 0])
def test_every_item_is_cast(largest: int) -> None:
    model = spec("FP32", *([-1, 1] if largest else [1]), largest=largest)
    for tensor in stacked(model, np.ones(1), np.ones(1), np.ones(1), cast=True):
        assert tensor.datatype == "FP32"


def test_rows_without_dimensions() -> None:
    (tensor,) = stacked(spec("FP32", -1), np.float32(1), 2.0, np.array(3, np.float32))
    assert tensor.shape == (3,)
    assert bytes(tensor.data or b"") == np.array([1, 2, 3], np.float32).tobytes()


def test_other_mappings_and_arrays_of_other_layouts() -> None:
    block = np.arange(12, dtype=np.float32).reshape(3, 4)
    items = [MappingProxyType({"X": block[:, 0]}), {"X": block[::-1, 1]}, {"X": block.T[2]}]
    (tensor,) = stacked(spec("FP32", -1, 3), *items)
    expected = np.stack([block[:, 0], block[::-1, 1], block[:, 2]])
    assert bytes(tensor.data or b"") == expected.tobytes()


def test_items_with_and_without_an_optional_input_go_apart() -> None:
    model = spec("FP32", -1, 1, optional=frozenset({"Y"}))
    one = np.ones(1, np.float32)
    items: list[Any] = [{"X": one}, {"X": one, "Y": one}, {"Y": one, "X": one}, {"X": one}]
    found = batches(model, *items)
    assert [batch.positions for batch in found] == [[0], [1, 2], [3]]
    assert [sorted(batch.stack()) for batch in found] == [["X"], ["X", "Y"], ["X"]]


def test_a_statement_about_json_is_kept() -> None:
    tensors = stacked(spec("FP32", -1, 1), Tensor([1.0], "FP32", binary=False), [1.0])
    assert [tensor.binary for tensor in tensors] == [False, True]


def test_texts_are_looked_at_each_time() -> None:
    model = spec("BYTES", -1, 1)
    batcher = Batcher(ItemReader(model, True, False), 8, True)
    for value in (np.array(["a"], object), np.array([1.5], object)):
        batcher.add({"X": value})
    batcher.flush()
    assert [error.index for error in batcher.ready[0].refused] == [1]
    assert batcher.ready[0].positions == [0]


def test_requests_have_a_largest_size_in_bytes() -> None:
    count = MAX_REQUEST_BYTES // 4
    model = spec("FP32", -1, -1, largest=1000)
    big = np.zeros(count // 2 + 1, np.float32)
    small = np.zeros(count // 4, np.float32)
    assert [b.positions for b in batches(model, big, big, big)] == [[0], [1], [2]]
    assert [b.positions for b in batches(model, *[small] * 5)] == [[0, 1, 2, 3], [4]]
    assert len(batches(model, np.zeros(2 * count, np.float32))) == 1


def test_a_placed_tensor_is_refused() -> None:
    class Placed:
        def as_input(self, name: str) -> Any:
            return make_input(name, np.zeros((1, 1), np.float32))

    batcher = Batcher(ItemReader(spec("FP32", -1, 1), True, False), 8, True)
    batcher.add({"X": Placed()})
    batcher.flush()
    (error,) = batcher.ready[0].refused
    assert "shared memory" in str(error)
    assert str(error).startswith("item 0: ")


@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (4,)])
def test_outputs_without_the_rows_that_were_sent(shape: tuple[int, ...]) -> None:
    whole = infer_result({"Y": np.zeros(shape, np.float32)})
    (batch,) = batches(spec("FP32", -1, 1), *np.zeros((3, 1), np.float32))
    with pytest.raises(ProtocolError, match=r"output 'Y' has the shape .* 3 rows"):
        cut(whole, batch)


def test_one_row_has_no_batch_dimension_either() -> None:
    (batch,) = batches(spec("FP32", -1, 1), np.zeros(1, np.float32))
    (result,) = cut(infer_result({"Y": np.array([["a"]], object)}), batch)
    assert result["Y"].tolist() == [b"a"]
    assert result.output("Y").shape == (1,)


ROWS = {
    "arrays": [np.full(2, each, np.float32) for each in range(30)],
    "mappings": [{"X": np.full(2, each, np.float32)} for each in range(30)],
    "lists": [[each, each] for each in range(30)],
    # At each of these the rows before go by themselves, or are not like those of a run.
    "mixed": [
        {"X": np.full(2, each, np.float32)}
        if each % 5 == 0
        else np.full((3, 2) if each % 7 == 0 else 2, each, np.float32)
        for each in range(30)
    ],
    "shapes": [np.full(2 + each // 9, each, np.float32) for each in range(30)],
    "optional": [
        {"X": np.full(2, each, np.float32), **({"Y": np.ones(2, np.float32)} if each > 9 else {})}
        for each in range(30)
    ],
}


@pytest.mark.parametrize("name", ROWS)
def test_items_read_in_runs_make_the_same_batches(name: str) -> None:
    model, items = spec("FP32", -1, -1, optional=frozenset("Y")), ROWS[name]
    batcher = Batcher(ItemReader(model, True, False), 8, True)
    source = iter(items)
    while batcher.read(source):
        pass
    batcher.flush()
    one_by_one = batches(model, *items)
    assert [b.positions for b in batcher.ready] == [b.positions for b in one_by_one]
    for found, expected in zip(batcher.ready, one_by_one, strict=True):
        assert (found.rows, found.byte_size) == (expected.rows, expected.byte_size)
        for key, array in expected.stack().items():
            np.testing.assert_array_equal(found.stack()[key], array)


@pytest.mark.parametrize("rows", [0, 8])
def test_no_more_is_read_than_a_batch_holds(rows: int) -> None:
    batcher = Batcher(ItemReader(spec("FP32", -1, 2), True, False), 8, True)
    source = iter([np.zeros((rows, 2) if rows else 2, np.float32)] * 100)
    while len(batcher.ready) < 3:
        batcher.read(source)
    assert len(list(source)) == (97 if rows else 76)


def test_items_before_an_error_of_the_source_are_read() -> None:
    def items() -> Any:
        yield from ROWS["arrays"][:5]
        raise OSError("broken")

    batcher = Batcher(ItemReader(spec("FP32", -1, 2), True, False), 8, True)
    source = items()
    with pytest.raises(OSError, match="broken"):
        while batcher.read(source):
            pass
    batcher.flush()
    assert batcher.ready[0].positions == [0, 1, 2, 3, 4]
