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
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import images
from ..client.aio import AsyncClient
from ..client.blocking import Client
from ..client.model_spec import ModelSpec
from ..client.requests import request
from ..client.results import InferResult
from ..errors import InferenceServerException, ProtocolError, ServerError
from ..images import ImageError
from ..messages import ModelMetadata
from .arguments import Parser, positive
from .image_jobs import Batch, Classifier, Job, UsageError
from .image_report import Report

#: Requests under way at once with --async.
IN_FLIGHT = 20


# Doing it


def run(arguments: argparse.Namespace) -> int:
    """Do what the flags ask for; the exit status.

    Raises:
        UsageError, ImageError, OSError, InferenceServerException: it can't be done.
    """
    url = _url(arguments)
    images.require_pillow()
    skipped = "skipped {!r}: no image"
    files = images.find_all(arguments.image_filename, lambda file: note(skipped.format(file)))
    report = Report(arguments.as_json, arguments.keep_going, "image_client")
    if arguments.streaming:
        _classify_streaming(url, arguments, files, report)
    elif arguments.asynchronous:
        asyncio.run(_classify_async(url, arguments, files, report))
    else:
        _classify(url, arguments, files, report)
    return report.finish()


def _classify(
    url: str, arguments: argparse.Namespace, files: Sequence[str], report: Report
) -> None:
    with Client(url) as client, report.begin(_ask_for_job(client, arguments, files)) as job:
        for batch in job.batches():
            with report.failures(batch):
                result = client.infer(arguments.model_name, job.inputs(batch), **job.options(batch))
                report.show(batch, result)


def _classify_streaming(
    url: str, arguments: argparse.Namespace, files: Sequence[str], report: Report
) -> None:
    """Send all requests on one stream; responses are shown in the order of their requests."""
    with Client(url) as client, report.begin(_ask_for_job(client, arguments, files)) as job:
        under_way = {str(batch.number): batch for batch in job.batches()}
        requests = (
            request(arguments.model_name, job.inputs(batch), **job.options(batch))
            for batch in job.batches()
        )
        results: dict[str, InferResult] = {}
        with client.stream(requests) as responses:
            while under_way:
                try:
                    result = next(responses)
                except StopIteration:
                    break
                except ServerError as error:
                    with report.failures(under_way.get(error.request_id)):
                        raise
                    del under_way[error.request_id]
                else:
                    results[result.id] = result
                while under_way and (number := next(iter(under_way))) in results:
                    batch = under_way.pop(number)
                    with report.failures(batch):
                        report.show(batch, results.pop(number))
        if under_way:
            raise ProtocolError(f"{len(under_way)} requests got no response", endpoint=url)


def _ask_for_job(client: Client, arguments: argparse.Namespace, files: Sequence[str]) -> Job:
    name, version = arguments.model_name, arguments.model_version
    metadata = client.model_metadata(name, version)
    return make_job(arguments, files, metadata, client.model_config(name, version))


async def _classify_async(
    url: str, arguments: argparse.Namespace, files: Sequence[str], report: Report
) -> None:
    name, version = arguments.model_name, arguments.model_version
    async with AsyncClient(url) as client:
        metadata = await client.model_metadata(name, version)
        config = await client.model_config(name, version)
        under_way: deque[tuple[Batch, asyncio.Task[InferResult]]] = deque()
        with report.begin(make_job(arguments, files, metadata, config)) as job:
            try:
                for batch in job.batches():
                    if len(under_way) == IN_FLIGHT:
                        await _report_next(report, under_way)
                    inputs = await asyncio.to_thread(job.inputs, batch)
                    task = client.submit(name, inputs, **job.options(batch))
                    under_way.append((batch, task))
                while under_way:
                    await _report_next(report, under_way)
            finally:
                tasks = [task for _, task in under_way]
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)


async def _report_next(
    report: Report, under_way: deque[tuple[Batch, asyncio.Task[InferResult]]]
) -> None:
    batch, task = under_way[0]
    with report.failures(batch):
        report.show(batch, await task)
    under_way.popleft()


def make_job(
    arguments: argparse.Namespace,
    files: Sequence[str],
    metadata: ModelMetadata,
    config: Mapping[str, Any],
) -> Job:
    """Return the run that the flags request, for the model with this metadata and configuration."""
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
    work: Callable[[argparse.Namespace], int], arguments: argparse.Namespace, name: str
) -> int:
    """Run a program, and print its errors; return the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # file names and labels may hold anything
            stream.reconfigure(errors="backslashreplace")
    try:
        status = work(arguments)
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
    return status


def note(text: str, name: str = "image_client") -> None:
    """Print a note to stderr."""
    print(f"{name}: {text}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="image_client", description="Classify images with a model on an inference server."
    )
    add_arguments(parser)
    parser.add_argument(
        "-u",
        "--url",
        help="URL of the server (localhost:8000 for HTTP, localhost:8001 for gRPC)",
    )
    parser.add_argument("-i", "--protocol", default="HTTP", help="HTTP or gRPC (HTTP)")
    return parser


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `image_client` and `grpc_image_client` have in common."""
    add = parser.add_argument
    add("image_filename", nargs="+", help="image files, and folders whose images to classify")
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
        help="send all requests on one stream (gRPC only)",
    )
    add("-m", "--model-name", required=True, help="name of the model")
    add("-x", "--model-version", default="", help="version of the model (chosen by the server)")
    add("-b", "--batch-size", type=positive, default=1, help="images per request (1)")
    add("-c", "--classes", type=positive, default=1, help="classes to show for each image (1)")
    add(
        "-s",
        "--scaling",
        type=str.upper,
        choices=images.SCALINGS,
        default="NONE",
        help="scaling of pixel values: none, to -1 to 1, or minus the mean colour (NONE)",
    )
    add_report_arguments(parser)


def add_report_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how results are printed, and what is done about images that fail."""
    add = parser.add_argument
    add(
        "--keep-going",
        action="store_true",
        help="go on after images that can't be read or classified; the exit status is 1 then too",
    )
    add(
        "--json",
        dest="as_json",
        action="store_true",
        help="print a JSON object per image, a line each",
    )


if __name__ == "__main__":
    sys.exit(main())
