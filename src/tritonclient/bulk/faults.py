"""What can go wrong in bulk inference."""

from __future__ import annotations


class BadInput(ValueError):
    """The input can't be read, or does not fit the model; the message says where."""


class RowFailed(ValueError):
    """A row can't be inferred; the message names file, row and, if it is at fault, the column."""


class BadOutput(OSError):
    """The output can't be written; the message says where and why."""


class ServerGone(ConnectionError):
    """The server stayed away for longer than a job waits for it."""
