"""Reading, completing, checking and writing of model configurations."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tritonclient.codec import messages_pb
from tritonclient.server.config import checking, completing, reading
from tritonclient.server.config.reading import ModelConfig
from tritonclient.server.config.specification import Specification, specifications


def parsed(tmp_path: Path, text: str, files: tuple[str, ...] = ()) -> ModelConfig:
    path = tmp_path / "config.pbtxt"
    path.write_text(text)
    config = reading.read(path)
    completing.complete(config, "it", files)
    return config


def test_text_format_is_real(tmp_path: Path) -> None:
    config = parsed(
        tmp_path,
        """
        # a comment
        backend: 'python'  max_batch_size: 8,
        input { name: "A" data_type: TYPE_FP32 dims: -1 dims: 3 }
        input [ { name: "B" "C", data_type: TYPE_STRING; dims: [ 1 ] optional: true } ]
        parameters { key: "k" value: { string_value: "v" } }
        """,
    )
    first, second = specifications(config.input)
    assert first == Specification("A", "FP32", (-1, 3))
    assert second == Specification("BC", "BYTES", (1,), optional=True)
    assert messages_pb.to_dict(config)["parameters"] == {"k": {"string_value": "v"}}


@pytest.mark.parametrize("text", ['name: "it', "nope: 3", 'max_batch_size: "x"'])
def test_what_is_no_configuration_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r"config\.pbtxt"):
        parsed(tmp_path, text)


def test_name_must_be_that_of_the_directory(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'it' for model 'other'.*must equal model name"):
        parsed(tmp_path, 'name: "other"')


@pytest.mark.parametrize(
    ("text", "files", "expected"),
    [
        ("", ("model.py",), ("", "python", "model.py")),
        ("", ("model.onnx",), ("onnxruntime_onnx", "onnxruntime", "model.onnx")),
        ('platform: "onnxruntime_onnx"', (), ("onnxruntime_onnx", "onnxruntime", "model.onnx")),
        ('backend: "onnxruntime"', (), ("onnxruntime_onnx", "onnxruntime", "model.onnx")),
        ('backend: "python" default_model_filename: "a.py"', (), ("", "python", "a.py")),
    ],
)
def test_backend_is_completed(
    tmp_path: Path, text: str, files: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    config = parsed(tmp_path, text, files)
    assert (config.platform, config.backend, config.default_model_filename) == expected


def test_defaults_are_as_triton_writes_them(tmp_path: Path) -> None:
    """Recorded from Triton, for this very configuration."""
    config = parsed(
        tmp_path,
        """
        backend: "python"  max_batch_size: 8  dynamic_batching { }
        input [ { name: "INPUT0" data_type: TYPE_FP32 dims: [ 2 ] } ]
        output [ { name: "OUTPUT0" data_type: TYPE_FP32 dims: [ 2 ] label_filename: "x.txt" } ]
        instance_group [ { count: 2 } ]
        version_policy { specific { versions: [1] } }
        """,
    )
    expected = {
        "name": "it",
        "platform": "",
        "backend": "python",
        "runtime": "",
        "version_policy": {"specific": {"versions": [1]}},
        "max_batch_size": 8,
        "input": [
            {
                "name": "INPUT0",
                "data_type": "TYPE_FP32",
                "format": "FORMAT_NONE",
                "dims": [2],
                "is_shape_tensor": False,
                "allow_ragged_batch": False,
                "optional": False,
                "is_non_linear_format_io": False,
            }
        ],
        "output": [
            {
                "name": "OUTPUT0",
                "data_type": "TYPE_FP32",
                "dims": [2],
                "label_filename": "x.txt",
                "is_shape_tensor": False,
                "is_non_linear_format_io": False,
            }
        ],
        "batch_input": [],
        "batch_output": [],
        "optimization": {
            "priority": "PRIORITY_DEFAULT",
            "input_pinned_memory": {"enable": True},
            "output_pinned_memory": {"enable": True},
            "gather_kernel_buffer_threshold": 0,
            "eager_batching": False,
        },
        "dynamic_batching": {
            "preferred_batch_size": [8],
            "max_queue_delay_microseconds": 0,
            "preserve_ordering": False,
            "priority_levels": 0,
            "default_priority_level": 0,
            "priority_queue_policy": {},
        },
        "instance_group": [
            {
                "name": "it_0",
                "kind": "KIND_CPU",
                "count": 2,
                "gpus": [],
                "secondary_devices": [],
                "profile": [],
                "passive": False,
                "host_policy": "",
            }
        ],
        "default_model_filename": "model.py",
        "cc_model_filenames": {},
        "metric_tags": {},
        "parameters": {},
        "model_warmup": [],
    }
    value = messages_pb.to_dict(config)
    assert value == expected
    assert list(value) == list(expected)


def test_json_form_is_read_back(tmp_path: Path) -> None:
    config = parsed(tmp_path, 'backend: "python" version_policy { all { } }')
    value = messages_pb.to_dict(config)
    assert messages_pb.to_dict(reading.from_json(json.dumps(value))) == value


def test_numbers_without_a_name() -> None:
    """Protobuf's JSON form takes them, as proto3 has open enumerations."""
    tensor = {"name": "A", "data_type": 99, "dims": [1], "format": 77}
    config = reading.from_json(json.dumps({"backend": "python", "input": [tensor]}))
    assert messages_pb.to_dict(config)["input"][0]["format"] == 77
    with pytest.raises(ValueError, match="model input 'A' has the unknown data_type 99"):
        checking.check(config)


@pytest.mark.parametrize("text", ["{", '{"nope": 1}', '{"max_batch_size": "x"}'])
def test_json_that_is_no_configuration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"parse|field|Cannot|Failed"):
        reading.from_json(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('input { name: "A" data_type: TYPE_FP32 }', "model input 'A' must specify 'dims' for it"),
        ('input { name: "A" dims: 1 }', "model input 'A' must specify 'data_type' for it"),
        ("output { dims: 1 data_type: TYPE_FP32 }", "model output must specify 'name' for it"),
        (
            'input { name: "A" data_type: TYPE_FP32 dims: -1 reshape { } }',
            "model input 'A' has different number of variable-size dimensions for dims and reshape",
        ),
        (
            'input { name: "A" data_type: TYPE_FP32 dims: 2 reshape { shape: 3 } }',
            "model input 'A' has different size for dims and reshape for it",
        ),
        (
            'input { name: "A" data_type: TYPE_FP32 dims: [ -1, 2 ] reshape { shape: [ 2, -1 ] } }',
            "model input 'A' has different size for dims and reshape for it",
        ),
        ("max_batch_size: -1", "must be non-negative"),
        (
            "batch_input { }",
            "model 'it' has batch_input, which this server refuses: ragged batches are not made",
        ),
        ('platform: "ensemble"', "must specify .step. for ensemble"),
        ('platform: "tensorrt_plan"', "unexpected platform type 'tensorrt_plan' for it"),
    ],
)
def test_what_cannot_be_served_is_refused(tmp_path: Path, text: str, message: str) -> None:
    backend = "" if "platform" in text else 'backend: "python" '
    with pytest.raises(ValueError, match=message):
        checking.check(parsed(tmp_path, backend + text))


def control(kind: str, values: str) -> str:
    return f'control_input {{ name: "C" control {{ kind: CONTROL_SEQUENCE_{kind} {values} }} }} '


START = control("START", "int32_false_true: [ 0, 1 ]")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "dynamic_batching { preferred_batch_size: 0 }",
            "dynamic batching preferred size must be positive for it",
        ),
        (
            "dynamic_batching { preferred_batch_size: 5 }",
            "dynamic batching preferred size must be <= max batch size for it",
        ),
        (
            "dynamic_batching { priority_levels: 2 }",
            "default priority level must be in range [1, 2] for it",
        ),
        (
            "dynamic_batching { priority_levels: 2 default_priority_level: 1 "
            "priority_queue_policy { key: 3 value { } } }",
            "priority queue policy must have priority level in range [1, 2] for it",
        ),
        (
            "sequence_batching { oldest { preferred_batch_size: 0 } }",
            "sequence batching preferred batch size must be positive for it",
        ),
        (
            "sequence_batching { oldest { preferred_batch_size: 5 } }",
            "sequence batching preferred batch size must be <= max batch size for it",
        ),
        (
            "sequence_batching { direct { minimum_slot_utilization: 1.5 } }",
            "sequence batching minimum slot utilization must be in range [0.0, 1.0] for it",
        ),
        (
            "sequence_batching { control_input { } }",
            "sequence batching control tensor must have a name for it",
        ),
        (
            f"sequence_batching {{ {START} {START} }}",
            "sequence batching control tensor 'C' is specified for multiple control kinds for it",
        ),
        (
            f"sequence_batching {{ {START} {START.replace('C', 'D', 1)} }}",
            "sequence batching specifies multiple CONTROL_SEQUENCE_START tensors for it",
        ),
        (
            f"sequence_batching {{ {control('READY', '')} }}",
            "sequence batching must specify either 'int32_false_true', 'fp32_false_true' or "
            "'bool_false_true' for CONTROL_SEQUENCE_READY for it",
        ),
        (
            f"sequence_batching {{ {control('END', 'bool_false_true: false')} }}",
            "sequence batching control 'bool_false_true' must have exactly 2 entries for "
            "CONTROL_SEQUENCE_END for it",
        ),
        (
            "sequence_batching { "
            + control("END", "fp32_false_true: [ 0, 1 ] int32_false_true: [ 0, 1 ]")
            + "}",
            "sequence batching specifies more than one from 'int32_false_true', 'fp32_false_true' "
            "and 'bool_false_true' for CONTROL_SEQUENCE_END for it",
        ),
        (
            f"sequence_batching {{ {control('CORRID', 'data_type: TYPE_INT8')} }}",
            "unexpected data type for control CONTROL_SEQUENCE_CORRID for it. Allowed data types "
            "are TYPE_UINT64, TYPE_INT64, TYPE_UINT32, TYPE_INT32 and TYPE_STRING",
        ),
        (
            "sequence_batching { "
            + control("CORRID", "data_type: TYPE_INT32 fp32_false_true: [ 0, 1 ]")
            + "}",
            "sequence batching must not specify either 'int32_false_true', 'fp32_false_true' or "
            "'bool_false_true' for CONTROL_SEQUENCE_CORRID for it",
        ),
    ],
)
def test_schedulers_that_can_not_be_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parsed(tmp_path, f'backend: "python" max_batch_size: 4 {text}')


def test_schedulers_are_completed(tmp_path: Path) -> None:
    text = 'backend: "python" max_batch_size: 4 '
    dynamic = messages_pb.to_dict(parsed(tmp_path, text + "dynamic_batching { }"))
    assert dynamic["dynamic_batching"]["preferred_batch_size"] == [4]
    oldest = messages_pb.to_dict(parsed(tmp_path, text + "sequence_batching { oldest { } }"))
    assert oldest["sequence_batching"]["oldest"]["preferred_batch_size"] == [4]
    plain = messages_pb.to_dict(parsed(tmp_path, text + "sequence_batching { }"))
    assert plain["sequence_batching"] == {
        "max_sequence_idle_microseconds": 1_000_000,
        "control_input": [],
        "state": [],
        "iterative_sequence": False,
    }
