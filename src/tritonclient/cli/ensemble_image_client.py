"""`ensemble_image_client`: sends image files as they are; an ensemble reads and classifies them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from .. import images
from ..client.blocking import Client
from ..client.model_spec import ModelSpec
from ..client.results import InferResult
from ..datatypes import Array
from ..errors import ServerError
from ..messages import RequestedOutput
from .arguments import positive
from .image_client import execute, note, url_of
from .image_jobs import UsageError, class_line
from .output import Progress

NAME = "ensemble_image_client"


def run(arguments: argparse.Namespace) -> int:
    """Do what the flags ask for; the exit status.

    Raises:
        UsageError, ImageError, OSError, InferenceServerException: it can't be done.
    """
    url = url_of(arguments.protocol, arguments.url)
    images.require_pillow()
    files = images.find_all(arguments.image_filename, lambda file: note(f"skipped {file!r}", NAME))
    with Client(url) as client:
        spec = client.model(arguments.model_name).spec
        (name,) = _inputs(spec)
        limit = max(1, spec.max_batch_size or 1)
        outputs = [RequestedOutput(each, classes=arguments.classes) for each in spec.outputs]

        def ask(batch: Sequence[str]) -> InferResult:
            return client.infer(spec.name, {name: _contents(batch)}, outputs=outputs)

        with Progress(f"{NAME}: images", len(files)) as progress:
            for first in range(0, len(files), limit):
                batch = files[first : first + limit]
                result = _answer(ask, batch)
                if arguments.verbose:
                    note(repr(result), NAME)
                for index, file in enumerate(batch):
                    print(f'\n"{file}":')
                    for output in spec.outputs:
                        print(f"  [{output}]:")
                        print("\n".join(map(class_line, result.classes(output)[index])))
                progress.advance(len(batch))
    print("PASS")
    return 0


def _answer(ask: Callable[[Sequence[str]], InferResult], batch: Sequence[str]) -> InferResult:
    """The answer to a request; an error names the file that the server refuses.

    The server says only that a file of the batch is wrong, so each is then sent alone.
    """
    try:
        return ask(batch)
    except ServerError as error:
        for file in batch if len(batch) > 1 else ():
            _answer(ask, [file])
        text = f"{', '.join(map(repr, batch))}: {error.message()}"
        raise type(error)(text, error.status()) from error


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
    add("image_filename", nargs="+", help="image files, and folders whose images to classify")
    add("-v", "--verbose", action="store_true", help="tell more, and show where an error arose")
    add("-m", "--model-name", default="preprocess_inception_ensemble", help="name of the ensemble")
    add("-c", "--classes", type=positive, default=1, help="classes to show for each image (1)")
    add("-u", "--url", help="URL of the server (localhost:8000 for HTTP, localhost:8001 for gRPC)")
    add("-i", "--protocol", default="HTTP", help="HTTP or gRPC (HTTP)")
    return execute(run, parser.parse_args(argv), NAME)


if __name__ == "__main__":
    sys.exit(main())
