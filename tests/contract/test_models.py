"""Model handles: they know the model's interface and refuse what does not fit."""

from __future__ import annotations

import re

import numpy as np
import pytest

import tritonclient

A = np.arange(16, dtype=np.int32).reshape(1, 16)


@pytest.fixture(scope="module")
def simple(client):
    return client.model("simple")


def test_a_handle_is_called_like_a_function(simple):
    np.testing.assert_array_equal(simple(INPUT0=A, INPUT1=A)["OUTPUT0"], 2 * A)


def test_a_handle_knows_the_interface(simple):
    assert list(simple.spec.inputs) == ["INPUT0", "INPUT1"]
    assert simple.spec.inputs["INPUT0"].datatype == "INT32"
    assert simple.spec.inputs["INPUT0"].shape == (-1, 16)
    assert list(simple.spec.outputs) == ["OUTPUT0", "OUTPUT1"]
    assert simple.spec.max_batch_size == 8


def test_lists_become_the_expected_datatype(simple):
    result = simple(INPUT0=[[1] * 16], INPUT1=[list(range(16))])
    assert result["OUTPUT0"].dtype == np.int32
    np.testing.assert_array_equal(result["OUTPUT0"], [[1 + n for n in range(16)]])


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        ({"INPUT0": A}, "input 'INPUT1' of model 'simple' is missing"),
        ({"INPUT0": A, "INPUT2": A}, "no input 'INPUT2'; its inputs are INPUT0 INT32 [-1, 16]"),
        ({"INPUT0": A, "INPUT1": A[0]}, "is INT32 [-1, 16]; got INT32 [16]; the first dimension"),
        ({"INPUT0": A, "INPUT1": A[:, :4]}, "is INT32 [-1, 16]; got INT32 [1, 4]"),
        ({"INPUT0": A, "INPUT1": A.astype("f8")}, "is INT32 [-1, 16]; got float64 [1, 16]"),
        ({"INPUT0": A, "INPUT1": [[1.5] * 16]}, "does not fit INT32"),
        ({"INPUT0": A, "INPUT1": [[2**40] * 16]}, "does not fit INT32"),
        ({"INPUT0": A, "INPUT1": np.repeat(A, 9, 0)}, "its largest batch is 8"),
    ],
)
def test_what_does_not_fit_is_refused_before_it_is_sent(simple, inputs, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        simple.infer(inputs)


def test_unknown_outputs_are_refused(simple):
    with pytest.raises(ValueError, match="no output 'X'; its outputs are OUTPUT0 INT32"):
        simple.infer({"INPUT0": A, "INPUT1": A}, outputs=["X"])


def test_optional_inputs_may_be_left_out(client):
    result = client.model("echo").infer({"INPUT_INT32": A})
    np.testing.assert_array_equal(result["OUTPUT_INT32"], A)


def test_a_handle_stays_with_its_version(client):
    assert client.model("versioned", "1")(INPUT0=[5])["OUTPUT0"].tolist() == [6]
    assert client.model("versioned", "2")(INPUT0=[5])["OUTPUT0"].tolist() == [7]


def test_an_unknown_model_has_no_handle(client):
    with pytest.raises(tritonclient.NotFound, match="nope"):
        client.model("nope")
