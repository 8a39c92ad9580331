"""Iterative sequences: requests that a model executes again; measured beside Triton 2.51."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from tests.server.conftest import FP32_CONFIG, RepositoryMaker, fp32
from tritonclient import messages as m
from tritonclient.errors import ServerError
from tritonclient.server.core import InferenceServer

#: Models are executed in the test's process, and in a process per instance.
IN_BOTH = True
Serve = Callable[..., InferenceServer]

TEXT = FP32_CONFIG.replace('"OUT" data_type: TYPE_FP32', '"OUT" data_type: TYPE_STRING')
ITERATIVE = (
    "max_batch_size: 4"
    + TEXT
    + """
sequence_batching { iterative_sequence: true control_input [
    { name: "START" control [ { kind: CONTROL_SEQUENCE_START fp32_false_true: [ 0, 1 ] } ] },
    { name: "END" control [ { kind: CONTROL_SEQUENCE_END fp32_false_true: [ 0, 1 ] } ] },
    { name: "CORRID" control [ { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_UINT64 } ] }
] }
"""
)
#: Executes each request three times, and answers with what it saw.
CODE = """
import json
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    seen = {}

    def execute(self, requests):
        return [self.one(request) for request in requests]

    def one(self, request):
        seen = self.seen.setdefault(request.correlation_id(), [])
        controls = [
            int(pb_utils.get_input_tensor_by_name(request, name).as_numpy().item())
            for name in ("START", "END", "CORRID")
        ]
        seen.append([request.flags(), request.correlation_id(), *controls])
        if len(seen) < 3:
            request.set_release_flags(pb_utils.TRITONSERVER_REQUEST_RELEASE_RESCHEDULE)
            return None
        text = json.dumps(self.seen.pop(request.correlation_id()))
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor("OUT", np.array([[text]], object))]
        )
"""


def ask(core: InferenceServer, **parameters: bool | int) -> object:
    answer = core.handle(m.Infer("a", (fp32("IN", [[1]]),), parameters=parameters))
    return json.loads(bytes(answer.outputs[0].data or b"")[4:])


def seen(id: int) -> list[list[int]]:
    """What the model sees of a sequence: only the first execution has the flag START."""
    return [[1, id, 1, 0, id], [0, id, 0, 0, id], [0, id, 0, 0, id]]


def test_a_request_is_executed_until_the_model_answers(
    repository: RepositoryMaker, serve: Serve
) -> None:
    repository.python("a", CODE, ITERATIVE)
    core = serve()
    assert ask(core) == seen(1)
    assert ask(core) == seen(2)
    assert ask(core, sequence_id=7, sequence_start=True) == seen(7)
    (statistics,) = core.handle(m.GetStatistics("a"))
    assert statistics.inference_count == 9


def test_sequences_that_run_at_once(repository: RepositoryMaker, serve: Serve) -> None:
    repository.python("a", CODE, ITERATIVE)
    core = serve()
    streams = [core.stream(m.Infer("a", (fp32("IN", [[1]]),))) for _ in range(8)]
    for number, (answer,) in enumerate(streams, 1):
        assert isinstance(answer, m.InferResponse)
        assert json.loads(bytes(answer.outputs[0].data or b"")[4:]) == seen(number)


def test_a_given_sequence_needs_the_flag_start(repository: RepositoryMaker, serve: Serve) -> None:
    repository.python("a", CODE, ITERATIVE)
    with pytest.raises(ServerError, match=r"for sequence 7 .* must specify the START flag"):
        ask(serve(), sequence_id=7)


AGAIN = """
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        (request,) = requests
        request.set_release_flags({flags})
        return [{response}]
"""
RESCHEDULE = "pb_utils.TRITONSERVER_REQUEST_RELEASE_RESCHEDULE"


@pytest.mark.parametrize(
    ("flags", "response", "message"),
    [
        (RESCHEDULE, "None", "rescheduled a request, which needs 'iterative_sequence: true'"),
        (RESCHEDULE, "pb_utils.InferenceResponse()", "needs None in the list"),
        ("7", "None", "unknown release flags: 7"),
        ("1", "None", "Expected an 'InferenceResponse' object"),
    ],
)
def test_what_cannot_be_rescheduled(
    repository: RepositoryMaker, serve: Serve, flags: str, response: str, message: str
) -> None:
    repository.python("a", AGAIN.format(flags=flags, response=response))
    with pytest.raises(ServerError, match=message):
        serve().handle(m.Infer("a", (fp32("IN", [1]),)))


#: Executes each request 30 times, and sends a response each time.
SENDING = """
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    counts = {}

    def execute(self, requests):
        for request in requests:
            count = self.counts.get(request.correlation_id(), 0) + 1
            self.counts[request.correlation_id()] = count
            sender = request.get_response_sender()
            output = pb_utils.Tensor("OUT", np.array([count], np.float32))
            sender.send(pb_utils.InferenceResponse([output]), int(count == 30))
            if count < 30:
                request.set_release_flags(pb_utils.TRITONSERVER_REQUEST_RELEASE_RESCHEDULE)
"""
DECOUPLED = FP32_CONFIG + "model_transaction_policy { decoupled: true }\n"


def numbers(core: InferenceServer) -> list[float]:
    answers = core.stream(m.Infer("a", (fp32("IN", [1]),)))
    sent = [each for each in answers if isinstance(each, m.InferResponse) and each.outputs]
    return [np.frombuffer(bytes(each.outputs[0].data), "<f4").item() for each in sent]


def test_the_responses_of_all_executions_come_in_order(
    repository: RepositoryMaker, serve: Serve
) -> None:
    config = DECOUPLED + "sequence_batching { iterative_sequence: true }"
    repository.python("a", SENDING, config)
    core = serve()
    for _ in range(20):
        assert numbers(core) == list(range(1, 31))
