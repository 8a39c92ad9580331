"""Rows through a model: batches in flight, failures told apart, results in order."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pyarrow as pa

from ..client.blocking import Client
from ..client.results import InferResult
from ..errors import (
    Cancelled,
    ConnectionFailed,
    DeadlineExceeded,
    InferenceServerException,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
)
from .arrays import Misfit
from .faults import BadInput, RowFailed, ServerGone
from .plan import Plan
from .results import Part, Results, WrongResult
from .sources import Source

#: Errors of a server that may be able to answer later.
_AWAY = (ConnectionFailed, DeadlineExceeded, Unavailable, ResourceExhausted, Cancelled, NotFound)
#: Errors that every row would get.
_DENIED = (Unauthenticated, PermissionDenied)
#: Seconds before a call is repeated: the first pause, and the longest.
_PAUSES = (0.1, 5.0)
#: Seconds for which a call that is too much for the server is repeated as it is.
_BUSY = 5.0
#: How often a batch that failed, and what is left of it, is halved to find the rows at fault.
_HALVINGS = 256
#: Pieces without a request that are kept while others are in flight.
_FAULTY = 256
#: Seconds after which results are handed on, though more of the same rows are to come.
_HOLD_SECONDS = 0.5
#: The most bytes of results that are held so; a row of them may be much larger than its inputs.
_HOLD_BYTES = 32 << 20

Inputs: TypeAlias = "dict[str, Any]"
Answer: TypeAlias = "InferResult | Exception"


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows that are sent in one request, or that can't be sent.

    Attributes:
        first: the number of the first row.
        block: the rows that were read at once, and among them where these begin.
        inputs: None if the rows can't be sent.
        fault: why not, or "".
    """

    first: int
    rows: int
    block: pa.RecordBatch
    start: int
    inputs: Inputs | None
    fault: str = ""

    def part(self, start: int, end: int) -> Piece:
        """Return some of the rows."""
        assert self.inputs is not None
        inputs = {name: _slice(value, start, end) for name, value in self.inputs.items()}
        number = self.first + start
        return Piece(number, end - start, self.block, self.start + start, inputs)


@dataclass(slots=True)
class Pipeline:
    """One run of a plan over a source.

    Attributes:
        concurrency: requests in flight; None for what suits the server.
        patience: seconds for which a server may stay away.
        keep_errors: True to give failed rows with their errors, False to raise `RowFailed`.
        stop: set to end after what is in flight.
        paused: called with a text when the server is away, and with "" when it is back.
        check_first: whether to raise `BadInput` if none of the first rows fits.
    """

    client: Client
    source: Source
    plan: Plan
    results: Results
    concurrency: int | None = None
    patience: float = 60.0
    keep_errors: bool = True
    options: dict[str, Any] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)
    paused: Callable[[str], object] = lambda text: None
    check_first: bool = True
    _waiting: deque[Piece] = field(default_factory=deque)
    _ended: bool = False

    def run(self, first: int = 0) -> Generator[pa.RecordBatch, None, None]:
        """Yield the output for the rows from a number on, in their order.

        Raises:
            BadInput: the input can't be read, or none of the first rows fits the model.
            RowFailed: a row failed, unless errors are kept.
            ServerGone: the server stayed away too long.
        """
        pieces = self._pieces(first)
        held = _Held(self.results)
        try:
            while not self._ended:
                with closing(self._send(pieces)) as sent:
                    for answer in sent:
                        for piece, part in self._settled(answer):
                            yield from held.add(piece, part)
                for piece, part in self._faulty():
                    yield from held.add(piece, part)
        except (BadInput, RowFailed, ServerGone):
            yield from held.flush()
            raise
        yield from held.flush()

    def check(self) -> None:
        """Raise `BadInput` if the input can't be read, or none of the first rows fits."""
        with closing(self._pieces(0)) as pieces:
            next(pieces, None)

    def _send(self, pieces: Iterator[Piece]) -> Generator[Answer, None, None]:
        spec = self.plan.spec
        return self.client.map(
            spec.name,
            self._feed(pieces),
            version=spec.version,
            # A model that knows no batches gets each piece in a request.
            batch_size=self.plan.batch_size if spec.max_batch_size else "max",
            concurrency=self.concurrency or "auto",
            errors="keep",
            **self.options,
        )

    # From rows to requests

    def _feed(self, pieces: Iterator[Piece]) -> Iterator[Inputs]:
        """Yield requests and note all pieces; end early where only faulty rows come."""
        faulty = 0
        for piece in pieces:
            if self.stop.is_set():
                break
            self._waiting.append(piece)
            if piece.inputs is not None:
                yield piece.inputs
                faulty = 0
                if self.stop.is_set():
                    break
            else:
                faulty += 1
                if faulty >= _FAULTY:
                    return
        self._ended = True

    def _pieces(self, first: int) -> Generator[Piece, None, None]:
        number, size = first, self.plan.batch_size
        read = self.source.read(self.plan.columns, self.plan.types, first, self.plan.block_rows)
        for rows in cut(read, self.plan.block_rows):
            pieces = self._split(number, rows, 0, rows.num_rows)
            if number == 0 and self.check_first:
                pieces = self._checked(pieces)
            for piece in pieces:
                if piece.inputs is None or piece.rows <= size:
                    yield piece
                else:
                    for start in range(0, piece.rows, size):
                        yield piece.part(start, min(start + size, piece.rows))
            number += rows.num_rows

    def _checked(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """Raise BadInput if no row of the first block fits."""
        found = list(pieces)
        if found and all(piece.inputs is None for piece in found):
            raise BadInput(f"{found[0].fault}; none of the first {len(found)} rows fits")
        return iter(found)

    def _split(self, first: int, block: pa.RecordBatch, start: int, end: int) -> Iterator[Piece]:
        """Yield rows as one piece, or in halves of it where some of them do not fit."""
        faults, number, rows = self.source.faults, first + start, end - start
        try:
            if not self.plan.batched and rows > 1:
                pass
            elif not faults or not any(number <= row < number + rows for row in list(faults)):
                inputs = self.plan.arrays(block.slice(start, rows))
                yield Piece(number, rows, block, start, inputs)
                return
            elif rows == 1:
                raise Misfit(faults.pop(number))
        except Misfit as error:
            if rows == 1:
                fault = f"{self.source.place(number)}: {error}"
                yield Piece(number, 1, block, start, None, fault)
                return
        half = start + rows // 2
        yield from self._split(first, block, start, half)
        yield from self._split(first, block, half, end)

    # From answers to results

    def _settled(self, answer: Answer) -> Iterator[tuple[Piece, Part]]:
        """Yield what became of the next piece that was sent, and of the faulty ones before."""
        yield from self._faulty()
        yield from self._result(self._waiting.popleft(), answer)

    def _faulty(self) -> Iterator[tuple[Piece, Part]]:
        """Yield the pieces before the next that was sent."""
        while self._waiting and self._waiting[0].inputs is None:
            piece = self._waiting.popleft()
            yield self._failed(piece, piece.fault)

    def _result(
        self, piece: Piece, answer: Answer, halvings: Iterator[int] | None = None
    ) -> Iterator[tuple[Piece, Part]]:
        """Yield the results of a piece; where it failed, those of its rows.

        Args:
            halvings: one item for each time that the batch may still be halved.
        """
        if isinstance(answer, InferenceServerException):
            answer.index = None  # it counts requests, and the rows have numbers of their own
        if isinstance(answer, (*_AWAY, *_DENIED)):
            answer = self._again(piece, answer)
        if not isinstance(answer, Exception):
            try:
                arrays = self.results.arrays(answer, piece.rows)
                yield piece, Part(piece.rows, arrays)
                return
            except (WrongResult, InferenceServerException) as error:
                answer = error
        elif not isinstance(answer, (InferenceServerException, ValueError)):
            raise answer
        halvings = iter(range(_HALVINGS)) if halvings is None else halvings
        single = piece.rows == 1 or isinstance(answer, WrongResult)
        if single or next(halvings, None) is None:
            yield self._failed(piece, f"{self.source.place(piece.first)}: {answer}")
            return
        half = piece.rows // 2
        for part in (piece.part(0, half), piece.part(half, piece.rows)):
            yield from self._result(part, self._ask(part), halvings)

    def _ask(self, piece: Piece) -> Answer:
        assert piece.inputs is not None
        spec = self.plan.spec
        try:
            return self.client.infer(spec.name, piece.inputs, version=spec.version, **self.options)
        except (InferenceServerException, ValueError) as error:
            return error

    def _again(self, piece: Piece, error: Exception) -> Answer:
        """Send a piece until the server answers."""
        start = time.monotonic()
        pause, longest = _PAUSES
        while isinstance(error, _AWAY):
            waited = time.monotonic() - start
            if isinstance(error, ResourceExhausted) and waited > min(_BUSY, self.patience):
                return error  # it may be the size of the request
            if waited > self.patience or self.stop.is_set():
                break
            self.paused(str(error))
            self.stop.wait(min(pause, max(0.0, self.patience - waited)))
            pause = min(2 * pause, longest)
            answer = self._ask(piece)
            if not isinstance(answer, (*_AWAY, *_DENIED)):
                self.paused("")
                return answer
            error = answer
        if isinstance(error, _DENIED):
            raise ServerGone(f"the server denies access: {error}") from error
        if self.stop.is_set():
            raise ServerGone(f"stopped while the server was away: {error}") from error
        raise ServerGone(f"the server stayed away for {self.patience:g} s: {error}") from error

    def _failed(self, piece: Piece, fault: str) -> tuple[Piece, Part]:
        if not self.keep_errors:
            raise RowFailed(fault)
        text = fault.encode("utf-8", "backslashreplace").decode()
        return piece, Part(piece.rows, None, text)


class _Held:
    """Results that become one record batch: those of rows that were read together."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._parts: list[Part] = []
        self._first: Piece | None = None
        self._rows = self._bytes = 0
        self._shapes: tuple[tuple[int, ...], ...] = ()
        self._since = time.monotonic()

    def add(self, piece: Piece, part: Part) -> Iterator[pa.RecordBatch]:
        """Hold results; yield the batch of earlier ones when they are enough."""
        shapes = part.shapes
        if self._first is not None and (
            self._first.block is not piece.block
            or (self._shapes and shapes and self._shapes != shapes)
            or time.monotonic() - self._since > _HOLD_SECONDS
            or self._bytes + part.nbytes > _HOLD_BYTES
        ):
            yield from self.flush()
        if self._first is None:
            self._first = piece
        self._shapes = shapes or self._shapes
        self._parts.append(part)
        self._rows += part.rows
        self._bytes += part.nbytes

    def flush(self) -> Iterator[pa.RecordBatch]:
        """Yield the batch of what is held."""
        first, parts, rows = self._first, self._parts, self._rows
        self._first, self._parts, self._rows, self._shapes = None, [], 0, ()
        self._bytes = 0
        self._since = time.monotonic()
        if first is not None:
            yield self._results.batch(first.block.slice(first.start, rows), parts)


def _slice(value: Any, start: int, end: int) -> Any:
    """Return some rows of an input, which is an array or a `Tensor`."""
    if hasattr(value, "datatype"):
        return type(value)(value.array[start:end], value.datatype, value.binary)
    return value[start:end]


def cut(batches: Iterable[pa.RecordBatch], size: int) -> Iterator[pa.RecordBatch]:
    """Yield the same rows in batches of a size; the last may be smaller, and that of a schema."""
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        if held and not batch.schema.equals(held[0].schema):
            yield _joined(held)
            held, rows = [], 0
        while batch.num_rows:
            part = batch.slice(0, size - rows)
            held.append(part)
            rows += part.num_rows
            batch = batch.slice(part.num_rows)
            if rows == size:
                yield _joined(held)
                held, rows = [], 0
    if held:
        yield _joined(held)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(batches) == 1:
        return batches[0]
    joined: pa.RecordBatch = pa.Table.from_batches(batches).combine_chunks().to_batches()[0]
    return joined
