"""Conversations: each is sent turn by turn, with what was said so far."""

from __future__ import annotations

from typing import Any

from .closed_loop import ClosedLoop
from .lanes import Flight


class _Session:
    """A place for one conversation at a time."""

    def __init__(self) -> None:
        self.turns: list[tuple[int, int]] = []
        self.history: list[Any] = []
        self.messages: list[Any] = []


class SessionLoop(ClosedLoop):
    """A number of conversations at a time, until all have been held once."""

    def run(self) -> None:
        """Send until told to stop, or all conversations are over."""
        index, workers = self.load.share
        self._left = list(self.plan.sessions[index::workers])
        self.limit = sum(map(len, self._left))
        self._places: dict[int, _Session] = {}
        super().run()

    def _next(self, flight: Flight, now: int) -> None:
        session = self._places.setdefault(id(flight), _Session())
        if flight.start and flight.wire_index >= 0 and session.messages:
            said = "" if flight.answer is None else flight.answer.text
            answer = {"role": "assistant", "content": said}
            session.history = [*session.messages, answer]
            session.messages = []
            if session.turns and (delay := session.turns[0][1]):
                self._later(flight, now + delay)
                return
        if not session.turns:
            if not self._left or self.worker.stopping:
                return
            session.turns = list(self._left.pop(0))
            session.history = []
        super()._next(flight, now)

    def choose(self, flight: Flight, number: int | None = None) -> None:
        """The next turn of the flight's conversation."""
        from ..services.openai import encode_payload

        session = self._places[id(flight)]
        step, _ = session.turns.pop(0)
        payload = dict(self.plan.payloads[step])
        session.messages = [*session.history, *payload["messages"]]
        payload["messages"] = session.messages
        flight.wire_index = step
        flight.answer = None
        flight.wire = encode_payload(self.plan.target, self.plan.endpoint, payload)
