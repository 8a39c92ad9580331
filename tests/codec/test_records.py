"""Records from JSON: unknown and missing members are fine, wrong kinds are named."""

from __future__ import annotations

import pytest

from tritonclient import messages as m
from tritonclient.codec.records import dump, load


def test_round_trip():
    statistics = m.ModelStatistics(
        "m",
        "1",
        inference_count=2**63 - 1,
        inference_stats=m.InferStatistics(success=m.StatisticDuration(1, 2)),
        batch_stats=(m.InferBatchStatistics(4),),
        memory_usage=(m.MemoryUsage("GPU", 0, 5),),
        response_stats={"0": m.InferResponseStatistics(cancel=m.StatisticDuration(3, 4))},
    )
    value = dump(statistics)
    assert value["inference_stats"]["success"] == {"count": 1, "ns": 2}
    assert value["response_stats"]["0"]["cancel"] == {"count": 3, "ns": 4}
    assert load(m.ModelStatistics, value) == statistics


def test_missing_unknown_and_null_members():
    assert load(m.ServerMetadata, {}) == m.ServerMetadata()
    assert load(m.ServerMetadata, {"name": None, "other": [1]}) == m.ServerMetadata()
    assert load(m.ModelMetadata, {"inputs": []}) == m.ModelMetadata()


@pytest.mark.parametrize(
    ("text", "number"), [("7", 7), ("-7", -7), ("9223372036854775807", 2**63 - 1)]
)
def test_integers_as_texts(text, number):
    assert load(m.StatisticDuration, {"count": text}).count == number


@pytest.mark.parametrize("value", ["", "-", "--1", "1.0", "x", "1" * 30, 1.5, True, [], {}])
def test_no_integers(value):
    with pytest.raises(ValueError):  # noqa: PT011, some words are int's own
        load(m.StatisticDuration, {"count": value})


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        (m.ServerMetadata, [], r"\$ is \[\], expected an object"),
        (m.ServerMetadata, {"name": 1}, r"\$\.name is 1, expected str"),
        (m.ServerMetadata, {"extensions": "x"}, r"\$\.extensions is 'x', expected a list"),
        (m.ServerMetadata, {"extensions": ["a", 1]}, r"\$\.extensions\[1\] is 1, expected str"),
        (m.ModelMetadata, {"inputs": [{"shape": [1, "x"]}]}, r"\$\.inputs\[0\]\.shape\[1\] is 'x'"),
        (m.ModelStatistics, {"response_stats": {"0": 1}}, r"\$\.response_stats\.0 is 1"),
        (tuple[m.ModelIndex, ...], {}, r"\$ is {}, expected a list"),
        (dict[str, int], {"a": "b"}, r"\$\.a is 'b', expected an integer"),
    ],
)
def test_wrong_kinds(kind, value, words):
    with pytest.raises(ValueError, match=words):
        load(kind, value)


def test_messages_are_short():
    with pytest.raises(ValueError, match="expected str") as caught:
        load(m.ServerMetadata, {"name": ["x" * 10000]})
    assert len(str(caught.value)) < 200
