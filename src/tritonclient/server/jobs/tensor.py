"""`Tensor`: an input or output of a job."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...datatypes import Array


class Tensor(NamedTuple):
    """A named array and its v2 datatype.

    BYTES is an object array of `bytes`. BF16 is a uint16 array of bit patterns, because numpy has
    no such type.
    """

    name: str
    datatype: str
    array: Array

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(map(int, self.array.shape))

    def blank(self) -> Tensor:
        """Return a tensor of the same shape that holds zeros, or empty byte strings."""
        value = b"" if self.datatype == "BYTES" else 0
        return self._replace(array=np.full(self.array.shape, value, self.array.dtype))
