"""Everything but inference: health, metadata, statistics, model control, settings, regions."""

from __future__ import annotations

import contextlib
import time
import uuid
from multiprocessing import shared_memory

import numpy as np
import pytest

import tritonclient
from tests.support.waiting import eventually
from tritonclient.messages import SystemSharedMemoryRegion, TensorMetadata

A = np.arange(16, dtype=np.int32).reshape(1, 16)


def test_health(client):
    assert client.is_server_live() is True
    assert client.is_server_ready() is True
    assert client.is_model_ready("simple") is True
    assert client.is_model_ready("versioned", "2") is True
    assert client.is_model_ready("versioned", "3") is False
    assert client.is_model_ready("nope") is False


def test_waiting_for_what_is_ready_returns_at_once(client):
    client.wait_until_ready(timeout=5)
    client.wait_until_ready("simple", timeout=5)


def test_waiting_for_what_never_comes_ends(client):
    with pytest.raises(tritonclient.DeadlineExceeded, match="model 'nope' was not ready after"):
        client.wait_until_ready("nope", timeout=0.1)


def test_server_metadata(client):
    metadata = client.server_metadata()
    assert metadata.name == "triton"
    assert metadata.version
    assert {"binary_tensor_data", "model_repository", "statistics"} <= set(metadata.extensions)


def test_model_metadata(client):
    metadata = client.model_metadata("digits")
    assert metadata.name == "digits"
    assert metadata.versions == ("1",)
    assert metadata.inputs == (TensorMetadata("IMAGE", "FP32", (-1, 1, 8, 8)),)
    assert metadata.outputs == (TensorMetadata("PROBABILITIES", "FP32", (-1, 10)),)
    assert client.model_metadata("versioned").versions == ("1", "2")
    assert client.model_metadata("versioned", "1").versions == ("1",)


def test_model_config(client):
    config = client.model_config("digits")
    assert config["max_batch_size"] == 64
    (image,) = config["input"]
    assert (image["data_type"], image["format"]) == ("TYPE_FP32", "FORMAT_NCHW")
    assert config["output"][0]["label_filename"] == "labels.txt"


def test_configuration_is_completed_from_the_model(client):
    config = client.model_config("simple_int8")
    assert [(tensor["name"], tensor["data_type"]) for tensor in config["input"]] == [
        ("INPUT0", "TYPE_INT8"),
        ("INPUT1", "TYPE_INT8"),
    ]


@pytest.mark.parametrize("method", ["model_metadata", "model_config"])
def test_unknown_models_are_not_found(client, method):
    with pytest.raises(tritonclient.NotFound, match="unknown model: 'nope'"):
        getattr(client, method)("nope")


def test_statistics_add_up(client):
    (before,) = client.statistics("simple")
    for batch in (1, 2, 2):
        x = np.repeat(A, batch, 0)
        client.infer("simple", {"INPUT0": x, "INPUT1": x})
    eventually(lambda: client.statistics("simple")[0].inference_count == before.inference_count + 5)
    (after,) = client.statistics("simple", "1")
    assert after.execution_count == before.execution_count + 3
    stats = after.inference_stats
    assert stats.success.count == before.inference_stats.success.count + 3
    assert stats.compute_infer.count == before.inference_stats.compute_infer.count + 3
    parts = stats.queue.ns + stats.compute_input.ns + stats.compute_infer.ns
    assert 0 < parts + stats.compute_output.ns <= stats.success.ns
    executions = sum(batch.compute_infer.count for batch in after.batch_stats)
    assert executions == after.execution_count
    assert {batch.batch_size for batch in after.batch_stats} >= {1, 2}
    assert abs(after.last_inference / 1000 - time.time()) < 60


def test_failures_are_counted(client):
    (before,) = client.statistics("failing")
    with contextlib.suppress(tritonclient.ServerError):
        client.infer("failing", {"MESSAGE": ["x"]})
    wanted = before.inference_stats.fail.count + 1
    eventually(lambda: client.statistics("failing")[0].inference_stats.fail.count == wanted)


def test_statistics_of_all_models(client):
    names = {entry.name for entry in client.statistics()}
    assert {"simple", "digits", "versioned"} <= names


def test_repository_index(client):
    index = client.repository_index()
    assert {entry.name for entry in index} >= {"simple", "digits", "echo"}
    assert [e.version for e in index if e.name == "versioned"] == ["1", "2"]
    assert all(entry.state == "READY" for entry in client.repository_index(ready=True))


def test_unload_and_load(client):
    client.unload_model("identity_bytes")
    try:
        eventually(lambda: not client.is_model_ready("identity_bytes"))
        eventually(lambda: state(client, "identity_bytes") == ("UNAVAILABLE", "unloaded"))
        with pytest.raises(tritonclient.NotFound, match="no available versions"):
            client.infer("identity_bytes", {"INPUT0": ["x"]})
    finally:
        client.load_model("identity_bytes")
    client.wait_until_ready("identity_bytes", timeout=20)
    assert client.infer("identity_bytes", {"INPUT0": ["x"]})["OUTPUT0"].tolist() == [b"x"]


def state(client, model):
    (entry,) = [entry for entry in client.repository_index() if entry.name == model]
    return entry.state, entry.reason


def test_load_with_another_configuration(client):
    config = client.model_config("identity_bytes")
    config["parameters"] = {"colour": {"string_value": "blue"}}
    try:
        client.load_model("identity_bytes", config=config)
        assert client.model_config("identity_bytes")["parameters"] == config["parameters"]
    finally:
        # Triton keeps such a configuration until the model is unloaded.
        client.unload_model("identity_bytes")
        eventually(lambda: state(client, "identity_bytes") == ("UNAVAILABLE", "unloaded"))
        client.load_model("identity_bytes")
    assert "colour" not in client.model_config("identity_bytes").get("parameters", {})


MODEL_FILE = b"""
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        answers = []
        for request in requests:
            x = pb_utils.get_input_tensor_by_name(request, "X").as_numpy()
            answers.append(pb_utils.InferenceResponse([pb_utils.Tensor("Y", x * 3)]))
        return answers
"""


def test_load_from_files(client):
    name = f"uploaded_{uuid.uuid4().hex[:8]}"
    config = {
        "name": name,
        "backend": "python",
        "max_batch_size": 0,
        "input": [{"name": "X", "data_type": "TYPE_FP32", "dims": [-1]}],
        "output": [{"name": "Y", "data_type": "TYPE_FP32", "dims": [-1]}],
    }
    client.load_model(name, config=config, files={"1/model.py": MODEL_FILE})
    result = client.infer(name, {"X": np.array([2], np.float32)})
    assert result["Y"].tolist() == [6]
    client.unload_model(name)
    eventually(client.is_server_ready)  # Triton is not while it removes the model


def test_what_can_not_be_loaded(client):
    with pytest.raises(tritonclient.ServerError, match="failed to load 'nope'"):
        client.load_model("nope")
    with pytest.raises(tritonclient.ServerError, match=r"failed to load 'simple'.*can't be read"):
        client.load_model("simple", config="not JSON")
    with pytest.raises(tritonclient.ServerError, match="config is JSON with the fields of Triton"):
        client.load_model("nope", config="not JSON", files={"1/model.py": MODEL_FILE})
    client.load_model("simple")
    assert client.is_model_ready("simple")


def test_trace_settings(client):
    before = client.trace_settings()
    assert before["trace_rate"] == "1000"
    changed = client.update_trace_settings({"trace_rate": 7, "log_frequency": np.int32(3)})
    try:
        assert (changed["trace_rate"], changed["log_frequency"]) == ("7", "3")
        assert client.trace_settings("simple")["trace_rate"] == "7"
        client.update_trace_settings({"trace_rate": "9"}, "simple")
        assert client.trace_settings("simple")["trace_rate"] == "9"
        assert client.trace_settings()["trace_rate"] == "7"
        client.update_trace_settings({"trace_rate": None}, "simple")
        assert client.trace_settings("simple")["trace_rate"] == "7"
    finally:
        client.update_trace_settings({"trace_rate": None, "log_frequency": None})
    assert client.trace_settings()["trace_rate"] == "1000"


def test_wrong_trace_settings(client):
    with pytest.raises(tritonclient.InvalidArgument, match="trace_rate"):
        client.update_trace_settings({"trace_rate": "x"})


def test_log_settings(client):
    before = client.log_settings()
    try:
        changed = client.update_log_settings({"log_verbose_level": 1, "log_info": False})
        assert changed["log_verbose_level"] == 1
        assert client.log_settings()["log_info"] is False
    finally:
        client.update_log_settings(
            {"log_verbose_level": before["log_verbose_level"], "log_info": before["log_info"]}
        )
    assert client.log_settings() == before


@pytest.fixture
def region():
    memory = shared_memory.SharedMemory(create=True, size=4096)
    yield memory
    memory.close()
    memory.unlink()


def test_system_shared_memory_regions(client, region):
    name, key = f"r_{uuid.uuid4().hex[:8]}", f"/{region.name.lstrip('/')}"
    client.register_system_shared_memory(name, key, 256)
    try:
        assert client.system_shared_memory_status(name) == (
            SystemSharedMemoryRegion(name, key, 0, 256),
        )
        assert name in {entry.name for entry in client.system_shared_memory_status()}
    finally:
        client.unregister_system_shared_memory(name)
    assert name not in {entry.name for entry in client.system_shared_memory_status()}
    with pytest.raises(tritonclient.NotFound, match=name):
        client.system_shared_memory_status(name)


def test_a_region_that_does_not_exist(client):
    with pytest.raises(tritonclient.ServerError, match="Unable to open shared memory region"):
        client.register_system_shared_memory("nowhere", "/nowhere", 64)


def test_cuda_shared_memory_without_a_gpu(client):
    assert client.cuda_shared_memory_status() == ()
    with pytest.raises(tritonclient.ServerError, match="failed to register"):
        client.register_cuda_shared_memory("c", bytes(64), 0, 64)
    client.unregister_cuda_shared_memory()
