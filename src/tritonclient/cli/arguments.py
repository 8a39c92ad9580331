"""Kinds of values that the commands take."""

from __future__ import annotations

import argparse


def positive(text: str) -> int:
    """A whole number from 1."""
    return _number(text, 1, None)


def port(text: str) -> int:
    """A TCP port, or 0."""
    return _number(text, 0, 65535)


def _number(text: str, low: int, high: int | None) -> int:
    try:
        number = int(text)
    except ValueError:
        number = low - 1
    if number < low or (high is not None and number > high):
        limits = f"from {low}" if high is None else f"from {low} to {high}"
        raise argparse.ArgumentTypeError(f"{text!r} is not a number {limits}")
    return number
