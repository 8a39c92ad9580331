"""From image files to tensors: scaling against numbers worked out by hand, and finding files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tritonclient import images
from tritonclient.images import ImageError, PixelFormat

PNG = (Path(__file__).parents[2] / "examples/images/digits/0_0386.png").read_bytes()


def picture(pixels: Any, dtype: Any = np.uint8) -> Image.Image:
    return Image.fromarray(np.array(pixels, dtype))


def pixel_format(
    height: int, width: int, channels: int = 3, first: bool = False, datatype: str = "FP32"
) -> PixelFormat:
    return PixelFormat(height, width, channels, first, datatype)


# Two rows and two columns, each channel with values of its own.
COLOURED = picture([[[0, 51, 255], [10, 20, 30]], [[40, 50, 60], [123, 117, 104]]])


@pytest.mark.parametrize(
    ("scaling", "expected"),
    [
        ("NONE", [0, 51, 255]),
        ("INCEPTION", [-1, -0.6, 1]),
        ("VGG", [-123, -66, 151]),
    ],
)
def test_scaling(scaling: str, expected: list[float]) -> None:
    tensor = images.to_tensor(COLOURED, pixel_format(2, 2), scaling)
    assert tensor.dtype == np.float32
    assert tensor.shape == (2, 2, 3)
    np.testing.assert_allclose(tensor[0, 0], expected, rtol=1e-6)


def test_vgg_scaling_of_the_mean_colour_and_of_mid_grey_is_zero() -> None:
    assert not images.to_tensor(COLOURED, pixel_format(2, 2), "VGG")[1, 1].any()
    grey = images.to_tensor(picture([[128, 0]]), pixel_format(1, 2, 1), "VGG")
    np.testing.assert_array_equal(grey, [[[0], [-128]]])


def test_channels_first_is_the_same_numbers_transposed() -> None:
    last = images.to_tensor(COLOURED, pixel_format(2, 2), "NONE")
    first = images.to_tensor(COLOURED, pixel_format(2, 2, first=True), "NONE")
    assert first.flags.c_contiguous
    np.testing.assert_array_equal(first[0], [[0, 10], [40, 123]])
    np.testing.assert_array_equal(first, last.transpose(2, 0, 1))


def test_resizing_is_bilinear_over_all_pixels() -> None:
    # Triangular weights .75 .75 .25 for an edge of 4 made 2, divided by their sum.
    wide = picture([[0, 0, 100, 100], [0, 0, 100, 100]])
    tensor = images.to_tensor(wide, pixel_format(2, 2, 1), "NONE")
    np.testing.assert_array_equal(tensor[:, :, 0], [[14, 86], [14, 86]])


def test_height_and_width_are_not_mixed_up() -> None:
    wide = picture([[1, 2, 3]])
    assert images.to_tensor(wide, pixel_format(1, 3, 1), "NONE").shape == (1, 3, 1)
    assert images.to_tensor(wide, pixel_format(1, 3, 1, first=True), "NONE").shape == (1, 1, 3)


def _transparent_palette() -> Image.Image:
    image = picture([[[200, 100, 50]]]).quantize(4)
    image.info["transparency"] = b"\x80\xff"
    return image


RED = picture([[[255, 0, 0]]])


@pytest.mark.parametrize(
    ("image", "channels", "expected"),
    [
        (RED, 1, [76]),  # 0.299 of 255
        (picture([[7]]), 3, [7, 7, 7]),
        (RED.convert("RGBA"), 3, [255, 0, 0]),
        (picture([[[1, 2, 3, 0]]]), 3, [1, 2, 3]),  # transparent
        (picture([[9]]).convert("LA"), 1, [9]),
        (RED.quantize(4), 3, [255, 0, 0]),
        (_transparent_palette(), 3, [200, 100, 50]),
        (RED.convert("CMYK"), 3, [255, 0, 0]),
        (Image.new("1", (1, 1), 1), 1, [255]),
        (picture([[65535]], np.uint16), 1, [255]),
        (picture([[32768]], np.uint16), 3, [128, 128, 128]),
        (picture([[257]], np.int32), 1, [1]),
        (picture([[0]], ">u2"), 1, [0]),
    ],
    ids=lambda value: value.mode if isinstance(value, Image.Image) else "",
)
def test_every_kind_of_pixels(image: Image.Image, channels: int, expected: list[int]) -> None:
    tensor = images.to_tensor(image, pixel_format(1, 1, channels), "NONE")
    np.testing.assert_array_equal(tensor[0, 0], expected)


@pytest.mark.parametrize("image", [picture([[70000]], np.int32), picture([[0.5]], np.float32)])
def test_kinds_of_pixels_without_a_known_range(image: Image.Image) -> None:
    with pytest.raises(ImageError, match="its pixels"):
        images.to_tensor(image, pixel_format(1, 1), "NONE")


@pytest.mark.parametrize(
    ("datatype", "scaling", "dtype"),
    [
        ("UINT8", "NONE", np.uint8),
        ("INT16", "VGG", np.int16),
        ("INT64", "VGG", np.int64),
        ("FP16", "INCEPTION", np.float16),
        ("FP64", "VGG", np.float64),
        ("BF16", "INCEPTION", np.float32),  # packed as BF16 when it is sent
    ],
)
def test_datatypes(datatype: str, scaling: str, dtype: type) -> None:
    pixels = pixel_format(2, 2, datatype=datatype)
    images.check_scaling(pixels, scaling)
    tensor = images.to_tensor(COLOURED, pixels, scaling)
    assert tensor.dtype == dtype
    exact = images.to_tensor(COLOURED, pixel_format(2, 2), scaling)
    np.testing.assert_allclose(tensor.astype(np.float32), exact, rtol=1e-3)


def test_grey_vgg_scaling_just_fits_int8() -> None:
    images.check_scaling(pixel_format(1, 1, 1, datatype="INT8"), "VGG")


@pytest.mark.parametrize(
    ("datatype", "scaling", "message"),
    [
        ("UINT8", "INCEPTION", "is UINT8, .* INCEPTION scaling makes: fractions from -1 to 1"),
        ("UINT8", "VGG", "is UINT8, .* VGG scaling makes: -123 to 151"),
        ("INT8", "VGG", "is INT8, .* VGG scaling makes: -123 to 151"),
        ("INT8", "NONE", "is INT8, .* NONE scaling makes: 0 to 255"),
    ],
)
def test_scalings_that_a_datatype_cannot_hold(datatype: str, scaling: str, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        images.check_scaling(pixel_format(1, 1, datatype=datatype), scaling)


# Files


def test_a_folder_is_its_images_in_order(tmp_path: Path) -> None:
    for name in ("b.png", "a.jpg", "without-suffix"):
        RED.save(tmp_path / name, "PNG")
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "broken.png").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    RED.save(tmp_path / "folder/c.png")
    skipped: list[str] = []
    found = images.find(str(tmp_path), skipped.append)
    assert [os.path.basename(path) for path in found] == [
        "a.jpg",
        "b.png",
        "broken.png",  # says that it is an image, so reading it shall fail
        "without-suffix",
    ]
    assert skipped == [str(tmp_path / "notes.txt")]


def test_a_folder_without_images(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no images in the folder"):
        images.find(str(tmp_path), print)


@pytest.mark.parametrize("content", [b"", b"text", PNG[:100]])
def test_damaged_images_are_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "damaged.png"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=r"damaged\.png"):
        images.read(str(path), pixel_format(8, 8, 1), "NONE")
