"""The ranges of a job that are tasks of Ray: every row once, in order, however files are cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tritonclient.bulk.on_ray import ranges_of


def _rows(found, sizes):
    """Return (file, row) of all rows of a range, as its task reads them."""
    rows = [(file, row) for file in found.files for row in range(sizes[file])]
    return rows[found.first : found.stop]


@given(st.lists(st.integers(0, 30), max_size=8), st.integers(0, 120), st.integers(1, 20))
def test_every_row_once(sizes, first, most):
    counts = {f"f{number}": size for number, size in enumerate(sizes)}
    ranges = [_rows(each, counts) for each in ranges_of(counts.items(), first, most)]
    everything = [(name, row) for name, size in counts.items() for row in range(size)]
    assert [row for rows in ranges for row in rows] == everything[first:]
    assert all(0 < len(rows) <= most for rows in ranges)


def test_small_files_have_one_range():
    ranges = ranges_of([("a", 1), ("b", 1), ("c", 1)], 0, 2)
    assert [list(each.files) for each in ranges] == [["a", "b"], ["c"]]
