"""The tests say what they fetch, and how far it is."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from tests.support.servers import fetching


def test_fetching_is_announced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readable, writable = os.pipe()
    monkeypatch.setattr(fetching, "terminal", writable)
    monkeypatch.setattr(fetching, "INTERVAL", 0.01)
    partial = tmp_path / "partial"
    (partial / "inner").mkdir(parents=True)
    (partial / "inner" / "file").write_bytes(bytes(3_000_000))
    reported = threading.Event()
    say = fetching._say

    def watched(text: str) -> None:
        say(text)
        if "3 MB of about" in text:
            reported.set()

    monkeypatch.setattr(fetching, "_say", watched)
    with fetching.announced(tmp_path / "protobuf-6", partial):
        assert reported.wait(60)
    os.close(writable)
    with open(readable) as lines:
        first, second, *_, last = [line for line in lines.read().splitlines() if line]
    assert first == f"fetching protobuf-6, about 105 MB, once, into {tmp_path}"
    assert second.startswith("protobuf-6: 3 MB of about 105 MB after ")
    assert last.startswith("protobuf-6 is there after ")


def test_nothing_is_said_without_a_terminal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(fetching, "terminal", None)
    with fetching.announced(tmp_path / "other", tmp_path):
        pass
