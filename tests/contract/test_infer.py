"""Inference: tensors of every datatype, outputs, options and refusals."""

from __future__ import annotations

import itertools
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import tritonclient
from tritonclient import RequestedOutput, Tensor

A = np.arange(16, dtype=np.int32).reshape(1, 16)
ONES = np.ones((1, 16), np.int32)

SCALARS = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
}


def test_sum_and_difference(client):
    result = client.infer("simple", {"INPUT0": A, "INPUT1": ONES})
    assert set(result) == {"OUTPUT0", "OUTPUT1"}
    np.testing.assert_array_equal(result["OUTPUT0"], A + 1)
    np.testing.assert_array_equal(result["OUTPUT1"], A - 1)
    assert (result.model_name, result.model_version) == ("simple", "1")


def test_only_requested_outputs_come_back(client):
    result = client.infer("simple", {"INPUT0": A, "INPUT1": ONES}, outputs=["OUTPUT1"])
    assert list(result) == ["OUTPUT1"]
    assert "OUTPUT0" not in result
    with pytest.raises(KeyError, match="'OUTPUT1'"):
        result["OUTPUT0"]


def test_answers_may_be_written_to_and_are_aligned(client):
    output = client.infer("simple", {"INPUT0": A, "INPUT1": ONES})["OUTPUT0"]
    assert output.flags.writeable
    assert output.flags.aligned
    output += 1
    np.testing.assert_array_equal(output, A + 2)


@pytest.mark.parametrize("binary", [True, False])
def test_json_and_binary_tensors_say_the_same(client, carrier, binary):
    result = client.infer("simple", {"INPUT0": A, "INPUT1": ONES}, binary=binary)
    np.testing.assert_array_equal(result["OUTPUT0"], A + 1)
    # gRPC knows no JSON.
    assert result.output("OUTPUT0").binary is (binary or carrier != "http")


def test_binary_and_json_can_be_mixed(client):
    result = client.infer(
        "simple",
        {"INPUT0": A, "INPUT1": Tensor(ONES, "INT32", binary=False)},
        outputs=[RequestedOutput("OUTPUT0", binary=False), "OUTPUT1"],
    )
    np.testing.assert_array_equal(result["OUTPUT0"], A + 1)
    np.testing.assert_array_equal(result["OUTPUT1"], A - 1)


@pytest.mark.parametrize("datatype", SCALARS)
def test_every_fixed_size_datatype_comes_back_bit_for_bit(client, datatype):
    shapes = arrays.array_shapes(min_dims=2, max_dims=2, max_side=8)

    @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
    @given(arrays.arrays(SCALARS[datatype], shapes))
    def check(array):
        output = client.infer("echo", {f"INPUT_{datatype}": array})[f"OUTPUT_{datatype}"]
        assert output.dtype == array.dtype
        assert output.shape == array.shape
        assert output.tobytes() == array.tobytes()

    check()


def test_bf16_comes_back_bit_for_bit(client):
    bits = np.array([[0x3F80, 0x7F80, 0x0001, 0xC2F7]], np.uint16)
    output = client.infer("echo", {"INPUT_BF16": Tensor(bits, "BF16")})["OUTPUT_BF16"]
    assert output.dtype.name == "bfloat16"
    np.testing.assert_array_equal(output.view(np.uint16), bits)


def test_bf16_is_rounded_from_float32(client, monkeypatch):
    values = np.array([[0.999, 1.0, -2.5]], np.float32)
    result = client.infer("echo", {"INPUT_BF16": Tensor(values, "BF16")})
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    output = result["OUTPUT_BF16"]
    assert output.dtype == np.float32
    np.testing.assert_array_equal(output, [[1.0, 1.0, -2.5]])


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(items=st.lists(st.binary(max_size=40), max_size=20))
def test_bytes_come_back_byte_for_byte(client, items):
    array = np.empty(len(items), object)
    array[:] = items
    assert client.infer("identity_bytes", {"INPUT0": array})["OUTPUT0"].tolist() == items


def test_texts_are_sent_as_utf8(client):
    for texts in (["ü", "", "日本"], np.array(["ü", "", "日本"]), ("ü", "", "日本")):
        output = client.infer("identity_bytes", {"INPUT0": texts})["OUTPUT0"]
        assert [item.decode() for item in output] == ["ü", "", "日本"]


def test_bytes_as_json(client):
    result = client.infer("identity_bytes", {"INPUT0": ["a", "ü"]}, binary=False)
    assert result["OUTPUT0"].tolist() == [b"a", "ü".encode()]


def test_empty_tensors(client):
    for datatype in ("FP32", "INT64"):
        empty = np.empty((0, 3), SCALARS[datatype])
        output = client.infer("echo", {f"INPUT_{datatype}": empty})[f"OUTPUT_{datatype}"]
        assert output.shape == (0, 3)
    assert client.infer("identity_bytes", {"INPUT0": np.empty(0, object)})["OUTPUT0"].size == 0


def test_memory_layouts_do_not_matter(client):
    base = np.arange(64, dtype=np.int32).reshape(8, 8)
    for array in (base.T, base[::2, ::-1], base.astype(">i4"), np.asfortranarray(base)):
        output = client.infer("echo", {"INPUT_INT32": array})["OUTPUT_INT32"]
        np.testing.assert_array_equal(output, array)


def test_large_tensors(client):
    array = np.random.default_rng(0).random(4 << 20, np.float32)
    output = client.infer("identity_fp32", {"INPUT0": array})["OUTPUT0"]
    np.testing.assert_array_equal(output, array)


def test_the_request_id_comes_back(client):
    inputs = {"INPUT0": A, "INPUT1": ONES}
    assert client.infer("simple", inputs, id='a "quoted" ü').id == 'a "quoted" ü'
    assert client.infer("simple", inputs).id == ""


def test_versions(client):
    x = np.array([1], np.int32)
    for version in ("1", "2"):
        result = client.infer("versioned", {"INPUT0": x}, version=version)
        assert result["OUTPUT0"].tolist() == [1 + int(version)]
        assert result.model_version == version
    assert client.infer("versioned", {"INPUT0": x}).model_version == "2"


def test_options_that_a_plain_model_ignores(client, carrier):
    query = {"query": {"test_1": 1, "test_2": ["a", "b c"]}} if carrier == "http" else {}
    result = client.infer(
        "simple",
        {"INPUT0": A, "INPUT1": ONES},
        priority=1,
        server_timeout=5.0,
        sequence_id="seven",
        sequence_start=True,
        sequence_end=True,
        parameters={"note": "x", "count": 3, "flag": True},
        headers={"x-test": "1"},
        **query,
    )
    np.testing.assert_array_equal(result["OUTPUT0"], A + 1)


@pytest.mark.parametrize(
    ("request_coding", "response_coding"),
    [c for c in itertools.product((None, "gzip", "deflate"), repeat=2) if any(c)],
)
def test_compression(client, carrier, request_coding, response_coding):
    array = np.zeros(100_000, np.float32)
    array[::1000] = 1
    codings = {"request_compression": request_coding, "response_compression": response_coding}
    if carrier != "http" and response_coding is not None:
        with pytest.raises(ValueError, match="gRPC servers choose"):
            client.infer("identity_fp32", {"INPUT0": array}, **codings)
        return
    output = client.infer("identity_fp32", {"INPUT0": array}, **codings)["OUTPUT0"]
    np.testing.assert_array_equal(output, array)
    output[0] = 2  # decompressed answers may be written to as well


def test_classification(client):
    image = np.zeros((2, 1, 8, 8), np.float32)
    result = client.infer(
        "digits", {"IMAGE": image}, outputs=[RequestedOutput("PROBABILITIES", classes=3)]
    )
    classes = result.classes("PROBABILITIES")
    assert classes.shape == (2, 3)
    values = [best.value for best in classes[0]]
    assert values == sorted(values, reverse=True)
    names = ["ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE"]
    assert all(best.label == names[best.index] for best in classes.ravel())


def test_classification_without_labels_or_batch(client):
    result = client.infer(
        "echo",
        {"INPUT_FP32": np.array([[1, 3, 2]], np.float32)},
        outputs=[RequestedOutput("OUTPUT_FP32", classes=2)],
    )
    best, second = result.classes("OUTPUT_FP32").ravel()[:2]
    assert (best.index, best.value, best.label) == (1, 3.0, "")
    assert second.index == 2


def test_an_output_that_is_no_classification(client):
    result = client.infer("simple", {"INPUT0": A, "INPUT1": ONES})
    with pytest.raises(tritonclient.ProtocolError, match="OUTPUT0"):
        result.classes("OUTPUT0")


def test_prepared_requests_carry_what_the_array_holds_when_sent(client):
    array = A.copy()
    call = client.prepare("simple", {"INPUT0": array, "INPUT1": ONES}, id="p")
    np.testing.assert_array_equal(client.infer_prepared(call)["OUTPUT0"], A + 1)
    array += 10
    result = client.infer_prepared(call, timeout=10)
    np.testing.assert_array_equal(result["OUTPUT0"], A + 11)
    assert result.id == "p"


def test_many_threads_share_one_client(client):
    def work(n):
        for i in range(20):
            array = np.full((1, 16), n * 100 + i, np.int32)
            result = client.infer("simple", {"INPUT0": array, "INPUT1": ONES}, id=f"{n}-{i}")
            assert result.id == f"{n}-{i}"
            np.testing.assert_array_equal(result["OUTPUT0"], array + 1)
        return n

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(work, range(16))) == list(range(16))


def test_submitted_requests_run_side_by_side(client):
    inputs = [np.full((1, 16), n, np.int32) for n in range(20)]
    submitted = [client.submit("simple", {"INPUT0": x, "INPUT1": x}) for x in inputs]
    for x, each in zip(inputs, submitted, strict=True):
        # Tasks have been awaited by the fixture; futures have not.
        result = each if isinstance(each, tritonclient.InferResult) else each.result(30)
        np.testing.assert_array_equal(result["OUTPUT0"], 2 * x)


# Refusals by the server


def refusal(client, *args, **kwargs):
    with pytest.raises(tritonclient.ServerError) as caught:
        client.infer(*args, **kwargs)
    return caught.value


def test_unknown_model(client, carrier, url):
    error = refusal(client, "nope", {"INPUT0": A})
    assert isinstance(error, tritonclient.NotFound)
    assert error.message() == "Request for unknown model: 'nope' is not found"
    status = "404" if carrier == "http" else "StatusCode.NOT_FOUND"
    own = f"[{status}] Request for unknown model: 'nope' is not found"
    assert str(error).startswith(f"{own} (the server has no model 'nope'; its models are ")
    assert (error.model, error.endpoint) == ("nope", url)


def test_unknown_version(client):
    error = refusal(client, "simple", {"INPUT0": A}, version="9", id="r7")
    assert isinstance(error, tritonclient.NotFound)
    assert "version 9" in error.message()
    assert error.request_id == "r7"


@pytest.mark.parametrize(
    ("inputs", "outputs", "text"),
    [
        ({"NOPE": A, "INPUT1": A}, None, "unexpected inference input 'NOPE' for model 'simple'"),
        ({"INPUT0": A}, None, "expected 2 inputs but got 1"),
        ({"INPUT0": A, "INPUT1": A[:, :15]}, None, "unexpected shape for input 'INPUT1'"),
        ({"INPUT0": A, "INPUT1": A.astype("f4")}, None, "data-type is 'FP32', but model 'simple'"),
        ({"INPUT0": A, "INPUT1": A}, ["X"], "unexpected inference output 'X' for model 'simple'"),
        (dict.fromkeys(("INPUT0", "INPUT1"), np.repeat(A, 9, 0)), None, "must be <= 8"),
    ],
)
def test_wrong_requests_are_invalid_arguments(client, inputs, outputs, text):
    error = refusal(client, "simple", inputs, outputs=outputs)
    assert isinstance(error, tritonclient.InvalidArgument)
    assert text in error.message()


def test_a_failing_model_is_an_internal_error(client):
    error = refusal(client, "failing", {"MESSAGE": ["out of cheese"]})
    assert isinstance(error, tritonclient.Internal)
    assert "out of cheese" in error.message()


def test_the_client_works_on_after_errors(client):
    for _ in range(3):
        refusal(client, "nope", {"INPUT0": A})
    np.testing.assert_array_equal(
        client.infer("simple", {"INPUT0": A, "INPUT1": ONES})["OUTPUT0"], A + 1
    )


def test_the_deadline_ends_a_slow_call(client, url):
    inputs = {"INPUT0": np.array([1], np.int32), "DELAY_MS": np.array([800], np.int32)}
    with pytest.raises(tritonclient.DeadlineExceeded) as caught:
        client.infer("slow_identity", inputs, timeout=0.05)
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.model == "slow_identity"
    assert url in str(caught.value)
    inputs["DELAY_MS"][0] = 0
    assert client.infer("slow_identity", inputs, timeout=20)["OUTPUT0"].tolist() == [1]
