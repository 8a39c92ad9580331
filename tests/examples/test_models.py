"""The model repository: every ONNX model computes what it should, and every model has a twin."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from tests.support.servers.twins import build_repository

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "models"
IMAGES = sorted((ROOT / "examples/images/digits").glob("*.png"))
NAMES = sorted(
    path.parent.name
    for path in MODELS.glob("*/config.pbtxt")
    if 'platform: "ensemble"' not in path.read_text()  # which both servers run themselves
)


def load(path: str) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(MODELS / path), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(
    ("model", "datatype"), [("simple", np.int32), ("simple_int8", np.int8)], ids=str
)
@pytest.mark.parametrize("batch", [1, 8])
def test_sum_and_difference(model: str, datatype: type, batch: int) -> None:
    first = np.arange(batch * 16, dtype=datatype).reshape(batch, 16)
    second = np.full_like(first, 3)
    outputs = load(f"{model}/1/model.onnx").run(
        ["OUTPUT0", "OUTPUT1"], {"INPUT0": first, "INPUT1": second}
    )
    for output, expected in zip(outputs, [first + second, first - second], strict=True):
        assert output.dtype == datatype
        np.testing.assert_array_equal(output, expected)


@pytest.mark.parametrize("version", [1, 2])
def test_versions_differ(version: int) -> None:
    numbers = np.array([10, 20, 30], np.int32)
    (output,) = load(f"versioned/{version}/model.onnx").run(["OUTPUT0"], {"INPUT0": numbers})
    np.testing.assert_array_equal(output, numbers + version)


def test_digits_reads_every_example_image() -> None:
    assert len(IMAGES) == 20
    pixels = [
        np.asarray(Image.open(path).convert("L").resize((8, 8), Image.Resampling.BILINEAR))
        for path in IMAGES
    ]
    batch = np.stack(pixels)[:, np.newaxis].astype(np.float32) / 127.5 - 1
    (probabilities,) = load("digits/1/model.onnx").run(["PROBABILITIES"], {"IMAGE": batch})
    assert probabilities.shape == (20, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    read = {path.name: int(row.argmax()) for path, row in zip(IMAGES, probabilities, strict=True)}
    assert read == {path.name: int(path.name[0]) for path in IMAGES}


def test_digits_has_a_label_for_each_class() -> None:
    labels = (MODELS / "digits/labels.txt").read_text().split()
    assert len(set(labels)) == 10
    assert (labels[0], labels[9]) == ("ZERO", "NINE")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("twins") / "models"
    build_repository(MODELS, target)
    return target


@pytest.mark.parametrize("name", NAMES)
def test_every_model_has_a_python_twin(repository: Path, name: str) -> None:
    config = (repository / name / "config.pbtxt").read_text()
    assert config.count(f'name: "{name}"') == 1
    assert config.count('backend: "python"') == 1
    assert "onnxruntime" not in config
    assert "\ninput [" in config
    assert "\noutput [" in config
    versions = sorted(path.parent.name for path in (MODELS / name).glob("*/model.*"))
    assert versions
    assert versions == sorted(path.parent.name for path in (repository / name).glob("*/model.py"))


def test_the_minimal_configuration_is_completed(repository: Path) -> None:
    config = (repository / "simple_int8/config.pbtxt").read_text()
    for name in ("INPUT0", "INPUT1", "OUTPUT0", "OUTPUT1"):
        assert f'{{ name: "{name}" data_type: TYPE_INT8 dims: [ 16 ] }}' in config


def test_a_python_model_is_copied_unchanged(repository: Path) -> None:
    for file in ("config.pbtxt", "1/model.py"):
        original = MODELS / "simple_string" / file
        assert (repository / "simple_string" / file).read_text() == original.read_text()
