"""Warnings of the clients: given once, at the line of the program."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.client.test_closed import act, both, settled
from tritonclient import Tensor
from tritonclient.server import Server

CUT = np.array([b"ab\0\0", b"c\0\0"])  # of dtype S4, whose longest element has 2 bytes
WHOLE = np.array([b"abcd", b"c\0\0"])


def texts(TEXT: str) -> dict[str, str]:
    return {"TEXT": TEXT}


@pytest.fixture(scope="module")
def server() -> Any:
    with Server(models={"texts": texts}) as server:
        yield server


def given(action: Any) -> list[warnings.WarningMessage]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        action()
    return caught


def is_here(warning: warnings.WarningMessage) -> bool:
    """True if a warning names a line of the tests, where coroutines are also awaited."""
    return Path(warning.filename).parent == Path(__file__).parent


@pytest.mark.server
@both
@pytest.mark.parametrize("value", [CUT, Tensor(CUT, "BYTES")], ids=["array", "tensor"])
@pytest.mark.parametrize("call", ["infer", "handle", "submit", "prepare"])
def test_cut_arrays_once(server: Server, kind: Any, call: str, value: Any) -> None:
    async def use(client: Any) -> None:
        handle = await settled(client.model("texts"))
        if call == "infer":
            result = await settled(client.infer("texts", {"TEXT": value}))
        elif call == "handle":
            result = await settled(handle(TEXT=value))
        elif call == "submit":
            result = handle.submit({"TEXT": value})
            result = await result if hasattr(result, "__await__") else result.result()
        else:
            prepared = client.prepare("texts", {"TEXT": value})
            result = await settled(client.infer_prepared(prepared))
        assert result["TEXT"].tolist() == [b"ab", b"c"]

    (warning,) = given(lambda: act(kind, server.http_url, use))
    assert "input 'TEXT' has dtype |S4, but its longest element has 2 bytes" in str(warning.message)
    assert is_here(warning)


@pytest.mark.server
@both
def test_whole_arrays(server: Server, kind: Any) -> None:
    async def use(client: Any) -> None:
        handle = await settled(client.model("texts"))
        for array in (WHOLE, CUT.astype(object), CUT[:0]):
            assert (await settled(handle(TEXT=array)))["TEXT"].tolist() == array.tolist()

    assert given(lambda: act(kind, server.http_url, use)) == []


@pytest.mark.server
@both
def test_the_line_of_the_program(server: Server, kind: Any) -> None:
    async def use(client: Any) -> None:
        await settled(client.server_metadata(timeout=1e6))
        await settled(client.infer("texts", {"TEXT": WHOLE}, timeout=1e6))

    for each in given(lambda: act(kind, server.http_url, use)):
        assert "counts seconds, not microseconds" in str(each.message)
        assert is_here(each)
    (made,) = given(lambda: kind(server.http_url, timeout=1e6))
    assert is_here(made)
