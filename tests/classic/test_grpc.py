"""Every method of the classic gRPC clients, against the embedded server and a real Triton."""

from __future__ import annotations

import base64
import json
import uuid
from multiprocessing import shared_memory

import ml_dtypes
import numpy as np
import pytest

from tests.classic.runtimes import grpc_input, grpc_pair
from tests.contract.test_admin import MODEL_FILE
from tests.contract.test_infer import SCALARS
from tests.support.waiting import eventually
from tritonclient.grpc import (
    InferenceServerException,
    InferInput,
    InferRequestedOutput,
    service_pb2,
)

A = np.arange(16, dtype=np.int32).reshape(1, 16)
ONES = np.ones((1, 16), np.int32)


def objects(*items):
    array = np.empty(len(items), object)
    array[:] = items
    return array


# Health, metadata, statistics


def test_health(grpc_client):
    client = grpc_client
    assert client.is_server_live() is True
    assert client.is_server_ready() is True
    assert client.is_model_ready("simple") is True
    assert client.is_model_ready("versioned", "2") is True
    assert client.is_model_ready("versioned", "3") is False
    assert client.is_model_ready("nope") is False


def test_answers_are_messages_or_dictionaries(grpc_client):
    metadata = grpc_client.get_server_metadata()
    assert isinstance(metadata, service_pb2.ServerMetadataResponse)
    assert metadata.name == "triton"
    as_json = grpc_client.get_server_metadata(as_json=True)
    assert as_json["name"] == "triton"
    assert as_json["extensions"] == list(metadata.extensions)

    metadata = grpc_client.get_model_metadata("versioned", "1")
    assert list(metadata.versions) == ["1"]
    ((name, datatype, shape),) = [(t.name, t.datatype, list(t.shape)) for t in metadata.inputs]
    assert (name, datatype, shape) == ("INPUT0", "INT32", [-1])
    as_json = grpc_client.get_model_metadata("versioned", "1", as_json=True)
    assert as_json["inputs"] == [{"name": "INPUT0", "datatype": "INT32", "shape": ["-1"]}]


def test_configuration(grpc_client):
    config = grpc_client.get_model_config("digits").config
    assert config.max_batch_size == 64
    assert config.input[0].data_type == 11
    as_json = grpc_client.get_model_config("versioned", "2", as_json=True)
    assert as_json["config"]["name"] == "versioned"
    assert "max_batch_size" not in as_json["config"]  # it is 0, which JSON leaves out


@pytest.mark.parametrize("method", ["get_model_metadata", "get_model_config"])
def test_unknown_models(grpc_client, method):
    with pytest.raises(InferenceServerException, match="unknown model: 'nope'") as caught:
        getattr(grpc_client, method)("nope")
    error = caught.value
    assert error.status() == "StatusCode.NOT_FOUND"
    assert str(error) == f"[StatusCode.NOT_FOUND] {error.message()}"
    assert error.debug_details() == f"NOT_FOUND:{error.message()}"
    assert (type(error), error.model) == (InferenceServerException, "nope")


def test_statistics(grpc_client):
    def inferences():
        (entry,) = grpc_client.get_inference_statistics("simple", "1").model_stats
        return entry.inference_count

    before = inferences()
    grpc_client.infer("simple", grpc_pair(A, ONES))
    eventually(lambda: inferences() == before + 1)
    entries = grpc_client.get_inference_statistics(as_json=True)["model_stats"]
    assert {"simple", "digits"} <= {entry["name"] for entry in entries}
    (entry,) = [entry for entry in entries if entry["name"] == "simple"]
    assert int(entry["inference_count"]) > before


# Model repository


def state(client, model):
    entries = client.get_model_repository_index().models
    return [(entry.state, entry.reason) for entry in entries if entry.name == model]


def test_index_unload_load(grpc_client):
    assert state(grpc_client, "simple_string") == [("READY", "")]
    as_json = grpc_client.get_model_repository_index(as_json=True)["models"]
    assert {"name": "simple_string", "version": "1", "state": "READY"} in as_json
    assert grpc_client.unload_model("simple_string") is None
    try:
        gone = [("UNAVAILABLE", "unloaded")]
        eventually(lambda: state(grpc_client, "simple_string") == gone)
    finally:
        assert grpc_client.load_model("simple_string") is None
    assert grpc_client.is_model_ready("simple_string")
    grpc_client.unload_model("simple_string", unload_dependents=True)
    grpc_client.load_model("simple_string")


def test_load_from_files(grpc_client):
    name = f"uploaded_{uuid.uuid4().hex[:8]}"
    config = {
        "backend": "python",
        "input": [{"name": "X", "data_type": "TYPE_FP32", "dims": [-1]}],
        "output": [{"name": "Y", "data_type": "TYPE_FP32", "dims": [-1]}],
    }
    files = {"file:1/model.py": MODEL_FILE}
    grpc_client.load_model(name, config=json.dumps(config), files=files)
    result = grpc_client.infer(name, [grpc_input("X", np.float32([2]), "FP32")])
    assert result.as_numpy("Y").tolist() == [6]
    grpc_client.unload_model(name)
    eventually(grpc_client.is_server_ready)  # Triton says no while it unloads


def test_what_can_not_be_loaded(grpc_client):
    with pytest.raises(InferenceServerException, match="failed to load 'nope'"):
        grpc_client.load_model("nope")


# Trace and log settings


def test_trace_settings(grpc_client):
    def rate(response):
        return list(response.settings["trace_rate"].value)

    assert rate(grpc_client.get_trace_settings()) == ["1000"]
    settings = {"trace_rate": 7, "trace_level": ["OFF"]}
    changed = grpc_client.update_trace_settings(settings=settings, as_json=True)["settings"]
    try:
        assert changed["trace_rate"] == {"value": ["7"]}
        assert changed["trace_level"] == {"value": ["OFF"]}
        grpc_client.update_trace_settings("simple", {"trace_rate": "9"})
        assert rate(grpc_client.get_trace_settings("simple")) == ["9"]
        grpc_client.update_trace_settings("simple", {"trace_rate": None})
        assert rate(grpc_client.get_trace_settings(model_name="simple")) == ["7"]
    finally:
        grpc_client.update_trace_settings(settings={"trace_rate": None, "trace_level": None})
    assert rate(grpc_client.update_trace_settings()) == ["1000"]


def test_log_settings(grpc_client):
    before = grpc_client.get_log_settings(as_json=True)["settings"]
    try:
        settings = {"log_verbose_level": np.int64(1), "log_info": 1}
        changed = grpc_client.update_log_settings(settings).settings
        assert changed["log_verbose_level"].uint32_param == 1
        assert changed["log_info"].bool_param is True
    finally:
        level = before["log_verbose_level"]["uint32_param"]
        grpc_client.update_log_settings({"log_verbose_level": level})
    assert grpc_client.get_log_settings(as_json=True)["settings"] == before


# Shared memory


@pytest.fixture
def region(grpc_client):
    memory = shared_memory.SharedMemory(create=True, size=4096)
    name = f"r_{uuid.uuid4().hex[:8]}"
    key = f"/{memory.name.lstrip('/')}"
    grpc_client.register_system_shared_memory(name, key, 4096)
    yield name, memory
    grpc_client.unregister_system_shared_memory(name)
    memory.close()
    memory.unlink()


def test_regions(grpc_client, region):
    name, memory = region
    (entry,) = grpc_client.get_system_shared_memory_status(name).regions.values()
    assert (entry.name, entry.byte_size, entry.offset) == (name, 4096, 0)
    assert entry.key == f"/{memory.name.lstrip('/')}"
    assert name in grpc_client.get_system_shared_memory_status(as_json=True)["regions"]
    with pytest.raises(InferenceServerException, match="nowhere"):
        grpc_client.get_system_shared_memory_status(region_name="nowhere")


def test_inputs_and_outputs_in_shared_memory(grpc_client, region):
    name, memory = region
    view = np.ndarray((4, 16), np.int32, memory.buf)
    view[:] = 0
    view[0], view[1] = A, ONES
    first, second = (InferInput(f"INPUT{n}", [1, 16], "INT32") for n in range(2))
    assert first.set_shared_memory(name, 64) is first
    second.set_shared_memory(name, 64, offset=64)
    sums, differences = InferRequestedOutput("OUTPUT0"), InferRequestedOutput("OUTPUT1")
    assert sums.set_shared_memory(name, 64, offset=128) is None
    for number in range(3):  # the first, and one like those before
        view[1] = number
        result = grpc_client.infer("simple", [first, second], outputs=[sums, differences])
        np.testing.assert_array_equal(view[2:3], A + number)
        np.testing.assert_array_equal(result.as_numpy("OUTPUT1"), A - number)
    with pytest.raises(InferenceServerException, match="'OUTPUT0' has no data here"):
        result.as_numpy("OUTPUT0")
    assert result.get_output("OUTPUT0").name == "OUTPUT0"
    sums.unset_shared_memory()
    result = grpc_client.infer("simple", [first, second], outputs=[sums])
    np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), A + 2)
    # One input here, the other there.
    for number in range(3):
        tensor = grpc_input("INPUT1", ONES + number, "INT32")
        result = grpc_client.infer("simple", [first, tensor])
        np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), A + 1 + number)
    del view


def test_offset_zero_replaces_an_earlier_offset(grpc_client, region):
    name, memory = region
    view = np.ndarray((4, 16), np.int32, memory.buf)
    view[:] = 0
    view[0] = A
    first = InferInput("INPUT0", [1, 16], "INT32").set_shared_memory(name, 64, 64)
    first.set_shared_memory(name, 64, 0)
    output = InferRequestedOutput("OUTPUT0")
    output.set_shared_memory(name, 64, 64)
    output.set_shared_memory(name, 64)
    second = grpc_input("INPUT1", ONES, "INT32")
    grpc_client.infer("simple", [first, second], outputs=[output])
    np.testing.assert_array_equal(view[:1], A + 1)
    del view


def test_cuda_regions_without_a_gpu(grpc_client):
    assert len(grpc_client.get_cuda_shared_memory_status().regions) == 0
    assert grpc_client.get_cuda_shared_memory_status(as_json=True) == {}
    handle = base64.b64encode(bytes(64))
    with pytest.raises(InferenceServerException, match="failed to register"):
        grpc_client.register_cuda_shared_memory("c", handle, 0, 64)
    with pytest.raises(InferenceServerException, match="not base64"):
        grpc_client.register_cuda_shared_memory("c", b"\xff", 0, 64)
    assert grpc_client.unregister_cuda_shared_memory() is None


# Inference


def test_infer(grpc_client):
    result = grpc_client.infer("simple", grpc_pair(A, ONES), request_id="7")
    np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), A + 1)
    np.testing.assert_array_equal(result.as_numpy("OUTPUT1"), A - 1)
    assert result.as_numpy("OUTPUT9") is None
    assert result.get_output("OUTPUT9") is None
    output = result.get_output("OUTPUT1")
    assert (output.name, output.datatype, list(output.shape)) == ("OUTPUT1", "INT32", [1, 16])
    assert result.get_output("OUTPUT1", as_json=True) == {
        "name": "OUTPUT1",
        "datatype": "INT32",
        "shape": ["1", "16"],
    }
    response = result.get_response()
    assert isinstance(response, service_pb2.ModelInferResponse)
    assert (response.model_name, response.model_version, response.id) == ("simple", "1", "7")
    assert list(response.raw_output_contents) == [(A + 1).tobytes(), (A - 1).tobytes()]
    assert result.get_response() is response
    contents = result.get_response(as_json=True)["raw_output_contents"]
    assert base64.b64decode(contents[0]) == (A + 1).tobytes()


def test_calls_that_look_alike_bring_their_own_data(grpc_client):
    for number in range(3):
        array = A + number
        outputs = [InferRequestedOutput("OUTPUT0")]
        result = grpc_client.infer("simple", grpc_pair(array, ONES), outputs=outputs)
        np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), array + 1)
        assert result.as_numpy("OUTPUT1") is None
    # Another shape, and then another datatype, of as many bytes.
    inputs = grpc_pair(np.repeat(A, 2, 0), np.repeat(ONES, 2, 0))
    assert grpc_client.infer("simple", inputs).as_numpy("OUTPUT0").shape == (2, 16)
    for kind, datatype in ((np.float32, "FP32"), (np.uint32, "UINT32")):
        echoed = grpc_client.infer("echo", [grpc_input(f"INPUT_{datatype}", kind(A), datatype)])
        assert echoed.as_numpy(f"OUTPUT_{datatype}").dtype == kind


def test_the_array_is_copied_when_it_is_set(grpc_client):
    array = A.copy()
    inputs = grpc_pair(array, ONES)
    array += 100
    result = grpc_client.infer("simple", inputs)
    np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), A + 1)


@pytest.mark.parametrize("coding", [None, "gzip", "Deflate"])
@pytest.mark.parametrize("size", [1, 100_000])
def test_answers_may_be_written_to(grpc_client, coding, size):
    array = np.ones(size, np.float32)
    inputs = [grpc_input("INPUT0", array, "FP32")]
    output = grpc_client.infer("identity_fp32", inputs, compression_algorithm=coding)
    output = output.as_numpy("OUTPUT0")
    output += 1
    np.testing.assert_array_equal(output, array + 1)


@pytest.mark.parametrize("datatype", SCALARS)
def test_datatypes(grpc_client, datatype):
    array = np.array([[0, 1, 2], [3, 4, 5]]).astype(SCALARS[datatype])
    result = grpc_client.infer("echo", [grpc_input(f"INPUT_{datatype}", array, datatype)])
    output = result.as_numpy(f"OUTPUT_{datatype}")
    assert output.dtype == array.dtype
    np.testing.assert_array_equal(output, array)


@pytest.mark.parametrize("kind", [np.float32, ml_dtypes.bfloat16])
def test_bf16(grpc_client, kind):
    values = np.array([[0.999, 1.0, -2.5, np.inf]], np.float32).astype(kind)
    result = grpc_client.infer("echo", [grpc_input("INPUT_BF16", values, "BF16")])
    output = result.as_numpy("OUTPUT_BF16")
    assert output.dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(output.astype(np.float32), [[1.0, 1.0, -2.5, np.inf]])


def test_bytes(grpc_client):
    for array, expected in (
        (objects(b"", b"a\0b", b"\xff"), [b"", b"a\0b", b"\xff"]),
        (np.array(["a", "\u00e4"]), [b"a", "\u00e4".encode()]),
        (objects("a", "\u00e4"), [b"a", "\u00e4".encode()]),
        (np.array([b"ab", b"c"]), [b"ab", b"c"]),
        (objects(1, None), [b"1", b"None"]),
    ):
        result = grpc_client.infer("identity_bytes", [grpc_input("INPUT0", array, "BYTES")])
        assert result.as_numpy("OUTPUT0").tolist() == expected


def test_empty_tensors(grpc_client):
    inputs = [grpc_input("INPUT_FP32", np.empty((0, 3), np.float32), "FP32")]
    for _ in range(2):
        assert grpc_client.infer("echo", inputs).as_numpy("OUTPUT_FP32").shape == (0, 3)
    result = grpc_client.infer("identity_bytes", [grpc_input("INPUT0", objects(), "BYTES")])
    assert (result.as_numpy("OUTPUT0").shape, result.as_numpy("OUTPUT0").dtype) == ((0,), object)


def test_layouts_and_byte_orders(grpc_client):
    base = np.arange(64, dtype=np.int32).reshape(8, 8)
    for array in (base.T, base[::2, ::-1], base.astype(">i4"), np.asfortranarray(base)):
        result = grpc_client.infer("echo", [grpc_input("INPUT_INT32", array, "INT32")])
        np.testing.assert_array_equal(result.as_numpy("OUTPUT_INT32"), array)


def test_classification(grpc_client):
    image = grpc_input("IMAGE", np.zeros((2, 1, 8, 8), np.float32), "FP32")
    output = InferRequestedOutput("PROBABILITIES", class_count=3)
    classes = grpc_client.infer("digits", [image], outputs=[output]).as_numpy("PROBABILITIES")
    assert classes.shape == (2, 3)
    assert len(classes[0, 0].split(b":")) == 3


def test_options(grpc_client):
    headers, parameters = {"X-Test": "1", "data-bin": b"\0"}, {"note": "x", "flag": True}
    result = grpc_client.infer(
        "simple",
        grpc_pair(A, ONES),
        model_version="1",
        request_id='a "quoted" \u00fc',
        sequence_id="seven",
        sequence_start=True,
        sequence_end=True,
        priority=1,
        timeout=5_000_000,
        client_timeout=20,
        headers=headers,
        parameters=parameters,
    )
    assert result.get_response().id == 'a "quoted" \u00fc'
    assert headers == {"X-Test": "1", "data-bin": b"\0"}
    assert parameters == {"note": "x", "flag": True}
    result = grpc_client.infer("simple", grpc_pair(A, ONES), sequence_id=np.int64(7))
    assert result.as_numpy("OUTPUT0") is not None


def test_refusals(grpc_client):
    for inputs, text in (
        ([grpc_input("INPUT0", A, "INT32")], "expected 2 inputs but got 1"),
        ([InferInput(f"INPUT{n}", [1, 16], "INT32") for n in range(2)], "unable to find data"),
        (grpc_pair(A[:, :15], ONES), "unexpected shape for input 'INPUT0'"),
    ):
        with pytest.raises(InferenceServerException, match=text) as caught:
            grpc_client.infer("simple", inputs)
        assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"
        assert type(caught.value) is InferenceServerException
    result = grpc_client.infer("simple", grpc_pair(A, ONES))
    assert result.as_numpy("OUTPUT0") is not None


def test_deadlines(grpc_client):
    pairs = (("INPUT0", 1), ("DELAY_MS", 1000))
    inputs = [grpc_input(name, np.int32([value]), "INT32") for name, value in pairs]
    for seconds in (0.1, np.float32(0.1), 0, -1):
        with pytest.raises(InferenceServerException) as caught:
            grpc_client.infer("slow_identity", inputs, client_timeout=seconds)
        assert str(caught.value) == "[StatusCode.DEADLINE_EXCEEDED] Deadline Exceeded"
        assert caught.value.debug_details() == "DEADLINE_EXCEEDED:Deadline Exceeded"
        assert type(caught.value) == InferenceServerException  # noqa: E721
        assert isinstance(caught.value, TimeoutError)
    assert grpc_client.is_server_live(client_timeout=float("inf"))
