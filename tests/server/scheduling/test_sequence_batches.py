"""Batches of several sequences: which requests, and in which slots."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest

from tests.server.conftest import Gate, RepositoryMaker
from tests.server.telemetry.test_statistics import check_sums
from tritonclient import messages as m
from tritonclient.errors import Cancelled
from tritonclient.server.core import InferenceServer
from tritonclient.server.inference import Responses

CODE = """
import numpy as np
import triton_python_backend_utils as pb_utils
from tests.server.conftest import GATES

class TritonPythonModel:
    def execute(self, requests):
        told = []
        for request in requests:
            tensors = {t.name(): t.as_numpy().item(0) for t in request.inputs()}
            told.append(
                (request.request_id(), request.correlation_id(), request.flags(), *tensors.values())
            )
        GATES[-1].execute(told)
        text = pb_utils.Tensor("OUT", np.array([[b"x"]], object))
        return [pb_utils.InferenceResponse([text]) for _ in requests]
"""
CONFIG = """
backend: "python"
max_batch_size: 4
input [
  { name: "IN" data_type: TYPE_INT32 dims: [ -1 ] },
  { name: "TEXT" data_type: TYPE_STRING dims: [ 1 ] }
]
output [ { name: "OUT" data_type: TYPE_STRING dims: [ 1 ] } ]
sequence_batching {
  %s
  control_input [ {
    name: "READY" control [ { kind: CONTROL_SEQUENCE_READY int32_false_true: [ 5, 6 ] } ]
  } ]
  control_input [ {
    name: "ID" control [ { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_STRING } ]
  } ]
}
"""
#: The row of a sequence that has no request.
EMPTY = ("", 0, 0, 0, b"", 5, b"")


def row(id: int, flags: int = 0) -> tuple[Any, ...]:
    return (f"r{id}", id, flags, 7, b"text", 6, str(id).encode())


@pytest.fixture
def serve(repository: RepositoryMaker, gate: Gate) -> Iterator[Callable[[str], InferenceServer]]:
    with ExitStack() as stack:

        def make(strategy: str) -> InferenceServer:
            repository.python("it", CODE, CONFIG % strategy)
            server = InferenceServer([repository.directory], in_process=True)  # the gate is here
            stack.callback(server.close)
            stack.callback(gate.open)
            return server

        yield make


def begin(
    server: InferenceServer,
    id: int,
    *,
    start: bool = False,
    end: bool = False,
    size: int = 1,
    cancelled: threading.Event | None = None,
) -> Responses:
    array = np.full((1, size), 7, np.int32)
    inputs = (
        m.InferTensor("IN", "INT32", array.shape, array.tobytes()),
        m.InferTensor("TEXT", "BYTES", (1, 1), b"\4\0\0\0text"),
    )
    parameters = {"sequence_id": id, "sequence_start": start, "sequence_end": end}
    return server.stream(m.Infer("it", inputs, id=f"r{id}", parameters=parameters), cancelled)


def answered(responses: Responses) -> None:
    (answer,) = responses
    assert isinstance(answer, m.InferResponse)


def test_direct_gives_each_sequence_a_row(
    serve: Callable[[str], InferenceServer], gate: Gate
) -> None:
    server = serve("direct { }")
    asked = [begin(server, 1, start=True)]
    gate.wait()
    asked += [begin(server, id, start=True) for id in (2, 3)]
    gate.release()
    gate.wait()
    asked += [begin(server, 2), begin(server, 2, end=True)]
    gate.release()
    gate.wait()
    asked += [begin(server, 4, start=True), begin(server, 1)]
    gate.release()
    gate.wait()
    asked += [begin(server, 5, start=True)]  # takes the row that 2 leaves
    gate.release()
    gate.wait()
    gate.open()
    for each in asked:
        answered(each)
    assert gate.batches == [
        [row(1, 1)],
        [EMPTY, row(2, 1), row(3, 1)],
        [EMPTY, row(2)],
        [row(1), row(2, 2), EMPTY, row(4, 1)],
        [EMPTY, row(5, 1)],
    ]
    (found,) = server.handle(m.GetStatistics("it"))
    check_sums(found)
    assert (found.inference_count, found.execution_count) == (8, 5)
    assert [each.batch_size for each in found.batch_stats] == [1, 2, 3, 4]


def test_rows_stay_when_a_request_is_cancelled(
    serve: Callable[[str], InferenceServer], gate: Gate
) -> None:
    server = serve("direct { }")
    asked = [begin(server, id, start=True) for id in (1, 2)]
    gate.open()
    for each in asked:
        answered(each)
    cancelled = threading.Event()
    cancelled.set()
    assert all(isinstance(each, Cancelled) for each in begin(server, 1, cancelled=cancelled))
    answered(begin(server, 2))
    assert gate.batches[-1] == [EMPTY, row(2)]


def test_direct_may_wait_for_more_rows(serve: Callable[[str], InferenceServer], gate: Gate) -> None:
    settings = "minimum_slot_utilization: 0.75 max_queue_delay_microseconds: 60000000"
    server = serve(f"direct {{ {settings} }}")
    asked = [begin(server, id, start=True) for id in (1, 2, 3)]
    gate.wait()  # long before the delay is over
    gate.open()
    for each in asked:
        answered(each)
    assert gate.batches == [[row(1, 1), row(2, 1), row(3, 1)]]


def test_direct_does_not_wait_for_longer(
    serve: Callable[[str], InferenceServer], gate: Gate
) -> None:
    settings = "minimum_slot_utilization: 0.5 max_queue_delay_microseconds: 50000"
    server = serve(f"direct {{ {settings} }}")
    gate.open()
    before = time.monotonic()
    answered(begin(server, 1, start=True))
    assert time.monotonic() - before >= 0.05


def test_only_equal_shapes_share_a_batch(
    serve: Callable[[str], InferenceServer], gate: Gate
) -> None:
    server = serve("direct { }")
    asked = [begin(server, 9, start=True, end=True)]
    gate.wait()
    asked += [
        begin(server, 1, start=True, size=2),
        begin(server, 2, start=True),
        begin(server, 3, start=True, size=2),
    ]
    gate.open()
    for each in asked:
        answered(each)
    assert [[each[1] for each in batch] for batch in gate.batches] == [[9], [0, 1, 0, 3], [0, 0, 2]]


def test_oldest_executes_one_request_of_each_sequence(
    serve: Callable[[str], InferenceServer], gate: Gate
) -> None:
    server = serve("oldest { max_candidate_sequences: 3 }")
    asked = [begin(server, 1, start=True)]
    gate.wait()
    asked += [
        begin(server, 2, start=True),
        begin(server, 2),
        begin(server, 1),
        begin(server, 3, start=True),
        begin(server, 4, start=True),  # for which there is no slot yet
        begin(server, 2, end=True),
    ]
    gate.open()
    for each in asked:
        answered(each)
    assert [[each[1] for each in batch] for batch in gate.batches] == [
        [1], [2, 1, 3], [2], [2], [4],
    ]  # fmt: skip
    (found,) = server.handle(m.GetStatistics("it"))
    check_sums(found)
    assert (found.inference_count, found.execution_count) == (7, 5)


def test_oldest_waits_for_a_preferred_size(
    serve: Callable[[str], InferenceServer], gate: Gate
) -> None:
    settings = "preferred_batch_size: 2 max_queue_delay_microseconds: 60000000"
    server = serve(f"oldest {{ max_candidate_sequences: 4 {settings} }}")
    asked = [begin(server, id, start=True) for id in (1, 2)]
    gate.wait()
    gate.open()
    for each in asked:
        answered(each)
    assert gate.batches == [[row(1, 1), row(2, 1)]]
