"""`tritonclient serve`: the embedded server as a program, with tritonserver's flags."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from . import output, serve_flags, serve_grpc, serve_models, serve_trace
from .arguments import LOCAL, cache_size, pattern, port, positive, switch, unsigned
from .output import say

if TYPE_CHECKING:
    from ..server import Server
    from ..server.repository.versions import ModelStatus

NAME = "serve"
HELP = "serve models"
DESCRIPTION = """\
Serve ONNX models and Python-backend models on the CPU, to clients on this machine.

  tritonclient serve model.onnx
  tritonclient serve iris=model.onnx --http-address 0.0.0.0
  tritonclient serve --demo
  tritonclient serve --model-repository models
  tritonclient serve --model-repository=models --model-control-mode=explicit --load-model=simple

Flags have the names, meanings and defaults of tritonserver's own, but for the addresses: without
--http-address and --grpc-address only this machine can connect (127.0.0.1). Exit status: 0 after
SIGINT or SIGTERM, 1 if the server cannot start, 2 for a mistake in the command line."""

#: Seconds that models have to notice that their requests were cancelled.
_GRACE = 2.0
#: Seconds between two looks at the files of models with --watch.
_WATCH_INTERVAL = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.set_defaults(usage_error=parser.error)
    models = parser.add_argument_group("models")
    serve_models.add_arguments(models)
    models.add_argument(
        "--model-control-mode",
        choices=("none", "explicit", "poll"),
        default="none",
        help="none: load all models at the start; explicit: load --load-model and what clients "
        "request; poll: load all models and follow the directories (default: %(default)s)",
    )
    models.add_argument(
        "--repository-poll-secs",
        type=positive,
        default=15,
        metavar="SECONDS",
        help="seconds between two looks in control mode poll (default: %(default)s)",
    )
    models.add_argument(
        "--watch",
        action="store_true",
        help="reload models whose files change, within a second; a model that can't be loaded "
        "goes on as it was",
    )
    models.add_argument(
        "--load-model",
        action="append",
        default=[],
        metavar="NAME",
        help="model to load at the start in control mode explicit, * for all; may be given "
        "several times",
    )
    models.add_argument(
        "--cache-config",
        action="append",
        default=[],
        type=cache_size,
        metavar="local,size=BYTES",
        help="keep responses of models with response_cache { enable: true }, up to this size",
    )
    models.add_argument(
        "--response-cache-byte-size",
        action="append",
        default=[],
        type=unsigned,
        metavar="BYTES",
        help="deprecated form of --cache-config local,size=BYTES",
    )
    switch(
        models,
        "--in-process",
        os.name != "posix",
        "execute Python models in the server's process, for breakpoints; without it each instance "
        "has a process, as in Triton",
    )
    models.add_argument(
        "--python",
        default="",
        metavar="PATH",
        help="interpreter of the processes of Python models; it needs numpy",
    )
    models.add_argument(
        "--model-load-thread-count",
        type=positive,
        default=4,
        metavar="NUMBER",
        help="models that are loaded at the same time at the start, unless they share the server's "
        "process (default: %(default)s)",
    )
    switch(models, "--strict-readiness", True, "be ready only while every model is")
    switch(models, "--exit-on-error", True, "exit when a model can't be loaded at the start")
    _add_http(parser)
    serve_grpc.add_arguments(parser)
    serve_trace.add_arguments(parser)
    _add_others(parser)


def _add_http(parser: argparse.ArgumentParser) -> None:
    http = parser.add_argument_group("HTTP")
    switch(http, "--allow-http", True, "serve HTTP")
    http.add_argument(
        "--http-address",
        default=LOCAL,
        metavar="ADDRESS",
        help="0.0.0.0 for clients on other machines (default: %(default)s)",
    )
    http.add_argument(
        "--http-port",
        type=port,
        default=8000,
        metavar="PORT",
        help="0 takes a free one (default: %(default)s)",
    )
    http.add_argument(
        "--http-max-input-size",
        type=positive,
        default=1 << 30,
        metavar="BYTES",
        help="largest request body (default: %(default)s)",
    )
    http.add_argument(
        "--receive-timeout-secs",
        type=positive,
        default=300,
        metavar="SECONDS",
        help="refuse a half-sent request of which nothing comes for so long (default: %(default)s)",
    )
    http.add_argument(
        "--min-receive-rate",
        type=positive,
        default=240,
        metavar="BYTES",
        help="refuse a request that comes with fewer bytes per second, after the time above "
        "(default: %(default)s)",
    )
    http.add_argument(
        "--http-header-forward-pattern",
        type=pattern,
        metavar="REGEX",
        help="requests have each header that this matches as a parameter",
    )
    http.add_argument("--http-certificate", metavar="FILE", help="serve https with this (PEM)")
    http.add_argument("--http-key", metavar="FILE", help="key of the certificate (PEM)")


def _add_others(parser: argparse.ArgumentParser) -> None:
    others = parser.add_argument_group("others")
    others.add_argument(
        "--max-requests",
        type=positive,
        default=1 << 14,
        metavar="NUMBER",
        help="requests in work, of HTTP and of gRPC each; further ones are refused "
        "(default: %(default)s)",
    )
    others.add_argument(
        "--exit-timeout-secs",
        type=int,
        default=30,
        metavar="SECONDS",
        help="seconds to wait for running requests at shutdown (default: %(default)s)",
    )
    others.add_argument(
        "--log-verbose",
        type=int,
        default=0,
        metavar="LEVEL",
        help="1 logs every request (default: 0)",
    )
    serve_flags.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM; 0 after these, 1 when the server can't start."""
    if not serve_models.are_named(arguments):
        arguments.usage_error(
            "there is nothing to serve: name a model.onnx, a --model-repository DIR, or --demo"
        )
    if arguments.allow_grpc is None:
        arguments.allow_grpc = serve_grpc.is_installed()
    if problem := _problem(arguments):
        return _fail(problem)
    if ignored := _ignored(arguments):
        print(f"warning: these have no effect: {', '.join(ignored)}", file=sys.stderr)
    from ..errors import InferenceServerException

    with _logging_to_stderr(verbose=arguments.log_verbose > 0), _signals() as stopped:
        try:
            with output.waiting("loading models"):
                server = _server(arguments).start()
        except (InferenceServerException, ImportError, OSError, TypeError, ValueError) as error:
            return _fail(f"creating server: {error}{_other_port(error)}")
        try:
            say(table(server.models()))
            for service in _services(server, arguments):
                say(f"Started {service}")
            stopped.wait()
            say("Signal received, shutting down.")
        finally:
            _stop(server, arguments.exit_timeout_secs)
    return 0


def _stop(server: Server, exit_timeout: int) -> None:
    """Stop the server; or the process, when a model is still executing long after the timeout."""
    overdue = threading.Timer(exit_timeout + _GRACE, _exit_at_once)
    overdue.daemon = True
    overdue.start()
    server.stop()
    overdue.cancel()


def _exit_at_once() -> None:
    os._exit(_fail("exit timeout expired, exiting immediately"))


def _problem(arguments: argparse.Namespace) -> str | None:
    """Why this server can't do what was asked, or None."""
    found = serve_flags.problem(arguments) or serve_models.problem(arguments)
    if found:
        return found
    if not (arguments.allow_http or arguments.allow_grpc):
        return "there is nothing to serve without HTTP and gRPC"
    if bool(arguments.http_certificate) != bool(arguments.http_key):
        return "--http-certificate and --http-key belong together"
    return serve_grpc.problem(arguments)


def _ignored(arguments: argparse.Namespace) -> list[str]:
    """The flags that were given and have no effect."""
    return [*serve_flags.ignored(arguments), *serve_trace.ignored(arguments)]


def _server(arguments: argparse.Namespace) -> Server:
    from ..server import Server

    return Server(
        serve_models.repositories(arguments),
        models=serve_models.single(arguments),
        host=arguments.http_address,
        http_port=arguments.http_port if arguments.allow_http else None,
        grpc_port=arguments.grpc_port if arguments.allow_grpc else None,
        model_control_mode=arguments.model_control_mode,
        load_models=arguments.load_model,
        strict_readiness=arguments.strict_readiness,
        exit_on_error=arguments.exit_on_error,
        trace_settings=serve_trace.settings(arguments),
        response_cache_size=max(
            [*arguments.cache_config, *arguments.response_cache_byte_size], default=0
        ),
        watch_interval=_watch_interval(arguments),
        max_input_size=arguments.http_max_input_size,
        max_requests=arguments.max_requests,
        receive_timeout=arguments.receive_timeout_secs,
        min_receive_rate=arguments.min_receive_rate,
        forwarded_headers=arguments.http_header_forward_pattern or "",
        certfile=arguments.http_certificate,
        keyfile=arguments.http_key,
        grpc=serve_grpc.options(arguments),
        exit_timeout=arguments.exit_timeout_secs,
        in_process=arguments.in_process,
        python=arguments.python,
        load_threads=arguments.model_load_thread_count,
    )


def _watch_interval(arguments: argparse.Namespace) -> float:
    if arguments.watch:
        return _WATCH_INTERVAL
    return arguments.repository_poll_secs if arguments.model_control_mode == "poll" else 0


def _services(server: Server, arguments: argparse.Namespace) -> Iterator[str]:
    """Yield each service and its address, as tritonserver prints them."""
    if arguments.allow_grpc:
        yield f"GRPCInferenceService at {arguments.grpc_address}:{server.grpc_port}"
    if arguments.allow_http:
        yield f"HTTPService at {arguments.http_address}:{server.http_port}"


@contextmanager
def _signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set; a second one ends the process at once."""
    stopped = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        if stopped.is_set():
            # Not print(), whose buffer may be in use by what this interrupts.
            os.write(2, b"error: second signal, exiting immediately\n")
            os._exit(1)
        stopped.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _logging_to_stderr(*, verbose: bool) -> Iterator[None]:
    """Write the server's log to stderr within the block."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname).1s %(asctime)s %(name)s: %(message)s"))
    logger = logging.getLogger("tritonclient.server")
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]


def table(models: Sequence[ModelStatus]) -> str:
    """The table of models that tritonserver prints when it has started."""
    rows = [("Model", "Version", "Status")]
    for model in models:
        rows.append((model.name, model.version, model.status))
    return output.table(rows)


def _other_port(error: Exception) -> str:
    """Return what to do about a port that can't be listened at, or ""."""
    text = str(error).lower()
    if "in use" in text:
        return "; --http-port and --grpc-port choose other ports, 0 a free one"
    if "can't listen" in text and "permission denied" in text:
        return "; ports below 1024 are for the administrator: choose --http-port and --grpc-port"
    return ""


def _fail(text: str) -> int:
    print(f"error: {text}", file=sys.stderr, flush=True)
    return 1
