"""What crosses between the server and a model's process: responses, calls, cancellation, logs."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.server.conftest import FP32_CONFIG, RepositoryMaker, texts
from tests.support.waiting import eventually
from tritonclient import messages as m
from tritonclient.datatypes import unpack_all_bytes
from tritonclient.errors import InferenceServerException, Internal, NotFound
from tritonclient.server.core import InferenceServer

TEXT_CONFIG = FP32_CONFIG.replace("TYPE_FP32", "TYPE_STRING")
STREAM_CONFIG = f"{TEXT_CONFIG}\nmodel_transaction_policy {{ decoupled: true }}"

#: Models that execute the code in their input. "lab" answers with `answer` as JSON.
HEAD = """
import asyncio, json, os, threading, time
import numpy as np
import triton_python_backend_utils as pb

LAST = pb.TRITONSERVER_RESPONSE_COMPLETE_FINAL

def array(*texts):
    return np.array(texts, object)

def response(*texts, **options):
    return pb.InferenceResponse([pb.Tensor("OUT", array(*texts))], **options)

def ask(model, *texts, **options):
    return pb.InferenceRequest(
        model_name=model, inputs=[pb.Tensor("IN", array(*texts))],
        requested_output_names=["OUT"], **options
    )

def show(response):
    if response.has_error():
        return response.error().message()
    return [t.decode() for each in response.output_tensors() for t in each.as_numpy().tolist()]

def run(request):
    names = dict(globals(), request=request, sender=request.get_response_sender)
    exec(request.inputs()[0].as_numpy()[0].decode(), names)
    return names.get("answer")
"""
LAB = f"""{HEAD}
class TritonPythonModel:
    def execute(self, requests):
        answers = [run(each) for each in requests]
        return [each if each in (None, "none") else response(json.dumps(each)) for each in answers]
"""
STREAM = f"""{HEAD}
class TritonPythonModel:
    def execute(self, requests):
        for each in requests:
            run(each)
"""


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InferenceServer]:
    repository = RepositoryMaker(tmp_path_factory.mktemp("models") / "repository")
    repository.python("lab", LAB, TEXT_CONFIG)
    repository.python("echo", config=TEXT_CONFIG)
    repository.python("stream", STREAM, STREAM_CONFIG)
    repository.python("idle", config=TEXT_CONFIG)
    core = InferenceServer(
        [repository.directory],
        control_mode="explicit",
        load_models=["lab", "echo", "stream"],
        in_process=False,
    )
    yield core
    core.close()


def do(core: InferenceServer, code: str) -> Any:
    response = core.handle(m.Infer("lab", (texts(code),)))
    return json.loads(unpack_all_bytes(response.outputs[0].data)[0])


def words(item: Any) -> list[str]:
    assert isinstance(item, m.InferResponse), item
    return [each.decode() for each in unpack_all_bytes(item.outputs[0].data)]


STREAMED = "[sender().send(response(str(i))) for i in range({count})]; sender().send(flags=LAST)"


def test_requests_arrive_with_what_they_carry(core: InferenceServer) -> None:
    code = "answer = [request.request_id(), json.loads(request.parameters()), request.timeout()]"
    parameters = {"mode": "x", "n": 3, "timeout": 5}
    request = m.Infer("lab", (texts(code),), id="seven", parameters=parameters)
    response = core.handle(request)
    assert json.loads(unpack_all_bytes(response.outputs[0].data)[0]) == [
        "seven",
        {"mode": "x", "n": 3},
        5,
    ]


def test_a_response_has_parameters(core: InferenceServer) -> None:
    code = 'sender().send(response("x", parameters={"a": 1, "b": "c"}), LAST)'
    (response,) = core.stream(m.Infer("stream", (texts(code),)))
    assert isinstance(response, m.InferResponse)
    assert (response.parameters["a"], response.parameters["b"]) == (1, "c")


def test_errors_have_the_text_of_the_model(core: InferenceServer) -> None:
    with pytest.raises(Internal, match=r"(?s)ZeroDivisionError: division by zero.*model.py"):
        do(core, "1/0")
    error = 'pb.TritonError("gone", pb.TritonError.NOT_FOUND)'
    code = f"sender().send(pb.InferenceResponse(error={error}), LAST)"
    (item,) = core.stream(m.Infer("stream", (texts(code),)))
    assert isinstance(item, NotFound)
    assert item.message() == "gone"


def test_responses_keep_their_order(core: InferenceServer) -> None:
    items = list(core.stream(m.Infer("stream", (texts(STREAMED.format(count=100)),))))
    assert [words(each) for each in items] == [[str(i)] for i in range(100)]


def test_a_slow_reader_does_not_hold_up_others(core: InferenceServer) -> None:
    threaded = "threading.Thread(target=lambda: exec({!r}, dict(globals(), sender=sender))).start()"
    slow = core.stream(m.Infer("stream", (texts(threaded.format(STREAMED.format(count=200))),)))
    assert words(next(slow)) == ["0"]
    others = core.stream(m.Infer("stream", (texts(STREAMED.format(count=3)),)))
    assert [words(each) for each in others] == [["0"], ["1"], ["2"]]
    assert [words(each) for each in slow] == [[str(i)] for i in range(1, 200)]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("show(ask('echo', 'a', 'b').exec())", ["a", "b"]),
        ("[show(each) for each in ask('echo', 'a').exec(decoupled=True)]", [["a"]]),
        ("show(asyncio.run(later()))", ["a"]),
        (
            "[show(each) for each in ask('stream', STREAMED).exec(decoupled=True)][:-1]",
            [[str(i)] for i in range(60)],
        ),
        (
            "show(ask('nowhere', 'a').exec())",
            "Model nowhere - Error when running inference: Failed for execute the inference "
            "request. Model 'nowhere' is not ready.",
        ),
        ("len(show(ask('echo', 'a' * 300000).exec())[0])", 300000),
    ],
)
def test_a_model_calls_others(core: InferenceServer, code: str, expected: object) -> None:
    later = "async def later(): return await ask('echo', 'a').async_exec()"
    stream = f"STREAMED = {STREAMED.format(count=60)!r}"
    assert do(core, f"{later}\n{stream}\nanswer = {code}") == expected


def test_many_threads_call_at_once(core: InferenceServer) -> None:
    code = """
found = {}
def call(i):
    found[i] = show(ask('echo', str(i)).exec())
threads = [threading.Thread(target=call, args=(i,)) for i in range(20)]
[each.start() for each in threads]; [each.join() for each in threads]
answer = sorted(found.items()) == [(i, [str(i)]) for i in range(20)]
"""
    assert do(core, code) is True


def test_a_model_loads_and_unloads_others(core: InferenceServer) -> None:
    code = """
ready = [pb.is_model_ready('idle')]
pb.load_model('idle')
ready.append(pb.is_model_ready('idle', '1'))
pb.unload_model('idle')
answer = [*ready, pb.is_model_ready('idle')]
"""
    assert do(core, code) == [False, True, False]
    code = """
try:
    pb.load_model('nowhere')
except Exception as error:
    answer = [type(error).__name__, str(error)]
"""
    kind, text = do(core, code)
    assert kind == "TritonModelException"
    assert "Failed to load model: failed to load 'nowhere'" in text


def test_a_model_sees_that_a_client_is_gone(core: InferenceServer) -> None:
    cancelled = threading.Event()
    code = """
def stream(sender):
    sender.send(response('first'))
    while not sender.is_cancelled():
        time.sleep(0.01)
    show(ask('echo', 'noticed').exec())
    sender.send(flags=LAST)
threading.Thread(target=stream, args=(sender(),)).start()
"""
    before = statistics(core, "echo")
    responses = core.stream(m.Infer("stream", (texts(code),)), cancelled)
    assert words(next(responses)) == ["first"]
    cancelled.set()
    assert list(responses) == []
    eventually(lambda: statistics(core, "echo") == before + 1)


def statistics(core: InferenceServer, model: str) -> int:
    (row,) = core.handle(m.GetStatistics(model))
    return row.inference_count


def test_a_model_cancels_what_it_called(core: InferenceServer) -> None:
    endless = """
def stream(sender):
    while not sender.is_cancelled():
        sender.send(response('again'))
    sender.send(flags=LAST)
threading.Thread(target=stream, args=(sender(),)).start()
"""
    code = f"""
responses = ask('stream', {endless!r}).exec(decoupled=True)
first = show(next(responses))
responses.cancel()
answer = [first, len(list(responses)) < 1000]
"""
    assert do(core, code) == [["again"], True]


def test_logs_are_those_of_the_server(
    core: InferenceServer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "tritonclient.server.models"):
        do(core, "pb.Logger.log_warn('careful'); pb.Logger.log_verbose('much'); answer = 1")
        do(core, "answer = 1")
    rows = [(each.levelname, each.message) for each in caplog.records if "models" in each.name]
    assert rows == [("WARNING", "careful"), ("DEBUG", "much")]


def test_a_model_has_metrics(core: InferenceServer) -> None:
    code = """
global family
family = pb.MetricFamily('m', 'text', pb.MetricFamily.COUNTER)
metric = family.Metric({'a': 'b'})
metric.increment(2)
metric.increment(3)
refusals = []
for refused in (lambda: metric.increment(-1), lambda: metric.set(1)):
    try:
        refused()
    except pb.TritonModelException as error:
        refusals.append(str(error))
answer = [metric.value(), *refusals]
"""
    value, negative, wrong = do(core, code)
    assert value == 5
    assert "non-negative" in negative
    assert "does not support Set" in wrong


def test_a_model_that_returns_something_else_is_told(core: InferenceServer) -> None:
    with pytest.raises(InferenceServerException, match="found type '<class 'str'>'"):
        do(core, "answer = 'none'")


def test_statistics_count_the_stages(core: InferenceServer) -> None:
    do(core, "answer = 1")
    (row,) = core.handle(m.GetStatistics("lab"))
    stats = row.inference_stats
    assert stats.success.count == stats.compute_infer.count > 0
    stages = (stats.queue, stats.compute_input, stats.compute_infer, stats.compute_output)
    assert sum(each.ns for each in stages) == stats.success.ns
