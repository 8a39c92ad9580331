"""Services with OpenAI's interface: chat, completions and embeddings."""

from __future__ import annotations

import json
from dataclasses import replace

from ..data.dataset import Dataset
from ..exits import SetupError
from ..load.connection import Target, Wire
from ..load.plan import Plan
from ..options.settings import Settings
from .plain_http import PlainHttp


class OpenAI(PlainHttp):
    """POST of JSON payloads to an endpoint; streams of events are read chunk by chunk."""

    kind = "OPENAI"
    answers = "sse"

    def wires(self, target: Target, data: Dataset) -> list[Wire]:
        """The requests: the payloads of the data."""
        return [
            encode_payload(target, self._settings.endpoint, step.payload) for step in data.steps
        ]

    def plan(self, data: Dataset, settings: Settings) -> Plan:
        """What workers send."""
        plan = replace(
            super().plan(data, settings),
            tokens=True,
            goals=tuple((name, int(limit * 1e6)) for name, limit in settings.goodput),
        )
        if not settings.session_concurrency:
            return plan
        sessions: dict[str, list[tuple[int, int]]] = {}
        for index, step in enumerate(data.steps):
            if not step.session:
                raise SetupError(
                    "--session-concurrency needs a session_id in each step of the data, such as "
                    '"session_id": ["a"]'
                )
            if not isinstance(step.payload.get("messages"), list):
                raise SetupError("--session-concurrency needs payloads with a list of messages")
            sessions.setdefault(step.session, []).append((index, int(step.delay * 1e6)))
        return replace(
            plan, sessions=tuple(map(tuple, sessions.values())), endpoint=settings.endpoint
        )


def encode_payload(target: Target, endpoint: str, payload: object) -> Wire:
    """A request with a payload as JSON."""
    body = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    headers = [("Content-Type", "application/json"), ("Accept", "*/*")]
    return target.encode_raw("POST", endpoint, headers, body)
