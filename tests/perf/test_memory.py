"""Memory of the workers over a minute at full load."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.perf import running
from tests.support.waiting import eventually

MIB = 1 << 20
#: The most that a worker may hold, and may grow by while the load goes on.
LARGEST, GROWTH = 60 * MIB, 2 * MIB


def workers_of(process):
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [int(each) for each in children.split()]


def resident(pid):
    """Return the resident bytes of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.long
@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_memory_is_flat_over_a_minute(sink, protocol):
    url = sink.http if protocol == "http" else sink.grpc
    before = sink.count()
    process = running.begin(
        "-m", "sink", "-i", protocol, "-u", url, "--concurrency-range", "8", "-a",
        "-p", "70000", "-r", "1",
    )  # fmt: skip
    try:
        # Tables of labels, templates and histograms are filled by the first requests.
        eventually(lambda: sink.count() - before > 100_000, seconds=120)
        workers = workers_of(process)
        assert workers
        first = {pid: resident(pid) for pid in workers}
        highest = dict(first)

        def ended():
            for pid in workers:
                try:
                    highest[pid] = max(highest[pid], resident(pid))
                except (FileNotFoundError, ProcessLookupError):
                    return True  # it has ended
            return process.poll() is not None

        eventually(ended, seconds=240)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode in (0, 2), out + err
    for pid in workers:
        assert highest[pid] < LARGEST
        assert highest[pid] - first[pid] < GROWTH
