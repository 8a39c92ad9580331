"""Every method of the classic HTTP clients, against the embedded server and a real Triton."""

from __future__ import annotations

import base64
import itertools
import json
import uuid
from multiprocessing import shared_memory

import ml_dtypes
import numpy as np
import pytest

from tests.classic.runtimes import AsyncRunner, make_input, pair
from tests.contract.test_admin import MODEL_FILE
from tests.contract.test_infer import SCALARS
from tests.support.waiting import eventually
from tritonclient.http import (
    InferenceServerClient,
    InferenceServerException,
    InferInput,
    InferRequestedOutput,
)

A = np.arange(16, dtype=np.int32).reshape(1, 16)
ONES = np.ones((1, 16), np.int32)


def objects(*items):
    array = np.empty(len(items), object)
    array[:] = items
    return array


# Health, metadata, statistics


def test_health(client):
    assert client.is_server_live() is True
    assert client.is_server_ready() is True
    assert client.is_model_ready("simple") is True
    assert client.is_model_ready("versioned", "2") is True
    assert client.is_model_ready("versioned", "3") is False
    assert client.is_model_ready("nope") is False


def test_metadata_is_json_as_the_server_sends_it(client):
    metadata = client.get_server_metadata()
    assert metadata["name"] == "triton"
    assert "binary_tensor_data" in metadata["extensions"]
    metadata = client.get_model_metadata("versioned", "1")
    assert metadata["versions"] == ["1"]
    assert metadata["inputs"] == [{"name": "INPUT0", "datatype": "INT32", "shape": [-1]}]


def test_configuration(client):
    config = client.get_model_config("digits")
    assert config["max_batch_size"] == 64
    assert client.get_model_config("versioned", "2")["name"] == "versioned"


@pytest.mark.parametrize("method", ["get_model_metadata", "get_model_config"])
def test_unknown_models(client, method):
    with pytest.raises(InferenceServerException, match="unknown model: 'nope'") as caught:
        getattr(client, method)("nope")
    assert caught.value.status() in ("400", "404")
    assert str(caught.value) == f"[{caught.value.status()}] {caught.value.message()}"
    assert caught.value.debug_details() is None


def test_statistics(client):
    def inferences():
        (entry,) = client.get_inference_statistics("simple", "1")["model_stats"]
        return entry["inference_count"]

    before = inferences()
    client.infer("simple", pair(A, ONES))
    eventually(lambda: inferences() == before + 1)
    names = {entry["name"] for entry in client.get_inference_statistics()["model_stats"]}
    assert {"simple", "digits"} <= names


# Model repository


def state(client, model):
    entries = client.get_model_repository_index()
    return [(e.get("state"), e.get("reason")) for e in entries if e["name"] == model]


def test_index_unload_load(client):
    assert state(client, "simple_string") == [("READY", None)]
    assert client.unload_model("simple_string") is None
    try:
        eventually(lambda: state(client, "simple_string") == [("UNAVAILABLE", "unloaded")])
    finally:
        assert client.load_model("simple_string") is None
    assert client.is_model_ready("simple_string")
    client.unload_model("simple_string", unload_dependents=True)
    client.load_model("simple_string")


def test_load_with_a_configuration(client):
    config = client.get_model_config("simple_string")
    config["parameters"] = {"colour": {"string_value": "blue"}}
    try:
        client.load_model("simple_string", config=json.dumps(config))
        assert client.get_model_config("simple_string")["parameters"] == config["parameters"]
    finally:
        client.unload_model("simple_string")
        eventually(lambda: state(client, "simple_string") == [("UNAVAILABLE", "unloaded")])
        client.load_model("simple_string")


def test_load_from_files(client):
    name = f"uploaded_{uuid.uuid4().hex[:8]}"
    config = {
        "backend": "python",
        "input": [{"name": "X", "data_type": "TYPE_FP32", "dims": [-1]}],
        "output": [{"name": "Y", "data_type": "TYPE_FP32", "dims": [-1]}],
    }
    files = {"file:1/model.py": MODEL_FILE}
    client.load_model(name, config=json.dumps(config), files=files)
    result = client.infer(name, [make_input("X", np.float32([2]), "FP32")])
    assert result.as_numpy("Y").tolist() == [6]
    client.unload_model(name)
    eventually(client.is_server_ready)  # Triton says no while it unloads


def test_what_can_not_be_loaded(client):
    with pytest.raises(InferenceServerException, match="failed to load 'nope'"):
        client.load_model("nope")


# Trace and log settings


def test_trace_settings(client):
    assert client.get_trace_settings()["trace_rate"] == "1000"
    changed = client.update_trace_settings(settings={"trace_rate": "7", "log_frequency": "3"})
    try:
        assert (changed["trace_rate"], changed["log_frequency"]) == ("7", "3")
        client.update_trace_settings("simple", {"trace_rate": "9"})
        assert client.get_trace_settings("simple")["trace_rate"] == "9"
        client.update_trace_settings("simple", {"trace_rate": None})
        assert client.get_trace_settings(model_name="simple")["trace_rate"] == "7"
    finally:
        client.update_trace_settings(settings={"trace_rate": None, "log_frequency": None})
    assert client.update_trace_settings()["trace_rate"] == "1000"


def test_log_settings(client):
    before = client.get_log_settings()
    try:
        changed = client.update_log_settings({"log_verbose_level": 1})
        assert changed["log_verbose_level"] == 1
    finally:
        client.update_log_settings({"log_verbose_level": before["log_verbose_level"]})
    assert client.get_log_settings() == before


# Shared memory


@pytest.fixture
def region(client):
    memory = shared_memory.SharedMemory(create=True, size=4096)
    name = f"r_{uuid.uuid4().hex[:8]}"
    client.register_system_shared_memory(name, f"/{memory.name.lstrip('/')}", 4096)
    yield name, memory
    client.unregister_system_shared_memory(name)
    memory.close()
    memory.unlink()


def test_regions(client, region):
    name, memory = region
    key = f"/{memory.name.lstrip('/')}"
    entry = {"name": name, "key": key, "offset": 0, "byte_size": 4096}
    assert client.get_system_shared_memory_status(name) == [entry]
    assert entry in client.get_system_shared_memory_status()
    with pytest.raises(InferenceServerException, match="nowhere"):
        client.get_system_shared_memory_status(region_name="nowhere")


def test_inputs_and_outputs_in_shared_memory(client, region):
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
        result = client.infer("simple", [first, second], outputs=[sums, differences])
        np.testing.assert_array_equal(view[2:3], A + number)
        np.testing.assert_array_equal(result.as_numpy("OUTPUT1"), A - number)
    assert "data" not in result.get_output("OUTPUT0")
    with pytest.raises(InferenceServerException, match="'OUTPUT0' has no data here"):
        result.as_numpy("OUTPUT0")
    sums.unset_shared_memory()
    result = client.infer("simple", [first, second], outputs=[sums])
    np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), A + 2)
    del view


def test_offset_zero_replaces_an_earlier_offset(client, region):
    name, memory = region
    view = np.ndarray((4, 16), np.int32, memory.buf)
    view[:] = 0
    view[0] = A
    first = InferInput("INPUT0", [1, 16], "INT32").set_shared_memory(name, 64, 64)
    first.set_shared_memory(name, 64, 0)
    output = InferRequestedOutput("OUTPUT0")
    output.set_shared_memory(name, 64, 64)
    output.set_shared_memory(name, 64)
    second = make_input("INPUT1", ONES, "INT32")
    client.infer("simple", [first, second], outputs=[output])
    np.testing.assert_array_equal(view[:1], A + 1)
    del view


def test_cuda_regions_without_a_gpu(client):
    assert client.get_cuda_shared_memory_status() == []
    handle = base64.b64encode(bytes(64))
    with pytest.raises(InferenceServerException, match="failed to register"):
        client.register_cuda_shared_memory("c", handle, 0, 64)
    with pytest.raises(InferenceServerException, match="not base64"):
        client.register_cuda_shared_memory("c", b"\xff", 0, 64)
    assert client.unregister_cuda_shared_memory() is None


# Inference


def test_infer(client):
    result = client.infer("simple", pair(A, ONES))
    np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), A + 1)
    np.testing.assert_array_equal(result.as_numpy("OUTPUT1"), A - 1)
    assert result.as_numpy("OUTPUT9") is None
    assert result.get_output("OUTPUT9") is None
    assert result.get_output("OUTPUT1") == {
        "name": "OUTPUT1",
        "datatype": "INT32",
        "shape": [1, 16],
        "parameters": {"binary_data_size": 64},
    }
    response = result.get_response()
    assert (response["model_name"], response["model_version"]) == ("simple", "1")
    assert [output["name"] for output in response["outputs"]] == ["OUTPUT0", "OUTPUT1"]


def test_calls_that_look_alike_bring_their_own_data(client):
    for number in range(3):
        array = A + number
        result = client.infer(
            "simple", pair(array, ONES), outputs=[InferRequestedOutput("OUTPUT0")]
        )
        np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), array + 1)
        assert result.as_numpy("OUTPUT1") is None
    # Another shape, and then another datatype, of as many bytes.
    result = client.infer("simple", pair(np.repeat(A, 2, 0), np.repeat(ONES, 2, 0)))
    assert result.as_numpy("OUTPUT0").shape == (2, 16)
    for kind, datatype in ((np.float32, "FP32"), (np.uint32, "UINT32")):
        echoed = client.infer("echo", [make_input(f"INPUT_{datatype}", kind(A), datatype)])
        assert echoed.as_numpy(f"OUTPUT_{datatype}").dtype == kind


def test_the_array_is_copied_when_it_is_set(client):
    array = A.copy()
    inputs = pair(array, ONES)
    array += 100
    np.testing.assert_array_equal(client.infer("simple", inputs).as_numpy("OUTPUT0"), A + 1)


def test_answers_may_be_written_to(client):
    output = client.infer("simple", pair(A, ONES)).as_numpy("OUTPUT0")
    output += 1
    np.testing.assert_array_equal(output, A + 2)


@pytest.mark.parametrize("datatype", SCALARS)
@pytest.mark.parametrize("binary", [True, False])
def test_datatypes(client, datatype, binary):
    array = np.array([[0, 1, 2], [3, 4, 5]]).astype(SCALARS[datatype])
    inputs = [make_input(f"INPUT_{datatype}", array, datatype, binary)]
    outputs = [InferRequestedOutput(f"OUTPUT_{datatype}", binary_data=binary)]
    if datatype == "FP16" and not binary:
        # It is sent as the official client sends it; that Triton refuses it is Triton's affair.
        with pytest.raises(InferenceServerException, match="FP16 data via JSON is not supported"):
            client.infer("echo", inputs, outputs=outputs)
        return
    result = client.infer("echo", inputs, outputs=outputs)
    output = result.as_numpy(f"OUTPUT_{datatype}")
    assert output.dtype == array.dtype
    np.testing.assert_array_equal(output, array)
    assert ("data" in result.get_output(f"OUTPUT_{datatype}")) is not binary


@pytest.mark.parametrize("kind", [np.float32, ml_dtypes.bfloat16])
def test_bf16(client, kind):
    values = np.array([[0.999, 1.0, -2.5, np.inf]], np.float32).astype(kind)
    output = client.infer("echo", [make_input("INPUT_BF16", values, "BF16")]).as_numpy(
        "OUTPUT_BF16"
    )
    assert output.dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(output.astype(np.float32), [[1.0, 1.0, -2.5, np.inf]])


def test_bytes(client):
    array = objects(b"", b"a\0b", "\u00e4".encode(), b"\xff")
    output = client.infer("identity_bytes", [make_input("INPUT0", array, "BYTES")])
    assert output.as_numpy("OUTPUT0").tolist() == array.tolist()
    for texts in (np.array(["a", "\u00e4"]), objects("a", "\u00e4")):
        output = client.infer("identity_bytes", [make_input("INPUT0", texts, "BYTES")])
        assert output.as_numpy("OUTPUT0").tolist() == [b"a", "\u00e4".encode()]
    output = client.infer("identity_bytes", [make_input("INPUT0", objects(1, None), "BYTES")])
    assert output.as_numpy("OUTPUT0").tolist() == [b"1", b"None"]


def test_bytes_as_json_come_as_text(client):
    inputs = [make_input("INPUT0", objects("a", "\u00e4".encode()), "BYTES", binary_data=False)]
    outputs = [InferRequestedOutput("OUTPUT0", binary_data=False)]
    result = client.infer("identity_bytes", inputs, outputs=outputs)
    assert result.as_numpy("OUTPUT0").tolist() == ["a", "\u00e4"]
    assert result.get_output("OUTPUT0")["data"] == ["a", "\u00e4"]


def test_bytes_as_json_that_are_no_text(client):
    inputs = [make_input("INPUT0", objects(b"\xff"), "BYTES")]
    outputs = [InferRequestedOutput("OUTPUT0", binary_data=False)]
    with pytest.raises(InferenceServerException):
        client.infer("identity_bytes", inputs, outputs=outputs)


def test_empty_tensors(client):
    result = client.infer("echo", [make_input("INPUT_FP32", np.empty((0, 3), np.float32), "FP32")])
    assert result.as_numpy("OUTPUT_FP32").shape == (0, 3)
    result = client.infer("identity_bytes", [make_input("INPUT0", objects(), "BYTES")])
    assert (result.as_numpy("OUTPUT0").shape, result.as_numpy("OUTPUT0").dtype) == ((0,), object)


def test_layouts_and_byte_orders(client):
    base = np.arange(64, dtype=np.int32).reshape(8, 8)
    for array in (base.T, base[::2, ::-1], base.astype(">i4"), np.asfortranarray(base)):
        output = client.infer("echo", [make_input("INPUT_INT32", array, "INT32")])
        np.testing.assert_array_equal(output.as_numpy("OUTPUT_INT32"), array)


def test_classification(client):
    image = make_input("IMAGE", np.zeros((2, 1, 8, 8), np.float32), "FP32")
    for binary, kind in ((True, bytes), (False, str)):
        output = InferRequestedOutput("PROBABILITIES", binary_data=binary, class_count=3)
        classes = client.infer("digits", [image], outputs=[output]).as_numpy("PROBABILITIES")
        assert classes.shape == (2, 3)
        assert isinstance(classes[0, 0], kind)
        assert len(classes[0, 0].split(b":" if binary else ":")) == 3


@pytest.mark.parametrize(
    ("request_coding", "response_coding"),
    [*itertools.product((None, "gzip", "deflate"), repeat=2)],
)
def test_compression(client, request_coding, response_coding):
    array = np.zeros(100_000, np.float32)
    array[::1000] = 1
    result = client.infer(
        "identity_fp32",
        [make_input("INPUT0", array, "FP32")],
        request_compression_algorithm=request_coding,
        response_compression_algorithm=response_coding,
    )
    output = result.as_numpy("OUTPUT0")
    np.testing.assert_array_equal(output, array)
    output[0] = 2


def test_options(client):
    headers, query, parameters = {"x-test": "1"}, {"a": [1, "b c"]}, {"note": "x", "flag": True}
    result = client.infer(
        "simple",
        pair(A, ONES),
        model_version="1",
        request_id='a "quoted" \u00fc',
        sequence_id="seven",
        sequence_start=True,
        sequence_end=True,
        priority=1,
        timeout=5_000_000,
        headers=headers,
        query_params=query,
        parameters=parameters,
    )
    assert result.get_response()["id"] == 'a "quoted" \u00fc'
    assert (headers, query) == ({"x-test": "1"}, {"a": [1, "b c"]})
    assert parameters == {"note": "x", "flag": True}
    assert client.infer("simple", pair(A, ONES), sequence_id=7).as_numpy("OUTPUT0") is not None


def test_refusals(client):
    for inputs, text in (
        ([make_input("INPUT0", A, "INT32")], "expected 2 inputs but got 1"),
        ([InferInput("INPUT0", [1, 16], "INT32")] * 2, "must set only one"),
        (pair(A[:, :15], ONES), "unexpected shape for input 'INPUT0'"),
    ):
        with pytest.raises(InferenceServerException, match=text) as caught:
            client.infer("simple", inputs)
        assert caught.value.status() == "400"
        assert type(caught.value) is InferenceServerException  # programs ask for it with `==`
    with pytest.raises(InferenceServerException, match="unknown model") as caught:
        client.infer("nope", pair(A, ONES))
    assert (caught.value.status(), caught.value.model) == ("404", "nope")
    assert client.infer("simple", pair(A, ONES)).as_numpy("OUTPUT0") is not None


# Bodies that travel by other means


def test_bodies_by_other_means(client):
    for binary in (True, False):
        body, length = client.generate_request_body(
            pair(A, ONES, binary), outputs=[InferRequestedOutput("OUTPUT0", binary)]
        )
        assert (length is None) is not binary
        headers = {} if length is None else {"Inference-Header-Content-Length": length}
        answer = client._post("v2/models/simple/infer", body, headers, None)
        content = answer.read()
        if isinstance(client, AsyncRunner):  # as aiohttp's answers are
            status, content = answer.status, client.loop.run_until_complete(content)
        else:
            status = answer.status_code
        assert status == 200
        header_length = answer.headers.get("inference-header-content-length")
        result = client.parse_response_body(
            content, header_length=header_length and int(header_length)
        )
        np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), A + 1)


def test_what_mocks_replace(server, monkeypatch):
    class Answer:
        status_code = 200

        def read(self):
            return b'{"name":"mine"}'

    with InferenceServerClient(server.http_url.removeprefix("http://")) as client:
        assert client._get("v2/health/live", None, None).status_code == 200
        monkeypatch.setattr(client, "_get", lambda **arguments: Answer())
        assert client.get_server_metadata() == {"name": "mine"}
