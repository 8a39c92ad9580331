"""Segments, which carry large bodies between the server and a model's process."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.server.backends.python.process.conftest import Pair, head
from tests.server.conftest import RepositoryMaker, fp32
from tests.support.processes import descriptors
from tests.support.waiting import eventually
from tritonclient import messages as m
from tritonclient.errors import Internal, ProtocolError, ServerError
from tritonclient.server.backends.python.process import memory
from tritonclient.server.backends.python.process.channel import INLINE, Body
from tritonclient.server.core import InferenceServer

Serve = Callable[..., InferenceServer]
MIB = 1 << 20


def send(pair: Pair, *parts: bytes) -> int:
    """Send a body to the server; return its size."""
    body = Body()
    for each in parts:
        body.add(each)
    pair.model.send({}, body)
    return body.size


def receive(pair: Pair) -> memoryview:
    message = pair.server.receive()
    assert message is not None
    return message.body


def segments(pair: Pair) -> int:
    return len(pair.model._outgoing._segments)


def test_bodies_of_many_sizes_use_one_segment(pair: Pair) -> None:
    sizes = [INLINE + 1, MIB, MIB - 1, 5 * MIB, INLINE + 7, 40 * MIB, MIB]
    for number, size in enumerate(sizes):
        total = send(pair, bytes([number]) * size, b"end")
        body = receive(pair)
        assert len(body) == total
        assert (np.frombuffer(body, "u1")[:size] == number).all()
        assert bytes(body[total - 64 : total - 61]) == b"end"
    assert segments(pair) == 1


def test_received_bodies_stay_as_they_are(pair: Pair) -> None:
    kept = []
    for number in range(20):
        send(pair, bytes([number]) * MIB)
        kept.append(receive(pair))
    assert [(each[0], each[-1]) for each in kept] == [(i, i) for i in range(20)]
    assert segments(pair) == 1


def test_bodies_that_wait_have_segments_of_their_own(pair: Pair) -> None:
    before = descriptors(os.getpid())
    for _ in range(3):
        for number in range(10):
            send(pair, bytes([number]) * MIB)
        assert segments(pair) == memory.KEPT
        for number in range(10):
            body = receive(pair)
            assert (body[0], body[-1]) == (number, number)
    # A mapping has a descriptor in each process.
    assert descriptors(os.getpid()) - before <= 2 * memory.KEPT


def test_a_large_body_leaves_no_memory_in_use(pair: Pair) -> None:
    send(pair, bytes(memory._LARGEST_KEPT + MIB))
    receive(pair)
    (segment,) = pair.model._outgoing._segments
    assert segment.is_free()
    assert not segment._bytes.any()
    send(pair, b"x" * MIB)
    assert receive(pair)[MIB - 1] == ord("x")


def test_descriptors_of_output_that_a_model_closed_stay_closed() -> None:
    # A model's process: what it writes to descriptor 1 must not reach a segment.
    pid = os.fork()
    if pid == 0:
        os.closerange(0, 3)
        fd = memory.create(MIB)
        memory.Segment(fd, MIB)
        links = [os.path.lexists(f"/proc/self/fd/{i}") for i in range(3)]
        os._exit(fd <= 2 or any(links))
    assert os.waitpid(pid, 0)[1] == 0


def test_a_process_that_a_model_forked_leaves_the_segments_alone(pair: Pair) -> None:
    send(pair, b"a" * MIB)
    receive(pair)
    pid = os.fork()
    if pid == 0:
        pair.sockets[1].close()
        try:
            send(pair, b"b" * MIB)
        except OSError:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    (segment,) = pair.model._outgoing._segments
    assert segment.is_free()


# A hostile process


def sealed(size: int, *seals: int) -> int:
    fd = os.memfd_create("test", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    for each in seals:
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, each)
    return fd


def offer(pair: Pair, fd: int, size: int, place: int = 1) -> None:
    socket.send_fds(pair.sockets[1], [head(2, size, place, 1) + b"{}"], [fd])
    os.close(fd)


@pytest.mark.parametrize(
    "seals", [(), (fcntl.F_SEAL_GROW,), (fcntl.F_SEAL_SHRINK,)], ids=["none", "grow", "shrink"]
)
def test_memory_whose_size_could_change_is_refused(pair: Pair, seals: tuple[int, ...]) -> None:
    offer(pair, sealed(MIB, *seals), MIB // 2)
    with pytest.raises(ProtocolError, match="is not sealed"):
        pair.server.receive()


def test_a_segment_cannot_shrink() -> None:
    fd = memory.create(MIB)
    with pytest.raises(PermissionError):
        os.ftruncate(fd, 0)
    os.close(fd)


@pytest.mark.parametrize(("held", "size"), [(MIB, MIB), (10, 1), (0, 0), (MIB, 1 << 62)])
def test_memory_that_is_too_small_is_refused(pair: Pair, held: int, size: int) -> None:
    before = descriptors(os.getpid())
    offer(pair, sealed(held, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW), size)
    with pytest.raises(ProtocolError, match=f"fewer than {size} bytes|cannot be mapped"):
        pair.server.receive()
    assert descriptors(os.getpid()) <= before + 1


def test_memory_that_cannot_be_written_is_refused(pair: Pair) -> None:
    seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
    offer(pair, sealed(MIB, seals), 100)
    with pytest.raises(ProtocolError, match="cannot be mapped"):
        pair.server.receive()


def test_a_descriptor_that_is_no_memory_is_refused(pair: Pair) -> None:
    offer(pair, os.dup(pair.sockets[1].fileno()), 10)
    with pytest.raises(ProtocolError, match="is no memory"):
        pair.server.receive()


@pytest.mark.parametrize("place", [2, memory.KEPT + 1, memory.KEPT + 2, 255])
def test_unknown_segments_are_refused(pair: Pair, place: int) -> None:
    send(pair, b"a" * MIB)
    receive(pair)
    pair.sockets[1].sendall(head(2, 100, place) + b"{}")
    with pytest.raises(ProtocolError):
        pair.server.receive()


def test_descriptors_without_messages_are_refused(pair: Pair) -> None:
    before = descriptors(os.getpid())
    for _ in range(20):
        socket.send_fds(pair.sockets[1], [head(2, 0, 0) + b"{}"], [0])
    with pytest.raises(ProtocolError, match="descriptors without messages"):
        for _ in range(20):
            pair.server.receive()
    pair.server.close()
    assert descriptors(os.getpid()) < before


def test_a_segment_for_one_message_is_forgotten(pair: Pair) -> None:
    for _ in range(2):
        fd = memory.create(MIB)
        offer(pair, fd, MIB, memory.KEPT + 1)
        assert len(receive(pair)) == MIB
    pair.sockets[1].sendall(head(2, 100, memory.KEPT + 1) + b"{}")
    with pytest.raises(ProtocolError, match="without its memory"):
        pair.server.receive()


def test_changes_after_the_message_reach_nobody(pair: Pair) -> None:
    send(pair, b"a" * MIB)
    body = receive(pair)
    (segment,) = pair.model._outgoing._segments
    segment._bytes[:] = 255
    assert bytes(body) == b"a" * MIB


# Whole calls

#: Keeps what it gets, and what it returns.
KEEPER = """
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    kept = []

    def execute(self, requests):
        responses = []
        for each in requests:
            array = each.inputs()[0].as_numpy()
            self.kept.append((array, array[0]))
            assert all(array[0] == array[-1] == value for array, value in self.kept)
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("OUT", array)]))
        return responses
"""
#: Writes to its input, and overwrites all its memory that the server knows after it has answered.
HOSTILE = """
import ctypes, mmap, threading
import triton_python_backend_utils as pb_utils

def overwrite():
    for line in open("/proc/self/maps"):
        if "memfd:tritonclient" in line:
            start, end = (int(each, 16) for each in line.split()[0].split("-"))
            ctypes.memset(start, 255, end - start)

class TritonPythonModel:
    def execute(self, requests):
        array = requests[0].inputs()[0].as_numpy()
        overwrite()
        array += 1
        threading.Timer(0, overwrite).start()
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", array)])]
"""


def call(core: InferenceServer, array: np.ndarray, model: str = "m") -> np.ndarray:
    (output,) = core.handle(m.Infer(model, (fp32("IN", array),))).outputs
    assert output.data is not None
    return np.frombuffer(output.data, "<f4")


@pytest.mark.parametrize("in_process", [True, False])
def test_tensors_may_be_kept(repository: RepositoryMaker, serve: Serve) -> None:
    repository.python("m", KEEPER)
    core = serve()
    outputs = [call(core, np.full(MIB // 4 + i, i, "f4")) for i in range(20)]
    for number, output in enumerate(outputs):
        assert output.size == MIB // 4 + number
        assert (output == number).all()


@pytest.mark.parametrize("in_process", [False])
def test_a_process_that_overwrites_its_memory_harms_itself_only(
    repository: RepositoryMaker, serve: Serve
) -> None:
    repository.python("m", HOSTILE)
    repository.python("echo")
    core = serve()
    sent = np.arange(MIB // 4, dtype="f4")
    for _ in range(20):
        try:
            assert call(core, sent).size == sent.size
        except Internal as error:  # it has overwritten what was unmapped meanwhile
            assert "is not healthy" in str(error)
        assert (sent == np.arange(MIB // 4)).all()
        assert (call(core, sent, "echo") == sent).all()


def worker(core: InferenceServer) -> int:
    pid = worker_or_none(core)
    assert pid is not None
    return pid


@pytest.mark.parametrize("in_process", [False])
def test_outputs_outlive_their_process(repository: RepositoryMaker, serve: Serve) -> None:
    repository.python("m")
    of_others = mapped(os.getpid())
    core = serve()
    sent = np.arange(MIB, dtype="f4")
    output = call(core, sent)
    pid = worker(core)
    os.killpg(pid, signal.SIGKILL)
    eventually(lambda: worker_or_none(core) not in (pid, None))
    assert (output == sent).all()
    assert (call(core, sent) == sent).all()
    core.close()
    assert mapped(os.getpid()) == of_others


def worker_or_none(core: InferenceServer) -> int | None:
    """Return the process of the model; None while there is none."""
    process = core._repository.get("m")._threads[0]._instance._process  # type: ignore[union-attr]
    return None if process is None else int(process._process.pid)


def mapped(pid: int) -> int:
    """Return how many mapped segments a process has."""
    return Path(f"/proc/{pid}/maps").read_text().count("memfd:tritonclient")


@pytest.mark.parametrize("in_process", [False])
@pytest.mark.parametrize("count", [200, pytest.param(2000, marks=pytest.mark.long)])
def test_calls_use_the_same_memory(repository: RepositoryMaker, serve: Serve, count: int) -> None:
    repository.python("m")
    of_others = mapped(os.getpid())
    core = serve()
    array = np.zeros(MIB // 4, "f4")
    for _ in range(3):
        call(core, array)
    processes = (os.getpid(), worker(core))
    before = [descriptors(each) for each in processes]
    for _ in range(count):
        call(core, array)
    assert [mapped(each) for each in processes] == [of_others + 2, 2]
    # This process may have closed some of other tests.
    now = [descriptors(each) for each in processes]
    assert all(each <= most for each, most in zip(now, before, strict=True))
    core.close()
    assert mapped(os.getpid()) == of_others


@pytest.mark.parametrize("error", [OSError(errno.EMFILE, "Too many open files"), MemoryError()])
def test_what_cannot_be_sent_fails(
    repository: RepositoryMaker, serve: Serve, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def create(size: int) -> int:
        raise error

    repository.python("m")
    core = serve(in_process=False)
    large = m.Infer("m", (fp32("IN", [0.0] * MIB),))
    with monkeypatch.context() as patch:
        patch.setattr(memory, "create", create)
        for _ in range(3):  # nothing of them is in work then
            with pytest.raises(ServerError):
                core.handle(large)
    assert core.handle(large).outputs
