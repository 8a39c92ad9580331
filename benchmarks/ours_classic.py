"""The calls of our classic front, for `measure`: those of the official client, word for word."""

from __future__ import annotations

from .measure import main
from .official_side import Official

if __name__ == "__main__":
    main(Official())
