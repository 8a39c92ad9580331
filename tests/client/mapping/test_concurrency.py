"""How many requests are in flight, with a clock that the tests set."""

from __future__ import annotations

import pytest

from tritonclient.client.mapping.batches import Batch
from tritonclient.client.mapping.concurrency import FIRST, MAX_BYTES, MOST, Concurrency
from tritonclient.client.mapping.window import Entry, Window


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def run(
    window: Window,
    concurrency: Concurrency,
    clock: Clock,
    at_once: int,
    burst: int,
    seconds: float = 0.1,
) -> None:
    """Answer thousands of requests of a server that works on some at once.

    Args:
        burst: how many answers come before there is another request.
        seconds: that the server works on one.
    """
    in_flight: list[Entry] = []
    for _ in range(4000):
        while window.has_room():
            in_flight.append(window.add(Batch(None, (0,), {}, (64,))))
        for _ in range(min(burst, len(in_flight))):
            clock.now += seconds / min(len(in_flight), at_once)
            window.settle(in_flight.pop(0), [])
            window.take()


@pytest.mark.parametrize("burst", [1, 3, 4])
@pytest.mark.parametrize("at_once", [1, 16, 1000])
def test_it_grows_while_throughput_does(at_once: int, burst: int) -> None:
    clock = Clock()
    concurrency = Concurrency(None, clock)
    run(Window(concurrency, True, False), concurrency, clock, at_once, burst)
    # While answers come in bursts, some requests more keep the server at work.
    assert concurrency.limit in {1: [FIRST], 16: [16, 32], 1000: [MOST]}[at_once]


@pytest.mark.parametrize("at_once", [1, 4])
def test_quick_requests_may_wait_at_the_server(at_once: int) -> None:
    clock = Clock()
    concurrency = Concurrency(None, clock)
    run(Window(concurrency, True, False), concurrency, clock, at_once, 1, seconds=0.0005 * at_once)
    assert concurrency.limit == MOST


def test_a_slow_source_says_nothing() -> None:
    clock = Clock()
    concurrency = Concurrency(None, clock)
    window = Window(concurrency, True, False)
    for _ in range(10_000):
        entry = window.add(Batch(None, (0,), {}, (64,)))
        clock.now += 0.01
        window.settle(entry, [])
        window.take()
    assert concurrency.limit == FIRST
    run(window, concurrency, clock, 1000, 1)  # the source has become quick
    assert concurrency.limit == MOST


def test_a_fixed_number_stays() -> None:
    clock = Clock()
    concurrency = Concurrency(7, clock)
    run(Window(concurrency, True, False), concurrency, clock, 1000, 1)
    assert concurrency.limit == 7


@pytest.mark.parametrize("ordered", [True, False])
def test_results_that_wait_to_be_taken_fill_the_window(ordered: bool) -> None:
    window = Window(Concurrency(3), ordered, False)
    sent = 0
    while window.has_room():
        window.settle(window.add(Batch()), [])
        sent += 1
    assert sent == 6
    window.take()
    assert window.has_room()


def test_tensors_in_flight_are_limited() -> None:
    window = Window(Concurrency(None), True, False)
    batch = Batch()
    batch.byte_size = MAX_BYTES // 2
    assert window.has_room()
    first = window.add(batch)
    assert window.has_room()
    window.add(batch)
    assert not window.has_room()
    window.settle(first, [])
    assert window.has_room()


def test_a_request_of_any_size_may_go_alone() -> None:
    window = Window(Concurrency(None), True, False)
    batch = Batch()
    batch.byte_size = 10 * MAX_BYTES
    assert window.has_room()
    window.add(batch)
    assert not window.has_room()
