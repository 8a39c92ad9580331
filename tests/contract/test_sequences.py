"""Sequences: their requests go to one instance in order, and models are told about them."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest

from tritonclient import InferenceServerException

A = np.ones((1, 16), np.int32)
VALUES = [11, 7, 5, 3, 2, 0, 1]
MODELS = ["simple_sequence", "simple_dyna_sequence", "simple_string_dyna_sequence"]
_numbers = itertools.count(5000)


@pytest.fixture
def number():
    """An id that no other test uses."""
    return next(_numbers)


def ask(client, model, value, id, **flags):
    inputs = {"INPUT": np.array([[value]], np.int32)}
    return int(client.infer(model, inputs, sequence_id=id, **flags)["OUTPUT"][0, 0])


def run(client, model, first, values, id):
    """Return the model's outputs for a whole sequence."""
    answers = [ask(client, model, first, id, sequence_start=True)]
    for place, value in enumerate(values, 1):
        answers.append(ask(client, model, value, id, sequence_end=place == len(values)))
    return answers


def test_the_first_request_is_told(client, number):
    assert run(client, "simple_sequence", 0, VALUES, number) == [1, *VALUES]


def test_ids_may_be_texts(client, number):
    assert run(client, "simple_sequence", 20, VALUES, f"text {number}") == [21, *VALUES]


def test_the_last_request_and_the_id_are_told(client, number):
    answers = run(client, "simple_dyna_sequence", 100, VALUES, number)
    assert answers == [101, *VALUES[:-1], VALUES[-1] + number]


def test_the_id_is_told_as_text(client, number):
    answers = run(client, "simple_string_dyna_sequence", 20, VALUES, str(number))
    sums = list(itertools.accumulate([20, *VALUES]))
    assert answers == [*sums[:-1], sums[-1] + number]


def test_sequences_may_be_interleaved(client, number):
    sums = dict.fromkeys(range(3), 0)
    for step in range(5):
        for each in sums:
            id = f"{number}{each}"
            value = 10 * each + step
            answer = ask(
                client, MODELS[2], value, id, sequence_start=step == 0, sequence_end=step == 4
            )
            sums[each] += value
            assert answer == sums[each] + (int(id) if step == 4 else 0)


def test_more_sequences_than_slots_wait_their_turn(client, number):
    """The model takes four at a time."""
    answers = {}

    def whole(id):
        answers[id] = run(client, MODELS[2], 1, [1, 1], id)

    ids = [f"{number}{each}" for each in range(10)]
    threads = [threading.Thread(target=whole, args=(id,)) for id in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == {id: [1, 2, 3 + int(id)] for id in ids}


def test_an_id_can_be_used_again(client, number):
    for _ in range(3):
        assert run(client, MODELS[2], 5, [1], str(number)) == [5, 6 + number]


@pytest.mark.parametrize("model", MODELS)
def test_a_sequence_must_be_started(client, model, number):
    text = f"sequence {number} to model '{model}' must specify the START flag"
    with pytest.raises(InferenceServerException, match=text):
        ask(client, model, 1, str(number) if model == MODELS[2] else number)


@pytest.mark.parametrize("model", MODELS)
def test_a_request_must_belong_to_a_sequence(client, model):
    with pytest.raises(InferenceServerException, match="non-zero or non-empty correlation ID"):
        ask(client, model, 1, 0)


def test_a_refusal_has_the_same_words(client, number):
    inputs = {"INPUT": np.ones((1, 1), np.int32)}
    with pytest.raises(InferenceServerException) as caught:
        client.infer("simple_sequence", inputs, sequence_id=number, id="mine")
    assert caught.value.message() == (
        f"inference request for sequence {number} to model 'simple_sequence' must specify the "
        "START flag on the first request of the sequence"
    )
    with pytest.raises(InferenceServerException) as caught:
        client.infer("simple", {"INPUT0": A, "INPUT1": A}, sequence_id="x" * 129)
    text = "string correlation ID cannot be longer than 128 characters"
    assert caught.value.message() == text


def test_an_ended_sequence_is_over(client, number):
    run(client, "simple_sequence", 0, [1], number)
    with pytest.raises(InferenceServerException, match="START flag"):
        ask(client, "simple_sequence", 1, number)


def test_batches_are_refused(client, number):
    inputs = {"INPUT": np.ones((2, 1), np.int32)}
    with pytest.raises(InferenceServerException, match="batch-size 1 due to requirements"):
        client.infer("simple_sequence", inputs, sequence_id=number, sequence_start=True)


def test_the_configuration_is_told(client):
    settings = client.model_config("simple_dyna_sequence")["sequence_batching"]
    assert settings["max_sequence_idle_microseconds"] == 5_000_000
    assert settings["oldest"]["max_candidate_sequences"] == 4
    assert [each["name"] for each in settings["control_input"]] == [
        "START", "END", "READY", "CORRID",
    ]  # fmt: skip
