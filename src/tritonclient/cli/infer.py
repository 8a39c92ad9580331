"""`tritonclient infer`: files through a model into files."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..client.blocking import Client
from ..errors import (
    ConnectionFailed,
    DeadlineExceeded,
    InferenceServerException,
    NotFound,
    Unavailable,
)
from ..images import SCALINGS
from ..transport.endpoint import TLS
from . import connection
from .arguments import model_name, positive, unsigned
from .infer_progress import InferProgress
from .output import note, say

if TYPE_CHECKING:
    from ..bulk.job import Job, Output
    from ..bulk.on_ray import RayPipeline
    from ..bulk.pipeline import Pipeline
    from ..bulk.sources import FileSource

DONE, FAILED_ROWS, BAD_INPUT, SERVER_GONE, TOO_MANY, BAD_OUTPUT, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130

NAME = "infer"
HELP = "run files through a model"
DESCRIPTION = """\
Run the rows of files, or the images of a folder, through a model and write its outputs.

  tritonclient infer --model iris --input flowers.csv --map X=a,b,c,d --output classes.csv
  tritonclient infer --model digits --input scans/ --preprocess INCEPTION --output digits.parquet
  tritonclient infer --model digits --input table/ --map IMAGE=p0..p63 --output results/

Inputs are Parquet, CSV, JSON lines, Arrow, .npy and .npz files, and images. An input X of the model
is made of the column X, or of the columns X_0, X_1 and so on, or of those that --map names. A row
that fails keeps its place, with the reason in the column `error`.

Ctrl-C finishes what is in flight. --resume goes on with a job that ended early.

Exit status: 0 all rows have results, 1 some failed, 2 wrong usage or bad input, 3 the server is
gone, 4 more rows failed than --max-errors, 5 the output can't be written, 130 interrupted. After 3,
4, 5 and 130 the job can be resumed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add = parser.add_argument
    add("-m", "--model", required=True, type=model_name, metavar="NAME", help="the model")
    add("--model-version", default="", metavar="VERSION", help="its version (the server's choice)")
    add("-i", "--input", nargs="+", required=True, metavar="FILE", help="files, or folders of them")
    add("-o", "--output", required=True, metavar="FILE", help="a file, or a folder for its parts")
    add("--input-format", default="", choices=_INPUTS, help="what the input is (from the suffix)")
    add("--output-format", default="", choices=_OUTPUTS, help="what to write (from the suffix)")
    add(
        "--map",
        type=_mapping,
        action="append",
        default=[],
        metavar="INPUT=COLUMNS",
        help="the columns that make an input: X=a,b,c or X=p0..p63; may be given several times",
    )
    add(
        "--keep",
        type=_names,
        default=None,
        metavar="COLUMNS",
        help="columns of the input to copy to the output: a,b or 'all' (none; of images the path)",
    )
    add("--outputs", type=_names, default=None, metavar="NAMES", help="outputs to write (all)")
    add("--preprocess", choices=SCALINGS, help="scaling of images' pixels (NONE)")
    add("--batch-size", type=positive, metavar="ROWS", help="rows per request (the model's limit)")
    add("--concurrency", type=positive, metavar="N", help="requests in flight (measured)")
    add("--max-errors", type=unsigned, metavar="N", help="end when more rows failed (no limit)")
    add(
        "--patience",
        type=connection.seconds,
        default=60.0,
        metavar="SECONDS",
        help="how long to wait for a server that went away (default: %(default)g)",
    )
    add(
        "--ray",
        nargs="?",
        const="",
        metavar="ADDRESS",
        help="run on a Ray cluster (RAY_ADDRESS, or else one on this machine)",
    )
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--resume", action="store_true", help="go on with a job that ended early")
    choice.add_argument("--overwrite", action="store_true", help="replace output that is there")
    connection.add_arguments(parser)


_INPUTS = ("parquet", "csv", "jsonl", "arrow", "npy", "npz", "images")
_OUTPUTS = ("parquet", "csv", "jsonl", "arrow", "npz", "npy")


def _mapping(text: str) -> tuple[str, str]:
    name, equals, columns = text.partition("=")
    if not equals or not name or not columns:
        raise argparse.ArgumentTypeError(f"{text!r} is not INPUT=COLUMN,COLUMN or INPUT=p0..p63")
    return name, columns


def _names(text: str) -> list[str]:
    names = text.split(",")
    if "" in names:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of names such as a,b")
    return names


def run(arguments: argparse.Namespace) -> int:
    """Do the job; the exit status."""
    try:
        from .. import bulk
        from ..bulk.job import Interrupted, TooManyErrors
    except ImportError as error:
        return _end(arguments, BAD_INPUT, error)
    try:
        return _run(arguments)
    except (bulk.BadInput, NotFound, ImportError) as error:
        return _end(arguments, BAD_INPUT, error)
    except (bulk.ServerGone, ConnectionFailed, DeadlineExceeded, Unavailable) as error:
        return _end(arguments, SERVER_GONE, error)
    except TooManyErrors as error:
        return _end(arguments, TOO_MANY, error)
    except bulk.BadOutput as error:
        return _end(arguments, BAD_OUTPUT, error)
    except (KeyboardInterrupt, Interrupted) as error:
        return _end(arguments, INTERRUPTED, error)
    except (InferenceServerException, OSError, ValueError) as error:
        return _end(arguments, BAD_INPUT, error)


_WORDS = {
    BAD_INPUT: "bad input",
    SERVER_GONE: "server gone",
    TOO_MANY: "too many errors",
    BAD_OUTPUT: "output can't be written",
    INTERRUPTED: "interrupted",
}


def _end(arguments: argparse.Namespace, status: int, error: BaseException) -> int:
    """Say why the job ended early; its exit status."""
    text = str(error) or _WORDS[status]
    if arguments.json:
        say(json.dumps({"status": _WORDS[status], "exit": status, "message": text}))
    else:
        print(f"error: {text}" if status != INTERRUPTED else text, file=sys.stderr)
    return status


def _run(arguments: argparse.Namespace) -> int:
    from ..bulk.job import Output
    from ..bulk.sources import FileSource
    from ..bulk.tables import make_pipeline

    output = Output.of(arguments.output, arguments.output_format)
    # A folder of input may be that of the output too.
    source = FileSource(arguments.input, arguments.input_format, output.places)
    options: dict[str, Any] = {
        "timeout": arguments.timeout,
        "headers": dict(arguments.headers),
        "tls": TLS(ca_file=os.path.abspath(arguments.ca_file)) if arguments.ca_file else None,
    }
    with Client(arguments.url, **options) as client:
        pipeline = make_pipeline(
            client,
            arguments.model,
            source,
            version=arguments.model_version,
            columns=dict(arguments.map),
            keep=_keep(arguments.keep, source),
            outputs=arguments.outputs,
            batch_size=arguments.batch_size,
            preprocess=arguments.preprocess,
        )
        pipeline.concurrency = arguments.concurrency
        pipeline.patience = arguments.patience
        if arguments.ray is None:
            return _work(arguments, pipeline, source, output)
        from ..bulk.on_ray import RayPipeline

        with RayPipeline(pipeline, source, arguments.ray, arguments.url, options) as on_ray:
            return _work(arguments, on_ray, source, output)


def _keep(given: list[str] | None, source: FileSource) -> list[str]:
    if given is None:
        return source.default_keep()
    return list(source.columns) if given == ["all"] else given


def _work(
    arguments: argparse.Namespace,
    pipeline: Pipeline | RayPipeline,
    source: FileSource,
    output: Output,
) -> int:
    from ..bulk.job import Job

    total = _Total(source)
    progress = InferProgress(total.rows, arguments.json)
    pipeline.paused = progress.trouble
    described = {
        name: getattr(arguments, name) for name in ("map", "keep", "outputs", "preprocess")
    }
    job = Job(pipeline, source, output, described, arguments.max_errors, progress.update)
    job.prepare(arguments.resume, arguments.overwrite)
    if job.resumed and not arguments.json:
        note(f"resuming after {job.resumed} rows")
    try:
        with progress, _stopping(pipeline.stop):
            total.start()
            job.run()
    except BaseException:
        if not arguments.json and job.rows:
            note(_kept(job, output))
        raise
    return _report(arguments, job, output, progress)


def _kept(job: Job, output: Output) -> str:
    return f"{job.rows} rows are kept in {output.parts!r}; go on with --resume"


def _report(
    arguments: argparse.Namespace, job: Job, output: Output, progress: InferProgress
) -> int:
    status = FAILED_ROWS if job.errors else DONE
    if arguments.json:
        figures = {**progress.figures(), "rows": job.rows, "total": job.rows, "seconds_left": 0.0}
        say(json.dumps({"status": "done", "exit": status, **figures, "output": output.path}))
    elif job.finished:
        note(f"{output.path!r} is there already; nothing is left to do")
    else:
        failed = f", {job.errors} failed (see the column 'error')" if job.errors else ""
        rate = progress.figures()["rows_per_second"]
        note(f"{job.rows} rows{failed}, {rate:.0f} rows/s, written to {output.path!r}")
    return status


class _Total:
    """The number of rows; that of text files is estimated on a thread while others are read."""

    def __init__(self, source: FileSource) -> None:
        self._source = source
        self._rows: int | None = None

    def start(self) -> None:
        self._rows = self._source.count()
        if self._rows is None:
            threading.Thread(target=self._estimate, name="tritonclient-count", daemon=True).start()

    def rows(self) -> int | None:
        return self._rows

    def _estimate(self) -> None:
        self._rows = self._source.estimate()


@contextmanager
def _stopping(stop: threading.Event) -> Iterator[None]:
    """End after what is in flight at the first Ctrl-C or SIGTERM, and at once at the second."""

    def handle(number: int, frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        note("finishing what is in flight; interrupt again to end at once")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
