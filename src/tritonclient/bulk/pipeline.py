"""Rows through a model: batches in flight, failures told apart, results in order."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
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
from .driver import answers
from .faults import BadInput, RowFailed, ServerGone
from .plan import Plan
from .results import Results, WrongResult
from .sources import Source

#: Errors of a server that may be able to answer later.
_AWAY = (ConnectionFailed, DeadlineExceeded, Unavailable, ResourceExhausted, Cancelled, NotFound)
#: Errors that every row would get.
_DENIED = (Unauthenticated, PermissionDenied)
#: Seconds before a call is repeated: the first pause, and the longest.
_PAUSES = (0.1, 5.0)
#: Requests that are spent on finding the rows at fault in a batch that failed.
_SEARCHES = 64
#: Pieces without a request that are kept while others are in flight.
_FAULTY = 256

Inputs: TypeAlias = "dict[str, Any]"


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows that are sent in one request, or that can't be sent.

    Attributes:
        first: the number of the first row.
        inputs: None if the rows can't be sent.
        fault: why not, or "".
    """

    first: int
    rows: pa.RecordBatch
    inputs: Inputs | None
    fault: str = ""


@dataclass(slots=True)
class Pipeline:
    """One run of a plan over a source.

    Attributes:
        concurrency: requests in flight; None for what suits the server.
        patience: seconds for which a server may stay away.
        keep_errors: True to give failed rows with their errors, False to raise `RowFailed`.
        stop: set to end after what is in flight.
        paused: called with a text when the server is away, and with "" when it is back.
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
        while not self._ended:
            sent = answers(
                self.client, self.plan.spec, self._feed(pieces), self.concurrency, self.options
            )
            for answer in sent:
                yield from self._faulty()
                if self._ended and self.stop.is_set() and not self._waiting:
                    return
                yield from self._result(self._waiting.popleft(), answer)
            yield from self._faulty()

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

    def _pieces(self, first: int) -> Iterator[Piece]:
        number, begun = first, False
        read = self.source.read(self.plan.columns, self.plan.types, first)
        for rows in cut(read, self.plan.batch_size):
            pieces = list(self._split(number, rows))
            if not begun and not first and pieces and all(piece.inputs is None for piece in pieces):
                raise BadInput(f"{pieces[0].fault}; none of the first {rows.num_rows} rows fits")
            begun = True
            yield from pieces
            number += rows.num_rows

    def _split(self, first: int, rows: pa.RecordBatch) -> Iterator[Piece]:
        """Yield the rows as one piece, or in halves of it where some of them do not fit."""
        faults = self.source.faults
        try:
            if faults and any(first <= row < first + rows.num_rows for row in faults):
                if rows.num_rows == 1:
                    raise Misfit(faults.pop(first))
            else:
                yield Piece(first, rows, self.plan.tensors(rows))
                return
        except Misfit as error:
            if rows.num_rows == 1:
                yield Piece(first, rows, None, f"{self.source.place(first)}: {error}")
                return
        half = rows.num_rows // 2
        yield from self._split(first, rows.slice(0, half))
        yield from self._split(first + half, rows.slice(half))

    # From answers to results

    def _faulty(self) -> Iterator[pa.RecordBatch]:
        """Yield the pieces before the next that was sent."""
        while self._waiting and self._waiting[0].inputs is None:
            piece = self._waiting.popleft()
            yield self._failed(piece.rows, piece.fault)

    def _result(
        self, piece: Piece, answer: InferResult | BaseException, searches: int = _SEARCHES
    ) -> Iterator[pa.RecordBatch]:
        """Yield the output of a piece; where it failed, that of its rows."""
        if isinstance(answer, (*_AWAY, *_DENIED)):
            answer = self._again(piece, answer)
        if not isinstance(answer, BaseException):
            try:
                yield self.results.batch(piece.rows, answer)
                return
            except (WrongResult, InferenceServerException) as error:
                answer = error
        elif not isinstance(answer, (InferenceServerException, ValueError)):
            raise answer
        rows = piece.rows.num_rows
        if rows == 1 or searches < 2 or isinstance(answer, WrongResult):
            yield self._failed(piece.rows, f"{self.source.place(piece.first)}: {answer}")
            return
        half = rows // 2
        for start, end in ((0, half), (half, rows)):
            assert piece.inputs is not None
            inputs = {name: _slice(value, start, end) for name, value in piece.inputs.items()}
            part = Piece(piece.first + start, piece.rows.slice(start, end - start), inputs)
            yield from self._result(part, self._ask(part), (searches - 2) // 2)

    def _ask(self, piece: Piece) -> InferResult | BaseException:
        assert piece.inputs is not None
        spec = self.plan.spec
        try:
            return self.client.infer(spec.name, piece.inputs, version=spec.version, **self.options)
        except (InferenceServerException, ValueError) as error:
            return error

    def _again(self, piece: Piece, error: BaseException) -> InferResult | BaseException:
        """Send a piece until the server answers."""
        end = time.monotonic() + self.patience
        pause, longest = _PAUSES
        while isinstance(error, _AWAY) and time.monotonic() < end:
            self.paused(str(error))
            if self.stop.wait(min(pause, max(0.0, end - time.monotonic()))):
                break
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

    def _failed(self, rows: pa.RecordBatch, fault: str) -> pa.RecordBatch:
        if not self.keep_errors:
            raise RowFailed(fault)
        return self.results.failed(rows, fault)


def _slice(value: Any, start: int, end: int) -> Any:
    """Return some rows of an input, which is an array or a `Tensor`."""
    if hasattr(value, "datatype"):
        return type(value)(value.array[start:end], value.datatype, value.binary)
    return value[start:end]


def cut(batches: Iterable[pa.RecordBatch], size: int) -> Iterator[pa.RecordBatch]:
    """Yield the same rows in batches of a size; only the last may be smaller."""
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
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
