"""Trains the digits model on scikit-learn's handwritten digits and writes its files.

A picture of the data set is 8x8 grey values of 0..16. What the model must read is what an image
client with INCEPTION scaling makes of a PNG file: resized to 8x8 by Pillow's bilinear filter, then
x / 127.5 - 1 on 0..255. The example images are enlarged, so that people can see them, and resizing
them back blurs them a little. Hence the model learns both the sharp pictures and the blurred ones.
"""

from pathlib import Path

import numpy as np
from build_models import MODELS, save, tensors
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

SEED = 0
HIDDEN = 128
ENLARGED = 64  # pixels along an edge of an example image
EXAMPLES_PER_CLASS = 2
IMAGES = MODELS.parent / "examples/images/digits"
LABELS = ["ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE"]


def enlarge(pixels: np.ndarray) -> Image.Image:
    """The 8x8 grey picture as an example image."""
    return Image.fromarray(pixels).resize((ENLARGED, ENLARGED), Image.Resampling.NEAREST)


def shrink(image: Image.Image) -> np.ndarray:
    """Return the pixels that an image client gets from an example image, before scaling."""
    return np.asarray(image.resize((8, 8), Image.Resampling.BILINEAR))


def scale(pixels: np.ndarray) -> np.ndarray:
    """INCEPTION scaling of a stack of pictures, one row each."""
    return pixels.reshape(len(pixels), -1).astype(np.float32) / np.float32(127.5) - np.float32(1)


def shifted(pixels: np.ndarray) -> np.ndarray:
    """The pictures, and the same moved by one pixel up, down, left and right."""
    padded = np.pad(pixels, ((0, 0), (1, 1), (1, 1)))
    corners = [(1, 1), (0, 1), (2, 1), (1, 0), (1, 2)]
    return np.concatenate([padded[:, y : y + 8, x : x + 8] for y, x in corners])


def export(network: MLPClassifier, path: Path) -> None:
    """Writes the trained network as an ONNX model that takes images and answers probabilities."""
    weights = [
        numpy_helper.from_array(array.astype(np.float32), name)
        for name, array in zip(
            ["weights0", "bias0", "weights1", "bias1"],
            [network.coefs_[0], network.intercepts_[0], network.coefs_[1], network.intercepts_[1]],
            strict=True,
        )
    ]
    nodes = [
        helper.make_node("Flatten", ["IMAGE"], ["pixels"], axis=1),
        helper.make_node("Gemm", ["pixels", "weights0", "bias0"], ["sums0"]),
        helper.make_node("Relu", ["sums0"], ["hidden"]),
        helper.make_node("Gemm", ["hidden", "weights1", "bias1"], ["sums1"]),
        helper.make_node("Softmax", ["sums1"], ["PROBABILITIES"], axis=1),
    ]
    save(
        path,
        nodes,
        tensors(["IMAGE"], TensorProto.FLOAT, ["batch", 1, 8, 8]),
        tensors(["PROBABILITIES"], TensorProto.FLOAT, ["batch", 10]),
        weights,
    )


def main() -> None:
    digits = load_digits()
    pixels = np.round(digits.images * (255 / 16)).astype(np.uint8)
    classes = digits.target
    train, test = train_test_split(
        np.arange(len(classes)), test_size=0.2, random_state=SEED, stratify=classes
    )
    blurred = np.stack([shrink(enlarge(picture)) for picture in pixels])

    network = MLPClassifier([HIDDEN], alpha=1e-3, max_iter=1000, random_state=SEED)
    variants = [shifted(pixels[train]), shifted(blurred[train])]
    network.fit(
        scale(np.concatenate(variants)),
        np.tile(classes[train], sum(map(len, variants)) // len(train)),
    )
    for name, variant in (("as bundled", pixels), ("through enlarged images", blurred)):
        accuracy = network.score(scale(variant[test]), classes[test])
        print(f"accuracy on {len(test)} held-out digits, {name}: {accuracy:.4f}")

    export(network, MODELS / "digits/1/model.onnx")
    (MODELS / "digits/labels.txt").write_text("\n".join(LABELS) + "\n")
    IMAGES.mkdir(parents=True, exist_ok=True)
    for digit in range(10):
        for index in test[classes[test] == digit][:EXAMPLES_PER_CLASS]:
            enlarge(pixels[index]).save(IMAGES / f"{digit}_{index:04d}.png", optimize=True)


if __name__ == "__main__":
    main()
