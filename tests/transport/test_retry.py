"""Which requests are sent again: the table of cases."""

from __future__ import annotations

import pytest

from tritonclient.errors import (
    Cancelled,
    ConnectionFailed,
    ConnectionRefused,
    DeadlineExceeded,
    ProtocolError,
    StreamRefused,
    StreamUnprocessed,
    Unavailable,
)
from tritonclient.transport.retry import MAX_RETRIES, counts, may_resend

NEW, USED = False, True
WRITES, READS = False, True
SEEN, UNSEEN = False, True  # whether the peer's kernel may have bytes of the request
FIRST, LAST, SPENT = 0, MAX_RETRIES - 1, MAX_RETRIES


@pytest.mark.parametrize(
    ("error", "reused", "idempotent", "unacknowledged", "retries", "expected"),
    [
        # The server has closed the idle connection.
        (ConnectionFailed, USED, WRITES, UNSEEN, FIRST, True),
        (ConnectionFailed, USED, WRITES, UNSEEN, LAST, True),
        (ConnectionFailed, USED, WRITES, UNSEEN, SPENT, False),
        (ConnectionFailed, USED, READS, UNSEEN, FIRST, True),
        # It may have received the request.
        (ConnectionFailed, USED, WRITES, SEEN, FIRST, False),
        (ConnectionFailed, USED, READS, SEEN, FIRST, True),
        (ConnectionFailed, USED, READS, SEEN, SPENT, False),
        # A new connection that is lost is no idle one.
        (ConnectionFailed, NEW, READS, UNSEEN, FIRST, False),
        (ConnectionFailed, NEW, WRITES, UNSEEN, FIRST, False),
        (ConnectionRefused, NEW, READS, SEEN, FIRST, False),
        # The server says that it did not process the request.
        (StreamRefused, NEW, WRITES, SEEN, FIRST, True),
        (StreamRefused, USED, WRITES, SEEN, LAST, True),
        (StreamRefused, NEW, WRITES, SEEN, SPENT, False),
        (StreamUnprocessed, NEW, WRITES, SEEN, FIRST, True),
        (StreamUnprocessed, USED, WRITES, SEEN, 1000, True),
        # All else is the result of the call.
        (DeadlineExceeded, USED, READS, UNSEEN, FIRST, False),
        (Cancelled, USED, READS, UNSEEN, FIRST, False),
        (ProtocolError, USED, READS, UNSEEN, FIRST, False),
        (Unavailable, USED, READS, UNSEEN, FIRST, False),
        (KeyboardInterrupt, USED, READS, UNSEEN, FIRST, False),
    ],
)
def test_may_resend(error, reused, idempotent, unacknowledged, retries, expected):
    answer = may_resend(
        error("no"),
        retries=retries,
        reused=reused,
        idempotent=idempotent,
        unacknowledged=unacknowledged,
    )
    assert answer is expected


def test_what_counts():
    assert counts(ConnectionFailed("no"))
    assert counts(StreamRefused("no"))
    assert not counts(StreamUnprocessed("no"))  # each attempt makes progress
