"""Runs against a real Triton: sequences, streams, shared memory, ensembles, trace settings."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from tests.perf import running
from tritonclient import Client

QUICK = ("-p", "200", "-s", "100000")


@pytest.fixture
def client(triton):
    with Client(triton.http_url) as client:
        yield client


def at(triton, protocol="http"):
    port = triton.http_port if protocol == "http" else triton.grpc_port
    return ("-i", protocol, "-u", f"127.0.0.1:{port}")


def write(tmp_path, document):
    path = tmp_path / "data.json"
    path.write_text(json.dumps(document))
    return str(path)


def simple_data(tmp_path, wrong=False):
    """Steps of the model "simple" with the outputs that must come back."""
    steps, expected = [], []
    for number in range(5):
        a, b = list(range(number, number + 16)), [number] * 16
        steps.append({"INPUT0": a, "INPUT1": b})
        sums = [x + y for x, y in zip(a, b, strict=True)]
        differences = [x - y + wrong for x, y in zip(a, b, strict=True)]
        expected.append({"OUTPUT0": sums, "OUTPUT1": differences})
    return write(tmp_path, {"data": steps, "validation_data": expected})


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_an_unknown_model(triton, protocol):
    report = running.run("-m", "simpel", *at(triton, protocol))
    assert report.code == 99
    text = "failed to get model metadata: Request for unknown model: 'simpel' is not found"
    assert report.err.startswith(f"error: {text} (the server has no model 'simpel'")
    assert report.err.endswith("; did you mean 'simple'?)\n")


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize(
    "extra", [(), ("-b", "3"), ("--request-rate-range", "50", "-a"), ("--streaming",)]
)
def test_outputs_are_validated(triton, tmp_path, protocol, extra):
    if "--streaming" in extra and protocol == "http":
        pytest.skip("streams need gRPC")
    load = () if "--request-rate-range" in extra else ("--concurrency-range", "4")
    common = ("-m", "simple", *at(triton, protocol), *load, *extra, "--request-count", "60")
    report = running.run(*common, "--input-data", simple_data(tmp_path))
    assert report.code == 0, report.out + report.err
    assert " Successfully read data for 1 stream/streams with 5 step/steps." in report.out
    report = running.run(*common, "--input-data", simple_data(tmp_path, wrong=True))
    assert report.code == 4
    assert "wrong output: 60, such as: Output doesn't match expected output: " in report.out


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize(
    "extra", [("--concurrency-range", "4"), ("--request-rate-range", "60", "-a")]
)
def test_outputs_in_shared_memory_are_validated(triton, tmp_path, protocol, extra):
    common = ("-m", "simple", *at(triton, protocol), *extra, "--request-count", "100",
              "--shared-memory", "system")  # fmt: skip
    report = running.run(*common, "--input-data", simple_data(tmp_path))
    assert report.code == 0, report.out + report.err
    report = running.run(*common, "--input-data", simple_data(tmp_path, wrong=True))
    assert report.code == 4


def test_shared_memory_of_others_is_left_alone(triton, client):
    from tritonclient.shm.system import create_region

    with create_region(64) as region:
        client.register_system_shared_memory("others", region.key, 64)
        try:
            report = running.run(
                "-m", "simple", *at(triton), "--shared-memory", "system", "--request-count", "10"
            )
            assert report.code == 0, report.err
            names = [each.name for each in client.system_shared_memory_status()]
            assert names == ["others"]
        finally:
            client.unregister_system_shared_memory("others")


def test_trace_settings_are_put_back(triton, client):
    before = client.trace_settings()
    report = running.run(
        "-m", "simple", *at(triton), "--request-count", "10", "--trace-level", "TIMESTAMPS",
        "--trace-rate", "7",
    )  # fmt: skip
    assert report.code == 0, report.err
    assert client.trace_settings() == before


@pytest.mark.parametrize("arguments", [
    ("--concurrency-range", "3"),
    ("-i", "grpc", "--streaming", "--concurrency-range", "3"),
    ("--request-rate-range", "100", "--num-of-sequences", "3", "--serial-sequences"),
])  # fmt: skip
def test_sequences(triton, tmp_path, arguments):
    """The model adds one to the first of a sequence, so a wrong flag gives a wrong output."""
    steps = [{"INPUT": [n]} for n in (1, 2, 3, 4)]
    document = {"data": [steps, steps[:2]], "validation_data": [
        [{"OUTPUT": [n]} for n in (2, 2, 3, 4)], [{"OUTPUT": [n]} for n in (2, 2)]]}  # fmt: skip
    protocol = "grpc" if "grpc" in arguments else "http"
    report = running.run(
        "-m", "simple_sequence", *at(triton, protocol), *arguments, *QUICK, "--input-data",
        write(tmp_path, document),
    )  # fmt: skip
    assert report.code == 0, report.out + report.err
    assert " Successfully read data for 2 stream/streams.\n" in report.out
    count, sequences = report.number("Request count"), report.number("Sequence count")
    assert sequences == pytest.approx(count / 3, rel=0.2, abs=3)


@pytest.mark.parametrize(
    "load", [("--concurrency-range", "2"), ("--sync",), ("--request-rate-range", "30")]
)
def test_requests_that_only_end_sequences_are_not_counted(triton, load):
    report = running.run(
        "-m", "simple_sequence", *at(triton), *load, "--request-count", "33", "--sequence-length",
        "4",
    )  # fmt: skip
    assert report.code == 0, report.err
    assert report.number("Request count") == report.number("Successful request count") == 33


def test_the_pause_within_a_sequence(triton, tmp_path):
    path = tmp_path / "e.json"
    report = running.run(
        "-m", "simple_sequence", *at(triton), "--concurrency-range", "2", "--sequence-interval",
        "50", "--request-count", "80", "--profile-export-file", str(path),
    )  # fmt: skip
    assert report.code == 0, report.err
    sequences: dict[int, list[int]] = {}
    for each in json.loads(path.read_text())["experiments"][0]["requests"]:
        sequences.setdefault(each["sequence_id"], []).append(each["timestamp"])
    late = [
        (begin - min(begins)) / 1e6 - 50 * number
        for begins in sequences.values()
        for number, begin in enumerate(sorted(begins)[1:], 1)
    ]
    assert len(late) == 80 - len(sequences) > 40
    # As long as was asked for, and no longer where the machine had nothing else to do.
    assert 0 <= min(late) < 5


@pytest.fixture
def repeated(tmp_path):
    step = {"IN": [4, 2, 0, 1], "DELAY": [1, 1, 1, 1], "WAIT": [0]}
    return write(tmp_path, {"data": [step]})


def test_decoupled_models(triton, tmp_path, repeated):
    export, table = tmp_path / "e.json", tmp_path / "t.csv"
    common = ("-m", "repeat_int32", *at(triton, "grpc"), "--input-data", repeated)
    report = running.run(
        *common, "--streaming", "--request-count", "10", "--profile-export-file", str(export),
        "-f", str(table),
    )  # fmt: skip
    assert report.code == 0, report.err
    ratio = report.number("Response Throughput") / report.number("    Throughput")
    assert ratio == pytest.approx(4, rel=1e-4)
    for request in json.loads(export.read_text())["experiments"][0]["requests"]:
        values = [each["OUT"] for each in request["response_outputs"]]
        assert values == [4, 2, 0, 1, ""]
        assert request["response_timestamps"] == sorted(request["response_timestamps"])
    with table.open() as file:
        assert next(csv.reader(file))[2] == "Response Throughput"
    report = running.run(*common)
    assert report.code == 99
    assert "--streaming" in report.err


def test_periodic_concurrency(triton, tmp_path, repeated):
    for period, name in (("3", "a.json"), ("10", "b.json")):
        export = tmp_path / name
        report = running.run(
            "-m", "repeat_int32", *at(triton, "grpc"), "--streaming", "--input-data", repeated,
            "--periodic-concurrency-range", "2:6:2", "--request-period", period,
            "--profile-export-file", str(export),
        )  # fmt: skip
        assert report.code == 0, report.out + report.err
        requests = json.loads(export.read_text())["experiments"][0]["requests"]
        assert len(requests) == 6
        starts = sorted(request["timestamp"] for request in requests)
        thirds = sorted(request["response_timestamps"][2] for request in requests)
        assert starts[2] >= thirds[1] - 1  # the second two began when the first two had three


def test_ensembles(triton, tmp_path):
    image = (np.arange(64) % 255).astype(np.uint8).reshape(8, 8)
    from io import BytesIO

    from PIL import Image

    stream = BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    folder = tmp_path / "arrays"
    folder.mkdir()
    model = Client(triton.http_url)
    with model:
        metadata = model.model_metadata("ensemble_digits")
    name = metadata.inputs[0].name
    array = np.empty((1,), object)
    array[0] = stream.getvalue()
    import base64

    from tritonclient.datatypes import pack

    value = {"content": {"b64": base64.b64encode(pack(array, "BYTES")).decode()}, "shape": [1]}
    table = tmp_path / "ens.csv"
    report = running.run(
        "-m", "ensemble_digits", *at(triton), *QUICK, "-f", str(table), "--input-data",
        write(tmp_path, {"data": [{name: value}]}),
    )  # fmt: skip
    assert report.code == 0, report.out + report.err
    assert "\n  Composing models: \n" in report.out
    assert "+ compute " in report.out
    files = sorted(path.name for path in tmp_path.glob("*.ens.csv"))
    assert len(files) == 2
    with (tmp_path / files[0]).open() as file:
        assert next(csv.reader(file))[-1] == "Client Recv"


def test_errors_of_the_model_do_not_end_the_run(triton):
    report = running.run("-m", "failing", *at(triton), "--request-count", "10")
    assert report.code == 4
    assert "Errors: 10 (100.00%)" in report.out


_JSON = ("--input-tensor-format", "json", "--output-tensor-format", "json")


@pytest.mark.parametrize(
    "extra", [("--http-compression-algorithm", "gzip"), _JSON, ("-H", "x-test:1")]
)
def test_forms_of_http_requests(triton, tmp_path, extra):
    report = running.run(
        "-m", "simple", *at(triton), "--request-count", "20", *extra, "--input-data",
        simple_data(tmp_path),
    )  # fmt: skip
    assert report.code == 0, report.out + report.err


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_request_parameters_reach_the_server(triton, protocol):
    report = running.run(
        "-m", "simple", *at(triton, protocol), "--request-count", "5", "--request-parameter",
        "limit:5:int", "--request-parameter", "name:x:string", "--request-parameter",
        "flag:true:bool",
    )  # fmt: skip
    assert report.code == 0, report.out + report.err
