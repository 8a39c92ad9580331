"""The load that a run makes: schedules and concurrency as the sink saw them.

A machine that is busy delays requests; it makes none early. So these tests compare with the times
and counts of the same run, not with the clock.
"""

from __future__ import annotations

import json
from itertools import accumulate, cycle, islice, pairwise

import pytest

from tests.perf import running
from tests.perf.test_runs import QUICK, at

MILLISECOND = 1_000_000
#: Requests at 200 a second: due every 5 ms.
RATE, GAP = ("--request-rate-range", "200"), 5 * MILLISECOND


def check_schedule(arrivals, due):
    """Check that requests came by a schedule: none early, and again and again a row in time."""
    late = [arrival - at for arrival, at in zip(arrivals, due, strict=True)]
    half = len(late) // 2
    earliest = []
    for part in (late[:half], late[half:]):
        earliest.append(min(part))
        rows = [part[begin : begin + 5] for begin in range(len(part) - 4)]
        assert any(max(row) - min(part) < 2 * MILLISECOND for row in rows)
    # As fast as it should be: within one part in a hundred.
    assert abs(earliest[0] - earliest[1]) < (due[-1] - due[0]) / 200


def test_a_rate_is_kept_and_lag_is_told(sink):
    report = running.run(*at(sink), "--request-count", "1000", *RATE)
    for label in ("Avg", "p50", "p90", "p95", "p99"):
        twin = report.number(f"{label} scheduled latency")
        assert twin >= report.number(f"{label} latency")
    assert "Schedule lag: p50" in report.out
    check_schedule(sink.arrivals()[-1000:], range(0, 1000 * GAP, GAP))


def test_intervals_are_repeated(sink, tmp_path):
    path = tmp_path / "gaps"
    path.write_text("10000\n20000\n30000\n")
    report = running.run(*at(sink), "--request-count", "200", "--request-intervals", str(path))
    assert "\nRequest Rate: 50" in report.out
    gaps = islice(cycle(each * MILLISECOND for each in (10, 20, 30)), 200)
    check_schedule(sink.arrivals()[-200:], list(accumulate(gaps)))


def test_a_stall_shows_in_scheduled_latencies(sink):
    sink.control(stall_at=sink.count() + 250, stall=1.0)
    report = running.run(*at(sink), "--request-count", "700", *RATE)
    arrivals = sink.arrivals()[-700:]
    late = [arrival - number * GAP for number, arrival in enumerate(arrivals)]
    waited = sorted((each - min(late)) / 1000 for each in late)
    scheduled = report.number("p90 scheduled latency")
    assert scheduled > 300_000
    assert waited[700 * 82 // 100] < scheduled < waited[700 * 98 // 100]
    assert report.number("p90 latency") < 100_000


def test_concurrency_is_what_was_asked_for(sink):
    sink.control(delay=0.1)
    before = sink.connections()
    report = running.run(*at(sink), "--request-count", "60", "--concurrency-range", "5")
    seconds = report.number("Avg latency") / 1e6
    assert report.number("Throughput") * seconds == pytest.approx(5, rel=0.4)
    log = sink.log()
    assert max(log["levels"][-60:]) == 5
    # One more for metadata, and one for each look at the counts.
    assert log["connections"] - before <= 5 + 3


def test_a_latency_limit_ends_a_search(sink):
    sink.control(delay=0.05)
    report = running.run(
        *at(sink), *QUICK, "--binary-search", "--concurrency-range", "1:16:4", "-l", "45", "-v",
    )  # fmt: skip
    assert "Measured latency went over the set limit" in report.err


def test_lower_concurrency_takes_effect_in_sync_mode(sink, tmp_path):
    """The official tool's threads never leave their loop, so its binary search is wrong."""
    sink.control(delay=0.01, crowded=True)
    path = tmp_path / "s.json"
    before = sink.count()
    running.run(
        *at(sink), *QUICK, "--binary-search", "--concurrency-range", "1:16:4", "-l", "100",
        "--summary-file", str(path),
    )  # fmt: skip
    loads = json.loads(path.read_text())["loads"]
    assert [load["value"] for load in loads][:3] == [1, 16, 8]
    levels = sink.log()["levels"][before:]
    ends = list(accumulate((load["requests"]["succeeded"] for load in loads), initial=0))
    assert ends[-1] == len(levels)
    for load, (begin, end) in zip(loads, pairwise(ends), strict=True):
        assert max(levels[begin:end]) == load["value"]


def test_the_throughput_of_a_count_is_that_of_its_time(sink, tmp_path):
    sink.control(delay=0.02)
    path = tmp_path / "e.json"
    report = running.run(*at(sink), "--request-count", "20", "--profile-export-file", str(path))
    assert report.number("Avg latency") > 20_000
    requests = json.loads(path.read_text())["experiments"][0]["requests"]
    first = min(each["timestamp"] for each in requests)
    last = max(each["response_timestamps"][-1] for each in requests)
    assert report.number("Throughput") == pytest.approx(20e9 / (last - first), rel=0.001)


def test_a_duration(sink, tmp_path):
    """Four windows, unless the machine is so busy that one takes longer."""
    path = tmp_path / "s.json"
    counts = []
    while 4 not in counts:
        report = running.run(
            *at(sink), "--duration", "1", "-p", "250", "-v", "--summary-file", str(path)
        )
        assert report.code == 0
        (load,) = json.loads(path.read_text())["loads"]
        seconds = [window["seconds"] for window in load["windows"]]
        assert all(each >= 0.25 for each in seconds[:-1])
        # What is left after a window and shorter than half of one belongs to it.
        assert sum(seconds[:-2]) <= 1 - 1.5 * 0.25
        assert sum(seconds[:-1]) <= 0.99 <= sum(seconds)
        count = report.number("Request count")
        assert report.number("Throughput") == pytest.approx(count / sum(seconds), rel=0.001)
        counts.append(report.out.count("  Pass ["))
        assert counts[-1] == len(seconds)
        assert len(counts) < 10
