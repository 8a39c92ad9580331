"""Closing a server: what waits is executed at once, and instances end at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from tests.server.conftest import ECHO, FP32_CONFIG, RepositoryMaker, fp32
from tests.support.waiting import eventually
from tritonclient import messages as m
from tritonclient.server.core import InferenceServer

Serve = Callable[..., InferenceServer]

HOUR = 3_600_000_000  # microseconds
#: Finalizing waits until another instance is finalized, too.
TOGETHER = (
    ECHO
    + """
    def finalize(self):
        from tests.server.repository.test_closing import TOGETHER_AT
        TOGETHER_AT.wait(30)
"""
)
TOGETHER_AT = threading.Barrier(2)


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


@pytest.mark.parametrize("in_process", [True])
@pytest.mark.parametrize("count", [1, 2])
def test_instances_end_at_the_same_time(
    repository: RepositoryMaker, serve: Serve, count: int
) -> None:
    for index in range(2 // count):
        config = f"{FP32_CONFIG} instance_group {{ count: {count} kind: KIND_CPU }}"
        repository.python(f"it{index}", TOGETHER, config)
    core = serve()
    TOGETHER_AT.reset()
    core.close()
    assert not TOGETHER_AT.broken
