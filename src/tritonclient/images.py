"""Image files into tensors: finding and reading them, and scaling their pixels for a model.

Pillow is imported where it is needed, because only those who read images have it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from .datatypes import NUMPY, Array
from .extras import install_command
from .messages import TensorMetadata

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

#: What -s offers; see `scale`.
SCALINGS = ("NONE", "INCEPTION", "VGG")
#: The mean colour that VGG networks were trained around (red, green, blue), and mid grey.
VGG_MEAN = {3: (123, 117, 104), 1: (128,)}


class ImageError(Exception):
    """Images can't be had, or not in the form that is asked for; the message says which and why."""


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """The form in which a model wants one image.

    Attributes:
        channels: 1 for grey values, 3 for red, green and blue.
        channels_first: whether a tensor is [channels, height, width] (NCHW) rather than
            [height, width, channels] (NHWC).
        datatype: the v2 datatype of the numbers.
        leading: whether the tensor has a first dimension of 1 that is not the batch.
    """

    height: int
    width: int
    channels: int
    channels_first: bool
    datatype: str
    leading: bool = False

    def __str__(self) -> str:
        layout = "NCHW" if self.channels_first else "NHWC"
        colours = "grey" if self.channels == 1 else "RGB"
        return f"{self.width}x{self.height} {colours} {layout} {self.datatype}"


def pixel_format(image: TensorMetadata, batched: bool, config: Mapping[str, Any]) -> PixelFormat:
    """Return the form of the images that an input takes.

    Args:
        image: the input.
        batched: whether the first dimension of its shape is the batch.
        config: the model's configuration, which tells the layout.

    Raises:
        ImageError: the input takes no images, or none of a known form.
    """
    shape = image.shape[1:] if batched else image.shape
    if image.datatype in ("BYTES", "BOOL"):
        raise ImageError(f"the model's input is {image.datatype}, not pixels")
    leading = not batched and len(shape) == 4 and shape[0] == 1
    if leading:
        shape = shape[1:]
    if len(shape) != 3:
        raise ImageError(f"the model's input has {len(shape)} dimensions, not 3, for an image")
    declared = [each for each in config.get("input", ()) if each.get("name") == image.name]
    layout = str(declared[0].get("format", "FORMAT_NONE") if declared else "FORMAT_NONE")
    if leading and layout == "FORMAT_NONE":
        layout = _layout_of(shape)
    if layout == "FORMAT_NCHW":
        channels, height, width = shape
    elif layout == "FORMAT_NHWC":
        height, width, channels = shape
    else:
        raise ImageError(
            f"the model's configuration gives its input the format {layout}, "
            "not FORMAT_NCHW or FORMAT_NHWC"
        )
    if height < 1 or width < 1:
        raise ImageError("the model takes images of any size, and so names none to resize to")
    if channels not in (1, 3):
        raise ImageError(f"the model's images have {channels} channels, not 1 or 3")
    return PixelFormat(height, width, channels, layout == "FORMAT_NCHW", image.datatype, leading)


def _layout_of(shape: Sequence[int]) -> str:
    """The layout of an image of this shape, if it leaves no doubt, otherwise FORMAT_NONE."""
    first, last = shape[0] in (1, 3), shape[-1] in (1, 3)
    if first == last:
        return "FORMAT_NONE"
    return "FORMAT_NCHW" if first else "FORMAT_NHWC"


def require_pillow() -> None:
    """Make sure that Pillow is there.

    Raises:
        ImageError: it is not; the message says how to get it.
    """
    try:
        import PIL.Image  # noqa: F401
    except ImportError as error:
        command = install_command("images")
        raise ImageError(f"reading images needs Pillow ({error}): {command}") from None


def find_all(paths: Sequence[str], skipped: Callable[[str], object]) -> list[str]:
    """The image files that several paths name; see `find`."""
    return [file for path in paths for file in find(path, skipped)]


def find(path: str, skipped: Callable[[str], object]) -> list[str]:
    """The image files that a path names: the file itself, or those in a folder, sorted by name.

    Subfolders are left alone, and `skipped` is told the path of each file that is no image. A
    file with an image's suffix is kept even when it holds none: reading it then fails, which is
    better than answering for fewer images than seem to be there.

    Raises:
        ImageError: there is no such file or folder, or the folder has no images.
        OSError: the folder can't be read.
    """
    if not os.path.exists(path):
        raise ImageError(f"there is no file or folder {path!r}")
    if not os.path.isdir(path):
        return [path]
    with os.scandir(path) as entries:
        files = sorted(os.path.join(path, entry.name) for entry in entries if entry.is_file())
    images = []
    for file in files:
        if _is_image(file):
            images.append(file)
        else:
            skipped(file)
    if not images:
        raise ImageError(f"there are no images in the folder {path!r}")
    return images


def _is_image(path: str) -> bool:
    from PIL import Image

    try:
        Image.open(path).close()
    except Exception:  # see `read`
        return os.path.splitext(path)[1].lower() in Image.registered_extensions()
    return True


def read(source: str | bytes, pixels: PixelFormat, scaling: str) -> Array:
    """The tensor of one image, of a file or of the bytes of one; see `to_tensor`.

    Raises:
        ImageError: it can't be read as an image.
    """
    from PIL import Image, UnidentifiedImageError

    name = repr(source) if isinstance(source, str) else f"<{len(source)} bytes>"
    try:
        with Image.open(source if isinstance(source, str) else BytesIO(source)) as image:
            return to_tensor(image, pixels, scaling)
    except UnidentifiedImageError:
        raise ImageError(f"{name} is not an image, or of a kind that Pillow can't read") from None
    except Exception as error:  # damaged files make Pillow's decoders raise all sorts of things
        raise ImageError(f"image {name} can't be read: {error}") from error


def to_tensor(image: PillowImage, pixels: PixelFormat, scaling: str) -> Array:
    """One image as a model wants it, without the batch's dimension.

    It is converted to grey or RGB (transparency is ignored), resized with a bilinear filter,
    whatever its proportions, scaled as float32, and brought into the layout and datatype. For
    BF16, which numpy lacks, the array is float32.

    Raises:
        ImageError: the image's kind of pixels is not supported.
    """
    from PIL.Image import Resampling

    mode = "L" if pixels.channels == 1 else "RGB"
    size = (pixels.width, pixels.height)
    image = _eight_bit(image).convert(mode).resize(size, Resampling.BILINEAR)
    array = np.asarray(image, np.float32).reshape(pixels.height, pixels.width, pixels.channels)
    array = scale(array, scaling)
    if pixels.channels_first:
        array = array.transpose(2, 0, 1)
    dtype = np.dtype(np.float32) if pixels.datatype == "BF16" else NUMPY[pixels.datatype]
    array = np.ascontiguousarray(array, dtype)
    return array[np.newaxis] if pixels.leading else array


def _eight_bit(image: PillowImage) -> PillowImage:
    """The image with 8 bits per channel; `convert` would clip 16 bits instead of scaling them."""
    from PIL.Image import fromarray

    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.size and (values.min() < 0 or values.max() > 65535):
            raise ImageError("its pixels have more than 16 bits")
        return fromarray(((values + 128) // 257).astype(np.uint8))
    if image.mode == "F":
        raise ImageError("its pixels are floating-point numbers, whose range is unknown")
    if image.mode == "P" and "transparency" in image.info:
        return image.convert("RGBA")  # Pillow warns when such a palette is converted at once
    return image


def scale(array: Array, scaling: str) -> Array:
    """Scale float32 pixel values of 0 to 255, channels last.

    NONE leaves them, INCEPTION maps them to -1 to 1, VGG subtracts the mean colour.
    """
    if scaling == "INCEPTION":
        return array / np.float32(127.5) - np.float32(1)
    if scaling == "VGG":
        return array - np.array(VGG_MEAN[array.shape[-1]], np.float32)
    return array


def check_scaling(pixels: PixelFormat, scaling: str) -> None:
    """Make sure that a model's datatype can hold what a scaling makes.

    Raises:
        ImageError: it can't, as with fractions in an integer or negative numbers in a UINT8.
    """
    dtype = NUMPY[pixels.datatype]
    if pixels.datatype == "BF16" or dtype.kind == "f":
        return
    if scaling == "INCEPTION":
        makes, fits = "fractions from -1 to 1", False
    else:
        means = VGG_MEAN[pixels.channels] if scaling == "VGG" else (0,)
        low, high = -max(means), 255 - min(means)
        limits = np.iinfo(dtype)
        makes, fits = f"{low} to {high}", limits.min <= low and high <= limits.max
    if not fits:
        raise ImageError(
            f"the model's input is {pixels.datatype}, which can't hold what {scaling} scaling "
            f"makes: {makes}"
        )
