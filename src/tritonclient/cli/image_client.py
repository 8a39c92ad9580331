"""`image_client`: classifies image files with a model on an inference server.

The flags are those of the official image_client. The output is what its README shows: requests
are numbered from 0 and images are named. The official Python program numbers them from 1, names
no images, takes FP32 scores only, and stops at a class without a label.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import AsyncClient, Classification, Client, InferResult, Tensor, request
from ..client.model_spec import ModelSpec
from ..errors import InferenceServerException, ProtocolError
from ..messages import ModelMetadata, RequestedOutput, TensorMetadata
from . import images
from .arguments import positive
from .images import ImageError, PixelFormat

#: Requests under way at once with --async.
IN_FLIGHT = 20


class UsageError(Exception):
    """The model or the server can't do what the flags ask for; the message says why."""


# What is asked for


@dataclass(frozen=True, slots=True)
class Classifier:
    """A model that takes images and answers a score for each class.

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
            pixels = _pixel_format(image, bool(max_batch_size), config)
            _check_scores(scores, bool(max_batch_size))
        except UsageError as error:
            raise UsageError(f"{error}, so it is no image classifier: {spec}") from None
        return cls(name, version, image.name, scores.name, pixels, max_batch_size)


def _only(tensors: Mapping[str, TensorMetadata], what: str) -> TensorMetadata:
    if len(tensors) != 1:
        raise UsageError(f"the model has {len(tensors)} {what}s, not 1")
    return next(iter(tensors.values()))


def _pixel_format(image: TensorMetadata, batched: bool, config: Mapping[str, Any]) -> PixelFormat:
    shape = image.shape[1:] if batched else image.shape
    if image.datatype in ("BYTES", "BOOL"):
        raise UsageError(f"the model's input is {image.datatype}, not pixels")
    if len(shape) != 3:
        raise UsageError(f"the model's input has {len(shape)} dimensions, not 3, for an image")
    declared = config["input"][0] if config.get("input") else {}
    layout = str(declared.get("format", "FORMAT_NONE"))
    if layout == "FORMAT_NCHW":
        channels, height, width = shape
    elif layout == "FORMAT_NHWC":
        height, width, channels = shape
    else:
        raise UsageError(
            f"the model's configuration gives its input the format {layout}, "
            "not FORMAT_NCHW or FORMAT_NHWC"
        )
    if height < 1 or width < 1:
        raise UsageError("the model takes images of any size, and so names none to resize to")
    if channels not in (1, 3):
        raise UsageError(f"the model's images have {channels} channels, not 1 or 3")
    return PixelFormat(height, width, channels, layout == "FORMAT_NCHW", image.datatype)


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
        """An answer as people read it; raises what `shown` does."""
        return f"Request {batch.number}, batch size {len(batch.files)}\n{self.shown(batch, result)}"

    def shown(self, batch: Batch, result: InferResult) -> str:
        """The images of a request with their classes.

        Raises:
            ProtocolError: it has classes for more or fewer images than were asked about.
        """
        classes = result.classes(self.model.output)
        rows = classes if self.model.max_batch_size else classes[np.newaxis]
        if rows.ndim != 2 or len(rows) != len(batch.files):
            raise ProtocolError(
                f"expected classes of {len(batch.files)} images, got an answer of shape "
                f"{list(classes.shape)}",
                model=self.model.name,
                request_id=result.id,
            )
        lines = []
        for file, row in zip(batch.files, rows, strict=True):
            lines += [f"Image '{file}':", *map(class_line, row)]
        return "\n".join(lines)


def class_line(best: Classification) -> str:
    """A class as people read it."""
    label = f" = {best.label}" if best.label else ""
    return f"    {best.value:f} ({best.index}){label}"


# Doing it


def run(arguments: argparse.Namespace) -> None:
    """Do what the flags ask for.

    Raises:
        UsageError, ImageError, OSError, InferenceServerException: it can't be done.
    """
    url = _url(arguments)
    images.require_pillow()
    files = images.find(arguments.image_filename, lambda file: note(f"skipped {file!r}: no image"))
    if arguments.streaming:
        _classify_streaming(url, arguments, files)
    elif arguments.asynchronous:
        asyncio.run(_classify_async(url, arguments, files))
    else:
        _classify(url, arguments, files)
    print("PASS")


def _classify(url: str, arguments: argparse.Namespace, files: Sequence[str]) -> None:
    with Client(url) as client:
        job = _ask_for_job(client, arguments, files)
        for batch in job.batches():
            result = client.infer(arguments.model_name, job.inputs(batch), **job.options(batch))
            print(job.report(batch, result))


def _classify_streaming(url: str, arguments: argparse.Namespace, files: Sequence[str]) -> None:
    """Send all requests on one stream; answers are shown in the order of the requests."""
    with Client(url) as client:
        job = _ask_for_job(client, arguments, files)
        under_way = {str(batch.number): batch for batch in job.batches()}
        requests = (
            request(arguments.model_name, job.inputs(batch), **job.options(batch))
            for batch in job.batches()
        )
        results: dict[str, InferResult] = {}
        with client.stream(requests) as responses:
            for result in responses:
                results[result.id] = result
                while under_way and (number := next(iter(under_way))) in results:
                    print(job.report(under_way.pop(number), results.pop(number)))
        if under_way:
            raise ProtocolError(f"{len(under_way)} requests were not answered", endpoint=url)


def _ask_for_job(client: Client, arguments: argparse.Namespace, files: Sequence[str]) -> Job:
    name, version = arguments.model_name, arguments.model_version
    metadata = client.model_metadata(name, version)
    return make_job(arguments, files, metadata, client.model_config(name, version))


async def _classify_async(url: str, arguments: argparse.Namespace, files: Sequence[str]) -> None:
    name, version = arguments.model_name, arguments.model_version
    async with AsyncClient(url) as client:
        metadata = await client.model_metadata(name, version)
        config = await client.model_config(name, version)
        job = make_job(arguments, files, metadata, config)
        under_way: deque[tuple[Batch, asyncio.Task[InferResult]]] = deque()
        try:
            for batch in job.batches():
                if len(under_way) == IN_FLIGHT:
                    await _report_next(job, under_way)
                inputs = await asyncio.to_thread(job.inputs, batch)
                task = client.submit(name, inputs, **job.options(batch))
                under_way.append((batch, task))
            while under_way:
                await _report_next(job, under_way)
        finally:
            tasks = [task for _, task in under_way]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _report_next(job: Job, under_way: deque[tuple[Batch, asyncio.Task[InferResult]]]) -> None:
    batch, task = under_way[0]
    print(job.report(batch, await task))
    under_way.popleft()


def make_job(
    arguments: argparse.Namespace,
    files: Sequence[str],
    metadata: ModelMetadata,
    config: Mapping[str, Any],
) -> Job:
    """What the flags ask for, of the model that metadata and configuration describe."""
    name, version = arguments.model_name, arguments.model_version
    model = Classifier.of(name, version, metadata, config)
    job = Job(model, files, arguments.batch_size, arguments.classes, arguments.scaling)
    job.check()
    if arguments.verbose:
        note(f"model {ModelSpec.of(name, version, metadata, config)}")
        note(f"images ({len(files)}) become {model.pixels}, {job.scaling} scaling")
    return job


def _url(arguments: argparse.Namespace) -> str:
    url = url_of(arguments.protocol, arguments.url)
    if arguments.streaming and not url.startswith("grpc"):
        raise UsageError("Streaming is only allowed with gRPC protocol")
    return url


def url_of(protocol: str, address: str | None) -> str:
    """The server's URL; the official programs' addresses have no scheme."""
    scheme = protocol.lower()
    if scheme not in ("http", "grpc"):
        raise UsageError(f"-i {protocol}: expected HTTP or gRPC")
    url = address or {"http": "localhost:8000", "grpc": "localhost:8001"}[scheme]
    if "://" not in url and not url.startswith(("unix:", "grpc+unix:")):
        return f"{scheme}://{url}"
    if scheme == "grpc" and not url.startswith("grpc"):
        raise UsageError(f"-i {protocol}: the URL {url!r} is not one of gRPC")
    return url


# The command line


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    return execute(run, _parser().parse_args(argv), "image_client")


def execute(
    work: Callable[[argparse.Namespace], None], arguments: argparse.Namespace, name: str
) -> int:
    """Do a program's work, and tell what went wrong; returns the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # file names and labels may hold anything
            stream.reconfigure(errors="backslashreplace")
    try:
        work(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (
        UsageError,
        ImageError,
        ImportError,  # names the extra that is missing
        InferenceServerException,
        OSError,
        ValueError,
    ) as error:
        sys.stdout.flush()
        if arguments.verbose:
            traceback.print_exc()
        note(f"error: {' '.join(str(error).split())}", name)
        return 1
    return 0


def note(text: str, name: str = "image_client") -> None:
    """Tell something beside the output."""
    print(f"{name}: {text}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="image_client", description="Classify images with a model on an inference server."
    )
    add_arguments(parser)
    parser.add_argument(
        "-u",
        "--url",
        help="the server (localhost:8000 for HTTP, localhost:8001 for gRPC)",
    )
    parser.add_argument("-i", "--protocol", default="HTTP", help="HTTP or gRPC (HTTP)")
    return parser


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `image_client` and `grpc_image_client` have in common."""
    add = parser.add_argument
    add("image_filename", help="an image file, or a folder whose images to classify")
    add("-v", "--verbose", action="store_true", help="tell more, and show where an error arose")
    add(
        "-a",
        "--async",
        dest="asynchronous",
        action="store_true",
        help=f"send up to {IN_FLIGHT} requests at once",
    )
    add(
        "--streaming",
        action="store_true",
        help="send all on one stream (gRPC only), with or without -a",
    )
    add("-m", "--model-name", required=True, help="name of the model")
    add("-x", "--model-version", default="", help="its version; the server's choice by default")
    add("-b", "--batch-size", type=positive, default=1, help="images per request (1)")
    add("-c", "--classes", type=positive, default=1, help="classes to show for each image (1)")
    add(
        "-s",
        "--scaling",
        type=str.upper,
        choices=images.SCALINGS,
        default="NONE",
        help="what to do to pixel values: nothing, map them to -1 to 1, or subtract the mean "
        "colour (NONE)",
    )


if __name__ == "__main__":
    sys.exit(main())
