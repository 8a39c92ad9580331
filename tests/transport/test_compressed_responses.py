"""Compressed answers: large ones, those that take long, and those that are too large."""

from __future__ import annotations

import asyncio
import gzip
import time

import numpy as np
import pytest

from tests.support.peers.echo import check, infer, over_grpc, over_http
from tests.support.peers.grpc_peers import GrpcServer, greet, session
from tests.support.peers.hostile_peers import PATIENCE, Server, both_runtimes, deadline_guard, http
from tests.support.peers.protocols import HTTP, both_protocols
from tritonclient import (
    AsyncClient,
    Client,
    DeadlineExceeded,
    InferenceServerException,
    ProtocolError,
)
from tritonclient.codec import rpc_infer
from tritonclient.engine.coding import MAX_CONTENT, Compressed
from tritonclient.messages import InferResponse, InferStreamResponse, InferTensor
from tritonclient.transport import settings
from tritonclient.transport.settings import response_limits

#: Some steps of decompression.
LARGE = np.zeros(12 << 20, np.uint8)


def _answer_http(peer):
    while peer.read_request() is not None:
        _, head, body = peer.server.requests[-1]
        plain = over_http(head, body)
        headers, _, content = plain.partition(b"\r\n\r\n")
        kept = [
            line.decode()
            for line in headers.split(b"\r\n")[1:]
            if not line.lower().startswith(b"content-length")
        ]
        peer.sock.sendall(http(gzip.compress(content, 1), *kept, "Content-Encoding: gzip"))


def _answer_grpc(peer):
    here = session(peer)
    while True:
        for stream_id, asked in list(here.waiting()):
            reply = over_grpc(asked.headers, bytes(asked.received[5:]))
            send_compressed(here, stream_id, [gzip.compress(reply, 1)])
        here.receive()


def send_compressed(here, stream_id, messages, end=True):
    here.http2.begin_answer(stream_id, ("grpc-encoding", "gzip"))
    for message in messages:
        here.http2.send(stream_id, b"\1" + len(message).to_bytes(4, "big") + message)
    if end:
        here.http2.end(stream_id)
    here.flush()


def serve(protocol):
    """A server that compresses all its answers."""
    if protocol is HTTP:
        return Server([_answer_http])
    return GrpcServer([greet, _answer_grpc])


@pytest.fixture
def slowly(monkeypatch):
    """Slow each step of decompression down; return the list of steps."""
    steps = []

    def inflate(self, window_bits):
        steps.append(self)
        time.sleep(0.05)
        return real(self, window_bits)

    real = Compressed._inflate
    monkeypatch.setattr(Compressed, "_inflate", inflate)
    return steps


@both_protocols
@both_runtimes
def test_large_answers(protocol, runtime):
    given = np.arange(4 << 20, dtype=np.int32)
    with serve(protocol) as server, runtime(server.url, timeout=PATIENCE * 2) as client:
        assert np.array_equal(client.infer("echo", {"IN": given})["OUT"], given)
        check(infer(client))
        assert server.connections == 1


@both_protocols
@both_runtimes
def test_the_deadline_passes_while_decompressing(protocol, runtime, slowly):
    with serve(protocol) as server, runtime(server.url) as client:
        check(infer(client))
        del slowly[:]
        with deadline_guard(), pytest.raises(DeadlineExceeded):
            for timeout in (0.5, 1.0, 2.0, 4.0):  # to be beyond the way to and fro
                client.infer("echo", {"IN": LARGE[: int(timeout * 24) << 20]}, timeout=timeout)
        begun = len(slowly)
        time.sleep(0.2)
        assert len(slowly) <= begun + 1  # nothing works on it any more
        check(infer(client))


@both_protocols
def test_the_event_loop_goes_on(protocol, slowly):
    async def main(url):
        ticks = []

        async def tick():
            while True:
                ticks.append(len(slowly))
                await asyncio.sleep(0.01)

        ticking = asyncio.ensure_future(tick())
        async with AsyncClient(url, timeout=PATIENCE * 2) as client:
            result = await client.infer("echo", {"IN": LARGE})
        ticking.cancel()
        assert np.array_equal(result["OUT"], LARGE)
        return len(set(ticks))

    with serve(protocol) as server:
        # It came round between most of the steps.
        assert asyncio.run(main(server.url)) > len(slowly) / 2 > 4


@both_protocols
def test_a_cancelled_call_stops_decompressing(protocol, slowly):
    async def main(url):
        async with AsyncClient(url, timeout=PATIENCE * 2) as client:
            asked = asyncio.ensure_future(client.infer("echo", {"IN": LARGE}))
            while len(slowly) < 3:
                await asyncio.sleep(0.01)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
            begun = len(slowly)
            check(await infer(client))
            await asyncio.sleep(0.2)
            assert len(slowly) <= begun + 2  # and that of the small one

    with serve(protocol) as server:
        asyncio.run(main(server.url))


# Limits


def test_the_limits():
    assert response_limits(None) == (2**31 - 1, MAX_CONTENT)
    assert response_limits(None, 5) == (5, MAX_CONTENT)
    assert response_limits(2**40) == (2**40, 2**40)
    assert MAX_CONTENT == 256 << 20


@both_protocols
@both_runtimes
def test_a_bomb_is_refused_by_default(protocol, runtime, monkeypatch):
    monkeypatch.setattr(settings, "MAX_CONTENT", 1 << 20)
    with serve(protocol) as server:
        with runtime(server.url) as client:
            with pytest.raises(ProtocolError, match=r"exceeds 1048576 .* max_response_size"):
                client.infer("echo", {"IN": LARGE})
            check(infer(client))
        with runtime(server.url, max_response_size=LARGE.nbytes + 1000) as client:
            assert np.array_equal(client.infer("echo", {"IN": LARGE})["OUT"], LARGE)
        with runtime(server.url, max_response_size=LARGE.nbytes - 1) as client:
            with pytest.raises(ProtocolError, match="exceeds"):
                client.infer("echo", {"IN": LARGE})


CLASSIC = ["http", "http.aio", "grpc", "grpc.aio"]


def ask_classic(name, address, **options):
    """Return the result of a classic client's `infer` for LARGE."""
    from importlib import import_module

    module = import_module(f"tritonclient.{name}")
    given = module.InferInput("IN", LARGE.shape, "UINT8")
    given.set_data_from_numpy(LARGE)
    if not name.endswith("aio"):
        with module.InferenceServerClient(address, **options) as client:
            return client.infer("echo", [given]).as_numpy("OUT")

    async def ask():
        async with module.InferenceServerClient(address, **options) as client:
            return (await client.infer("echo", [given])).as_numpy("OUT")

    return asyncio.run(ask())


@pytest.mark.parametrize("name", CLASSIC)
def test_classic_clients(name, monkeypatch):
    from tests.support.peers.protocols import GRPC

    with serve(HTTP if name.startswith("http") else GRPC) as server:
        address = f"127.0.0.1:{server.port}"
        assert np.array_equal(ask_classic(name, address), LARGE)
        with pytest.raises(InferenceServerException, match="exceeds"):
            ask_classic(name, address, max_response_size=LARGE.nbytes - 1)
        monkeypatch.setattr(settings, "MAX_CONTENT", 1 << 20)
        with pytest.raises(InferenceServerException, match="exceeds 1048576"):
            ask_classic(name, address)
        size = LARGE.nbytes + 1000
        assert np.array_equal(ask_classic(name, address, max_response_size=size), LARGE)
        if name.startswith("grpc"):
            chosen = [("grpc.max_receive_message_length", size)]
            assert np.array_equal(ask_classic(name, address, channel_args=chosen), LARGE)


@pytest.mark.parametrize("size", [0, -1, "1 MB", 1.5])
@pytest.mark.parametrize("name", CLASSIC)
def test_limits_that_make_no_sense(name, size):
    from importlib import import_module

    with pytest.raises((TypeError, ValueError), match=f"max_response_size is .*{size}"):
        import_module(f"tritonclient.{name}").InferenceServerClient("h:1", max_response_size=size)


def test_a_body_that_came_by_other_means(monkeypatch):
    from tritonclient.http import InferResult

    monkeypatch.setattr(settings, "MAX_CONTENT", 1000)
    body = gzip.compress(b'{"outputs":[]}' + b" " * 1000)
    make = InferResult.from_response_body
    with pytest.raises(InferenceServerException, match="exceeds 1000"):
        make(body, content_encoding="gzip")
    with pytest.raises(InferenceServerException, match="exceeds 20 "):
        make(body, content_encoding="gzip", max_response_size=20)
    assert make(body, content_encoding="gzip", max_response_size=2000).get_response() == {
        "outputs": []
    }


# Streams


def stream_message(number, count=LARGE.size):
    tensor = InferTensor("OUT", "UINT8", (count,), bytes([number]) * count)
    response = InferResponse("echo", "1", str(number), {}, (tensor,))
    content = b"".join(rpc_infer.encode_stream_response(InferStreamResponse("", response)))
    return gzip.compress(content, 1)


def serve_stream(*messages, end=True):
    def send(peer):
        here = session(peer)
        while not (waiting := list(here.waiting())):
            here.receive()
        send_compressed(here, waiting[0][0], messages, end)
        while True:
            here.receive()

    return GrpcServer([greet, send])


MESSAGES = [stream_message(1), stream_message(2, 10), stream_message(3), stream_message(4, 0)]
ASKED = {"IN": np.zeros(1, np.uint8)}


def numbers(results):
    return [(result.id, len(result["OUT"])) for result in results]


EXPECTED = [("1", LARGE.size), ("2", 10), ("3", LARGE.size), ("4", 0)]


def test_a_blocking_stream():
    with serve_stream(*MESSAGES) as server, Client(server.url, timeout=PATIENCE * 2) as client:
        assert numbers(client.stream("echo", ASKED)) == EXPECTED


def test_an_awaited_stream():
    async def main(url):
        async with AsyncClient(url, timeout=PATIENCE * 2) as client:
            return numbers([result async for result in client.stream("echo", ASKED)])

    with serve_stream(*MESSAGES) as server:
        assert asyncio.run(main(server.url)) == EXPECTED


def test_a_cancelled_receiver_loses_no_message(slowly):
    async def main(url):
        async with AsyncClient(url, timeout=PATIENCE * 2) as client:
            stream = client.stream("echo", ASKED)
            found = []
            while len(found) < len(EXPECTED):
                receiving = asyncio.ensure_future(anext(stream))
                begun = len(slowly)
                while len(slowly) < begun + 3 and not receiving.done():
                    await asyncio.sleep(0.01)
                receiving.cancel()
                try:
                    found.append(await receiving)
                except asyncio.CancelledError:
                    found.append(await anext(stream))
            return numbers(found)

    with serve_stream(*MESSAGES) as server:
        assert asyncio.run(main(server.url)) == EXPECTED


def test_a_cancelled_stream_stops_decompressing(slowly):
    async def main(url):
        async with AsyncClient(url, timeout=PATIENCE * 2) as client:
            stream = client.stream("echo", ASKED)
            receiving = asyncio.ensure_future(anext(stream))
            while len(slowly) < 3:
                await asyncio.sleep(0.01)
            stream.cancel()
            with pytest.raises(InferenceServerException, match="cancelled"):
                await receiving
            begun = len(slowly)
            await asyncio.sleep(0.2)
            assert len(slowly) <= begun + 1

    with serve_stream(*MESSAGES, end=False) as server:
        asyncio.run(main(server.url))


@pytest.mark.parametrize("awaited", [False, True], ids=["blocking", "asyncio"])
def test_a_response_that_takes_too_long_to_decompress(awaited, slowly):
    def blocking(url):
        with Client(url, timeout=PATIENCE * 2) as client:
            list(client.stream("echo", ASKED, response_timeout=0.4))

    async def awaiting(url):
        async with AsyncClient(url, timeout=PATIENCE * 2) as client:
            async for _ in client.stream("echo", ASKED, response_timeout=0.4):
                pass

    with serve_stream(stream_message(1)) as server, deadline_guard():
        with pytest.raises(DeadlineExceeded):
            asyncio.run(awaiting(server.url)) if awaited else blocking(server.url)


@pytest.mark.parametrize("awaited", [False, True], ids=["blocking", "asyncio"])
def test_a_bomb_ends_its_stream(awaited):
    def blocking(url):
        with Client(url, max_response_size=1 << 20) as client:
            return list(client.stream("echo", ASKED))

    async def awaiting(url):
        async with AsyncClient(url, max_response_size=1 << 20) as client:
            return [each async for each in client.stream("echo", ASKED)]

    with serve_stream(*MESSAGES) as server, deadline_guard():
        with pytest.raises(ProtocolError, match="exceeds 1048576"):
            asyncio.run(awaiting(server.url)) if awaited else blocking(server.url)
