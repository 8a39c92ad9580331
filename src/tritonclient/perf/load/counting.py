"""Counting requests that ended: into shared memory, and their errors by kind."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import IO, Any

from ...codec.rest import HttpResponse
from ...datatypes import Buffer
from ...errors import InferenceServerException
from . import shared as c
from .connection import Failure, Target
from .histogram import BUCKETS, LARGEST, PRECISION
from .lanes import Flight
from .plan import Plan

_EACH = 1 << PRECISION
#: A record: number of the step, sequence id, flags, start, end, due, responses that follow.
RECORD = struct.Struct("<qQqqqqq")
#: A response of a record: time, length of what it held.
RESPONSE = struct.Struct("<qq")
#: Kinds of errors that are told apart; further ones are counted together.
_MOST_KINDS = 64


class Counter:
    """Counts for one worker."""

    def __init__(self, plan: Plan, cells: Any, histograms: list[Any], record: IO[bytes] | None):
        self._plan = plan
        self._target: Target = plan.target
        self.cells = cells
        self._service, self._planned, self._lag, self._ttft, self._itl = histograms
        self._record = record
        self.errors: dict[str, list[Any]] = {}
        self.open_loop = False
        self._region: Any = None
        self._simple = plan.expected is None and record is None and not plan.tokens
        if plan.tokens:
            from ..services.tokens import read_tokens

            self._read_tokens = read_tokens

    def ended(self, flight: Flight) -> bool:
        """Count a request that ended; whether it ended well."""
        cells = self.cells
        if not self._simple:
            if flight.failure is None:
                flight.failure = self._check(flight)
            if self._record is not None:
                self._write(flight, self._record)
        end, start = flight.end, flight.start
        if end > cells[c.LAST]:  # the last response of an earlier one may be later
            cells[c.LAST] = end
        if flight.failure is not None:
            self.failed(flight.failure)
            return False
        latency = end - start
        cells[c.DONE] += 1
        cells[c.RESPONSES] += flight.response_count
        cells[c.LATENCY] += latency
        cells[c.SEND] += flight.sent - start
        cells[c.RECEIVE] += end - flight.first
        _count(self._service, latency)
        if self.open_loop:
            planned = end - flight.due
            cells[c.SCHEDULED] += planned
            _count(self._planned, planned)
        if flight.tokens is not None:
            self._count_tokens(flight, latency)
        return True

    def begun(self, flight: Flight) -> None:
        """Count how far behind its schedule a request begins."""
        lag = flight.start - flight.due
        _count(self._lag, lag)
        if lag > 1_000_000:
            self.cells[c.DELAYED] += 1

    def failed(self, failure: Failure) -> None:
        """Count an error."""
        self.cells[c.FAILED] += 1
        kind = failure.kind
        if kind not in self.errors and len(self.errors) >= _MOST_KINDS:
            kind = "others"
        known = self.errors.setdefault(kind, [0, failure.text[:500]])
        known[0] += 1

    def _check(self, flight: Flight) -> Failure | None:
        plan = self._plan
        if plan.tokens:
            return self._tokens(flight)
        if plan.expected is None:
            return None
        expected = plan.expected[flight.wire_index]
        if not expected:
            return None
        try:
            return self._compare(flight, expected)
        except (InferenceServerException, ValueError) as error:
            return Failure("protocol error", str(error))

    def _compare(self, flight: Flight, expected: Mapping[str, Buffer]) -> Failure | None:
        message = flight.answer
        if flight.responses:
            message = flight.responses[0][1]
        if self._target.kind == "http":
            message = HttpResponse(message.status, message.headers, (message.content(),))
        answer = self._target.decode(self._plan.requests[flight.wire_index], message)
        outputs = {} if answer is None else {each.name: each.data for each in answer.outputs}
        for name, wanted in expected.items():
            data = outputs.get(name)
            if data is None and self._plan.shared_outputs is not None:
                data = self._shared_output(name, flight.place, len(wanted))
            if data is None:
                return Failure("wrong output", f"Output doesn't match expected output: no {name!r}")
            if bytes(data) != wanted:
                return Failure(
                    "wrong output",
                    f"Output doesn't match expected output: {name!r} of step {flight.wire_index} "
                    f"is {bytes(data[:16]).hex(' ')}, expected "
                    f"{bytes(wanted[:16]).hex(' ')} (first bytes)",
                )
        return None

    def _shared_output(self, name: str, place: int, size: int) -> Buffer:
        """What the server wrote to shared memory."""
        from ...shm.system import attach_region

        assert self._plan.shared_outputs is not None
        key, each, outputs = self._plan.shared_outputs
        if self._region is None:
            self._region = attach_region(key)
        view: memoryview = self._region.view(place * each + outputs[name][0], size)
        return view

    # Tokens

    def _tokens(self, flight: Flight) -> Failure | None:
        found = self._read_tokens(flight.responses)
        if found.error:
            return Failure("response error", found.error)
        flight.tokens = (found.output, found.prompt)
        flight.response_count = found.chunks
        flight.answer = found
        return None

    def _count_tokens(self, flight: Flight, latency: int) -> None:
        found = flight.answer
        cells = self.cells
        cells[c.TOKENS] += found.output
        cells[c.INPUT_TOKENS] += found.prompt
        first = gap = 0
        if found.first:
            first = found.first - flight.start
            _count(self._ttft, first)
            if found.output > 1:
                gap = (found.last - found.first) // (found.output - 1)
                _count(self._itl, gap)
        measured = {
            "time_to_first_token": first or latency,
            "inter_token_latency": gap,
            "request_latency": latency,
        }
        if all(measured[name] <= limit for name, limit in self._plan.goals):
            cells[c.GOOD] += 1

    # Records

    def _write(self, flight: Flight, file: IO[bytes]) -> None:
        responses = flight.responses
        if not responses and flight.failure is None:
            responses = [(flight.end, _payload(flight.answer))]
        parts = [
            RECORD.pack(
                flight.wire_index,
                flight.sequence_id,
                0 if flight.failure is None else 1,
                flight.start,
                flight.end,
                flight.due,
                len(responses),
            )
        ]
        for at, message in responses:
            data = bytes(message or b"")
            parts += (RESPONSE.pack(at, len(data)), data)
        file.write(b"".join(parts))


def _payload(answer: Any) -> bytes:
    """The bytes of an answer; those of HTTP behind the length of its JSON."""
    if answer is None:
        return b""
    if hasattr(answer, "headers"):
        length: str = answer.headers.get("inference-header-content-length", "")
        return length.encode() + b"\n" + bytes(answer.content())
    return bytes(answer)


def _count(histogram: Any, ns: int) -> None:
    if ns < _EACH:
        index = ns if ns > 0 else 0
    elif ns > LARGEST:
        index = BUCKETS - 1
    else:
        shift = ns.bit_length() - PRECISION - 1
        index = (shift << PRECISION) + (ns >> shift)
    histogram[index] += 1
