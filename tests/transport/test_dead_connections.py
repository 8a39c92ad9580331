"""Connections that die without a word: one failure for each call in work, and then life goes on.

The table is {caller} x {protocol, TLS} x {timeout} x {fault} x {stage} x {calls in work}. A part of
it that has every pair of values is tested always, all of it with the marker `long`.
"""

from __future__ import annotations

import itertools
import random
import time

import pytest

from tests.support.peers.dying_connections import (
    CALLERS,
    FAULTS,
    LARGE,
    SMALL,
    STAGES,
    Relay,
    calling,
)
from tests.support.peers.hostile_peers import PATIENCE
from tests.transport.test_tls import server_context

WAYS = ("http", "https", "grpc", "grpcs")
TIMEOUTS = (0.05, 0.3, 1.0, 5.0)
COUNTS = (1, 8)
#: More calls than may fail one after the other; a client that never recovers fails them all.
_ATTEMPTS = 40


def _makes_sense(case):
    caller, way, _, fault, stage, _ = case
    return not (
        ("streams" in caller and way.startswith("http"))
        or (fault == "endless frame" and stage != "receiving")
    )


TABLE = [
    case
    for case in itertools.product(CALLERS, WAYS, TIMEOUTS, FAULTS, STAGES, COUNTS)
    if _makes_sense(case)
]


def _pairs(case):
    return set(itertools.combinations(enumerate(case), 2))


def _covering(table, size):
    """A part of a table: first what is needed for every pair of values, then any rows."""
    rows = list(table)
    random.Random(1).shuffle(rows)
    rows.sort(key=lambda case: case[2])  # the short ones first
    missing, chosen = set().union(*map(_pairs, rows)), []
    while missing and len(chosen) < size:
        best = max(rows, key=lambda case: len(_pairs(case) & missing))
        chosen.append(best)
        missing -= _pairs(best)
    return chosen


SHORT = _covering([case for case in TABLE if case[2] <= 1.0], 36)


def _name(case):
    caller, way, timeout, fault, stage, count = case
    return f"{caller}-{way}-{timeout:g}s-{fault}-{stage}-{count}".replace(" ", "_")


def _params():
    for case in TABLE:
        marks = [] if case in SHORT else [pytest.mark.long]
        yield pytest.param(*case, id=_name(case), marks=marks)


@pytest.mark.parametrize(("kind", "way", "timeout", "fault", "stage", "count"), list(_params()))
def test_a_dead_connection(embedded, authority, ca_file, kind, way, timeout, fault, stage, count):
    protocol, secure = way[:4], way.endswith("s")
    address = embedded.http_address if protocol == "http" else embedded.grpc_address
    host, _, port = address.rpartition(":")
    tls = server_context(authority) if secure else None
    if tls is not None and protocol == "grpc":
        tls.set_alpn_protocols(["h2"])
    array = LARGE if stage == "sending" else SMALL
    with Relay((host, int(port)), tls) as relay:
        where = f"127.0.0.1:{relay.port}"
        client_tls = ca_file if secure else None

        def make():
            return CALLERS[kind](protocol, where, client_tls, timeout)

        with calling(make) as caller:
            calls = _warm_up(caller, count)
            relay.arm(fault, stage)
            begun = time.monotonic()
            for result in caller.calls(count, array):
                _check_end(result, array)
            # Each ends at its own deadline, on a machine that has much else to do.
            assert time.monotonic() - begun < timeout + PATIENCE / 2
            relay.thaw() if fault == "frozen" else None
            time.sleep(1.1)  # what is wanted is that a call goes well that begins a second later
            # With so little time, a slow machine can't carry several at once.
            calls += _goes_well(caller, count if timeout >= 0.3 else 1)
            # On a slow machine many of those are late, each on a connection of its own.
            assert relay.connections <= 4 * count + calls
    # Closing the client has closed all its connections: the relay has seen the end of each.


def _warm_up(caller, count):
    """Make calls until all go well at once; return how many were made."""
    for tries in range(1, _ATTEMPTS + 1):
        if not any(isinstance(each, BaseException) for each in caller.calls(count, SMALL)):
            return tries * count
    pytest.fail("the client does not work even before the fault")


def _check_end(result, array):
    """A call in work may fail, by the error of its kind, or go well."""
    if isinstance(result, BaseException):
        assert isinstance(result, Exception)
        text = f"{type(result).__name__}: {result}".lower()
        words = ("deadline", "timed out", "timeout", "lost", "closed", "nothing came", "connection")
        assert any(word in text for word in words), text
    else:
        assert result.shape == array.shape


def _goes_well(caller, count):
    """Calls go well again, all at once; return how many were made.

    With little time, a slow machine may need several tries.
    """
    results = []
    for tries in range(1, (_ATTEMPTS if caller.timeout < 1 else 2) + 1):
        results = caller.calls(count, SMALL)
        if all(not isinstance(each, BaseException) for each in results):
            return tries * count
    pytest.fail(f"the client never recovers: {results}")
