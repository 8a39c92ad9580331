"""What is written to an HTTP connection leaves in as few pieces as possible."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from tritonclient.server.frontends.http.joined_writes import JoinedWrites

LARGE = bytes(1 << 17)


class Recorder:
    """A transport that records what it is asked for."""

    def __init__(self) -> None:
        self.calls: list[bytes | str] = []

    def write(self, data: bytes) -> None:
        self.calls.append(bytes(data))

    def close(self) -> None:
        self.calls.append("close")

    def is_closing(self) -> bool:
        return "close" in self.calls


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ([b"head", b"body"], [b"headbody"]),
        ([b"one"], [b"one"]),
        ([b"head", b"body", b"head", b"body"], [b"headbody", b"headbody"]),
        ([b"head", b"body", b"rest"], [b"headbody", b"rest"]),
        ([b"head", LARGE], [b"head", LARGE]),
        ([b"head", b""], [b"head"]),
        ([b"head", "close"], [b"head", "close"]),
        ([LARGE, b"rest"], [LARGE, b"rest"]),
    ],
    ids=lambda each: ",".join(str(len(part)) for part in each),
)
def test_pieces(written: list[bytes | str], sent: list[bytes | str]) -> None:
    async def main() -> None:
        recorder = Recorder()
        writes = JoinedWrites(cast(asyncio.Transport, recorder), asyncio.get_running_loop())
        for each in written:
            if isinstance(each, bytes):
                writes.write(each)
            else:
                writes.close()
        await asyncio.sleep(0)
        assert recorder.calls == sent
        assert writes.is_closing() == ("close" in sent)

    asyncio.run(main())
