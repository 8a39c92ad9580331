"""A run from its settings to its exit code."""

from __future__ import annotations

import contextlib
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from . import exits
from .data.dataset import Dataset
from .data.loading import load as load_data
from .exits import PerfError, SetupError
from .load.manager import Manager
from .load.plan import Plan
from .load.schedule import Schedule
from .measure import loads, search
from .measure.figures import Point
from .measure.profile import Profiler
from .options.settings import Settings
from .report.console import Console
from .services.choosing import connect
from .services.service import Service


class Interrupts:
    """Counts Ctrl-C and SIGTERM; while it is entered they do not end the program.

    The third one does, for those who do not want to wait.
    """

    def __init__(self) -> None:
        self.count = 0
        self._before: dict[int, Any] = {}

    def __call__(self) -> int:
        return self.count

    def __enter__(self) -> Interrupts:
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(ValueError):  # not in the main thread
                self._before[number] = signal.signal(number, self._note)
        return self

    def _note(self, number: int, frame: object) -> None:
        self.count += 1
        if self.count == 1:
            sys.stderr.write(
                f"Interrupt signal ({number}) received.\n"
                "Waiting for in-flight inferences to complete.\n"
            )
        elif self.count > 2:
            raise KeyboardInterrupt

    def __exit__(self, *exc_info: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def run(settings: Settings) -> int:
    """Run; the exit code.

    Raises:
        PerfError: it could not begin.
    """
    with contextlib.ExitStack() as stack:
        try:
            service = connect(settings)
            stack.callback(service.close)
            if service.model.sequence and not settings.synchronous:
                settings = replace(settings, asynchronous=True)
            data = load_data(service.model, settings)
            _check(settings, service, data)
            plan = service.plan(data, settings)
        except (ValueError, TypeError, OSError) as error:
            raise SetupError(f"error: {error}") from error
        if settings.dry_run:
            print(service.describe(plan))
            return exits.SUCCESS
        return _measure(settings, service, data, plan, stack)


def _check(settings: Settings, service: Service, data: Dataset) -> None:
    """Raise for what options and model, seen together, do not allow."""
    model = service.model
    if model.decoupled and settings.service_kind == "triton" and not settings.streaming:
        raise SetupError(
            f"model {model.name!r} is decoupled, which needs -i grpc --streaming, but --streaming "
            "is not given"
        )
    if settings.fixed_schedule and any(step.timestamp is None for step in data.steps):
        raise SetupError("--fixed-schedule needs a timestamp in each step of the data")
    if settings.shared_memory != "none":
        if any(step.inputs.keys() != model.inputs.keys() for step in data.steps):
            raise SetupError(
                "--shared-memory needs all inputs in each step, but an optional one is left out"
            )
        if settings.service_kind == "triton_c_api" and settings.streaming:
            raise SetupError("--shared-memory can't be used with the C API and --streaming")
    if not model.sequence:
        for field, name in (("sequence_interval", "--sequence-interval"),):
            if field in settings.given:
                raise SetupError(f"{name} needs a model that keeps sequences")
        return
    load = settings.load_range
    if load.end == 0 and settings.concurrency_range and not settings.synchronous:
        raise SetupError(
            "--concurrency-range without an end (0) can't be used with sequences in asynchronous "
            "mode; give an end or --sync"
        )
    start, end = settings.sequence_id_range
    if end is not None:
        most = settings.num_of_sequences if settings.open_loop else max(load.start, load.end or 0)
        if end - start < most:
            raise SetupError(
                f"--sequence-id-range has {end - start} ids, expected at least {most:g}, as many "
                "as there are sequences at a time"
            )


@contextlib.contextmanager
def _records(settings: Settings) -> Iterator[str]:
    """A folder for the records of all requests, if they are wanted."""
    if not settings.profile_export_file:
        yield ""
        return
    folder = tempfile.mkdtemp(prefix="perf-analyzer-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measure(
    settings: Settings,
    service: Service,
    data: Dataset,
    plan: Plan,
    stack: contextlib.ExitStack,
) -> int:
    workers = loads.workers_for(settings, data)
    if settings.shared_memory != "none":
        plan = service.share(plan, loads.places_for(settings))
    folder = stack.enter_context(_records(settings))
    plan = replace(plan, record=folder)
    manager = Manager(plan, workers, start=service.start_worker)
    stack.callback(manager.close)
    # Before this Ctrl-C ends the program at once, as there is nothing to report.
    interrupts = stack.enter_context(Interrupts())
    live = _live(settings)
    console = Console(settings, service, live)
    if live is not None:
        stack.callback(live.hide)
    if settings.verbose > 1:
        console.line(service.describe(plan))
    console.data(data)
    console.settings()
    profiler = Profiler(
        settings,
        service,
        manager,
        data,
        report=console,
        interrupted=interrupts,
        agree=_agreement(settings, stack, console),
    )
    if settings.collect_metrics:
        from .measure.metrics import Poller

        poller = Poller(settings, console.warn)
        stack.callback(poller.close)
        profiler.collect(poller)
    points = _points(settings, profiler, console, data)
    if interrupts.count:
        sys.stderr.write("Received exit signal.\n")
    if settings.periodic_concurrency_range is None:
        console.closing(points)
    _write(settings, service, plan, points, folder)
    return _code(settings, points, interrupts, console)


def _points(settings: Settings, profiler: Profiler, console: Console, data: Dataset) -> list[Point]:
    def measure(value: float) -> Point:
        console.begin(value)
        point = profiler.measure(value)
        if settings.periodic_concurrency_range is None:
            if not point.over_limit:
                console.block(point)
            console.outcome(point)
        elif point.errors:
            console.block(point)
        return point

    if settings.binary_search:
        return list(search.binary(settings, measure))
    if settings.request_intervals or settings.fixed_schedule:
        schedule: Schedule = loads.schedule_for(settings, data, 0)
        return [measure(schedule.mean_rate)]
    if settings.periodic_concurrency_range is not None:
        return [measure(settings.periodic_concurrency_range.start)]
    return list(search.linear(settings, measure))


def _live(settings: Settings) -> Any:
    """The live view, if there is to be one."""
    if settings.live == "off" or (settings.live == "auto" and not sys.stdout.isatty()):
        return None
    from .report.live import make

    return make(settings)


def _agreement(
    settings: Settings, stack: contextlib.ExitStack, console: Console
) -> Callable[[bool], bool] | None:
    """What asks other MPI ranks whether they are stable."""
    if not settings.enable_mpi:
        return None
    from .measure.mpi import Ranks

    ranks = Ranks()
    stack.callback(ranks.close)
    ranks.barrier()
    stack.callback(ranks.barrier)

    def agree(stable: bool) -> bool:
        every = ranks.all(stable)
        if every and settings.verbose:
            console.line("All models on all MPI ranks are stable")
        return every

    return agree


def _write(
    settings: Settings, service: Service, plan: Plan, points: list[Point], folder: str
) -> None:
    """Write all files that were asked for."""
    try:
        if settings.csv_file:
            from .report import csv

            csv.write(points, settings, service.model)
        if settings.profile_export_file:
            from .report import export

            export.write(points, settings, service, plan, folder)
        if settings.summary_file or settings.html:
            from .report import summary

            document = summary.document(points, settings, service)
            if settings.summary_file:
                summary.write(document, settings.summary_file)
            if settings.html:
                from .report import html

                html.write(document, settings.html)
    except OSError as error:
        raise PerfError(f"{error.filename} can't be written: {error.strerror}") from None


def _code(settings: Settings, points: list[Point], interrupts: Interrupts, console: Console) -> int:
    """The exit code."""
    if interrupts.count:
        return exits.INTERRUPTED
    failed = sum(point.total_failed for point in points)
    done = sum(point.total_done for point in points)
    rate = 100 * failed / (done + failed) if done + failed else 0.0
    if any(point.lost for point in points) or (failed and rate > settings.max_error_rate):
        return exits.TOO_MANY_ERRORS
    if settings.periodic_concurrency_range is not None:
        return exits.SUCCESS if done else exits.NOTHING_MEASURED
    last = points[-1]
    if not any(point.reported is not None and point.reported.count for point in points):
        return exits.NOTHING_MEASURED
    if last.reported is None or not last.reported.count:
        return exits.NOTHING_MEASURED
    if settings.assertions:
        from .report.assertions import broken

        found = broken(points, settings)
        for text in found:
            console.warn(f"Assertion failed: {text}")
        if found:
            return exits.ASSERTION_FAILED
    if settings.max_lag and (late := _late(points, settings)):
        console.warn(late)
        return exits.RATE_NOT_KEPT
    first = points[0]
    if not first.stable and not first.over_limit and not settings.binary_search:
        console.warn("Failed to obtain stable measurement.")
        return exits.UNSTABLE
    return exits.SUCCESS


def _late(points: list[Point], settings: Settings) -> str:
    """Why the rate counts as not kept; "" if it was."""
    from .load import shared as c

    for point in points:
        figures = point.reported
        if figures is None:
            continue
        lag = figures.percentile(99, c.LAG) / 1000
        if lag > settings.max_lag:
            return (
                f"The rate {point.value:g} was not kept: the p99 of the lag was {lag:.3f} ms, "
                f"expected at most {settings.max_lag:g} ms (--max-lag)."
            )
        if figures.send_rate < 0.99 * point.value and settings.request_rate_range:
            return (
                f"The rate {point.value:g} was not kept: {figures.send_rate:.2f} requests a second "
                "were sent."
            )
    return ""
