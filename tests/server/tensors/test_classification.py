"""The classification extension."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tests.server.conftest import FP32_CONFIG, RepositoryMaker, fp32, texts
from tests.server.test_inference import request
from tritonclient import messages as m
from tritonclient.errors import (
    Internal,
    InvalidArgument,
)
from tritonclient.server.core import InferenceServer
from tritonclient.server.jobs.tensor import Tensor
from tritonclient.server.tensors.classification import classify

Serve = Callable[..., InferenceServer]


@pytest.mark.parametrize(
    ("datatype", "values", "batched", "count", "expected"),
    [
        (
            "FP32",
            [0.1, 3.5, 2, 1e-9],
            False,
            3,
            [b"3.500000:1:dog", b"2.000000:2", b"0.100000:0:cat"],
        ),
        ("FP64", [[1, 2], [4, 3]], True, 1, [[b"2.000000:1:dog"], [b"4.000000:0:cat"]]),
        (
            "INT32",
            [[30, 28], [28, 30]],
            False,
            9,
            [b"30:0:cat", b"30:3:bird", b"28:1:dog", b"28:2"],
        ),
        ("UINT8", [0, 0, 0], False, 2, [b"0:0:cat", b"0:1:dog"]),
    ],
)
def test_classification(
    datatype: str, values: list[object], batched: bool, count: int, expected: list[object]
) -> None:
    dtype = {"FP32": "<f4", "FP64": "<f8", "INT32": "<i4", "UINT8": "u1"}[datatype]
    labels = ("cat", "dog", "", "bird")
    found = classify(Tensor("x", datatype, np.array(values, dtype)), batched, count, labels)
    assert found.tolist() == expected


def test_negative_number_of_classes(simple: InferenceServer) -> None:
    outputs = (m.RequestedOutput("OUTPUT0", classes=-1),)
    with pytest.raises(Internal, match="Unable to parse 'classification'"):
        simple.handle(replace(request(), outputs=outputs))


def test_classification_of_text_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="unsupported type 'BYTES'"):
        classify(Tensor("x", "BYTES", np.array([b"a"], object)), False, 1, ())


def test_classification_with_label_file(repository: RepositoryMaker, serve: Serve) -> None:
    config = FP32_CONFIG.replace('"OUT"', '"OUT" label_filename: "labels.txt"')
    (repository.python("a", config=config) / "labels.txt").write_text("zero\none\n")
    outputs = (m.RequestedOutput("OUT", classes=2),)
    (output,) = serve().handle(m.Infer("a", (fp32("IN", [1, 2, 0]),), outputs=outputs)).outputs
    assert (output.datatype, output.shape) == ("BYTES", (2,))
    assert output.data == texts("2.000000:1:one", "1.000000:0:zero").data
