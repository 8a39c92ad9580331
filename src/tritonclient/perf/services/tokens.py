"""Reading tokens out of the answers of OpenAI-compatible services."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple


class Tokens(NamedTuple):
    """What an answer held.

    Attributes:
        output: output tokens, as the service tells them, else the chunks with text.
        prompt: input tokens, if the service tells them.
        chunks: responses that were not empty.
        first, last: times of the first and the last chunk with text; 0 for an answer in one piece.
        text: what was said.
        error: what the service sent in place of an answer.
    """

    output: int
    prompt: int
    chunks: int
    first: int
    last: int
    text: str
    error: str = ""


def read_tokens(responses: Sequence[tuple[int, bytes]]) -> Tokens:
    """The tokens of an answer: of its events, or of its only body."""
    first = last = chunks = count = prompt = 0
    text: list[str] = []
    for at, raw in responses:
        body = _event(raw)
        if body is None:
            continue
        try:
            value = json.loads(body)
        except ValueError:
            return Tokens(0, 0, 0, 0, 0, "", f"the answer is not JSON: {body[:100]!r}")
        if not isinstance(value, dict):
            return Tokens(0, 0, 0, 0, 0, "", f"the answer is no object: {body[:100]!r}")
        if value.get("error"):
            return Tokens(0, 0, 0, 0, 0, "", _error(value["error"]))
        usage = value.get("usage") or {}
        count = _number(usage, "completion_tokens", count)
        prompt = _number(usage, "prompt_tokens", prompt)
        said = _said(value)
        whole = raw.lstrip().startswith(b"{")
        if said or whole:
            chunks += 1
        if said:
            text.append(said)
            if not whole:
                first = first or at
                last = at
    return Tokens(count or (chunks if first else 0), prompt, chunks, first, last, "".join(text))


def _event(raw: bytes) -> bytes | None:
    """The data of an event, or a body that is none; None for what says nothing."""
    stripped = raw.strip()
    if stripped.startswith(b"{"):
        return stripped
    data = [line[5:].strip() for line in stripped.splitlines() if line.startswith(b"data:")]
    joined = b"\n".join(data)
    return None if joined in (b"", b"[DONE]") else joined


def _number(usage: Any, name: str, default: int) -> int:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if type(value) is int else default


def _error(error: Any) -> str:
    if isinstance(error, dict):
        return str(error.get("message", error))
    return str(error)


def _said(value: dict[str, Any]) -> str:
    """The text of a chunk or an answer of chat and completions."""
    choices = value.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return ""
    choice = choices[0]
    for name in ("delta", "message"):
        part = choice.get(name)
        if isinstance(part, dict):
            return str(part.get("content") or part.get("reasoning_content") or "")
    return str(choice.get("text") or "")
