"""Streams of inferences that a server refuses: they are begun again, as long as that helps."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import threading

import numpy as np
import pytest

from tests.support.peers.echo import check, infer
from tests.support.peers.grpc_peers import (
    GrpcServer,
    answer,
    answer_calls,
    greet,
    greet_with,
    read_call,
    refuse,
    session,
    until_gone,
)
from tests.support.peers.h2peer import goaway
from tests.support.peers.h2peer import message as framed
from tests.support.peers.hostile_peers import PATIENCE, deadline_guard, wait_for
from tests.support.waiting import deadlines
from tritonclient import (
    AsyncClient,
    Cancelled,
    Client,
    ConnectionFailed,
    ConnectionRefused,
    DeadlineExceeded,
)
from tritonclient.codec import rpc, rpc_infer
from tritonclient.messages import InferResponse, InferStreamResponse, InferTensor

KINDS = ["blocking", "asyncio"]
each_kind = pytest.mark.parametrize("kind", KINDS)


def messages(received):
    """The messages on a stream."""
    position = 0
    while position < len(received):
        end = position + 5 + int.from_bytes(received[position + 1 : position + 5], "big")
        message = bytes(received[position + 5 : end])
        yield gzip.decompress(message) if received[position] else message
        position = end


def answer_stream(peer):
    """Answer all requests of each stream that the client has ended, with their ids."""
    here = session(peer)
    for stream_id, call in list(here.waiting()):
        here.http2.begin_answer(stream_id)
        for message in messages(call.received):
            request = rpc.decode_request("ModelStreamInfer", message)
            given = request.inputs[0]
            output = InferTensor("OUT", given.datatype, given.shape, bytes(given.data))
            response = InferResponse("echo", "1", request.id, {}, (output,))
            encoded = rpc_infer.encode_stream_response(InferStreamResponse("", response))
            here.http2.send(stream_id, framed(b"".join(encoded)))
        here.http2.end(stream_id)
    here.flush()


def serve_streams(peer):
    while True:
        read_call(peer)
        answer_stream(peer)


def go_away(last):
    """Go away, having begun streams up to this one and none other."""

    def action(peer):
        peer.sock.sendall(goaway(last))
        until_gone(peer)

    return action


def read_headers(peer):
    """Read until a stream has begun."""
    here = session(peer)
    while not any(call.reset is None and not call.answered for call in here.http2.calls.values()):
        here.receive()


def refuse_headers(peer):
    """Refuse streams of which the end has not come."""
    here = session(peer)
    for stream_id, call in here.http2.calls.items():
        if not call.answered:
            call.answered = True
            here.http2.h2.reset_stream(stream_id, 7)
    here.flush()


def requests(count, size=3):
    return [
        {"model": "echo", "inputs": {"IN": np.full(size, number)}, "id": str(number)}
        for number in range(count)
    ]


def collect(kind, url, sent, **options):
    """Return the responses of a stream as a list of (id, first number)."""

    async def collect_awaited():
        async with AsyncClient(url, timeout=PATIENCE / 2) as client:
            return [each async for each in client.stream(sent, **options)]

    if kind == "asyncio":
        results = asyncio.run(collect_awaited())
    else:
        with Client(url, timeout=PATIENCE / 2) as client:
            results = list(client.stream(sent, **options))
    return [(result.id, int(result["OUT"][0])) for result in results]


def expected(count):
    return [(str(number), number) for number in range(count)]


@each_kind
@pytest.mark.parametrize("coding", [None, "gzip"])
@pytest.mark.parametrize("times", [1, 3])
def test_refused_and_begun_again(kind, coding, times):
    script = [greet, *[read_call, refuse] * times, serve_streams]
    with GrpcServer(script) as server:
        assert collect(kind, server.url, requests(5), request_compression=coding) == expected(5)
        assert len(server.requests) == times + 1
        assert len({message for _, _, message in server.requests}) == 1
        assert server.connections == 1


@each_kind
def test_refused_before_its_requests(kind):
    """Messages sent after an unnoticed refusal are sent again as well."""
    with GrpcServer([greet, read_headers, refuse_headers, serve_streams]) as server:
        assert collect(kind, server.url, iter(requests(40))) == expected(40)


@each_kind
def test_farewell(kind):
    with GrpcServer([greet, read_call, go_away(0)], [greet, serve_streams]) as server:
        assert collect(kind, server.url, requests(3)) == expected(3)
        assert server.asked_on == [0, 1]


@each_kind
def test_refused_for_ever(kind):
    with GrpcServer([greet, *[read_call, refuse] * 10, until_gone]) as server:
        with (
            deadline_guard(),
            pytest.raises(ConnectionFailed, match="refused the stream") as caught,
        ):
            collect(kind, server.url, requests(1))
        assert caught.value.endpoint == server.url
        assert len(server.requests) == 4


@each_kind
def test_too_much_to_be_sent_again(kind):
    with GrpcServer([greet, read_call, refuse, serve_streams]) as server:
        with deadline_guard(), pytest.raises(ConnectionFailed, match="refused the stream"):
            collect(kind, server.url, requests(2, size=1 << 17))
        assert len(server.requests) == 1


@each_kind
def test_answered_streams_are_not_begun_again(kind):
    """A server may not refuse what it has answered; if it does, nothing is sent twice."""

    def answer_and_refuse(peer):
        here = session(peer)
        (stream_id,) = [stream_id for stream_id, _ in here.waiting()]
        response = InferResponse("echo", "1", "0", {}, ())
        encoded = rpc_infer.encode_stream_response(InferStreamResponse("", response))
        here.http2.begin_answer(stream_id)
        here.http2.send(stream_id, framed(b"".join(encoded)))
        here.flush()
        assert taken.wait(PATIENCE)
        here.http2.h2.reset_stream(stream_id, 7)
        here.flush()
        until_gone(peer)

    taken = threading.Event()

    async def awaited(url):
        async with AsyncClient(url, timeout=PATIENCE / 2) as client:
            stream = client.stream(requests(1))
            assert (await anext(stream)).id == "0"
            taken.set()
            await anext(stream)

    def blocking(url):
        with Client(url, timeout=PATIENCE / 2) as client:
            stream = client.stream(requests(1))
            assert next(stream).id == "0"
            taken.set()
            next(stream)

    with GrpcServer([greet, read_call, answer_and_refuse]) as server:
        with deadline_guard(), pytest.raises(ConnectionFailed, match="refused the stream"):
            blocking(server.url) if kind == "blocking" else asyncio.run(awaited(server.url))
        assert len(server.requests) == 1


@each_kind
def test_a_deadline_while_it_is_begun_again(kind):
    """All connections are taken."""
    with GrpcServer([greet, read_call, refuse, until_gone]) as server:
        with deadline_guard(), pytest.raises(DeadlineExceeded):
            collect(kind, server.url, requests(1), timeout=0.3)


@each_kind
def test_nobody_is_left_to_begin_it_again(kind):
    def stop_listening(peer):
        listener = peer.server._listener
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()

    with GrpcServer([greet, read_call, stop_listening, go_away(0)]) as server:
        with deadline_guard(), pytest.raises(ConnectionRefused) as caught:
            collect(kind, server.url, requests(1))
        assert caught.value.endpoint == server.url


def test_cancelled_after_a_refusal():
    async def main(server):
        async with AsyncClient(server.url, timeout=PATIENCE / 2) as client:
            stream = client.open_stream()
            await stream.send("echo", {"IN": np.arange(3)})
            # Answered on the same connection, behind the refusal.
            await client.infer("echo", {"IN": np.arange(3)})
            stream.cancel()
            with pytest.raises(Cancelled):
                await anext(stream)

    with GrpcServer([greet, read_headers, refuse_headers, answer_calls()]) as server:
        with deadline_guard():
            asyncio.run(main(server))
        assert server.connections == 1


# On asyncio, with a call that takes the only room on the only connection


def refuse_for_the_call(peer):
    """Read a call and a stream, take only one at a time from now on, and refuse the stream."""
    here = session(peer)
    while len(here.http2.calls) < 2 or not list(here.waiting()):
        here.receive()
    here.http2.change_settings({3: 1})
    here.flush()
    (stream_id,) = here.http2.calls.keys() - dict(here.waiting()).keys()
    here.http2.h2.reset_stream(stream_id, 7)
    here.flush()


async def waiting_calls(client, count):
    pool = client._transport._pool(asyncio.get_running_loop())
    while len(pool._waiters) < count:
        await asyncio.sleep(0.001)


def test_its_deadline_holds_when_it_is_begun_again():
    async def main(server, seconds):
        async with AsyncClient(server.url, max_connections=1) as client:
            stream = client.open_stream(timeout=2 * seconds)
            await stream.send("echo", {"IN": np.arange(3)})
            call = asyncio.create_task(client.infer("echo", {"IN": np.arange(3)}, timeout=seconds))
            response = asyncio.create_task(anext(stream))
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(waiting_calls(client, 1), seconds)
            for late in (call, response):  # the call makes room for the stream
                with pytest.raises(DeadlineExceeded):
                    await late

    for seconds in deadlines(0.4):
        with GrpcServer([greet_with({3: 2}), refuse_for_the_call, until_gone]) as server:
            with deadline_guard(2 * seconds + PATIENCE):
                asyncio.run(main(server, seconds))
            if len(server.peers[0].session.http2.calls) == 3:
                break  # otherwise it was too late to begin it again


def test_a_turn_that_it_needs_no_more_is_another_ones():
    asked = threading.Event()

    async def main(server):
        async with AsyncClient(server.url, max_connections=1, timeout=PATIENCE / 2) as client:
            stream = client.open_stream()
            await stream.send("echo", {"IN": np.arange(3)})
            first = asyncio.create_task(infer(client, 1))
            response = asyncio.create_task(anext(stream))
            await waiting_calls(client, 1)
            second = asyncio.create_task(infer(client, 2))
            await waiting_calls(client, 2)
            stream.cancel()
            asked.set()
            check(await first, 1)
            check(await second, 2)
            with pytest.raises(Cancelled):
                await response

    script = [greet_with({3: 2}), refuse_for_the_call, wait_for(asked), answer(), answer_calls()]
    with GrpcServer(script) as server:
        with deadline_guard():
            asyncio.run(main(server))
        assert server.connections == 1


def test_a_client_that_is_closed_before_it_is_begun_again():
    async def main(server):
        client = AsyncClient(server.url, max_connections=1, timeout=PATIENCE / 2)
        stream = client.open_stream()
        await stream.send("echo", {"IN": np.arange(3)})
        call = asyncio.create_task(infer(client))
        response = asyncio.create_task(anext(stream))
        await waiting_calls(client, 1)
        await client.close()
        with pytest.raises(Cancelled, match="the client was closed"):
            await response
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)

    with GrpcServer([greet_with({3: 2}), refuse_for_the_call, until_gone]) as server:
        with deadline_guard():
            asyncio.run(main(server))
