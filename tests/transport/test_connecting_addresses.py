"""Hosts with several addresses, and slow name servers: both protocols, both runtimes."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import socket
import sys
import threading
import traceback
import warnings

import pytest

from tests.support.peers.echo import check, infer, located
from tests.support.peers.hostile_peers import (
    PATIENCE,
    Server,
    both_runtimes,
    deadline_guard,
    free_port,
    stall,
)
from tests.support.peers.protocols import HTTP, both_protocols
from tests.support.peers.silence import (
    HOST,
    answer_names,
    lookup_threads,
    open_files,
    silent_listener,
    silent_name_server,
)
from tests.support.waiting import deadlines, eventually
from tritonclient import (
    AsyncClient,
    Client,
    ConnectionFailed,
    ConnectionRefused,
    DeadlineExceeded,
)
from tritonclient.transport import name_lookup
from tritonclient.transport.blocking import connecting

needs_proc = pytest.mark.skipif(
    not os.path.isdir("/proc/self/fd"), reason="descriptors are counted in /proc"
)


def url(protocol, host=HOST):
    return f"{protocol.name}://{host}:1"


@both_protocols
@both_runtimes
@pytest.mark.parametrize("timeout", [None, 10, 0.2], ids=str)
def test_a_silent_address_before_a_good_one(protocol, runtime, timeout, monkeypatch):
    with silent_listener() as silent, protocol.serve([protocol.answer_all]) as server:
        answer_names(monkeypatch, silent, server.address)
        with deadline_guard(), runtime(url(protocol)) as client:
            # A short time is shared among the addresses; on a busy machine it may be too short.
            for _ in range(50):
                try:
                    result = infer(client, timeout=timeout)
                    break
                except DeadlineExceeded:
                    assert timeout == 0.2
            check(result)


@both_runtimes
def test_a_family_that_is_silent(runtime, monkeypatch):
    with Server([HTTP.answer_all]) as server:
        port = server.port
        try:
            silence = silent_listener(socket.AF_INET6, ("::1", port))
            silent = silence.__enter__()
        except OSError:
            pytest.skip("this system has no IPv6")
        try:
            answer_names(monkeypatch, silent, ("127.0.0.1", port))
            with deadline_guard(), runtime(f"http://{HOST}:{port}") as client:
                check(infer(client))
        finally:
            silence.__exit__(None, None, None)


@both_protocols
@both_runtimes
def test_good_addresses_behind_those_that_refuse(protocol, runtime, monkeypatch):
    with protocol.serve([protocol.answer_all]) as server:
        refusing = [("127.0.0.1", free_port()) for _ in range(20)]
        answer_names(monkeypatch, *refusing, server.address)
        with deadline_guard(), runtime(url(protocol)) as client:
            check(infer(client))


@both_protocols
@both_runtimes
def test_all_addresses_fail(protocol, runtime, monkeypatch):
    first, second = free_port(), free_port()
    answer_names(monkeypatch, ("127.0.0.1", first), ("127.0.0.1", second))
    with runtime(url(protocol)) as client:
        with deadline_guard(), pytest.raises(ConnectionRefused) as caught:
            infer(client)
    assert located(caught.value, url(protocol))
    for port in (first, second):
        assert f"127.0.0.1:{port}: [Errno" in caught.value.message()


@both_protocols
@both_runtimes
def test_all_addresses_are_silent(protocol, runtime, monkeypatch):
    with silent_listener() as one, silent_listener() as two:
        answer_names(monkeypatch, one, two, ("127.0.0.1", free_port()))
        for seconds in deadlines(1):
            with runtime(url(protocol), timeout=seconds) as client:
                with (
                    deadline_guard(seconds + PATIENCE),
                    pytest.raises(DeadlineExceeded, match="while connecting") as caught,
                ):
                    infer(client)
            message = caught.value.message()
            # Otherwise the machine was so busy that the last address was not tried in time.
            if "refused" in message:
                break
    for _, port in (one, two):
        assert f"127.0.0.1:{port} does not answer" in message


@needs_proc
@both_runtimes
@pytest.mark.parametrize("good", [True, False], ids=["one wins", "none wins"])
def test_losers_are_closed(runtime, good, monkeypatch):
    with silent_listener() as one, silent_listener() as two, Server([HTTP.answer_all]) as server:
        answer_names(monkeypatch, one, two, *([server.address] if good else []))
        before = open_files()
        with runtime(url(HTTP), timeout=PATIENCE if good else 0.3) as client:
            if good:
                check(infer(client))
            else:
                with pytest.raises(DeadlineExceeded):
                    infer(client)
        eventually(lambda: open_files() <= before)


@needs_proc
@both_protocols
@pytest.mark.parametrize("silent_names", [True, False], ids=["looking up", "connecting"])
def test_a_cancelled_task_leaves_nothing(protocol, silent_names, monkeypatch):
    async def main():
        async with AsyncClient(url(protocol), timeout=None) as client:
            for _ in range(3):
                before = open_files()
                call = asyncio.ensure_future(infer(client))
                await asyncio.sleep(0.001)
                while not (lookup_threads() if silent_names else open_files() > before):
                    await asyncio.sleep(0.001)
                call.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await call
                for _ in range(5):
                    await asyncio.sleep(0)
                assert open_files() == before

    with silent_listener() as silent:
        if silent_names:
            with silent_name_server(monkeypatch, silent):
                asyncio.run(main())
        else:
            answer_names(monkeypatch, silent, silent)
            asyncio.run(main())


class Interrupted(Exception):
    """Raised by a signal handler."""


@needs_proc
@both_protocols
@pytest.mark.parametrize("silent_names", [True, False], ids=["looking up", "connecting"])
def test_an_interrupted_thread_leaves_nothing(protocol, silent_names, monkeypatch):
    main = threading.main_thread().ident

    def interrupt(*_):
        raise Interrupted

    def waits():
        # A handler that raises as soon as a socket is made leaves it to its finalizer, which warns.
        stack = traceback.walk_stack(sys._current_frames()[main])
        codes = [frame.f_code for frame, _ in stack]
        if silent_names:
            return name_lookup.within.__code__ in codes and name_lookup.begin.__code__ not in codes
        return connecting._Selector.select.__code__ in codes

    def strike():
        eventually(waits)
        signal.pthread_kill(main, signal.SIGALRM)

    def ask():
        with Client(url(protocol), timeout=PATIENCE * 2, max_connections=1) as client:
            for _ in range(2):
                striking = threading.Thread(target=strike)
                with deadline_guard(), pytest.raises(Interrupted):
                    striking.start()
                    infer(client)
                striking.join()
                assert open_files() == before

    handler = signal.signal(signal.SIGALRM, interrupt)
    try:
        with silent_listener() as silent:
            before = open_files()
            if silent_names:
                with silent_name_server(monkeypatch, silent):
                    ask()
            else:
                answer_names(monkeypatch, silent, silent)
                ask()
    finally:
        signal.signal(signal.SIGALRM, handler)


# Names


@both_protocols
@both_runtimes
def test_a_silent_name_server(protocol, runtime, monkeypatch):
    with protocol.serve([protocol.answer_all]) as server:
        with silent_name_server(monkeypatch, server.address) as go:
            with runtime(url(protocol)) as client:
                with (
                    deadline_guard(),
                    pytest.raises(DeadlineExceeded, match="name lookup") as caught,
                ):
                    infer(client, timeout=0.2)
                assert located(caught.value, url(protocol))
                assert HOST in caught.value.message()
                go.set()
                check(infer(client))


@both_runtimes
def test_threads_that_are_stuck_are_few(runtime, monkeypatch):
    monkeypatch.setattr(name_lookup, "_SHARED_TIME", 0.0)
    with silent_name_server(monkeypatch), runtime(url(HTTP)) as client:
        for _ in range(3 * name_lookup.MAX_THREADS_EACH):
            with pytest.raises(DeadlineExceeded):
                infer(client, timeout=0.02)
        assert len(lookup_threads()) == name_lookup.MAX_THREADS_EACH
    eventually(lambda: not lookup_threads())


def test_calls_at_the_same_time_look_up_once(monkeypatch):
    with Server([HTTP.answer_all]) as server:
        with silent_name_server(monkeypatch, server.address) as go:
            with Client(url(HTTP), timeout=PATIENCE) as client:
                calls = [client.submit("echo", {"IN": [1, 2, 3]}) for _ in range(8)]
                eventually(lambda: bool(lookup_threads()))
                assert len(lookup_threads()) <= 2  # the eighth may be a second late
                go.set()
                for call in calls:
                    call.result(PATIENCE)


def test_names_that_are_stuck_do_not_keep_others_from_being_looked_up(monkeypatch):
    monkeypatch.setattr(name_lookup, "_SHARED_TIME", 0.0)
    with silent_name_server(monkeypatch):
        for _ in range(2 * name_lookup.MAX_THREADS_EACH):
            with pytest.raises(DeadlineExceeded):
                name_lookup.within(HOST, 1, 0.01)
        assert name_lookup.within("localhost", 1, PATIENCE)


def test_look_ups_wait_for_a_thread(monkeypatch):
    monkeypatch.setattr(name_lookup, "_SHARED_TIME", 0.0)
    monkeypatch.setattr(name_lookup, "MAX_THREADS", 2)
    with silent_name_server(monkeypatch, ("127.0.0.1", 5)) as go:
        for _ in range(2):
            with pytest.raises(DeadlineExceeded):
                name_lookup.within(HOST, 1, 0.01)
        with pytest.raises(DeadlineExceeded):
            name_lookup.within("localhost", 1, 0.01)
        assert not name_lookup._waiting  # nobody wants it any more
        found = []
        done = threading.Event()
        lookup = name_lookup.begin("localhost", 1, done.set)
        assert not lookup.done
        go.set()
        assert done.wait(PATIENCE)
        found = lookup.result()
        assert found


def test_an_event_loop_s_threads_are_left_to_the_program(monkeypatch):
    async def main():
        async with AsyncClient(url(HTTP), timeout=0.2) as client:
            answers = await asyncio.gather(
                *[infer(client) for _ in range(50)], return_exceptions=True
            )
            assert {type(each) for each in answers} == {DeadlineExceeded}
            assert await asyncio.wait_for(asyncio.to_thread(lambda: 5), PATIENCE) == 5

    with silent_name_server(monkeypatch), deadline_guard():
        asyncio.run(main())  # whose end waits for those threads


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_addresses_are_not_looked_up(host, monkeypatch):
    def getaddrinfo(*_, **__):
        raise AssertionError("an address was looked up")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with Client(f"http://{host}:{free_port()}", timeout=PATIENCE) as client:
        with pytest.raises(ConnectionRefused):
            infer(client)


def test_without_a_limit_no_thread_is_needed(monkeypatch):
    def begin(*_):
        raise AssertionError("a thread was started")

    monkeypatch.setattr(name_lookup, "begin", begin)
    with Server([HTTP.answer_all]) as server:
        answer_names(monkeypatch, server.address)
        with Client(url(HTTP), timeout=None) as client:
            check(infer(client))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork()")
def test_a_forked_child_looks_up_names(monkeypatch):
    monkeypatch.setattr(name_lookup, "_SHARED_TIME", math.inf)
    with Server([HTTP.answer_all]) as server:
        with silent_name_server(monkeypatch, server.address):
            with pytest.raises(DeadlineExceeded):
                name_lookup.within(HOST, 1, 0.01)
            with name_lookup._lock, warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                child = os.fork()
                if not child:
                    try:
                        found = name_lookup.within(HOST, 1, PATIENCE)
                        os._exit(0 if found else 1)
                    finally:
                        os._exit(2)
            assert os.waitpid(child, 0)[1] == 0


@both_runtimes
def test_a_name_server_that_says_no(runtime, monkeypatch):
    def getaddrinfo(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with runtime(url(HTTP)) as client:
        with pytest.raises(ConnectionFailed, match=r"can't connect.*not known") as caught:
            infer(client)
    assert caught.value.errno == socket.EAI_NONAME


# The phases, and other ways to connect


@both_protocols
@both_runtimes
def test_small_messages_are_not_held_back(protocol, runtime):
    with protocol.serve([protocol.answer_all]) as server, runtime(server.url) as client:
        check(infer(client))
        transport = client.client._transport
        if runtime.kind == "blocking":
            socks = [each.stream.sock for each in transport._pool._all]
        else:
            transports = [each.transport for each in transport._recent._all]
            socks = [each.get_extra_info("socket") for each in transports]
        assert [s.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for s in socks] == [1]


@both_runtimes
@pytest.mark.parametrize("protocol", ["https", "grpcs"])
def test_a_handshake_that_takes_too_long(runtime, protocol):
    with Server([stall]) as server:
        with runtime(f"{protocol}://127.0.0.1:{server.port}", timeout=0.2) as client:
            with (
                deadline_guard(),
                pytest.raises(DeadlineExceeded, match="during the TLS handshake"),
            ):
                infer(client)


@both_runtimes
def test_a_unix_socket_whose_queue_is_full(runtime, tmp_path):
    path = str(tmp_path / "socket")
    with silent_listener(socket.AF_UNIX, path):
        with runtime(f"unix:{path}", timeout=0.2) as client:
            with deadline_guard(), pytest.raises(DeadlineExceeded, match=r"queue of .* is full"):
                infer(client)


def classic_clients():
    import tritonclient.grpc
    import tritonclient.grpc.aio
    import tritonclient.http
    import tritonclient.http.aio

    return {
        "http": tritonclient.http,
        "http.aio": tritonclient.http.aio,
        "grpc": tritonclient.grpc,
        "grpc.aio": tritonclient.grpc.aio,
    }


@pytest.mark.parametrize("name", ["http", "http.aio", "grpc", "grpc.aio"])
def test_classic_clients_do_the_same(name, monkeypatch):
    from tests.support.peers.protocols import GRPC

    protocol = HTTP if name.startswith("http") else GRPC
    kind = classic_clients()[name].InferenceServerClient

    async def ask():
        async with kind(f"{HOST}:1") as client:
            assert await client.is_server_live()

    with silent_listener() as silent, protocol.serve([protocol.answer_all]) as server:
        answer_names(monkeypatch, silent, server.address)
        with deadline_guard():
            if name.endswith("aio"):
                asyncio.run(ask())
            else:
                with kind(f"{HOST}:1") as client:
                    assert client.is_server_live()
