"""Batches: the inputs of several jobs joined, and their outputs split."""

from __future__ import annotations

import itertools

import numpy as np

from ...datatypes import Array
from ...errors import Internal
from ..jobs.tensor import Tensor


def concatenate(feeds: list[dict[str, Array]]) -> dict[str, Array]:
    """Return the inputs of several jobs as one batch."""
    if len(feeds) == 1:
        return feeds[0]
    return {name: np.concatenate([each[name] for each in feeds]) for name in feeds[0]}


def split(tensors: list[Tensor], sizes: list[int]) -> list[list[Tensor]]:
    """Split the outputs of a batch by job."""
    if len(sizes) == 1:
        return [tensors]
    for tensor in tensors:
        if tensor.shape[:1] != (sum(sizes),):
            raise Internal(
                f"output '{tensor.name}' has shape {list(tensor.shape)} for a batch of {sum(sizes)}"
            )
    ends = list(itertools.accumulate(sizes))
    return [
        [tensor._replace(array=tensor.array[end - size : end]) for tensor in tensors]
        for size, end in zip(sizes, ends, strict=True)
    ]
