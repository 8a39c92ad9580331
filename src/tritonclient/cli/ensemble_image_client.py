"""`ensemble_image_client`: sends image files as they are; an ensemble reads and classifies them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from .. import images
from ..client.blocking import Client
from ..client.model_spec import ModelSpec
from ..client.results import InferResult
from ..datatypes import Array
from ..errors import ServerError
from ..messages import RequestedOutput
from .arguments import Parser, positive
from .image_client import add_report_arguments, execute, note, url_of
from .image_jobs import UsageError, class_line
from .image_report import Tally, as_json
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
    tally = Tally(arguments.as_json, arguments.keep_going, NAME)
    with Client(url) as client:
        spec = client.model(arguments.model_name, arguments.model_version).spec
        (name,) = _inputs(spec)
        limit = max(1, spec.max_batch_size or 1)
        outputs = [RequestedOutput(each, classes=arguments.classes) for each in spec.outputs]

        def ask(batch: Sequence[str]) -> InferResult:
            inputs = {name: _contents(batch)}
            return client.infer(spec.name, inputs, version=spec.version, outputs=outputs)

        with Progress(f"{NAME}: images", len(files)) as progress:
            for number, first in enumerate(range(0, len(files), limit)):
                batch = files[first : first + limit]
                for part, result in _responses(ask, batch, tally):
                    if arguments.verbose:
                        note(repr(result), NAME)
                    _show(part, result, number, tally)
                progress.advance(len(batch))
    return tally.finish()


def _show(files: Sequence[str], result: InferResult, number: int, tally: Tally) -> None:
    """Print the classes of the images of a request."""
    classes = {output: result.classes(output) for output in result}
    for index, file in enumerate(files):
        if tally.as_json:
            found = {output: as_json(rows[index]) for output, rows in classes.items()}
            print(json.dumps({"image": file, "request": number, "outputs": found}))
            continue
        print(f'\n"{file}":')
        for output, rows in classes.items():
            print(f"  [{output}]:")
            print("\n".join(map(class_line, rows[index])))
    tally.classified(len(files))


def _responses(
    ask: Callable[[Sequence[str]], InferResult], batch: Sequence[str], tally: Tally
) -> Iterator[tuple[Sequence[str], InferResult]]:
    """Yield the response to a request; to keep going, those to each file alone if it is refused."""
    if not tally.keep_going:
        yield batch, _answer(ask, batch)
        return
    try:
        result = ask(batch)
    except (ServerError, OSError) as error:
        if len(batch) == 1:
            tally.failed(batch[0], error)
            return
    else:
        yield batch, result
        return
    for file in batch:
        yield from _responses(ask, [file], tally)


def _answer(ask: Callable[[Sequence[str]], InferResult], batch: Sequence[str]) -> InferResult:
    """Return the response to a request; an error names the file that the server refuses.

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
    parser = Parser(
        prog=NAME, description="Classify image files with an ensemble on an inference server."
    )
    add = parser.add_argument
    add("image_filename", nargs="+", help="image files, and folders whose images to classify")
    add("-v", "--verbose", action="store_true", help="tell more, and show where an error arose")
    add("-m", "--model-name", default="preprocess_inception_ensemble", help="name of the ensemble")
    add("-x", "--model-version", default="", help="version of the model (chosen by the server)")
    add("-c", "--classes", type=positive, default=1, help="classes to show for each image (1)")
    add("-u", "--url", help="URL of the server (localhost:8000 for HTTP, localhost:8001 for gRPC)")
    add("-i", "--protocol", default="HTTP", help="HTTP or gRPC (HTTP)")
    add_report_arguments(parser)
    return execute(run, parser.parse_args(argv), NAME)


if __name__ == "__main__":
    sys.exit(main())
