"""Which addresses of a host are tried in which order, and when."""

from __future__ import annotations

import errno
import math
import os
import socket

import pytest

from tritonclient.transport.happy_eyeballs import (
    ATTEMPT_DELAY,
    MAX_ADDRESSES,
    SHORTEST_DELAY,
    Address,
    Race,
    interleaved,
    literal,
)

V4, V6 = socket.AF_INET, socket.AF_INET6


def four(number):
    return Address(V4, (f"10.0.0.{number}", 80))


def six(number):
    return Address(V6, (f"fd00::{number}", 80, 0, 0))


A, B, C = four(1), four(2), four(3)
X, Y, Z = six(1), six(2), six(3)


def failure(code):
    return OSError(code, os.strerror(code))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], []),
        ([A], [A]),
        ([A, B, C], [A, B, C]),
        ([X, A], [X, A]),
        ([X, Y, A, B], [X, A, Y, B]),
        ([A, B, X, Y], [A, X, B, Y]),
        ([X, Y, Z, A], [X, A, Y, Z]),
        ([X, A, B, C], [X, A, B, C]),
        ([A, X, A, X, B], [A, X, B]),
    ],
)
def test_the_families_take_turns(found, expected):
    assert interleaved(found) == expected


def test_no_name_server_chooses_how_many_sockets_there_are():
    tried = interleaved([four(i) for i in range(1000)] + [six(1)])
    assert len(tried) == MAX_ADDRESSES
    assert six(1) in tried


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("10.0.0.1", A),
        ("fd00::1", X),
        ("::ffff:1.2.3.4", Address(V6, ("::ffff:1.2.3.4", 80, 0, 0))),
        ("localhost", None),
        ("10.0.0", None),
        ("10.0.0.1.", None),
        ("fe80::1%eth0", None),
        ("", None),
        ("bücher.example", None),
        ("a\0b", None),
    ],
)
def test_literal_addresses(host, expected):
    assert literal(host, 80) == expected


#: What happens, by the clock: (time, address that is to begin or None, attempts that fail then).
RACES = {
    "one address": ([A], math.inf, [(0, A, []), (0, None, []), (9, None, [])]),
    "silence": (
        [X, A, Y],
        math.inf,
        [(0, X, []), (0.24, None, []), (0.25, A, []), (0.25, None, []), (0.5, Y, [])],
    ),
    "late wake-ups": (
        [X, A, Y], math.inf, [(0, X, []), (0.4, A, []), (0.6, None, []), (0.65, Y, [])]
    ),
    "a failure": (
        [X, A, Y], math.inf, [(0, X, [X]), (0.01, A, []), (0.25, None, []), (0.27, Y, [])]
    ),
    "failures": ([X, A, Y], math.inf, [(0, X, [X]), (0, A, [A]), (0, Y, []), (9, None, [])]),
    "an earlier one fails": (
        [X, A, Y],
        math.inf,
        [(0, X, []), (0.25, A, [X]), (0.26, Y, []), (0.26, None, [])],
    ),
    "little time": ([X, A], 0.3, [(0, X, []), (0.09, None, []), (0.11, A, [])]),
    "no time": ([X, A], 0.0, [(0, X, []), (0.009, None, []), (0.011, A, [])]),
}  # fmt: skip


@pytest.mark.parametrize("name", RACES)
def test_when_attempts_begin(name):
    addresses, deadline, events = RACES[name]
    race = Race(addresses, 0, deadline)
    for time, expected, failing in events:
        assert (race.next_time <= time) == (expected is not None)
        assert race.due(time) == expected
        for address in failing:
            race.failed(address, failure(errno.ECONNREFUSED))


@pytest.mark.parametrize("count", [1, 2, 10, MAX_ADDRESSES])
@pytest.mark.parametrize("seconds", [1.0, 5.0, 60.0])
def test_each_address_has_its_turn_before_the_deadline(count, seconds):
    race = Race([four(i) for i in range(count)], 100.0, 100.0 + seconds)
    now = 100.0
    for _ in range(count):
        assert race.due(now) is not None
        now = race.next_time
    assert now == math.inf
    assert SHORTEST_DELAY < ATTEMPT_DELAY


def test_who_has_lost():
    race = Race([X, A], 0, math.inf)
    assert not race.lost
    race.due(0)
    race.failed(X, failure(errno.EHOSTUNREACH))
    assert not race.lost
    assert race.due(0) == A
    assert not race.lost
    race.failed(A, failure(errno.ECONNREFUSED))
    assert race.lost
    assert race.next_time == math.inf


def lost(*codes):
    addresses = [four(i) for i in range(len(codes))]
    race = Race(addresses, 0, math.inf)
    for code in codes:
        race.failed(race.due(0), failure(code))
    return race.error()


REFUSED, NO_NET, NO_ROUTE = errno.ECONNREFUSED, errno.ENETUNREACH, errno.EHOSTUNREACH


@pytest.mark.parametrize(
    ("codes", "kind", "code"),
    [
        ([REFUSED], ConnectionRefusedError, REFUSED),
        ([REFUSED, REFUSED], ConnectionRefusedError, REFUSED),
        ([NO_NET, REFUSED], ConnectionRefusedError, REFUSED),
        ([REFUSED, NO_NET], ConnectionRefusedError, REFUSED),
        ([REFUSED, NO_ROUTE], OSError, NO_ROUTE),
        ([NO_NET, NO_NET], OSError, NO_NET),
    ],
)
def test_the_error_tells_of_all(codes, kind, code):
    error = lost(*codes)
    assert type(error) is kind
    assert error.errno == code
    if len(codes) > 1:
        for number, each in enumerate(codes):
            assert f"10.0.0.{number}:80: [Errno {each}]" in str(error)


def test_the_error_of_many_addresses_is_short():
    text = str(lost(*[REFUSED] * 50))
    assert text.endswith("and 42 more")


def test_a_name_without_addresses():
    race = Race([], 0, math.inf)
    assert race.lost
    assert race.due(0) is None
    assert "no address" in str(race.error())


def test_progress():
    race = Race([X, A], 0, math.inf)
    race.due(0)
    assert race.progress() == "[fd00::1]:80 does not answer"
    race.failed(X, failure(NO_NET))
    race.due(0)
    assert race.progress() == (
        f"10.0.0.1:80 does not answer; [fd00::1]:80: [Errno {NO_NET}] {os.strerror(NO_NET)}"
    )
