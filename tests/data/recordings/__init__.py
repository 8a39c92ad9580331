"""Recorded exchanges with a real Triton over HTTP: what was asked and answered, byte for byte.

Each `*.json` beside this module is a subject with its exchanges in the order in which they took
place. A message is a list of parts that, joined, are its bytes: text as it is, and binary data as
`{"hex": "..."}`. `python -m scripts.record_vectors` writes them anew.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

DIRECTORY = Path(__file__).parent

Part = str | dict[str, str]


@dataclass(frozen=True)
class Exchange:
    """One request and its answer, headers and all; `closed` if the server then hung up."""

    name: str
    request: bytes
    response: bytes
    closed: bool = False


def subjects() -> list[str]:
    """The recorded subjects, as `load` takes them."""
    return sorted(path.stem for path in DIRECTORY.glob("*.json"))


def load(subject: str) -> list[Exchange]:
    """The exchanges of one subject."""
    entries = json.loads((DIRECTORY / f"{subject}.json").read_text(encoding="utf-8"))
    return [
        Exchange(each["name"], _join(each["request"]), _join(each["response"]), each["closed"])
        for each in entries
    ]


def save(subject: str, exchanges: Sequence[Exchange]) -> None:
    """Write one subject, readable for those who review the change."""
    entries = [
        {
            "name": each.name,
            "request": _split(each.request),
            "response": _split(each.response),
            "closed": each.closed,
        }
        for each in exchanges
    ]
    text = json.dumps(entries, indent=1, ensure_ascii=False)
    (DIRECTORY / f"{subject}.json").write_text(text + "\n", encoding="utf-8")


def parse_head(message: bytes) -> tuple[str, dict[str, str], bytes]:
    """Split a message in its first line, its headers (names in lower case) and its body."""
    head, _, body = message.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = (line.partition(":") for line in lines)
    return first, {name.lower(): value.strip() for name, _, value in fields}, body


def _join(parts: Sequence[Part]) -> bytes:
    return b"".join(
        part.encode() if isinstance(part, str) else bytes.fromhex(part["hex"]) for part in parts
    )


def _split(message: bytes) -> list[Part]:
    head, blank, body = message.partition(b"\r\n\r\n")
    lines = head.splitlines(keepends=True)
    parts: list[Part] = [line.decode("latin-1") for line in lines]
    parts.append(blank.decode())
    headers = parse_head(message)[1]
    compressed = "content-encoding" in headers
    text_size = 0 if compressed else len(body)
    if not compressed and headers.get("inference-header-content-length", "").isdigit():
        text_size = int(headers["inference-header-content-length"])
    parts += filter(None, [_readable(body[:text_size]), _readable(body[text_size:], binary=True)])
    return parts


def _readable(data: bytes, binary: bool = False) -> Part:
    if not binary:
        try:
            return data.decode()
        except UnicodeDecodeError:
            pass
    return {"hex": data.hex(" ", -4)} if data else ""
