"""Bytes that a server sends where HTTP/2 is expected, with several calls waiting for them."""

from __future__ import annotations

from collections.abc import Iterator

from tests import h2peer as h2
from tests.test_http2_bounds import BROKEN

from fuzzing import Choices, http2_frames


def check(data: bytes) -> None:
    choices = Choices(data)
    kinds, size = choices.number(), choices.number()
    steps: list[http2_frames.Step] = [("start", kinds >> 2 * n & 3) for n in range(4)]
    http2_frames.compare([*steps, choices.rest()], 2 + size)


def seeds() -> Iterator[bytes]:
    for wire in BROKEN.values():
        yield b"\x3f\x07" + wire[:3000]
    yield b"\x3f\x07" + h2.HELLO + h2.answer() + h2.answer(stream=3) + h2.answer(b"bye", 5)
    details = h2.block(
        ("grpc-status", "3"),
        ("grpc-message", "what %E2%82%AC is this%"),
        ("grpc-status-details-bin", "CAMSAWE"),
    )
    yield b"\x3f\x07" + h2.HELLO + h2.head() + h2.trailers(fields=details)
    yield b"\x3f\x07" + h2.HELLO + h2.trailers(fields=h2.ANSWER + h2.SUCCESS)
