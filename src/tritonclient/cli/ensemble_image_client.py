"""`ensemble_image_client`: sends image files as they are; an ensemble reads and classifies them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..client.blocking import Client
from ..client.model_spec import ModelSpec
from ..datatypes import Array
from ..messages import RequestedOutput
from . import images
from .arguments import positive
from .image_client import UsageError, class_line, execute, note, url_of

NAME = "ensemble_image_client"


def run(arguments: argparse.Namespace) -> None:
    """Do what the flags ask for.

    Raises:
        UsageError, ImageError, OSError, InferenceServerException: it can't be done.
    """
    url = url_of(arguments.protocol, arguments.url)
    images.require_pillow()
    files = images.find(arguments.image_filename, lambda file: note(f"skipped {file!r}", NAME))
    with Client(url) as client:
        spec = client.model(arguments.model_name).spec
        (name,) = _inputs(spec)
        limit = max(1, spec.max_batch_size or 1)
        if len(files) > limit:
            note(
                f"The number of images exceeds maximum batch size, only the first {limit} images, "
                "sorted by name alphabetically, will be processed",
                NAME,
            )
            files = files[:limit]
        outputs = [RequestedOutput(each, classes=arguments.classes) for each in spec.outputs]
        result = client.infer(spec.name, {name: _contents(files)}, outputs=outputs)
        if arguments.verbose:
            note(repr(result), NAME)
        for index, file in enumerate(files):
            print(f'\n"{file}":')
            for output in spec.outputs:
                print(f"  [{output}]:")
                print("\n".join(map(class_line, result.classes(output)[index])))
    print("PASS")


def _inputs(spec: ModelSpec) -> list[str]:
    if [tensor.datatype for tensor in spec.inputs.values()] != ["BYTES"]:
        raise UsageError(f"the model does not take image files as its one input: {spec}")
    return list(spec.inputs)


def _contents(files: Sequence[str]) -> Array:
    """The files' bytes, of shape [batch, 1]; as objects, so that trailing NULs are kept."""
    array: Array = np.empty((len(files), 1), object)
    array[:, 0] = [Path(file).read_bytes() for file in files]
    return array


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog=NAME, description="Classify image files with an ensemble on an inference server."
    )
    add = parser.add_argument
    add("image_filename", help="an image file, or a folder whose images to classify")
    add("-v", "--verbose", action="store_true", help="tell more, and show where an error arose")
    add("-m", "--model-name", default="preprocess_inception_ensemble", help="name of the ensemble")
    add("-c", "--classes", type=positive, default=1, help="classes to show for each image (1)")
    add("-u", "--url", help="URL of the server (localhost:8000 for HTTP, localhost:8001 for gRPC)")
    add("-i", "--protocol", default="HTTP", help="HTTP or gRPC (HTTP)")
    return execute(run, parser.parse_args(argv), NAME)


if __name__ == "__main__":
    sys.exit(main())
