"""Errors of settings."""

from __future__ import annotations

from ...errors import Internal


def wrong_type(text: str) -> Internal:
    """Return Triton's error for a JSON value of the wrong type."""
    return Internal(f"attempt to access JSON {text}", "500")
