"""`is_ready()` of a model, which the ready endpoint asks, in this process and in one of its own."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.server.conftest import ECHO, RepositoryMaker
from tritonclient import messages as m
from tritonclient.server import Server

BODIES = {
    "plain": "def is_ready(self): return os.path.exists(FILE)",
    "async": "async def is_ready(self): return os.path.exists(FILE)",
    "raises": "def is_ready(self): return [1][0 if os.path.exists(FILE) else 5] == 1",
}


@pytest.mark.parametrize("in_process", [True, False])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_the_ready_endpoint_asks_the_model(
    repository: RepositoryMaker, tmp_path: Path, body: str, in_process: bool
) -> None:
    file = tmp_path / "ready"
    code = "import os\n" + ECHO + "\n    " + body.replace("FILE", repr(str(file)))
    repository.python("a", code)
    repository.python("b")
    with Server(repository.directory, grpc_port=None, in_process=in_process) as server:
        url = server.http_url + "/v2/models/a/ready"
        assert status(url) == 400
        assert not server.handle(m.IsModelReady("a", "1"))
        assert server.handle(m.IsModelReady("b"))
        file.touch()
        assert status(url) == 200
        assert server.handle(m.IsModelReady("a", "1"))
        assert server.handle(m.IsServerReady())


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
