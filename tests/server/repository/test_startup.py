"""Models are loaded at the same time when the server starts."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.server.conftest import ECHO, RepositoryMaker, fp32
from tritonclient import messages as m
from tritonclient.errors import Internal
from tritonclient.server import Server
from tritonclient.server.core import InferenceServer

Serve = Callable[..., InferenceServer]

#: Code that waits, while it is loaded, until as many models of a folder are.
TOGETHER = """
import pathlib, time
folder = pathlib.Path({folder!r})
(folder / pathlib.Path(__file__).parts[-3]).touch()
end = time.monotonic() + 60
while len(list(folder.iterdir())) < {count}:
    assert time.monotonic() < end
    time.sleep(0.01)
"""
#: A model that asks the server for another while it is loaded.
ASKING = ECHO.replace(
    "    def execute",
    """    def initialize(self, args):
        if not pb_utils.is_model_ready("b"):
            raise pb_utils.TritonModelException("model 'b' is not ready")

    def execute""",
)


@pytest.mark.parametrize(("count", "options"), [(4, {}), (2, {"load_threads": 2})])
def test_models_are_loaded_together(
    repository: RepositoryMaker, serve: Serve, tmp_path: Path, count: int, options: dict[str, int]
) -> None:
    folder = tmp_path / "loading"
    folder.mkdir()
    for name in "abcd"[:count]:
        repository.python(name, TOGETHER.format(folder=str(folder), count=count) + ECHO)
    core = serve(**options)
    for name in "abcd"[:count]:
        assert core.handle(m.IsModelReady(name))


@pytest.mark.parametrize("in_process", [True, False])
def test_a_model_may_ask_for_another_while_it_is_loaded(
    repository: RepositoryMaker, serve: Serve
) -> None:
    repository.python("b")
    repository.python("c", ASKING)
    core = serve()
    assert core.handle(m.Infer("c", (fp32("IN", [1]),))).outputs


def test_errors_are_in_the_order_of_names(repository: RepositoryMaker, serve: Serve) -> None:
    for name in "abc":
        repository.python(name, f"raise ValueError('{name} is wrong')")
    repository.python("d")
    repository.python("e", config="max_batch_size: -1")
    with pytest.raises(Internal) as caught:
        serve()
    assert re.findall(r"'(\w)'", str(caught.value))[:3] == ["a", "b", "c"]
    core = serve(exit_on_error=False)
    rows = {row.name: row.state for row in core.handle(m.GetRepositoryIndex())}
    assert {**rows, "e": ""} == {**dict.fromkeys("abc", "UNAVAILABLE"), "d": "READY", "e": ""}


def test_a_failing_model_is_loaded_once(
    repository: RepositoryMaker, serve: Serve, tmp_path: Path
) -> None:
    path = tmp_path / "loads"
    repository.python("a", f"open({str(path)!r}, 'a').write('x')\nraise ValueError")
    repository.python("b")
    with pytest.raises(Internal):
        serve()
    assert path.read_text() == "x"


def test_numbers_of_threads_that_make_no_sense_are_refused(repository: RepositoryMaker) -> None:
    with pytest.raises(ValueError, match="load_threads is 0, expected a number from 1"):
        Server(repository.directory, load_threads=0)
