"""Work that grows in step with what there is to do: twice as much takes about twice the work.

Work is lines of Python executed and bytes of pointers moved by lists, never time.
"""

from __future__ import annotations

import asyncio
import struct
import sys
from collections import OrderedDict

import pytest

from tests.support.peers.h2peer import HELLO, data, feed, frame, head, message, sent
from tritonclient.engine.http1 import Http1
from tritonclient.engine.http2 import Http2
from tritonclient.engine.message_stream import frame_message
from tritonclient.errors import ProtocolError
from tritonclient.transport.aio.pool import BasePool


def lines(function):
    """How many lines of Python a function executes."""
    count = 0

    def trace(frame, event, argument):
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return count


class Searched(bytearray):
    """Counts the bytes that are searched."""

    total = 0

    def find(self, mark, begin, end):
        Searched.total += end - begin
        return super().find(mark, begin, end)


def started(*, single=True):
    engine = Http2()
    stream = engine.start(b"\x83", end=False, single=single)
    sent(engine)
    feed(engine, HELLO)
    sent(engine)
    return engine, stream


def settings_of(count):
    """Work of one frame that sets the initial window so often, with as many calls in work."""
    engine, _ = started()
    for _ in range(count):
        engine.start(b"\x83", end=False)
    payload = b"".join(struct.pack(">HL", 4, 70_000 + number) for number in range(count))
    return lines(lambda: feed(engine, frame(4, 0, 0, payload)))


def frames_of(count):
    engine, _ = started(single=False)
    wire = head() + data(message(b"m")) * count
    return lines(lambda: feed(engine, wire))


def segments_of(count):
    """Bytes searched of a head that comes in so many segments."""
    Searched.total = 0
    engine = Http1()
    engine.start(b"")
    engine._buffer = Searched(1 << 16)
    feed_http(engine, [b"HTTP/1.1 200 OK\r\nA: "] + [b"a"] * count)
    return Searched.total


def chunks_of(count):
    engine = Http1()
    engine.start(b"")
    wire = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * count
    return lines(lambda: feed_http(engine, [wire]))


def feed_http(engine, pieces):
    for piece in pieces:
        while piece:
            buffer = engine.get_buffer()
            size = min(len(buffer), len(piece))
            buffer[:size] = piece[:size]
            buffer = None  # so that it may grow
            engine.buffer_updated(size)
            piece = piece[size:]


def waiters_of(count):
    """Work of so many calls that wait for a connection and time out, the last ones first."""

    async def main():
        pool = BasePool(asyncio.get_running_loop(), None, 1)
        waiting = [asyncio.ensure_future(pool.wait(float("inf"))) for _ in range(count)]
        await asyncio.sleep(0)
        for task in reversed(waiting):
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert not pool._waiters

    return lines(lambda: asyncio.run(main()))


@pytest.mark.parametrize("work", [settings_of, frames_of, segments_of, chunks_of, waiters_of])
def test_twice_as_much(work):
    few, many = work(400), work(800)
    assert many < 2.3 * few


def test_queues_are_no_lists():
    """Taking from the beginning of a list moves all that is behind, in no line of Python."""
    engine, stream = started(single=False)
    feed(engine, head() + data(message(b"m")) * 100)
    engine.send(stream, frame_message([b"m"]) * 100)
    assert not isinstance(stream.messages, list)
    assert not isinstance(stream.out, list)


def test_waiting_calls_are_no_deque():
    """Taking from its middle moves all that is behind as well."""

    async def main():
        return BasePool(asyncio.get_running_loop(), None, 1)._waiters

    assert isinstance(asyncio.run(main()), OrderedDict)


def test_interim_heads_of_a_call():
    engine, stream = started()
    interim = head(fields=b"\x08\x03103")
    feed(engine, interim * 20)
    assert stream.result is None
    feed(engine, interim)
    assert isinstance(stream.result, ProtocolError)
    assert engine.reusable
