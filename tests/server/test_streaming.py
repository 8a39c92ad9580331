"""Responses that come one after the other: decoupled models, response senders, slow readers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

import numpy as np
import pytest

from tests.server.conftest import FP32_CONFIG, RepositoryMaker, fp32, int32
from tests.server.telemetry.test_statistics import check_sums
from tritonclient import messages as m
from tritonclient.errors import (
    Cancelled,
    Internal,
    InvalidArgument,
    NotFound,
    ServerError,
    Unimplemented,
)
from tritonclient.server.core import IN_PROCESS, InferenceServer
from tritonclient.server.jobs.reader import LIMIT

Serve = Callable[..., InferenceServer]

DECOUPLED = FP32_CONFIG + "model_transaction_policy { decoupled: true }"

#: A model whose `execute` is the given lines, with the request's values, its sender and helpers.
CODE = """
import threading
import numpy as np
import triton_python_backend_utils as pb_utils
import {test} as test

FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL

def response(value):
    return pb_utils.InferenceResponse([pb_utils.Tensor("OUT", np.array([value], np.float32))])

def error(text, *code):
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(text, *code))

class TritonPythonModel:
    def execute(self, requests):
        (request,) = requests
        values = pb_utils.get_input_tensor_by_name(request, "IN").as_numpy().tolist()
        sender = request.get_response_sender()
        {body}
"""


class Seen:
    """Events that the models of these tests set and wait for, in this process."""

    texts: list[str]
    cancelled: threading.Event
    proceed: threading.Event


@pytest.fixture
def in_process(request: pytest.FixtureRequest) -> bool:
    """Models with `Seen` are executed where it is, others as by default."""
    return IN_PROCESS or "seen" in request.fixturenames


@pytest.fixture
def seen() -> type[Seen]:
    Seen.texts = []
    Seen.cancelled = threading.Event()
    Seen.proceed = threading.Event()
    return Seen


@pytest.fixture
def model(repository: RepositoryMaker, serve: Serve) -> Callable[..., InferenceServer]:
    """Serves model "a" that executes some lines."""

    def make(body: str, config: str = DECOUPLED) -> InferenceServer:
        body = body.strip().replace("\n", "\n        ")
        repository.python("a", CODE.format(test=__name__, body=body), config)
        return serve(control_mode="explicit", load_models=["a"])

    return make


def request(*values: float, **parameters: bool) -> m.Infer:
    return m.Infer("a", (fp32("IN", values),), id="seven", parameters=parameters)


def value(response: m.InferResponse) -> float:
    (output,) = response.outputs
    assert output.shape == (1,)
    return float(np.frombuffer(output.data or b"", "<f4")[0])


def read(responses: Iterable[object]) -> list[object]:
    """Values and finality of responses, and the texts of errors."""
    found: list[object] = []
    for each in responses:
        if isinstance(each, ServerError):
            found.append(each.message())
        else:
            assert isinstance(each, m.InferResponse)
            assert each.id == "seven"
            final = each.parameters["triton_final_response"]
            found.append((value(each), final) if each.outputs else ("empty", final))
    return found


ALL = "for value in values:\n    sender.send(response(value))\nsender.send(flags=FINAL)"
WITH_LAST = """
for value in values[:-1]:
    sender.send(response(value))
sender.send(response(values[-1]), flags=FINAL)
"""


def test_responses_of_a_decoupled_model(model: Callable[..., InferenceServer]) -> None:
    core = model(ALL)
    assert read(core.stream(request(5, 6))) == [(5, False), (6, False)]
    assert read(core.stream(request())) == []
    asking = request(5, triton_enable_empty_final_response=True)
    *_, last = core.stream(asking)
    assert last == m.InferResponse("a", "", "seven", {"triton_final_response": True})
    assert read(core.stream(asking)) == [(5, False), ("empty", True)]


def test_a_last_response_that_says_so(model: Callable[..., InferenceServer]) -> None:
    core = model(WITH_LAST)
    expected = [(5, False), (6, True)]
    assert read(core.stream(request(5, 6))) == expected
    asking = request(5, 6, triton_enable_empty_final_response=True)
    assert read(core.stream(asking)) == expected


def test_responses_from_a_thread_after_execute(model: Callable[..., InferenceServer]) -> None:
    lines = ALL.replace("\n", "\n    ")
    core = model(f"def run():\n    {lines}\nthreading.Thread(target=run).start()")
    assert read(core.stream(request(1, 2, 3))) == [(1, False), (2, False), (3, False)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            "sender.send(error('no'))\nsender.send(response(1))\nsender.send(flags=FINAL)",
            ["no", (1, False)],
        ),
        ("sender.send(response(1))\nsender.send(error('no'), flags=FINAL)", [(1, False), "no"]),
        (
            "sender.send(response(1))\nraise ValueError('no')",
            [(1, False), "Failed to process the request(s) for model 'a_0', message: ValueError: "],
        ),
        (
            "return [response(1)]",
            [
                "Failed to process the request(s) for model 'a_0', message: Python model 'a_0' is "
                "using the decoupled mode and the execute function must return None."
            ],
        ),
        ("sender.send(flags=FINAL)\nreturn [response(1)]", []),
        (
            "sender.send(pb_utils.InferenceResponse([]))\nsender.send(flags=FINAL)",
            [("empty", False)],
        ),
    ],
)
def test_errors_are_responses(
    model: Callable[..., InferenceServer], body: str, expected: list[object]
) -> None:
    found = read(model(body).stream(request(5)))
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        if isinstance(other, str):
            assert isinstance(one, str)
            assert one.startswith(other)
        else:
            assert one == other


def test_errors_before_execution_are_the_only_response(
    model: Callable[..., InferenceServer],
) -> None:
    core = model(ALL)
    for wrong, kind, text in (
        (m.Infer("nope", ()), NotFound, "Request for unknown model: 'nope' is not found"),
        (m.Infer("a", ()), InvalidArgument, "expected 1 inputs but got 0 inputs"),
        (m.Infer("a", (fp32("IN", [1]),), parameters={"triton_x": 1}), InvalidArgument, "reserved"),
        (
            m.Infer("a", (fp32("IN", [1])._replace(data=b"1"),)),
            InvalidArgument,
            "input byte size mismatch",
        ),
    ):
        (error,) = core.stream(wrong)
        assert isinstance(error, kind)
        assert text in (error.message() or "")
    core.close()
    (error,) = core.stream(request(1))
    assert isinstance(error, ServerError)
    assert error.message() == "the server is closed"


def test_a_model_that_is_not_decoupled_has_one_response(
    repository: RepositoryMaker, serve: Serve
) -> None:
    repository.python("a")
    repository.copy("simple")
    core = serve()
    asking = request(5, triton_enable_empty_final_response=True)
    for each in (request(5), asking):
        assert read(core.stream(each)) == [(5, True)]
    row = int32("INPUT0", [range(16)])
    (response,) = core.stream(m.Infer("simple", (row, row._replace(name="INPUT1"))))
    assert isinstance(response, m.InferResponse)
    assert [output.name for output in response.outputs] == ["OUTPUT0", "OUTPUT1"]


def test_decoupled_models_are_not_for_single_answers(
    model: Callable[..., InferenceServer],
) -> None:
    with pytest.raises(Unimplemented, match="doesn't support models with decoupled transaction"):
        model(ALL).handle(request(1))


@pytest.mark.parametrize(
    "body",
    [
        "sender.send(response(values[0]), flags=FINAL)",
        "sender.send(response(values[0]), flags=FINAL)\nreturn [None]",
        "sender.send(response(values[0]), flags=FINAL)\nreturn [response(8)]",
        "sender.send(response(values[0]))",  # and never says that it is the only one
        "t = threading.Thread(target=sender.send, args=(response(values[0]), FINAL))\nt.start()",
    ],
)
def test_other_models_may_use_the_sender_for_their_response(
    model: Callable[..., InferenceServer], body: str
) -> None:
    core = model(body, FP32_CONFIG)
    for _ in range(2):
        assert value(core.handle(request(5))) == 5


def misuses(config: str) -> list[str]:
    return [
        *("sender.send()", "sender.send(flags=2)", "sender.send(5)"),
        *(["sender.send(flags=FINAL)"] if config == FP32_CONFIG else []),
        "sender.send(response(1))",
        *(["sender.send(response(2))"] if config == FP32_CONFIG else []),
        *("sender.send(flags=FINAL)", "sender.send(response(1))", "sender.send(flags=FINAL)"),
    ]


@pytest.mark.parametrize(
    "body",
    [
        "sender.send(response(1))\nsender.send(response(2))\nsender.send(flags=FINAL)",
        "sender.send(response(1))\nreturn [response(2)]",
        "sender.send(response(1))\nraise ValueError('no')",
    ],
)
def test_a_second_response_of_another_model_is_an_error(
    model: Callable[..., InferenceServer], body: str
) -> None:
    core = model(body, FP32_CONFIG)
    with pytest.raises(Internal, match="expected a single response, got 2"):
        core.handle(request(5))
    assert read(core.stream(request(5))) == ["expected a single response, got 2"]


NEEDS_RESPONSE = (
    "Inference Response object must be provided when the response flags is set to zero."
)
UNSUPPORTED = "Unable to send response. Unsupported flag provided."
TYPE = "response is int, expected InferenceResponse"
CLOSED = "Unable to send response. Response sender has been closed."
NOTHING = (
    "Unable to send response. Non-decoupled model cannot send complete final before sending a "
    "response."
)
SECOND = "Unable to send response. Non-decoupled model cannot send more than one response."


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (DECOUPLED, [NEEDS_RESPONSE, UNSUPPORTED, TYPE, "", "", CLOSED, CLOSED]),
        (FP32_CONFIG, [NEEDS_RESPONSE, UNSUPPORTED, TYPE, NOTHING, "", SECOND, "", CLOSED, CLOSED]),
    ],
)
def test_misuse_of_the_sender(
    model: Callable[..., InferenceServer], seen: type[Seen], config: str, expected: list[str]
) -> None:
    body = "\n".join(
        f"try:\n    {call}\n    test.Seen.texts.append('')\n"
        "except Exception as e:\n    test.Seen.texts.append(str(e))"
        for call in misuses(config)
    )
    core = model(body, config)
    assert read(core.stream(request(5))) == [(1, False)]
    core.close()  # which waits for the model
    assert seen.texts == expected


def test_a_slow_reader_slows_the_model(
    model: Callable[..., InferenceServer], seen: type[Seen]
) -> None:
    core = model(
        f"for value in range({LIMIT + 5}):\n"
        "    sender.send(response(value))\n"
        "    test.Seen.texts.append(str(value))\n"
        f"    if value == {LIMIT - 1}: test.Seen.proceed.set()\n"
        "sender.send(flags=FINAL)"
    )
    responses = core.stream(request(0))
    assert seen.proceed.wait(30)
    # The model may be about to send the next, which would not return.
    assert len(seen.texts) == LIMIT
    assert read(responses) == [(each, False) for each in range(LIMIT + 5)]
    core.close()
    assert len(seen.texts) == LIMIT + 5


ENDLESS = """
while not sender.is_cancelled():
    sender.send(response(1))
assert request.is_cancelled()
sender.send(response(2))
sender.send(flags=FINAL)
test.Seen.cancelled.set()
"""


@pytest.mark.parametrize("how", ["close", "forget", "cancel"])
def test_responses_that_nobody_reads(
    model: Callable[..., InferenceServer], seen: type[Seen], how: str
) -> None:
    core = model(ENDLESS)
    cancelled = threading.Event()
    responses = core.stream(request(0), cancelled)
    first = next(responses)
    assert isinstance(first, m.InferResponse)
    if how == "close":
        responses.close()
    elif how == "forget":
        del responses
    else:
        cancelled.set()
        list(responses)  # those that were there already, and then it ends
    assert seen.cancelled.wait(30)
    assert cancelled.is_set() == (how == "cancel")
    if how == "close":
        assert list(responses) == []


def test_a_reader_that_waits_is_released_when_cancelled(
    model: Callable[..., InferenceServer], seen: type[Seen]
) -> None:
    core = model("sender.send(response(1))\ntest.Seen.proceed.wait(30)\nsender.send(flags=FINAL)")
    cancelled = threading.Event()
    responses = core.stream(request(0), cancelled)
    next(responses)
    reader = threading.Thread(target=list, args=(responses,))
    reader.start()
    cancelled.set()
    reader.join(30)
    assert not reader.is_alive()
    seen.proceed.set()


def test_cancelled_before_the_model_takes_it(
    model: Callable[..., InferenceServer], seen: type[Seen]
) -> None:
    core = model("test.Seen.texts.append('executed')\nsender.send(flags=FINAL)")
    cancelled = threading.Event()
    cancelled.set()
    assert all(isinstance(each, Cancelled) for each in core.stream(request(0), cancelled))
    core.close()
    assert seen.texts == []


def test_unloading_waits_for_responses(
    model: Callable[..., InferenceServer], seen: type[Seen]
) -> None:
    core = model(
        "def run():\n    test.Seen.proceed.wait(30)\n    sender.send(response(1), flags=FINAL)\n"
        "threading.Thread(target=run).start()"
    )
    responses = core.stream(request(0))
    unload = threading.Thread(target=core.handle, args=(m.UnloadModel("a"),))
    unload.start()
    assert unload.is_alive()
    seen.proceed.set()
    assert read(responses) == [(1, True)]
    unload.join(30)
    assert not unload.is_alive()


def test_an_instance_lives_in_one_thread(repository: RepositoryMaker, serve: Serve) -> None:
    code = """
import threading, os
import numpy as np, triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def initialize(self, args):
        self.log = os.path.join(args["model_repository"], "threads")
        self.tell()
    def tell(self):
        with open(self.log, "a") as file:
            print(threading.get_ident(), file=file)
    def execute(self, requests):
        self.tell()
        return [pb_utils.InferenceResponse([]) for _ in requests]
    def finalize(self):
        self.tell()
"""
    log = repository.python("a", code) / "threads"
    core = serve()
    for _ in range(3):
        core.handle(request(1))
    core.close()
    threads = log.read_text().split()
    assert len(threads) == 5
    assert len(set(threads)) == 1


def test_outputs_are_snapshots(model: Callable[..., InferenceServer]) -> None:
    core = model(
        "array = np.zeros(1, np.float32)\n"
        "for _ in range(2):\n"
        "    array += 1\n"
        "    sender.send(pb_utils.InferenceResponse([pb_utils.Tensor('OUT', array)]))\n"
        "array += 1\n"
        "sender.send(flags=FINAL)"
    )
    assert read(core.stream(request(0))) == [(1, False), (2, False)]


def test_statistics_count_requests_and_not_responses(
    model: Callable[..., InferenceServer],
) -> None:
    core = model("if values[0] < 0: raise ValueError('no')\n" + ALL)
    for values in ([1, 2, 3], [1], [-1]):
        list(core.stream(request(*values)))
    # The last response may be read before `execute` has returned.
    deadline = time.monotonic() + 30
    while (found := core.handle(m.GetStatistics("a"))[0]).execution_count < 3:
        assert time.monotonic() < deadline
    check_sums(found)
    assert found.inference_count == 2
    assert found.inference_stats.fail.count == 1
    assert found.response_stats == {}


def test_a_response_that_can_not_be_encoded_is_an_error(
    model: Callable[..., InferenceServer],
) -> None:
    core = model("sender.send(response(1))\nsender.send(response(2), flags=FINAL)")
    region = {"shared_memory_region": "nope", "shared_memory_byte_size": 4}
    output = m.RequestedOutput("OUT", binary=False, parameters=region)
    asking = m.Infer("a", (fp32("IN", [1]),), outputs=(output,))
    first, second = core.stream(asking)
    for error in (first, second):
        assert isinstance(error, NotFound)


def test_repeat_int32(repository: RepositoryMaker, serve: Serve) -> None:
    repository.copy("repeat_int32")
    core = serve()
    delays = m.InferTensor("DELAY", "UINT32", (3,), np.array([1, 0, 5], "<u4").tobytes())
    wait = m.InferTensor("WAIT", "UINT32", (1,), np.array([1], "<u4").tobytes())
    responses = core.stream(m.Infer("repeat_int32", (int32("IN", [4, 2, 9]), delays, wait)))
    found = []
    for each in responses:
        assert isinstance(each, m.InferResponse)
        found.append(np.frombuffer(each.outputs[0].data or b"", "<i4").tolist())
    assert found == [[4], [2], [9]]
