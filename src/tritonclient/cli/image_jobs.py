"""`Job`: which images a model is to classify, and the requests for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import images
from ..client.model_spec import ModelSpec
from ..client.requests import Tensor
from ..client.results import Classification, InferResult
from ..errors import ProtocolError
from ..images import ImageError, PixelFormat
from ..messages import ModelMetadata, RequestedOutput, TensorMetadata


class UsageError(Exception):
    """The model or the server can't do what the flags ask for; the message says why."""


@dataclass(frozen=True, slots=True)
class Classifier:
    """A model that takes images and returns a score for each class.

    Attributes:
        pixels: the form of one image.
        max_batch_size: the largest batch; 0 for a model that takes one image and no batch.
    """

    name: str
    version: str
    input: str
    output: str
    pixels: PixelFormat
    max_batch_size: int

    @classmethod
    def of(
        cls, name: str, version: str, metadata: ModelMetadata, config: Mapping[str, Any]
    ) -> Classifier:
        """The classifier that metadata and configuration describe.

        Raises:
            UsageError: they describe some other kind of model.
        """
        spec = ModelSpec.of(name, version, metadata, config)
        max_batch_size = spec.max_batch_size or 0
        try:
            image = _only(spec.inputs, "input")
            scores = _only(spec.outputs, "output")
            pixels = images.pixel_format(image, bool(max_batch_size), config)
            _check_scores(scores, bool(max_batch_size))
        except (UsageError, ImageError) as error:
            raise UsageError(f"{error}, so it is no image classifier: {spec}") from None
        return cls(name, version, image.name, scores.name, pixels, max_batch_size)


def _only(tensors: Mapping[str, TensorMetadata], what: str) -> TensorMetadata:
    if len(tensors) != 1:
        raise UsageError(f"the model has {len(tensors)} {what}s, not 1")
    return next(iter(tensors.values()))


def _check_scores(scores: TensorMetadata, batched: bool) -> None:
    shape = scores.shape[1:] if batched else scores.shape
    if scores.datatype in ("BYTES", "BOOL"):
        raise UsageError(f"the model's output is {scores.datatype}, not numbers")
    if sum(size != 1 for size in shape) > 1:
        raise UsageError("the model's output is not a list of scores, one per class")


@dataclass(frozen=True, slots=True)
class Batch:
    """The images of one request."""

    number: int
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """Images to classify, and how.

    Attributes:
        batch_size: images per request; the last request is filled up with the first images.
        classes: how many of the best classes to show for each image.
    """

    model: Classifier
    files: Sequence[str]
    batch_size: int = 1
    classes: int = 1
    scaling: str = "NONE"

    def check(self) -> None:
        """Make sure that the model can do it.

        Raises:
            UsageError, ImageError: it can't.
        """
        limit = self.model.max_batch_size
        if not limit and self.batch_size > 1:
            raise UsageError(
                f"model {self.model.name!r} does not support batching, so -b {self.batch_size} "
                "can't be had; leave it out"
            )
        if limit and self.batch_size > limit:
            raise UsageError(
                f"model {self.model.name!r} takes at most {limit} images in a batch, "
                f"not {self.batch_size} (-b)"
            )
        images.check_scaling(self.model.pixels, self.scaling)

    def batches(self) -> Iterator[Batch]:
        """The requests, in their order."""
        count = len(self.files)
        for number, first in enumerate(range(0, count, self.batch_size)):
            positions = range(first, first + self.batch_size)
            yield Batch(number, tuple(self.files[position % count] for position in positions))

    def inputs(self, batch: Batch) -> dict[str, Tensor]:
        """The input of a request, with its images read.

        Raises:
            ImageError: an image can't be read.
        """
        model = self.model
        tensors = {file: images.read(file, model.pixels, self.scaling) for file in set(batch.files)}
        stack = [tensors[file] for file in batch.files]
        array = np.stack(stack) if model.max_batch_size else stack[0]
        return {model.input: Tensor(array, model.pixels.datatype)}

    def options(self, batch: Batch) -> dict[str, Any]:
        """What to ask for: the best classes."""
        return {
            "version": self.model.version,
            "outputs": [RequestedOutput(self.model.output, classes=self.classes)],
            "id": str(batch.number),
        }

    def report(self, batch: Batch, result: InferResult) -> str:
        """Return the lines for a request; raises what `shown` does."""
        return f"Request {batch.number}, batch size {len(batch.files)}\n{self.shown(batch, result)}"

    def shown(self, batch: Batch, result: InferResult) -> str:
        """The images of a request with their classes; raises what `rows` does."""
        lines = []
        for file, row in zip(batch.files, self.rows(batch, result), strict=True):
            lines += [f"Image '{file}':", *map(class_line, row)]
        return "\n".join(lines)

    def rows(self, batch: Batch, result: InferResult) -> Any:
        """The classes of each image of a request, of shape [images, classes].

        Raises:
            ProtocolError: it has classes for more or fewer images than were asked about.
        """
        classes = result.classes(self.model.output)
        rows = classes if self.model.max_batch_size else classes[np.newaxis]
        if rows.ndim != 2 or len(rows) != len(batch.files):
            raise ProtocolError(
                f"expected classes of {len(batch.files)} images, got a response of shape "
                f"{list(classes.shape)}",
                model=self.model.name,
                request_id=result.id,
            )
        return rows


def class_line(best: Classification) -> str:
    """Return the line for a class."""
    label = f" = {best.label}" if best.label else ""
    return f"    {best.value:f} ({best.index}){label}"
