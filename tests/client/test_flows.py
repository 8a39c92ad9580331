"""Flows as pure generators: waiting until ready and describing a model, without server or clock."""

from __future__ import annotations

import asyncio

import pytest

from tritonclient import messages as m
from tritonclient.client.flows import describe_model, run, run_async, wait_until_ready
from tritonclient.errors import (
    ConnectionFailed,
    DeadlineExceeded,
    Internal,
    NotFound,
    PermissionDenied,
    ProtocolError,
    Unavailable,
    Unimplemented,
)


class World:
    """Plays answers and errors, one per request, and keeps a clock that only pauses advance."""

    def __init__(self, *answers, index=None, metadata="the model is there"):
        self.now = 0.0
        self.index = index
        self.index_asked = 0
        self.metadata = metadata
        self.asked = []
        self.pauses = []
        self._answers = list(answers)

    def send(self, request, timeout):
        if isinstance(request, m.GetRepositoryIndex):
            self.index_asked += 1
            assert 0 < timeout <= 5
            if self.index is None:
                raise Unimplemented("there is no index")
            return self.index
        if isinstance(request, m.GetModelMetadata) and self.index_asked:
            assert 0 < timeout <= 5
            if isinstance(self.metadata, Exception):
                raise self.metadata
            return self.metadata
        self.asked.append((request, timeout))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def sleep(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds

    def run(self, flow):
        return run(flow, self.send, self.sleep)

    def run_async(self, flow):
        async def send(request, timeout):
            return self.send(request, timeout)

        async def sleep(seconds):
            self.sleep(seconds)

        return asyncio.run(run_async(flow, send, sleep))


both = pytest.mark.parametrize("drive", [World.run, World.run_async], ids=["blocking", "asyncio"])


@both
def test_ready_in_the_end(drive):
    world = World(
        ConnectionFailed("down"), DeadlineExceeded("slow"), Unavailable("busy", "503"), False, True
    )
    drive(world, wait_until_ready("http://x", "m", "1", 30, lambda: world.now))
    assert [request for request, _ in world.asked] == [m.IsModelReady("m", "1")] * 5
    assert world.pauses == sorted(world.pauses)
    assert len(world.pauses) == 4


@both
@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        (NotFound("Model with name m does not exist.", "404"), "Model with name m does not exist."),
        (Unavailable("busy", "503"), "it answered that it is not ready"),
        ("the model is there", "it answered that it is not ready"),
    ],
)
def test_never_ready_on_a_server_without_an_index(drive, metadata, words):
    """As KServe's, which says of an unknown model over HTTP only that it is not ready."""
    world = World(False, metadata=metadata)
    with pytest.raises(DeadlineExceeded, match=f"was not ready after 3 s: {words}"):
        drive(world, wait_until_ready("http://x", "m", "", 3, lambda: world.now))
    assert world.index_asked == 1


@both
def test_server_ready_at_once(drive):
    world = World(True)
    drive(world, wait_until_ready("http://x", "", "", None))
    assert world.asked == [(m.IsServerReady(), 5.0)]
    assert world.pauses == []


@both
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (False, "it answered that it is not ready"),
        (ConnectionFailed("refused"), "refused"),
        (Internal("broken", "500"), "broken"),
    ],
)
def test_not_ready_in_time(drive, answer, words):
    world = World(answer)
    with pytest.raises(
        DeadlineExceeded, match=f"model 'm' was not ready after 2 s: {words}"
    ) as caught:
        drive(world, wait_until_ready("http://x", "m", "", 2, lambda: world.now))
    assert caught.value.model == "m"
    assert world.now == pytest.approx(2)
    assert max(world.pauses) <= 0.5
    assert all(0 < timeout <= 2 for _, timeout in world.asked)


@both
@pytest.mark.parametrize(
    ("index", "words"),
    [
        ([m.ModelIndex("n", "1", "READY")], "the server has no model 'm'; its models are 'n'"),
        ([m.ModelIndex("mm", "1", "READY")], "the server has no model 'm'; did you mean 'mm'?"),
        ([], "the server has no model 'm'; its repository is empty"),
        ([m.ModelIndex("m", "1", "UNAVAILABLE", "no file")], "it is UNAVAILABLE: no file"),
        ([m.ModelIndex("m", "1", "READY")], "it answered that it is not ready"),
    ],
)
def test_why_a_model_is_not_ready(drive, index, words):
    """The repository is asked, once."""
    world = World(False, index=index)
    with pytest.raises(DeadlineExceeded, match="model 'm' was not ready after 2 s") as caught:
        drive(world, wait_until_ready("http://x", "m", "", 2, lambda: world.now))
    assert words in caught.value.message()
    assert world.index_asked == 1


@both
@pytest.mark.parametrize("error", [PermissionDenied("no", "403"), ProtocolError("garbage")])
def test_what_waiting_does_not_mend(drive, error):
    with pytest.raises(type(error)):
        drive(World(error), wait_until_ready("http://x", "m", "", 2))


@both
@pytest.mark.parametrize("missing", [NotFound("none", "404"), Unimplemented("none", "501")])
def test_describe_without_configuration(drive, missing):
    world = World(m.ModelMetadata("m"), missing)
    assert drive(world, describe_model("m", "1", 3.0, lambda: 0.0)).max_batch_size is None
    assert world.asked == [(m.GetModelMetadata("m", "1"), 3.0), (m.GetModelConfig("m", "1"), 3.0)]


@both
@pytest.mark.parametrize(("taken", "left"), [(1, 2), (2.5, 0.5), (9, 1e-6)])
def test_both_requests_share_the_time(drive, taken, left):
    world = World(m.ModelMetadata("m"), {"max_batch_size": 8})
    times = iter([100.0, 100.0 + taken])
    drive(world, describe_model("m", "1", 3.0, lambda: next(times)))
    assert [timeout for _, timeout in world.asked] == [3.0, pytest.approx(left)]


@both
@pytest.mark.parametrize("timeout", [0.5, 2, 6, 60])
def test_no_try_uses_up_all_the_time(drive, timeout):
    """However long each takes, there are several, unless there is less than a second or so."""
    world = World(DeadlineExceeded("it hangs"))
    asked = world.asked

    def clock():
        return world.now + sum(seconds for _, seconds in asked)

    with pytest.raises(DeadlineExceeded, match="it hangs"):
        drive(world, wait_until_ready("http://x", "m", "", timeout, clock))
    assert len(asked) >= (1 if timeout <= 1 else 2)
    assert max(seconds for _, seconds in asked) <= max(5.0 * (timeout >= 10), timeout / 2, 1.0)
    assert sum(seconds for _, seconds in asked) <= timeout


@both
def test_describe(drive):
    tensor = m.TensorMetadata("X", "FP32", (-1,))
    world = World(m.ModelMetadata("m", inputs=(tensor,)), {"max_batch_size": 8})
    found = drive(world, describe_model("m", "", None))
    assert found.inputs == {"X": tensor}
    assert found.max_batch_size == 8


@both
def test_errors_pass_through(drive):
    with pytest.raises(ConnectionFailed, match="down"):
        drive(World(ConnectionFailed("down")), describe_model("m", "", None))
