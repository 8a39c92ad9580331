"""Conditions of --assert as they are shown."""

from __future__ import annotations

import pytest

from tritonclient.perf.options import values
from tritonclient.perf.report.assertions import shown


@pytest.mark.parametrize(
    ("condition", "value", "text"),
    [
        ("p99<1us", 13_467.0, "13467us"),
        ("p99<1us", 123_456_789.0, "123456789us"),
        ("p99<20ms", 20_001.2, "20.0012ms"),
        ("p99<2s", 13_467_000.0, "13.467s"),
        ("errors<=1%", 1.25, "1.25%"),
        ("throughput>1", 54_321.5, "54321.5"),
    ],
)
def test_values_are_shown_in_full(condition, value, text):
    assert shown(values.assertion("--assert", condition), value) == text
