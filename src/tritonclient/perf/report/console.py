"""The console report: the official lines with their official meaning, and our own beside them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, TextIO

from ..data.dataset import Dataset
from ..load import shared as c
from ..measure.figures import Figures, Point, Sample, confidence
from ..measure.stability import judged_latency
from ..options.settings import Settings
from ..services.service import Service
from . import server_lines
from .numbers import general, percentile_name, percentiles, usec

#: Percent of delayed requests from which the report says so.
_DELAYED = 1.0
#: Percent of its time that the generator may be busy before the report warns.
_BUSY = 75.0


class Console:
    """Writes the report; warnings and errors go to standard error."""

    def __init__(
        self, settings: Settings, service: Service, live: Any = None, out: TextIO | None = None
    ) -> None:
        self._settings = settings
        self._service = service
        self._out = out or sys.stdout
        self._live = live
        self._value = 0.0
        self._fixed = False  # decimals, once requests were delayed

    def line(self, text: str = "") -> None:
        """Write a line of the report."""
        self._hide()
        self._out.write(text + "\n")
        self._out.flush()

    def warn(self, text: str) -> None:
        """Write a line to standard error."""
        self._hide()
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def _hide(self) -> None:
        if self._live is not None:
            self._live.hide()

    def _number(self, value: float) -> str:
        return f"{value:.2f}" if self._fixed else general(value)

    # Before the first load

    def data(self, data: Dataset) -> None:
        """How much data was loaded."""
        if not data.loaded:
            return
        count = len(data.streams)
        text = f" Successfully read data for {count} stream/streams"
        if count == 1:
            text += f" with {len(data.streams[0])} step/steps"
        self.line(text + ".")

    def settings(self) -> None:
        """The settings block."""
        s, line = self._settings, self.line
        line("*** Measurement Settings ***")
        if s.service_kind == "triton" or "batch_size" in s.given:
            line(f"  Batch size: {s.batch_size}")
        line(f"  Service Kind: {self._service.kind}")
        if s.warmup_request_count:
            line(f"  Sending {s.warmup_request_count} warmup request(s)")
        if s.request_count:
            line(f"  Sending a total of {s.request_count} requests")
        elif s.duration:
            line(f"  Measuring for {s.duration:g} seconds")
        elif not s.fixed_schedule:
            self._window_lines()
        self._limit_lines()
        if s.request_rate_range is not None:
            kind = "poisson" if s.request_distribution == "poisson" else "uniform"
            line(f"  Using {kind} distribution on request generation")
        if s.binary_search:
            line("  Using Binary Search algorithm")
        how = "asynchronous" if s.asynchronous else "synchronous"
        line(f"  Using {how} calls for inference")
        if self._service.model.decoupled:
            line("  Detected decoupled model, using the last response for measuring latency")
        if s.open_loop:
            line("  Limits, stability and the closing lines use the scheduled latency")
            if not s.asynchronous and not s.max_in_flight:
                line(
                    f"  At most {s.max_threads or 4} requests at a time (--max-threads; --async "
                    "has no limit)"
                )
        line()

    def _window_lines(self) -> None:
        s = self._settings
        self.line(f'  Using "{s.measurement_mode}" mode for stabilization')
        judged = "average latency and throughput"
        if s.percentile > 0:
            judged = f"{percentile_name(s.percentile)}latency and throughput"
        elif s.asynchronous:
            judged = "average throughput"
        self.line(f"  Stabilizing using {judged}")
        if s.measurement_mode == "time_windows":
            self.line(f"  Measurement window: {s.measurement_interval} msec")
        else:
            count = s.measurement_request_count
            self.line(f"  Minimum number of samples in each window: {count}")

    def _limit_lines(self) -> None:
        s = self._settings
        load = s.load_range
        if load.end is None or (load.single and load.end != 0):
            return
        self.line(f"  Latency limit: {s.latency_threshold} msec")
        if load.end:
            if s.request_rate_range:
                self.line(f"  Request Rate limit: {general(load.end)} requests per seconds")
            else:
                self.line(f"  Concurrency limit: {int(load.end)} concurrent requests")

    # A load

    def begin(self, value: float) -> None:
        """The head line of a load."""
        s = self._settings
        self._value = value
        if s.request_rate_range:
            self.line(f"Request Rate: {general(value)} inference requests per seconds")
        elif s.session_concurrency:
            self.line(f"Session concurrency: {s.session_concurrency}")
        elif not s.request_intervals and not s.fixed_schedule:
            self.line(f"Request concurrency: {int(value)}")

    def window(self, number: int, figures: Figures) -> None:
        """A line for each window, when asked for by -v."""
        if not self._settings.verbose:
            return
        if not figures.count:
            self.line(
                f"  Pass [{number}] No valid requests recorded within time interval"
                f" ({figures.failed} failed). Please use a larger time window."
            )
            return
        head = f"  Pass [{number}] throughput: {self._number(figures.throughput)} infer/sec."
        chosen = self._settings.percentile
        if chosen > 0:
            self.line(
                f"{head} {percentile_name(chosen)} latency: {usec(figures.percentile(chosen))} usec"
            )
        else:
            self.line(
                f"{head} Avg latency: {usec(figures.latency)} usec "
                f"(std {usec(figures.deviation)} usec). "
            )

    def sample(self, point: Point, sample: Sample) -> None:
        """The live view."""
        if self._live is not None:
            self._live.show(point, sample)

    def block(self, point: Point) -> None:
        """The report of a load."""
        figures = point.reported
        if figures is None:
            self._errors(point)
            return
        delayed = 100 * figures.delayed / figures.sent if figures.sent else 0.0
        if self._settings.open_loop and delayed > _DELAYED:
            self._fixed = True
        self.line("  Client: ")
        self.line(f"    Request count: {figures.count}")
        if not figures.count:
            self._errors(point)
            return
        self._rate_lines(figures, delayed)
        if self._service.model.sequence:
            self.line(
                f"    Sequence count: {figures.sequences} "
                f"({self._number(figures.sequence_rate)} seq/sec)"
            )
        self.line(f"    Throughput: {self._number(figures.throughput)} infer/sec")
        if self._service.model.decoupled:
            rate = self._number(figures.response_throughput)
            self.line(f"    Response Throughput: {rate} infer/sec")
        self._confidence(point)
        if self._settings.verbose:
            self.line(f"    Avg client overhead: {figures.overhead:.2f}%")
            self.line(
                f"    Load generator: {figures.cpu_per_request:.1f} usec of processor time per "
                f"request, {figures.workers} worker(s)"
            )
        self._latency_lines(figures)
        self._library_line(figures)
        self._token_lines(figures)
        self._errors(point)
        if figures.server is not None:
            self._server(figures)
        if point.metrics is not None:
            self._metrics(point.metrics)
        self._warnings(point, figures, delayed)

    def _rate_lines(self, figures: Figures, delayed: float) -> None:
        if not self._settings.open_loop:
            return
        if delayed > _DELAYED:
            self.line(f"    Avg send request rate: {figures.send_rate:.2f} infer/sec")
            self.line(
                "    [WARNING] Perf Analyzer was not able to keep up with the desired request "
                f"rate. {delayed:.2f}% of the requests were delayed. "
            )
        if figures.dropped:
            self.line(f"    Dropped requests: {figures.dropped} (more than --max-in-flight)")

    def _confidence(self, point: Point) -> None:
        found = confidence([window.throughput for window in point.reported_windows])
        if found is not None:
            low, high = found.mean - found.half, found.mean + found.half
            self.line(
                f"    Throughput 95% confidence: {self._number(max(0.0, low))} to "
                f"{self._number(high)} infer/sec ({len(point.reported_windows)} windows)"
            )

    def _latency_lines(self, figures: Figures) -> None:
        twin = self._settings.open_loop
        if self._settings.percentile <= 0:
            self.line(
                f"    Avg latency: {usec(figures.latency)} usec "
                f"(standard deviation {usec(figures.deviation)} usec)"
            )
            if twin:
                self.line(f"    Avg scheduled latency: {usec(figures.scheduled_latency)} usec")
        for percent in percentiles(self._settings.percentile):
            name = percentile_name(percent)
            self.line(f"    {name} latency: {usec(figures.percentile(percent))} usec")
            if twin:
                planned = usec(figures.percentile(percent, c.PLANNED))
                self.line(f"    {name} scheduled latency: {planned} usec")
        if twin:
            p50, p99 = (usec(figures.percentile(each, c.LAG)) for each in (50, 99))
            self.line(
                f"    Schedule lag: p50 {p50} usec, p99 {p99} usec, "
                f"max {usec(figures.lag_max)} usec"
            )

    def _library_line(self, figures: Figures) -> None:
        library = self._service.library
        if not library or self._service.model.decoupled:
            self.line("    ")
            return
        whole = usec(figures.latency)
        send, wait, receive = usec(figures.send), usec(figures.wait), usec(figures.receive)
        if library == "gRPC":
            parts = (
                f"(un)marshal request/response {send + receive} usec + response wait {wait} usec"
            )
            if self._settings.verbose:
                parts = (
                    f"marshal {send} usec + response wait {wait} usec + unmarshal {receive} usec"
                )
        elif self._settings.verbose:
            parts = f"send {send} usec + response wait {wait} usec + receive {receive} usec"
        else:
            parts = f"send/recv {send + receive} usec + response wait {wait} usec"
        self.line(f"    Avg {library} time: {whole} usec ({parts})")

    def _token_lines(self, figures: Figures) -> None:
        if self._settings.service_kind != "openai":
            return
        for name, kind in (("Time to first token", c.TTFT), ("Inter-token latency", c.ITL)):
            if not figures.histogram(kind).any():
                continue
            p50, p90, p99 = (usec(figures.percentile(each, kind)) for each in (50, 90, 99))
            self.line(f"    {name}: p50 {p50} usec, p90 {p90} usec, p99 {p99} usec")
        if figures.tokens:
            self.line(
                f"    Output token throughput: {self._number(figures.token_throughput)} tokens/sec"
            )
        if self._settings.goodput:
            self.line(f"    Goodput: {self._number(figures.goodput)} requests/sec")

    def _errors(self, point: Point) -> None:
        failed = sum(count for count, _ in point.errors.values())
        if not failed:
            return
        total = point.total_done + max(point.total_failed, failed)
        self.line(f"    Errors: {failed} ({100 * failed / total:.2f}%)")
        for kind, (count, text) in sorted(point.errors.items(), key=lambda each: -each[1][0]):
            self.line(f"      {kind}: {count}, such as: {' '.join(text.split())[:300]}")

    def _server(self, figures: Figures) -> None:
        assert figures.server is not None
        for text in server_lines.block(figures.server, self._service.model):
            self.line(text)
        self.line()

    def _metrics(self, metrics: Any) -> None:
        self.line("  Server Prometheus Metrics: ")
        for head, unit, values in metrics.groups():
            self.line(f"    {head}:")
            for name, value in values.items():
                self.line(f"      {name} : {value}{unit}")

    def _warnings(self, point: Point, figures: Figures, delayed: float) -> None:
        if figures.overhead > _BUSY and not self._settings.open_loop:
            self.warn(
                f"WARNING: the load generator was busy {figures.overhead:.0f}% of the time "
                f"({figures.cpu_per_request:.0f} usec of processor time per request); these "
                "figures may show its limits rather than the server's."
            )
        if self._settings.open_loop and delayed > _DELAYED and figures.overhead > _BUSY:
            self.warn(
                f"WARNING: the load generator was busy {figures.overhead:.0f}% of the time, which "
                "is why requests were late."
            )
        server = figures.server
        if server is None:
            return
        for text in server.warnings:
            self.warn(f"WARNING: {text}")
        theirs, ours = server.model.successes, figures.count + figures.failed
        slack = 2 * max(self._value, 1) + 10 + 0.02 * ours
        if theirs > ours + slack and not self._service.model.cached:
            self.warn(
                f"WARNING: the server counted {theirs} requests while this client sent {ours}; "
                "its statistics hold other traffic."
            )

    def outcome(self, point: Point) -> None:
        """What is to be said of a load that did not end well."""
        s = self._settings
        what = "request rate" if s.open_loop else "concurrency"
        if point.interrupted or point.lost:
            if point.lost:
                reason = point.note or "no connection could be made for 5 seconds"
                self.warn(f"The server is lost: {reason}. What was measured is reported.")
            return
        if point.windows and not any(window.count for window in point.windows[-3:]):
            self.warn("The last windows have failed requests only; the load ends here.")
            if point.reported is not None and point.reported.count:
                return
        if point.reported is not None and not point.reported.count:
            self.warn(
                "No valid requests recorded within time interval. Please use a larger time window."
            )
        elif point.over_limit:
            self.warn(f"Measured latency went over the set limit of {s.latency_threshold} msec. ")
        elif not point.stable:
            self.warn(
                f"Failed to obtain stable measurement within {s.max_trials} measurement windows "
                f"for {what} {general(point.value)}. Please try to increase the "
                "--measurement-interval."
            )
        elif point.latency_unstable:
            self.warn(
                "WARNING: only the throughput was stable; the latency was not, as it is not "
                "bounded by the load in asynchronous mode."
            )

    # At the end

    def closing(self, points: Sequence[Point]) -> None:
        """The closing lines."""
        shown = [point for point in points if point.shown]
        if not shown:
            return
        s = self._settings
        judged = "Average" if s.percentile <= 0 else percentile_name(s.percentile)
        self.line(f"Inferences/Second vs. Client {judged} Batch Latency")
        for point in shown:
            assert point.reported is not None
            name = "Request Rate" if s.open_loop else "Concurrency"
            value = self._number(point.value) if s.open_loop else str(int(point.value))
            latency = usec(judged_latency(point.reported, s))
            self.line(
                f"{name}: {value}, throughput: {self._number(point.reported.throughput)} "
                f"infer/sec, latency {latency} usec"
            )
