"""Closing a server: what waits is executed at once, and instances end at the same time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tests.server.conftest import ECHO, FP32_CONFIG, RepositoryMaker, fp32
from tests.support.waiting import eventually
from tritonclient import messages as m
from tritonclient.server.core import InferenceServer

Serve = Callable[..., InferenceServer]

HOUR = 3_600_000_000  # microseconds
#: Finalizing waits until the test has seen it begin.
TOGETHER = (
    ECHO
    + """
    def finalize(self):
        import socket
        with socket.create_connection(("127.0.0.1", {port})) as connection:
            connection.recv(1)
"""
)


@pytest.mark.parametrize(
    "batching",
    [
        f"dynamic_batching {{ max_queue_delay_microseconds: {HOUR} }}",
        "sequence_batching { oldest { max_candidate_sequences: 8 max_queue_delay_microseconds: "
        f"{HOUR} }} }}",
        f"sequence_batching {{ direct {{ max_queue_delay_microseconds: {HOUR} "
        "minimum_slot_utilization: 1 } }",
    ],
)
def test_requests_that_wait_for_others_are_executed(
    repository: RepositoryMaker, serve: Serve, batching: str
) -> None:
    repository.python("it", config=f"{FP32_CONFIG} max_batch_size: 8 {batching}")
    core = serve()
    answers: list[m.InferResponse] = []
    parameters = {"sequence_id": 1, "sequence_start": True, "sequence_end": True}
    request = m.Infer("it", (fp32("IN", [[1]]),), parameters=parameters)
    asking = threading.Thread(target=lambda: answers.append(core.handle(request)))
    asking.start()
    eventually(lambda: core._repository.get("it")._open == 1, 30)
    closing = threading.Thread(target=core.close, daemon=True)
    closing.start()
    closing.join(60)
    asking.join(60)
    assert answers[0].outputs[0].shape == (1, 1)


@pytest.mark.parametrize("in_process", [False])
@pytest.mark.parametrize("count", [1, 2])
def test_instances_end_at_the_same_time(
    repository: RepositoryMaker, serve: Serve, count: int
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as connections:
        listener.settimeout(30)
        code = TOGETHER.replace("{port}", str(listener.getsockname()[1]))
        config = f"{FP32_CONFIG} instance_group {{ count: {count} kind: KIND_CPU }}"
        for index in range(2 // count):
            repository.python(f"it{index}", code, config)
        core = serve()
        closing = threading.Thread(target=core.close)
        closing.start()
        for _ in range(2):
            connections.enter_context(listener.accept()[0])
    closing.join(60)
    assert not closing.is_alive()
