"""Recorded exchanges with a real Triton over gRPC: the messages of each call, byte for byte.

Each `*.json` beside this module is a subject with its calls in the order in which they took place.
Messages are written as texts of which each character is a byte, which leaves names readable.
`python -m scripts.record_vectors` writes them anew.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

DIRECTORY = Path(__file__).parent


@dataclass(frozen=True)
class Call:
    """One call: its messages, and the status at its end."""

    name: str
    method: str
    requests: tuple[bytes, ...]
    responses: tuple[bytes, ...]
    code: int = 0
    message: str = ""


def subjects() -> list[str]:
    """The recorded subjects, as `load` takes them."""
    return sorted(path.stem for path in DIRECTORY.glob("*.json"))


def load(subject: str) -> list[Call]:
    """The calls of one subject."""
    entries = json.loads((DIRECTORY / f"{subject}.json").read_text(encoding="utf-8"))
    return [
        Call(
            each["name"],
            each["method"],
            _bytes(each["requests"]),
            _bytes(each["responses"]),
            each.get("code", 0),
            each.get("message", ""),
        )
        for each in entries
    ]


def save(subject: str, calls: Sequence[Call]) -> None:
    """Write one subject, readable for those who review the change."""
    entries = []
    for each in calls:
        entry: dict[str, object] = {
            "name": each.name,
            "method": each.method,
            "requests": [message.decode("latin-1") for message in each.requests],
            "responses": [message.decode("latin-1") for message in each.responses],
        }
        if each.code:
            entry |= {"code": each.code, "message": each.message}
        entries.append(entry)
    text = json.dumps(entries, indent=1)
    (DIRECTORY / f"{subject}.json").write_text(text + "\n", encoding="utf-8")


def _bytes(messages: Sequence[str]) -> tuple[bytes, ...]:
    return tuple(message.encode("latin-1") for message in messages)
