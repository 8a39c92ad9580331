"""The image client: which models it takes, how it batches, what it prints, and its errors."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tritonclient.cli import ensemble_image_client, grpc_image_client, image_client
from tritonclient.cli.image_jobs import Batch, Classifier, Job, UsageError
from tritonclient.client.results import InferResult
from tritonclient.errors import Unavailable
from tritonclient.images import PixelFormat
from tritonclient.messages import InferResponse, InferTensor, ModelMetadata, TensorMetadata
from tritonclient.server import FunctionModel, Server
from tritonclient.testing import FaultServer

DIGITS = Path(__file__).parents[2] / "examples/images/digits"
ZERO = str(DIGITS / "0_0386.png")
LABELS = ["ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE"]


# Models


def metadata(
    input_shape: tuple[int, ...] = (-1, 3, 20, 10),
    output_shape: tuple[int, ...] = (-1, 1000),
    datatype: str = "FP32",
    output_datatype: str = "FP32",
    inputs: int = 1,
) -> ModelMetadata:
    return ModelMetadata(
        "m",
        inputs=tuple(TensorMetadata(f"in{i}", datatype, input_shape) for i in range(inputs)),
        outputs=(TensorMetadata("out", output_datatype, output_shape),),
    )


def config(layout: str = "FORMAT_NCHW", max_batch_size: int = 8) -> dict[str, Any]:
    return {"max_batch_size": max_batch_size, "input": [{"name": "in0", "format": layout}]}


@pytest.mark.parametrize(
    ("shape", "settings", "expected"),
    [
        ((-1, 3, 20, 10), config(), (20, 10, 3, True)),
        ((-1, 20, 10, 3), config("FORMAT_NHWC"), (20, 10, 3, False)),
        ((1, 20, 10), config(max_batch_size=0), (20, 10, 1, True)),
        ((1, 3, 20, 10), config(max_batch_size=0), (20, 10, 3, True, True)),
        ((1, 3, 20, 10), config("FORMAT_NONE", 0), (20, 10, 3, True, True)),
        ((1, 20, 10, 1), config("FORMAT_NONE", 0), (20, 10, 1, False, True)),
        ((1, 1, 20, 10), {}, (20, 10, 1, True, True)),
    ],
)
def test_pixel_format_of_a_model(
    shape: tuple[int, ...], settings: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    batched = bool(settings.get("max_batch_size"))
    described = metadata(shape, (-1, 1000, 1, 1) if batched else (1, 1000))
    model = Classifier.of("m", "", described, settings)
    assert model.pixels == PixelFormat(*expected[:4], "FP32", *expected[4:])
    assert (model.input, model.output) == ("in0", "out")


@pytest.mark.parametrize(
    ("described", "settings", "message"),
    [
        (metadata(inputs=2), config(), r"2 inputs, not 1.*in1 FP32 \[-1, 3, 20, 10\]"),
        (metadata((-1, 16)), config(), r"1 dimensions, not 3.*in0 FP32 \[-1, 16\]"),
        (metadata(), config("FORMAT_NONE"), "the format FORMAT_NONE, not FORMAT_NCHW"),
        (metadata(), {"max_batch_size": 8}, "the format FORMAT_NONE"),
        (metadata((3, 20, 10)), config("FORMAT_NONE", 0), "the format FORMAT_NONE"),
        (metadata((1, 3, 20, 3)), config("FORMAT_NONE", 0), "the format FORMAT_NONE"),
        (metadata((1, 20, 10, 4)), config("FORMAT_NONE", 0), "the format FORMAT_NONE"),
        (metadata((2, 3, 20, 10)), config(max_batch_size=0), "4 dimensions, not 3"),
        (metadata((-1, 3, -1, -1)), config(), r"images of any size.*\[-1, 3, -1, -1\]"),
        (metadata((-1, 4, 20, 10)), config(), "4 channels, not 1 or 3"),
        (metadata(), config("FORMAT_NHWC"), "10 channels"),
        (metadata(datatype="BYTES"), config(), "input is BYTES"),
        (metadata(output_datatype="BYTES"), config(), "output is BYTES"),
        (metadata(output_shape=(-1, 10, 10)), config(), r"not a list of scores.*\[-1, 10, 10\]"),
    ],
)
def test_other_models_are_explained(
    described: ModelMetadata, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        Classifier.of("m", "", described, settings)


# Batches and reports


def job(files: list[str], batch_size: int, max_batch_size: int = 8, **options: Any) -> Job:
    shape = (-1, 1, 8, 8) if max_batch_size else (1, 8, 8)
    described = metadata(shape, (-1, 10) if max_batch_size else (10,))
    model = Classifier.of("m", "", described, config(max_batch_size=max_batch_size))
    return Job(model, files, batch_size, **options)


@pytest.mark.parametrize(
    ("files", "size", "expected"),
    [
        ("a", 1, ["a"]),
        ("a", 3, ["aaa"]),
        ("ab", 1, ["a", "b"]),
        ("abc", 2, ["ab", "ca"]),
        ("abcd", 2, ["ab", "cd"]),
        ("ab", 5, ["ababa"]),
    ],
)
def test_batches_are_filled_up_with_the_first_images(
    files: str, size: int, expected: list[str]
) -> None:
    batches = list(job(list(files), size).batches())
    assert ["".join(batch.files) for batch in batches] == expected
    assert [batch.number for batch in batches] == list(range(len(expected)))


def test_inputs_of_a_batch() -> None:
    task = job([ZERO], 3)
    (batch,) = task.batches()
    tensor = task.inputs(batch)["in0"]
    assert tensor.datatype == "FP32"
    assert tensor.array.shape == (3, 1, 8, 8)
    assert (tensor.array[0] == tensor.array[2]).all()


def test_inputs_of_a_model_that_does_not_batch() -> None:
    task = job([ZERO], 1, max_batch_size=0)
    (batch,) = task.batches()
    assert task.inputs(batch)["in0"].array.shape == (1, 8, 8)


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (job(["a"], 9), "at most 8 images in a batch, not 9"),
        (job(["a"], 2, max_batch_size=0), "does not support batching"),
    ],
)
def test_batch_sizes_that_a_model_does_not_take(task: Job, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        task.check()


def answer(*texts: bytes, shape: tuple[int, ...]) -> InferResult:
    data = b"".join(len(text).to_bytes(4, "little") + text for text in texts)
    return InferResult(InferResponse(outputs=(InferTensor("out", "BYTES", shape, data),)))


def test_report_as_the_original_readme_shows_it() -> None:
    batch = Batch(0, ("qa/images/mug.jpg",) * 2)
    texts = [b"0.754130:505:COFFEE MUG", b"0.157077:969:CUP"]
    result = answer(*texts, *texts, shape=(2, 2))
    assert job([], 2).report(batch, result).splitlines() == [
        "Request 0, batch size 2",
        "Image 'qa/images/mug.jpg':",
        "    0.754130 (505) = COFFEE MUG",
        "    0.157077 (969) = CUP",
        "Image 'qa/images/mug.jpg':",
        "    0.754130 (505) = COFFEE MUG",
        "    0.157077 (969) = CUP",
    ]


def test_report_of_a_model_that_does_not_batch_and_has_no_labels() -> None:
    report = job([], 1, max_batch_size=0).report(Batch(3, ("a",)), answer(b"1.5:2", shape=(1,)))
    assert report.splitlines() == ["Request 3, batch size 1", "Image 'a':", "    1.500000 (2)"]


def test_report_of_too_few_answers() -> None:
    result = answer(b"1:1", shape=(1, 1))
    with pytest.raises(image_client.ProtocolError, match=r"classes of 2 images.*\[1, 1\]"):
        job([], 2).report(Batch(0, ("a", "b")), result)


# The whole program


@pytest.fixture(params=["embedded", "triton"])
def server(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["http", "grpc"])
def url(request: pytest.FixtureRequest, server: Any) -> str:
    return str(getattr(server, f"{request.param}_url"))


def classify(url: str, *arguments: str) -> int:
    return image_client.main(["-u", url, "-m", "digits", "-s", "INCEPTION", *arguments])


def test_one_image(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert classify(url, ZERO) == 0
    output = capsys.readouterr()
    assert output.out == (
        f"Request 0, batch size 1\nImage '{ZERO}':\n    1.000000 (0) = ZERO\nPASS\n"
    )
    assert output.err == ""


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_folder(url: str, mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["-a"] if mode == "async" else []
    assert classify(url, *flags, "-b", "8", "-c", "2", "-x", "1", str(DIGITS)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("Request")] == [
        f"Request {number}, batch size 8" for number in range(3)
    ]
    files = sorted(path.name for path in DIGITS.iterdir())
    named = [(line, best) for line, best, _ in zip(lines, lines[1:], lines[2:], strict=False)]
    read = [
        (os.path.basename(line[7:-2]), best.split(" = ")[1])
        for line, best in named
        if line.startswith("Image")
    ]
    assert read == [(name, LABELS[int(name[0])]) for name in files + files[:4]]
    assert lines[-1] == "PASS"


def test_more_requests_than_are_under_way_at_once(
    url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_client, "IN_FLIGHT", 3)
    outputs = []
    for flags in ([], ["--async"]):
        assert classify(url, *flags, "-c", "3", str(DIGITS)) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0].count("Request") == 20
    assert outputs[1] == outputs[0]


@pytest.mark.parametrize("flags", [["--streaming"], ["--streaming", "-a"]])
def test_streaming_shows_what_single_requests_show(
    server: Any, flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert classify(server.http_url, "-c", "3", str(DIGITS)) == 0
    expected = capsys.readouterr().out
    address = server.grpc_url.removeprefix("grpc://")
    assert classify(address, "-i", "gRPC", *flags, "-c", "3", str(DIGITS)) == 0
    assert capsys.readouterr().out == expected


@pytest.mark.parametrize("flags", [[], ["-a"], ["--streaming"]], ids=str)
def test_the_generated_api_shows_the_same_classes(
    server: Any,
    flags: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(grpc_image_client, "IN_FLIGHT", 2)  # of 3 requests
    common = ["-m", "digits", "-s", "INCEPTION", "-b", "8", "-c", "3", str(DIGITS)]
    assert image_client.main(["-u", server.http_url, *common]) == 0
    expected = capsys.readouterr().out.splitlines()
    address = server.grpc_url.removeprefix("grpc://")
    assert grpc_image_client.main(["-u", address, *flags, *common]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown == [line for line in expected if not line.startswith("Request")]


@pytest.mark.parametrize("flags", [[], ["--streaming"]], ids=str)
def test_the_generated_api_tells_errors(
    embedded: Any, flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    address = embedded.grpc_address
    assert grpc_image_client.main(["-u", address, "-m", "nope", *flags, ZERO]) == 1
    assert "grpc_image_client: error: " in (error := capsys.readouterr().err)
    assert "unknown model: 'nope'" in error
    assert grpc_image_client.main(["-u", "127.0.0.1:1", "-m", "digits", *flags, ZERO]) == 1
    assert "127.0.0.1:1" in capsys.readouterr().err


def test_an_ensemble_takes_the_files(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["-m", "ensemble_digits", "-c", "2"]
    assert ensemble_image_client.main(["-u", url, *flags, str(DIGITS)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "PASS"
    files = sorted(DIGITS.iterdir())
    blocks = [lines[start : start + 5] for start in range(0, len(lines) - 1, 5)]
    for file, (blank, name, output, best, second) in zip(files, blocks, strict=True):
        assert (blank, name, output) == ("", f'"{file}":', "  [OUTPUT]:")
        assert best.endswith(f"({file.name[0]}) = {LABELS[int(file.name[0])]}")
        assert re.match(r"    0\.\d{6} \(\d\) = [A-Z]+$", second)


def test_an_ensemble_gets_as_many_requests_as_its_images_need(
    embedded: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(66):
        shutil.copy(ZERO, tmp_path / f"{number:03}.png")
    flags = ["-m", "ensemble_digits", str(tmp_path)]
    assert ensemble_image_client.main(["-u", embedded.http_url, *flags]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    assert output.out.count("ZERO") == 66
    (tmp_path / "065.png").write_bytes(b"no image")
    assert ensemble_image_client.main(["-u", embedded.http_url, *flags]) == 1
    output = capsys.readouterr()
    assert re.search(r"error: \[400\] '\S+065\.png': .*cannot identify image", output.err)
    assert output.out.count("ZERO") == 64


def test_a_model_with_a_first_dimension_of_one(capsys: pytest.CaptureFixture[str]) -> None:
    """It does not batch, and its configuration names no order of the channels."""
    shapes = []

    def brightest_row(IMAGE: Any) -> Any:
        shapes.append(IMAGE.shape)
        return {"ROWS": IMAGE.sum(axis=(0, 1, 3))}

    model = FunctionModel(
        brightest_row, inputs={"IMAGE": ("FP32", [1, 1, 8, 8])}, outputs={"ROWS": ("FP32", [8])}
    )
    with Server(models={"rows": model}) as server:
        for url in (server.http_url, server.grpc_url):
            flags = ["-i", url.partition(":")[0], "-u", url, "-m", "rows", "-c", "2"]
            assert image_client.main([*flags, ZERO, ZERO]) == 0
    assert shapes == [(1, 1, 8, 8)] * 4
    assert capsys.readouterr().out.count("Image ") == 4


@pytest.mark.parametrize("as_json", [False, True])
def test_an_ensemble_that_keeps_going(
    embedded: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    """The bad file is named and counted, and those of its request are classified."""
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    flags = ["-m", "ensemble_digits", "-x", "1", "-c", "2", "--keep-going"]
    flags += ["--json"] if as_json else []
    given = [ZERO, str(bad), str(DIGITS)]
    assert ensemble_image_client.main(["-u", embedded.http_url, *flags, *given]) == 1
    output = capsys.readouterr()
    count = len(list(DIGITS.iterdir())) + 1
    assert f"ensemble_image_client: {count} of {count + 1} images classified" in output.err
    if not as_json:
        assert output.out.endswith("FAIL\n")
        assert output.out.count("[OUTPUT]") == count
        assert f"error: {str(bad)!r}: [400]" in output.err
        return
    lines = [json.loads(line) for line in output.out.splitlines()]
    (failure,) = (line for line in lines if "error" in line)
    assert failure["image"] == str(bad)
    assert "cannot identify image" in failure["error"]
    lines.remove(failure)
    assert len(lines) == count
    for line in lines:
        assert line["request"] == 0
        best, second = line["outputs"]["OUTPUT"]
        assert best["label"] == LABELS[int(Path(line["image"]).name[0])]
        assert best["value"] >= second["value"]
    assert ensemble_image_client.main(["-u", embedded.http_url, *flags, ZERO]) == 0


def test_an_ensemble_must_take_files(embedded: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert ensemble_image_client.main(["-u", embedded.http_url, "-m", "digits", ZERO]) == 1
    assert "does not take image files" in capsys.readouterr().err


def test_an_unreadable_image_ends_the_stream(
    embedded: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(ZERO, tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(Path(ZERO).read_bytes()[:60])
    assert classify(embedded.grpc_url, "--streaming", str(tmp_path)) == 1
    assert "b.png' can't be read" in capsys.readouterr().err
    flags = ["-u", embedded.grpc_address, "-m", "digits", "-s", "INCEPTION", "--streaming"]
    assert grpc_image_client.main([*flags, str(tmp_path)]) == 1
    output = capsys.readouterr()
    assert output.out == f"Image '{tmp_path}/a.png':\n    1.000000 (0) = ZERO\n"
    assert "b.png' can't be read" in output.err


@pytest.mark.parametrize("flags", [[], ["-a"], ["--streaming"], ["-b", "2"]])
def test_keep_going(
    embedded: Any, tmp_path: Path, flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(ZERO, tmp_path / "c.png")
    (tmp_path / "b.png").write_bytes(Path(ZERO).read_bytes()[:60])
    given = [*flags, "--keep-going", ZERO, str(tmp_path)]
    assert classify(embedded.grpc_url, *given) == 1
    output = capsys.readouterr()
    assert output.out.count("ZERO") == 2
    assert output.out.endswith("FAIL\n")
    assert re.search(r"error: image '\S+b\.png' can't be read", output.err)
    assert output.err.endswith("image_client: 2 of 3 images classified\n")
    assert classify(embedded.grpc_url, *given, "--json") == 1
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["image"] for each in found] == [f"{tmp_path}/b.png", ZERO, f"{tmp_path}/c.png"]
    assert "can't be read" in found[0]["error"]
    assert found[1]["classes"] == [{"value": 1.0, "index": 0, "label": "ZERO"}]


@pytest.mark.parametrize("flags", [[], ["-a"], ["--streaming"]])
def test_keep_going_after_the_server_refuses(
    flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with FaultServer(models={"digits": DIGITS.parents[2] / "models/digits"}) as server:
        server.fail_next("digits", Unavailable("busy"))
        assert classify(server.grpc_url, *flags, "--keep-going", ZERO, ZERO, ZERO) == 1
        output = capsys.readouterr()
        assert output.out.count("ZERO") == 2
        assert f"error: '{ZERO}': " in output.err
        assert "busy" in output.err
        assert output.err.endswith("image_client: 2 of 3 images classified\n")
        server.fail_next("digits", Unavailable("busy"))
        assert classify(server.grpc_url, *flags, ZERO, ZERO) == 1
        assert "2 of 3" not in capsys.readouterr().err


@pytest.mark.parametrize("flags", [[], ["-a"], ["--streaming"]])
def test_the_generated_api_keeps_going(
    tmp_path: Path, flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "b.png").write_bytes(Path(ZERO).read_bytes()[:60])
    with FaultServer(models={"digits": DIGITS.parents[2] / "models/digits"}) as server:
        common = ["-u", server.grpc_url, "-m", "digits", "-s", "INCEPTION", *flags]
        given = [*common, "--keep-going", "--json", ZERO, ZERO, ZERO, str(tmp_path)]
        server.fail_next("digits", Unavailable("busy"))
        assert grpc_image_client.main(given) == 1
        output = capsys.readouterr()
        found = [json.loads(line) for line in output.out.splitlines()]
        assert [each["image"] for each in found] == [f"{tmp_path}/b.png", ZERO, ZERO, ZERO]
        assert "can't be read" in found[0]["error"]
        (failed,) = (each for each in found[1:] if "error" in each)
        assert "busy" in failed["error"]
        best = [each["classes"] for each in found if "classes" in each]
        assert best == [[{"value": 1.0, "index": 0, "label": "ZERO"}]] * 2
        assert output.err.endswith("grpc_image_client: 2 of 4 images classified\n")
        server.fail_next("digits", Unavailable("busy"))
        assert grpc_image_client.main([*common, ZERO, ZERO]) == 1
        assert "busy" in capsys.readouterr().err


def test_json_leaves_out_what_fills_the_batch_up(
    embedded: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert classify(embedded.http_url, "--json", "-b", "4", "-c", "2", ZERO) == 0
    output = capsys.readouterr()
    (found,) = map(json.loads, output.out.splitlines())
    assert (found["image"], len(found["classes"]), output.err) == (ZERO, 2, "")


MEASURES = """
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        return [pb_utils.InferenceResponse([self.measure(request)]) for request in requests]

    def measure(self, request):
        files = pb_utils.get_input_tensor_by_name(request, "FILE").as_numpy()
        sizes = [[len(file), file.endswith(bytes(3))] for file in files[:, 0]]
        return pb_utils.Tensor("SIZE", np.array(sizes, np.float32))
"""
MEASURES_CONFIG = """
backend: "python" max_batch_size: 8
input [ { name: "FILE" data_type: TYPE_STRING dims: [ 1 ] } ]
output [ { name: "SIZE" data_type: TYPE_FP32 dims: [ 2 ] } ]
"""


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_an_ensemble_gets_files_with_all_their_nuls(
    protocol: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "models/measures/1").mkdir(parents=True)
    (tmp_path / "models/measures/1/model.py").write_text(MEASURES)
    (tmp_path / "models/measures/config.pbtxt").write_text(MEASURES_CONFIG)
    content = Path(ZERO).read_bytes() + bytes(3)
    (tmp_path / "zero.png").write_bytes(content)
    with Server(tmp_path / "models") as server:
        url = getattr(server, f"{protocol}_url")
        flags = ["-u", url, "-i", protocol, "-m", "measures", "-c", "2"]
        assert ensemble_image_client.main([*flags, str(tmp_path / "zero.png")]) == 0
    assert capsys.readouterr().out.splitlines()[3:] == [
        f"    {len(content)}.000000 (0)",
        "    1.000000 (1)",
        "PASS",
    ]


def test_url_without_scheme(embedded: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert classify(embedded.http_address, "-i", "http", ZERO) == 0
    assert "ZERO" in capsys.readouterr().out


def test_verbose_tells_what_it_does(embedded: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert classify(embedded.http_url, "-v", ZERO) == 0
    notes = capsys.readouterr().err
    assert "model digits: IMAGE FP32 [-1, 1, 8, 8] -> PROBABILITIES FP32 [-1, 10]" in notes
    assert "8x8 grey NCHW FP32, INCEPTION scaling" in notes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-m", "simple", ZERO], "2 inputs, not 1, so it is no image classifier: simple: INPUT0"),
        (["-m", "nowhere", ZERO], "nowhere"),
        (["-m", "digits", "-x", "7", ZERO], "version"),
        (["-m", "digits", "-b", "65", ZERO], "at most 64 images in a batch, not 65"),
        (["-m", "digits", "nowhere.png"], "there is no file or folder 'nowhere.png'"),
        (["-m", "digits", "-a", __file__], "test_image_client.py' is not an image"),
        (["-m", "digits", "-i", "gRPC", ZERO], "is not one of gRPC"),
        (["-m", "digits", "-i", "telnet", ZERO], "expected HTTP or gRPC"),
        (["-m", "digits", "--streaming", ZERO], "Streaming is only allowed with gRPC protocol"),
        (["-m", "digits", "-u", "http://", ZERO], "has no host"),
        (["-m", "digits", "-u", "localhost:1", ZERO], "can't connect"),
    ],
)
@pytest.mark.parametrize("verbose", [False, True])
def test_errors_are_one_line(
    embedded: Any,
    arguments: list[str],
    message: str,
    verbose: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    flags = ["-v"] if verbose else []
    assert image_client.main(["-u", embedded.http_url, *flags, *arguments]) == 1
    output = capsys.readouterr()
    *before, error = output.err.splitlines()
    assert error.startswith("image_client: error: ")
    assert message in error
    assert "PASS" not in output.out
    assert bool(before) == verbose


COLOUR_MODEL = """
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        return [pb_utils.InferenceResponse([self.mean(request)]) for request in requests]

    def mean(self, request):
        image = pb_utils.get_input_tensor_by_name(request, "IMAGE").as_numpy()
        return pb_utils.Tensor("COLOUR", image.mean(axis=(0, 1)).astype(np.float32))
"""
COLOUR_CONFIG = """
backend: "python"
input [ { name: "IMAGE" data_type: TYPE_UINT8 format: FORMAT_NHWC dims: [ 2, 4, 3 ] } ]
output [ { name: "COLOUR" data_type: TYPE_FP32 dims: [ 3 ] } ]
"""


def test_integer_images_channels_last_no_batch_no_labels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "colour/1").mkdir(parents=True)
    (tmp_path / "colour/1/model.py").write_text(COLOUR_MODEL)
    (tmp_path / "colour/config.pbtxt").write_text(COLOUR_CONFIG)
    path = str(tmp_path / "blue.png")
    Image.new("RGB", (9, 7), (10, 20, 200)).save(path)
    with Server(tmp_path) as server:
        command = ["-u", server.http_url, "-m", "colour", path]
        assert image_client.main([*command, "-c", "2"]) == 0
        output = capsys.readouterr().out
        assert f"Image '{path}':\n    200.000000 (2)\n    20.000000 (1)\nPASS" in output
        assert image_client.main([*command, "-s", "VGG"]) == 1
        assert "is UINT8, which can't hold what VGG" in capsys.readouterr().err
        assert image_client.main([*command, "-b", "2"]) == 1
        assert "does not support batching" in capsys.readouterr().err


def test_skipped_files_are_noted(
    embedded: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    Image.open(ZERO).save(tmp_path / "zero.png")
    assert classify(embedded.http_url, str(tmp_path)) == 0
    output = capsys.readouterr()
    assert output.err == f"image_client: skipped '{tmp_path}/notes.txt': no image\n"
    assert "ZERO" in output.out


def test_missing_pillow(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    assert classify("localhost:1", ZERO) == 1
    assert "pip install pillow" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("program", "module", "cure"),
    [
        ("image_client", "hpack", "pip install hpack protobuf"),
        ("grpc_image_client", "grpc", "pip install grpcio hpack protobuf"),
    ],
)
def test_missing_extras(program: str, module: str, cure: str) -> None:
    code = (
        f"import sys; sys.modules[{module!r}] = None\n"
        f"from tritonclient.cli.{program} import main\n"
        f"sys.exit(main(['-m', 'digits', '-u', 'localhost:1', {ZERO!r}, *sys.argv[1:]]))"
    )
    protocol = ["-i", "grpc"] if program == "image_client" else []
    command = [sys.executable, "-c", code, *protocol]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{program}: error: ")
    assert done.stderr.count("\n") == 1
    assert f"{cure}\n" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["-m", "m"], ["-m", "m", "-b", "0", "x"]])
def test_wrong_flags(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        image_client.main(arguments)
    assert ended.value.code == 2
    assert "usage: image_client" in capsys.readouterr().err


COMMAND = [sys.executable, "-W", "error", "-m", "tritonclient.cli.image_client"]


def test_as_a_process(embedded: Any) -> None:
    flags = ["-u", embedded.http_url, "-m", "digits", "-s", "inception", "-b", "2"]
    done = subprocess.run([*COMMAND, *flags, ZERO], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count(f"Image '{ZERO}':\n    1.000000 (0) = ZERO\n") == 2


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send to a single process")
@pytest.mark.parametrize("flags", [[], ["--async"]], ids=["sync", "async"])
def test_interrupting_it_is_quiet(flags: list[str]) -> None:
    def interruptible() -> None:  # even when whoever runs the tests ignores the signal
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        command = [*COMMAND, "-u", f"127.0.0.1:{listener.getsockname()[1]}", "-m", "m", ZERO]
        process = subprocess.Popen(
            [*command, *flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=interruptible,
        )
        connection, _ = listener.accept()
        with connection:
            assert connection.recv(1)  # it has asked, and now waits for an answer
            process.send_signal(signal.SIGINT)
            output = process.communicate(timeout=60)
    assert (process.returncode, *output) == (130, b"", b"")
