"""The parts of a job that are tasks of Ray: every row once, in order, however files are cut."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tritonclient.bulk.ray_pipeline import split


def _rows(parts, sizes):
    """Return (file, row) of all rows that parts have, as a task reads them."""
    for part in parts:
        left = part["rows"]
        for position, file in enumerate(part["files"]):
            name = Path(file).name
            for row in range(part["first"] if position == 0 else 0, sizes[name]):
                if left:
                    left -= 1
                    yield name, row
        assert not left


@given(
    st.lists(st.integers(0, 30), max_size=8),
    st.integers(0, 120),
    st.integers(1, 20),
)
def test_every_row_once(sizes, first, most):
    counts = [(f"f{number}", size) for number, size in enumerate(sizes)]
    start, parts = split(counts, first, most)
    assert start == first
    everything = [(name, row) for name, size in counts for row in range(size)]
    assert list(_rows(parts, dict(counts))) == everything[first:]
    assert all(part["rows"] <= most for part in parts)


def test_small_files_are_one_part():
    _, parts = split([("a", 1), ("b", 1), ("c", 1)], 0, 2)
    assert [[Path(file).name for file in part["files"]] for part in parts] == [["a", "b"], ["c"]]


def test_files_of_unknown_size_are_read_whole():
    start, parts = split([("a", 3), ("b", None), ("c", 3)], 5, 10)
    assert (start, [part["rows"] for part in parts]) == (3, [None, 3])


def test_names_are_absolute():
    _, parts = split([("a", 1)], 0, 2)
    assert parts[0]["files"] == [str(Path("a").absolute())]
