"""Histograms have a bounded error, and can be added and subtracted."""

from __future__ import annotations

import numpy as np
import pytest

from tritonclient.perf.load import histogram


def of(values):
    counts = histogram.empty()
    for value in values:
        counts[histogram.bucket_of(int(value))] += 1
    return counts


def test_every_time_is_within_a_percent_of_its_bucket():
    rng = np.random.default_rng(1)
    values = np.unique(np.exp(rng.uniform(0, np.log(8e12), 20_000)).astype(np.int64))
    for value in values.tolist():
        middle = histogram.MIDDLES[histogram.bucket_of(value)]
        assert abs(middle - value) <= 0.01 * value + 0.5


def test_buckets_are_in_order_and_all_used():
    assert histogram.bucket_of(-5) == 0
    assert histogram.bucket_of(histogram.LARGEST) == histogram.BUCKETS - 1
    assert histogram.bucket_of(histogram.LARGEST * 10) == histogram.BUCKETS - 1
    assert (np.diff(histogram.MIDDLES) > 0).all()
    edges = [1 << power for power in range(43)]
    buckets = [histogram.bucket_of(edge) for edge in edges]
    assert buckets == sorted(set(buckets))
    assert [histogram.bucket_of(edge - 1) for edge in edges[8:]] == [b - 1 for b in buckets[8:]]


@pytest.mark.parametrize("percent", [50, 90, 99, 99.9, 99.99])
def test_percentiles_are_those_of_the_values(percent):
    values = np.random.default_rng(2).lognormal(13, 0.7, 30_000).astype(np.int64)
    ranked = np.sort(values)
    exact = ranked[int(percent / 100 * (len(ranked) - 1) + 0.5)]
    assert histogram.percentile(of(values), percent) == pytest.approx(exact, rel=0.01)


def test_mean_and_deviation_also_of_slow_models():
    values = np.random.default_rng(3).normal(2e9, 6e8, 5000).clip(1).astype(np.int64)
    counts = of(values)
    assert histogram.mean(counts) == pytest.approx(values.mean(), rel=0.01)
    assert histogram.deviation(counts) == pytest.approx(values.std(ddof=1), rel=0.01)
    assert histogram.deviation(of([5])) == histogram.percentile(histogram.empty(), 50) == 0


def test_they_add_up_and_survive_json():
    a, b = of([100, 2000, 30_000]), of([100, 5_000_000])
    assert int((a + b).sum()) == 5
    assert ((a + b - a) == b).all()
    assert (histogram.from_json(histogram.to_json(a)) == a).all()
    with pytest.raises(ValueError, match="range"):
        histogram.from_json({"index": [10**9], "count": [1]})
