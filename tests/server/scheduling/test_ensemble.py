"""Ensembles: how steps follow each other, decoupled steps, failures, and the models they need."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest

from tests.server.conftest import FP32_CONFIG, Gate, RepositoryMaker, fp32
from tests.server.telemetry.test_statistics import check_sums
from tests.server.test_streaming import DECOUPLED
from tritonclient import messages as m
from tritonclient.errors import InferenceServerException, Internal, InvalidArgument, ServerError
from tritonclient.server.core import InferenceServer
from tritonclient.server.inference import Responses

Serve = Callable[..., InferenceServer]

#: OUT is IN plus a number; 13 is refused.
ADD = """
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        values = request.inputs()[0].as_numpy()
        if 13 in values:
            return pb_utils.InferenceResponse(
                error=pb_utils.TritonError("unlucky", pb_utils.TritonError.NOT_FOUND)
            )
        return pb_utils.InferenceResponse([pb_utils.Tensor("OUT", values + {number})])
"""
#: Each element of IN as a response of its own, the last of which says so or not.
EACH = """
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            values = request.inputs()[0].as_numpy()
            for place in range(len(values)):
                sender.send(
                    pb_utils.InferenceResponse([pb_utils.Tensor("OUT", values[place:place + 1])]),
                    flags={last},
                )
            if not {last}:
                sender.send(flags=1)
"""
#: Tells the gate that it executes.
GATED = ADD.replace(
    "        values =",
    "        from tests.server.conftest import GATES\n"
    "        GATES[-1].execute([pb_utils.get_model_dir().split('/')[-2]])\n        values =",
)


def step(model: str, take: str, give: str) -> str:
    return f"""
      step {{
        model_name: "{model}" model_version: -1
        input_map {{ key: "IN" value: "{take}" }} output_map {{ key: "OUT" value: "{give}" }}
      }}
    """


def tensors(kind: str, *names: str) -> str:
    return " ".join(f'{kind} {{ name: "{n}" data_type: TYPE_FP32 dims: [ -1 ] }}' for n in names)


def add(
    repository: RepositoryMaker, name: str, *steps: str, outputs: tuple[str, ...] = ("OUT",)
) -> None:
    config = f"""
      platform: "ensemble" {tensors("input", "IN")} {tensors("output", *outputs)}
      ensemble_scheduling {{ {" ".join(steps)} }}
    """
    (repository.directory / name / "1").mkdir(parents=True)
    (repository.directory / name / "config.pbtxt").write_text(config)


@pytest.fixture
def models(repository: RepositoryMaker) -> RepositoryMaker:
    """A repository with the models of the steps."""
    repository.python("one", ADD.format(number=1))
    repository.python("ten", ADD.format(number=10))
    repository.python("each", EACH.format(last=0), DECOUPLED)
    repository.python(
        "each_last", EACH.format(last="1 if place == len(values) - 1 else 0"), DECOUPLED
    )
    return repository


def request(name: str, *values: float, **options: bool) -> m.Infer:
    return m.Infer(name, (fp32("IN", values),), id="seven", parameters=options)


def values(response: m.InferResponse) -> dict[str, list[float]]:
    return {
        output.name: np.frombuffer(output.data or b"", "<f4").tolist()
        for output in response.outputs
    }


def read(responses: Responses) -> list[object]:
    """Values of OUT and finality of responses, and the texts of errors."""
    found: list[object] = []
    for each in responses:
        if isinstance(each, InferenceServerException):
            found.append(each.message())
        else:
            final = each.parameters["triton_final_response"]
            found.append((values(each).get("OUT"), final))
    return found


def test_steps_follow_their_tensors_and_not_their_order(
    models: RepositoryMaker, serve: Serve
) -> None:
    steps = (step("ten", "B", "OUT"), step("one", "A", "B"), step("one", "IN", "A"))
    add(models, "it", *steps, outputs=("OUT", "A"))
    core = serve()
    assert values(core.handle(request("it", 1, 5))) == {"OUT": [13, 17], "A": [2, 6]}
    asked = m.Infer("it", (fp32("IN", [1]),), outputs=(m.RequestedOutput("A"),))
    assert values(core.handle(asked)) == {"A": [2]}
    (found,) = core.handle(m.GetStatistics("it"))
    check_sums(found)
    assert (found.inference_count, found.execution_count) == (2, 2)
    # Steps that only serve outputs that were not requested are not executed.
    assert core.handle(m.GetStatistics("one"))[0].inference_count == 3
    assert core.handle(m.GetModelConfig("it"))["model_transaction_policy"] == {"decoupled": False}


def test_steps_that_need_not_each_other_run_at_the_same_time(
    repository: RepositoryMaker, serve: Serve, gate: Gate
) -> None:
    for name in ("left", "right"):
        repository.python(name, GATED.format(number=1))
    add(
        repository,
        "it",
        step("left", "IN", "OUT"),
        step("right", "IN", "OTHER"),
        outputs=("OUT", "OTHER"),
    )
    responses = serve().stream(request("it", 1))
    gate.wait()
    gate.wait()
    gate.open()
    (answer,) = responses
    assert isinstance(answer, m.InferResponse)
    assert values(answer) == {"OUT": [2], "OTHER": [2]}


def test_ensembles_of_ensembles(models: RepositoryMaker, serve: Serve) -> None:
    add(models, "inner", step("one", "IN", "MIDDLE"), step("ten", "MIDDLE", "OUT"))
    add(models, "outer", step("inner", "IN", "MIDDLE"), step("inner", "MIDDLE", "OUT"))
    assert values(serve().handle(request("outer", 3))) == {"OUT": [25]}


@pytest.mark.parametrize("decoupled", ["each", "each_last"])
def test_decoupled_steps(models: RepositoryMaker, serve: Serve, decoupled: str) -> None:
    add(models, "it", step("one", "IN", "A"), step(decoupled, "A", "B"), step("ten", "B", "OUT"))
    core = serve()
    assert core.handle(m.GetModelConfig("it"))["model_transaction_policy"] == {"decoupled": True}
    asked = request("it", 1, 2, 3, triton_enable_empty_final_response=True)
    *found, (last, final) = read(core.stream(asked))  # type: ignore[misc]
    assert final
    # Whether the last output is known to be the last is a matter of time, unless it says so.
    found = [*found, (last, False)] if last else found
    assert found == [([12], False), ([13], False), ([14], False)]
    assert last or decoupled == "each"
    (statistics,) = core.handle(m.GetStatistics("it"))
    check_sums(statistics)
    assert (statistics.inference_count, statistics.execution_count) == (1, 1)
    assert core.handle(m.GetStatistics("ten"))[0].inference_count == 3


def test_a_decoupled_step_without_responses(models: RepositoryMaker, serve: Serve) -> None:
    add(models, "it", step("each", "IN", "A"), step("one", "A", "OUT"))
    core = serve()
    assert read(core.stream(request("it"))) == []
    asking = request("it", triton_enable_empty_final_response=True)
    assert read(core.stream(asking)) == [(None, True)]


def test_each_response_of_a_decoupled_step_waits_for_what_other_steps_make_of_it(
    models: RepositoryMaker, serve: Serve
) -> None:
    join = ADD.format(number="request.inputs()[1].as_numpy()")
    config = FP32_CONFIG + 'input { name: "IN2" data_type: TYPE_FP32 dims: [ -1 ] }'
    models.python("join", join, config)
    joined = step("join", "A", "OUT").replace(
        "output_map", 'input_map { key: "IN2" value: "B" } output_map'
    )
    add(models, "it", step("each_last", "IN", "A"), step("ten", "A", "B"), joined)
    responses = serve().stream(request("it", 1, 2))
    assert read(responses) == [([12], False), ([14], True)]


def test_two_decoupled_steps(models: RepositoryMaker, serve: Serve) -> None:
    double = EACH.replace("range(len(values))", "(0, 0)").format(last=0)
    models.python("double", double, DECOUPLED)
    add(models, "it", step("double", "A", "OUT"), step("each", "IN", "A"))
    found = read(serve().stream(request("it", 1, 2)))
    assert sorted(each[0] for each in found) == [[1], [1], [2], [2]]  # type: ignore[index]


# Failures


def test_a_failure_of_a_step_is_that_of_the_ensemble(models: RepositoryMaker, serve: Serve) -> None:
    add(models, "it", step("one", "IN", "A"), step("ten", "A", "OUT"))
    core = serve()
    for unlucky in (13, 12):  # in the first step, in the second
        with pytest.raises(ServerError) as caught:
            core.handle(request("it", unlucky))
        assert caught.value.message() == "in ensemble 'it', unlucky"
        assert caught.value.status() == "404"
    (found,) = core.handle(m.GetStatistics("it"))
    assert (found.inference_stats.fail.count, found.execution_count) == (2, 0)
    assert values(core.handle(request("it", 1))) == {"OUT": [12]}


def test_a_failure_ends_the_responses(models: RepositoryMaker, serve: Serve) -> None:
    add(models, "it", step("each", "IN", "A"), step("one", "A", "OUT"))
    found = read(serve().stream(request("it", 1, 13, 2)))
    assert found == [([2], False), "in ensemble 'it', unlucky"]


def test_a_failure_cancels_the_other_steps_and_nothing_else(
    models: RepositoryMaker, serve: Serve, gate: Gate
) -> None:
    models.python("slow", GATED.format(number=1))
    add(
        models,
        "it",
        step("slow", "IN", "A"),
        step("slow", "A", "OUT"),
        step("one", "IN", "B"),
        outputs=("OUT", "B"),
    )
    core = serve()
    cancelled = threading.Event()
    assert read(core.stream(request("it", 13), cancelled)) == ["in ensemble 'it', unlucky"]
    gate.open()
    assert not cancelled.is_set()
    core.close()
    assert len(gate.batches) <= 1  # the first step may have begun, the second has not


def test_an_output_that_no_step_gives(models: RepositoryMaker, serve: Serve) -> None:
    code = "import triton_python_backend_utils as p\nclass TritonPythonModel:\n"
    models.python("none", code + "    def execute(self, r): return [p.InferenceResponse([])]")
    add(models, "it", step("none", "IN", "A"), step("one", "A", "OUT"))
    with pytest.raises(InvalidArgument, match=r"in ensemble 'it', .*seven\] unexpected dead"):
        serve().handle(request("it", 1))


def test_cancelling_cancels_the_steps(models: RepositoryMaker, serve: Serve, gate: Gate) -> None:
    models.python("slow", GATED.format(number=1))
    add(models, "it", step("slow", "IN", "A"), step("slow", "A", "OUT"))
    core = serve()
    responses = core.stream(request("it", 1))
    gate.wait()
    responses.close()
    gate.open()
    core.close()  # which waits for what executes
    assert gate.batches == [["slow"]]


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ((step("nope", "IN", "OUT"),), "models that are not available or ambiguous: nope"),
        ((step("one", "MIDDLE", "OUT"),), "ensemble input 'IN' for ensemble it' is not used"),
        (
            (step("it", "IN", "OUT"),),
            "circular dependency between ensembles: it -> ... -> it -> it",
        ),
    ],
)
def test_ensembles_that_can_not_be(
    models: RepositoryMaker, serve: Serve, steps: tuple[str, ...], message: str
) -> None:
    add(models, "it", *steps)
    with pytest.raises(Internal, match=message):
        serve()


# Loading and unloading


@pytest.fixture
def core(models: RepositoryMaker, serve: Serve) -> InferenceServer:
    add(models, "inner", step("one", "IN", "OUT"))
    add(models, "outer", step("inner", "IN", "A"), step("ten", "A", "OUT"))
    return serve(control_mode="explicit", load_models=["outer"])


def ready(core: InferenceServer) -> list[str]:
    return [row.name for row in core.handle(m.GetRepositoryIndex(ready=True))]


def test_ensembles_bring_what_they_need(core: InferenceServer) -> None:
    assert ready(core) == ["inner", "one", "outer", "ten"]
    core.handle(m.UnloadModel("outer", unload_dependents=True))
    assert ready(core) == ["one"]  # which "inner" has brought


def test_ensembles_come_and_go_with_their_models(core: InferenceServer) -> None:
    core.handle(m.UnloadModel("one"))
    assert ready(core) == ["ten"]
    core.handle(m.LoadModel("one"))
    assert ready(core) == ["inner", "one", "outer", "ten"]
    assert values(core.handle(request("outer", 1))) == {"OUT": [12]}
    core.handle(m.UnloadModel("outer"))
    core.handle(m.UnloadModel("one"))
    core.handle(m.LoadModel("one"))
    assert ready(core) == ["inner", "one", "ten"]  # nobody wants the other any more


def test_ensembles_learn_of_what_their_models_have_become(
    core: InferenceServer, models: RepositoryMaker
) -> None:
    (models.directory / "ten" / "1" / "model.py").write_text(EACH.format(last=0))
    (models.directory / "ten" / "config.pbtxt").write_text(DECOUPLED)
    core.handle(m.LoadModel("ten"))
    found = [each[0] for each in read(core.stream(request("outer", 1, 2)))]  # type: ignore[index]
    assert found == [[2], [3]]


def test_what_executes_ends_before_its_models_do(
    models: RepositoryMaker, serve: Serve, gate: Gate
) -> None:
    models.python("a", GATED.format(number=1))
    add(models, "it", step("a", "IN", "A"), step("one", "A", "OUT"))
    core = serve()
    responses = core.stream(request("it", 1))
    gate.wait()
    closing = threading.Thread(target=core.close)
    closing.start()
    gate.open()
    assert read(responses) == [([3], True)]
    closing.join(30)
    assert not closing.is_alive()


PARTLY = """
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        return [
            pb_utils.InferenceResponse(
                [pb_utils.Tensor("OUT", pb_utils.get_input_tensor_by_name(r, "IN").as_numpy())]
            )
            for r in requests
        ]
"""


@pytest.fixture
def partly(models: RepositoryMaker) -> RepositoryMaker:
    """Also a model that never gives its output OUT2."""
    config = f'backend: "python" {tensors("input", "IN")} {tensors("output", "OUT", "OUT2")}'
    models.python("partly", PARTLY, config)
    return models


def both(first: str, second: str) -> str:
    return f"""
      step {{
        model_name: "partly" model_version: -1 input_map {{ key: "IN" value: "IN" }}
        output_map {{ key: "OUT" value: "{first}" }} output_map {{ key: "OUT2" value: "{second}" }}
      }}
    """


def test_outputs_that_a_step_leaves_out_are_left_out(partly: RepositoryMaker, serve: Serve) -> None:
    add(partly, "it", both("Y", "Z"), outputs=("Y", "Z"))
    assert values(serve().handle(request("it", 1, 2))) == {"Y": [1, 2]}


def test_optional_inputs_may_be_left_out_by_the_step_before(
    partly: RepositoryMaker, serve: Serve
) -> None:
    config = (
        'backend: "python" input { name: "MORE" data_type: TYPE_FP32 dims: [ -1 ] optional: true }'
        f"{tensors('input', 'IN')} {tensors('output', 'OUT')}"
    )
    partly.python("optional", PARTLY, config)
    later = """
      step {
        model_name: "optional" model_version: -1 input_map { key: "IN" value: "Y" }
        input_map { key: "MORE" value: "Z" } output_map { key: "OUT" value: "OUT" }
      }
    """
    add(partly, "it", both("Y", "Z"), later)
    assert values(serve().handle(request("it", 1, 2))) == {"OUT": [1, 2]}


def test_required_inputs_that_are_left_out_are_named(partly: RepositoryMaker, serve: Serve) -> None:
    add(partly, "it", both("Y", "Z"), step("one", "Z", "OUT"), outputs=("Y", "OUT"))
    with pytest.raises(InvalidArgument, match=r"unexpected deadlock.*model 'one' needs 'Z'"):
        serve().handle(request("it", 1))


def test_steps_of_outputs_that_nobody_wants_are_not_executed(
    models: RepositoryMaker, serve: Serve
) -> None:
    add(models, "it", step("one", "IN", "A"), step("ten", "IN", "B"), outputs=("A", "B"))
    core = serve()
    asked = m.Infer("it", (fp32("IN", [1]),), outputs=(m.RequestedOutput("B"),))
    assert values(core.handle(asked)) == {"B": [11]}
    assert core.handle(m.GetStatistics("one"))[0].inference_count == 0
