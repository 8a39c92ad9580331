"""The table of the fields of a configuration: complete, true to the docs, and obeyed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.conftest import FP32_CONFIG, RepositoryMaker
from tritonclient.codec import messages_pb
from tritonclient.server.config import fields
from tritonclient.server.core import InferenceServer

PAGE = Path(__file__).parents[3] / "docs" / "model_configuration.md"

Serve = Callable[..., InferenceServer]


def names(descriptor: Any, seen: set[str]) -> Iterator[str]:
    """Yield all fields, except those inside of fields that are not honoured."""
    if descriptor.full_name in seen:
        return
    seen.add(descriptor.full_name)
    for field in descriptor.fields:
        entry = descriptor.GetOptions().map_entry
        name = f"{descriptor.full_name.removeprefix('inference.')}.{field.name}"
        if not entry:
            yield name
        if field.message_type and (entry or fields.FIELDS[name].use == "honoured"):
            yield from names(field.message_type, seen)


def test_it_has_every_field() -> None:
    """A field that a newer protocol adds fails here until it is in the table."""
    found = list(names(messages_pb.message("ModelConfig").DESCRIPTOR, set()))
    assert found == list(fields.FIELDS)


def test_the_page_has_the_table() -> None:
    assert fields.table() in PAGE.read_text("utf-8")


def test_every_note_is_there() -> None:
    assert [
        name for name, each in fields.FIELDS.items() if each.use != "honoured" and not each.note
    ] == []


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ('runtime: "x"', "'it' has runtime, which this server refuses"),
        ('model_repository_agents { agents { name: "checksum" } }', "model_repository_agents"),
        ("batch_input { kind: BATCH_ELEMENT_COUNT }", "batch_input"),
        (
            "instance_group { kind: KIND_CPU gpus: [ 0 ] }",
            "instance group it_0 of model it has kind KIND_CPU but specifies one or more GPUs",
        ),
        (
            'instance_group { kind: KIND_CPU profile: "1" }',
            "instance group it_0 of model it and platform  specifies profile field which is only "
            "supported for TensorRT models",
        ),
        (
            'input { name: "B" data_type: TYPE_FP32 dims: [ 1 ] is_shape_tensor: true }',
            "shape tensors are only supported for TensorRT platform for it",
        ),
        (
            'output { name: "B" data_type: TYPE_FP32 dims: [ 1 ] is_non_linear_format_io: true }',
            "Non-linear IO format is only supported for the TensorRT platform for it",
        ),
        (
            'input { name: "B" data_type: TYPE_FP32 dims: [ 1 ] format: FORMAT_NCHW }',
            "model input NHWC/NCHW require 3 dims for it",
        ),
        (
            'input { name: "IN" data_type: TYPE_FP32 dims: [ 1 ] }',
            "model 'it' has several inputs named 'IN'",
        ),
        (
            "sequence_batching { state { } }",
            "a state of model 'it' must specify 'input_name'",
        ),
    ],
)
def test_refused_fields_refuse_the_model(
    repository: RepositoryMaker, serve: Serve, config: str, text: str
) -> None:
    repository.python("it", config=FP32_CONFIG + config)
    (found,) = serve(exit_on_error=False).status()
    assert text in found.status


def test_no_version_is_served_if_none_is_wanted(repository: RepositoryMaker, serve: Serve) -> None:
    repository.python("it", config=FP32_CONFIG + "version_policy { latest { num_versions: 0 } }")
    (found,) = serve(exit_on_error=False).status()
    assert "No model version was found" in found.status


def test_fields_without_effect_are_named_in_one_warning(
    repository: RepositoryMaker, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    config = """
      instance_group { kind: KIND_CPU rate_limiter { priority: 2 } }
      metric_tags { key: "a" value: "b" }
      optimization { graph { level: 1 } }
    """
    repository.python("it", config=FP32_CONFIG + config)
    with caplog.at_level(logging.WARNING):
        serve()
    (found,) = [each.getMessage() for each in caplog.records if "effect" in each.getMessage()]
    assert found.startswith("model 'it' has settings without effect: ")
    for path in ("instance_group.rate_limiter", "metric_tags", "optimization.graph"):
        assert path in found
