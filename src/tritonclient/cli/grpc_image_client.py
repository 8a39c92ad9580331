"""`grpc_image_client`: `image_client` on the generated gRPC API, which all languages have.

It uses nothing of this package's clients: a grpcio channel, the stub, and the protocol's messages.
"""

from __future__ import annotations

import argparse
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from .. import images
from .. import messages as m
from ..client.results import InferResult
from ..codec import rpc
from ..datatypes import pack
from ..errors import ProtocolError, ServerError
from ..extras import optional_import
from .arguments import Parser
from .image_client import IN_FLIGHT, add_arguments, execute, make_job, note
from .image_jobs import Batch, Job, UsageError
from .image_report import Report

NAME = "grpc_image_client"


def run(arguments: argparse.Namespace) -> int:
    """Do what the flags ask for; the exit status.

    Raises:
        UsageError, ImageError, OSError, InferenceServerException: it can't be done.
    """
    with optional_import("grpcio", NAME, "grpcio"):
        import grpc

    from ..grpc import service_pb2_grpc

    images.require_pillow()
    files = images.find_all(arguments.image_filename, lambda file: note(f"skipped {file!r}", NAME))
    report = Report(arguments.as_json, arguments.keep_going, NAME, headings=False)
    failures = partial(_failures, grpc, arguments.url)
    with failures(), grpc.insecure_channel(_target(arguments.url)) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        with report.begin(_job(stub, arguments, files)) as job:
            calls = _calls(stub, job, arguments)
            for batch in job.batches():
                call = next(calls, None)
                if call is None:
                    raise ProtocolError("the stream ended early", endpoint=arguments.url)
                with report.failures(batch), failures():
                    report.show(batch, _result(call()))
    return report.finish()


@contextmanager
def _failures(grpc: Any, url: str) -> Iterator[None]:
    """Raise errors of grpcio in the block as this package's own."""
    try:
        yield
    except grpc.RpcError as failure:
        error: Any = failure  # a call is its own error, which the types do not say
        # Also of a server that was not reached: grpcio tells no difference to one that is busy.
        raise ServerError(f"{error.details()} ({url})", str(error.code())) from failure


def _target(url: str) -> str:
    """The server's address as grpcio takes it."""
    scheme, separator, address = url.partition("://")
    if not separator:
        return url.removeprefix("grpc+")
    if scheme != "grpc":
        raise UsageError(f"-u {url}: {NAME} speaks gRPC without TLS; expected grpc://host:port")
    return address


def _job(stub: Any, arguments: argparse.Namespace, files: Sequence[str]) -> Job:
    from ..grpc import service_pb2

    name, version = arguments.model_name, arguments.model_version
    metadata = stub.ModelMetadata(service_pb2.ModelMetadataRequest(name=name, version=version))
    config = stub.ModelConfig(service_pb2.ModelConfigRequest(name=name, version=version))
    described: dict[str, Any] = rpc.decode_response(
        m.GetModelConfig(name), config.SerializeToString()
    )
    return make_job(
        arguments,
        files,
        rpc.decode_response(m.GetModelMetadata(name), metadata.SerializeToString()),
        described,
    )


def _calls(stub: Any, job: Job, arguments: argparse.Namespace) -> Iterator[Callable[[], Any]]:
    """Yield a function per request, in their order, that returns the response or raises."""
    requests = (_request(job, batch) for batch in job.batches())
    if arguments.streaming:
        yield from _on_one_stream(stub, requests)
    elif arguments.asynchronous:
        futures: deque[Any] = deque()
        for request in requests:
            if len(futures) == IN_FLIGHT:
                yield futures.popleft().result
            futures.append(stub.ModelInfer.future(request))
        for future in futures:
            yield future.result
    else:
        for request in requests:
            yield partial(stub.ModelInfer, request)


def _on_one_stream(stub: Any, requests: Iterator[Any]) -> Iterator[Callable[[], Any]]:
    failures: list[Exception] = []

    def sent() -> Iterator[Any]:
        try:
            yield from requests
        except Exception as failure:  # grpcio would only tell that there was one
            failures.append(failure)

    early: dict[str, Any] = {}  # responses that came before those to earlier requests
    number = 0
    for response in stub.ModelStreamInfer(sent()):
        early[response.infer_response.id or str(number)] = response
        while (response := early.pop(str(number), None)) is not None:
            yield partial(_taken, response)
            number += 1
    if failures:
        raise failures[0]


def _taken(response: Any) -> Any:
    """Return the response in a message of a stream; raise its error."""
    if response.error_message:
        raise ServerError(response.error_message)
    return response.infer_response


def _request(job: Job, batch: Batch) -> Any:
    from ..grpc import service_pb2

    model = job.model
    request = service_pb2.ModelInferRequest(
        model_name=model.name, model_version=model.version, id=str(batch.number)
    )
    ((name, tensor),) = job.inputs(batch).items()
    request.inputs.add(name=name, datatype=tensor.datatype, shape=tensor.array.shape)
    request.raw_input_contents.append(bytes(pack(tensor.array, tensor.datatype)))
    output = request.outputs.add(name=model.output)
    output.parameters["classification"].int64_param = job.classes
    return request


def _result(response: Any) -> InferResult:
    data = response.SerializeToString()
    return InferResult(rpc.decode_response(m.Infer(response.model_name, ()), data))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = Parser(prog=NAME, description="Classify images over the generated gRPC API.")
    add_arguments(parser)
    parser.add_argument(
        "-u", "--url", default="localhost:8001", help="URL of the server (localhost:8001)"
    )
    return execute(run, parser.parse_args(argv), NAME)


if __name__ == "__main__":
    sys.exit(main())
