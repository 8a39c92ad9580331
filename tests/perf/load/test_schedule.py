"""Schedules are absolute, dealt without gaps, and the same in each run."""

from __future__ import annotations

from itertools import islice, takewhile

import numpy as np
import pytest

from tritonclient.perf.load.schedule import Schedule
from tritonclient.perf.load.sequences import SequenceRules, Sequences, Slot

SECOND = 1_000_000_000


def together(schedule, workers, count):
    dealt = [list(islice(schedule.due(worker, workers), count)) for worker in range(workers)]
    return sorted(each for part in dealt for each in part)[:count]


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize(
    "schedule",
    [
        Schedule(rate=1000),
        Schedule(rate=700, poisson=True, seed=5),
        Schedule(gaps=(1000, 5000, 0)),
        Schedule(rate=500, ramp=SECOND),
    ],
)
def test_workers_share_one_schedule(schedule, workers):
    numbers, times = zip(*together(schedule, workers, 600), strict=True)
    assert list(numbers) == list(range(600))
    assert list(times) == sorted(times)
    assert list(times) == [at for _, at in islice(schedule.due(0, 1), 600)]


def test_constant_rates_do_not_drift():
    assert [at for _, at in islice(Schedule(rate=3).due(0, 1), 31)][30] == 10 * SECOND


def test_poisson_gaps_are_exponential_and_seeded():
    def first(seed):
        return [
            at for _, at in islice(Schedule(rate=2000, poisson=True, seed=seed).due(0, 1), 9000)
        ]

    gaps = np.diff([0, *first(1)]) / SECOND
    assert gaps.mean() == pytest.approx(1 / 2000, rel=0.05)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.06)
    assert first(1) == first(1) != first(2)


def test_a_ramp_rises_evenly():
    schedule = Schedule(rate=1000, ramp=2 * SECOND)
    times = [at for _, at in takewhile(lambda each: each[1] < 3 * SECOND, schedule.due(0, 1))]
    counts = np.histogram(times, [0, SECOND, 2 * SECOND, 3 * SECOND])[0]
    assert counts.tolist() == pytest.approx([250, 750, 1000], abs=2)


def test_a_fixed_schedule_is_run_once():
    schedule = Schedule(times=(0, 5, 9))
    assert list(schedule.due(0, 2)) == [(0, 0), (2, 9)]
    assert list(schedule.due(1, 2)) == [(1, 5)]
    assert list(Schedule(times=(9, 0, 5)).due(0, 1)) == [(1, 0), (2, 5), (0, 9)]


def test_mean_rates():
    assert Schedule(gaps=(1_000_000, 3_000_000)).mean_rate == 500
    assert Schedule(times=(0, SECOND)).mean_rate == 1
    assert Schedule(rate=7).mean_rate == 7


def rules(**changes):
    given = {"length": 3, "variation": 0.0, "first_id": 1, "ids": 100, "streams": ((0, 1),)}
    return SequenceRules(**{**given, **changes})


def test_sequences_have_flags_and_ids():
    sequences, slot = Sequences(rules(), 0, 1, 0), Slot()
    made = [sequences.next(slot) for _ in range(6)]
    assert made == [
        (0, 1, True, False), (1, 1, False, False), (0, 1, False, True),
        (0, 2, True, False), (1, 2, False, False), (0, 2, False, True),
    ]  # fmt: skip


def test_a_sequence_of_one_request_begins_and_ends():
    assert Sequences(rules(length=1), 0, 1, 0).next(Slot())[2:] == (True, True)


def test_workers_never_share_an_id_and_ids_in_use_are_left_alone():
    one, other = (Sequences(rules(ids=4), worker, 2, 0) for worker in range(2))
    slots = [[Slot(), Slot()], [Slot(), Slot()]]
    used = {sequences.next(slot)[1] for sequences, pair in ((one, slots[0]), (other, slots[1]))
            for slot in pair}  # fmt: skip
    assert used == {1, 2, 3, 4}


def test_every_worker_takes_all_streams():
    sequences, slot = Sequences(rules(length=0, streams=((0,), (1,))), 0, 2, 0), Slot()
    assert [sequences.next(slot)[0] for _ in range(4)] == [0, 1, 0, 1]


def test_lengths_vary_as_asked():
    sequences, slot = Sequences(rules(length=20, variation=20.0), 0, 1, 7), Slot()
    lengths = []
    for _ in range(200):
        length = 1
        while not sequences.next(slot)[3]:
            length += 1
        lengths.append(length)
    assert 16 <= min(lengths) < 18
    assert 22 < max(lengths) <= 24
    assert np.mean(lengths) == pytest.approx(20, abs=0.6)


def test_without_a_length_a_sequence_is_its_stream():
    sequences = Sequences(rules(length=0, streams=((0, 1), (2, 3, 4))), 0, 1, 0)
    slot = Slot()
    steps = [sequences.next(slot)[0] for _ in range(5)]
    assert steps == [0, 1, 2, 3, 4]


def test_an_open_sequence_is_closed_once():
    sequences, slot = Sequences(rules(), 0, 1, 0), Slot()
    assert sequences.close(slot) is None
    sequences.next(slot)
    assert sequences.close(slot) == (1, 1)
    assert sequences.close(slot) is None
