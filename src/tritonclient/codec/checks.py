"""Checks of names and tensors, for both protocols."""

from __future__ import annotations

from collections.abc import Sequence

from ..datatypes import NUMPY, element_count

_MAX_DIMENSIONS = 64  # numpy's own limit


def check_name(field: str, value: object, *, required: bool) -> None:
    """Raise TypeError for what is no text, and ValueError where a name is left out."""
    if not isinstance(value, str):
        raise TypeError(f"{field} is {value!r:.60}, expected str")
    if required and not value:
        raise ValueError(f"{field} is '', expected a name")


def check_shape(name: str, shape: Sequence[object]) -> None:
    """Raise ValueError for what is no shape of a tensor."""
    sizes = [size for size in shape[: _MAX_DIMENSIONS + 1] if type(size) is int and size >= 0]
    if len(sizes) > _MAX_DIMENSIONS or len(sizes) != len(shape) or element_count(sizes) >= 1 << 63:
        raise ValueError(f"the shape of tensor {name!r} is {list(shape)!r:.80}")


def check_size(name: str, datatype: str, shape: Sequence[int], size: int) -> None:
    """Raise ValueError when a number of bytes can't be the data of a tensor."""
    count = element_count(shape)
    if datatype == "BYTES":
        if size < 4 * count:
            raise ValueError(f"{size} bytes of tensor {name!r} can't hold {count} elements")
    elif size != count * NUMPY[datatype].itemsize:
        raise ValueError(
            f"{size} bytes for tensor {name!r}, {datatype} of shape {list(shape)}, "
            f"expected {count * NUMPY[datatype].itemsize}"
        )


def check_elements(name: str, shape: Sequence[int], elements: int) -> None:
    """Raise ValueError when a tensor has more or fewer elements than its shape tells."""
    if elements != element_count(shape):
        raise ValueError(
            f"{elements} elements for tensor {name!r} of shape {list(shape)}, "
            f"expected {element_count(shape)}"
        )
