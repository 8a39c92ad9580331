"""Pytest fixtures that serve a model repository to tests; installed with the package.

    def test_it(triton_server):
        client = tritonclient.Client(triton_server.http_url)

The repository is the directory given by `--triton-model-repository`, or by the ini option
`triton_model_repository`, or `models` in pytest's root directory; a project may also override
the fixture `triton_model_repository`. Nothing is imported until a fixture is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tritonclient import Client
    from tritonclient.server import Server

_OPTION = "triton_model_repository"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option for the model repository."""
    text = "model repository that the fixture triton_server serves (default: models)"
    group = parser.getgroup("tritonclient")
    group.addoption("--triton-model-repository", dest=_OPTION, metavar="DIR", help=text)
    parser.addini(_OPTION, text)


@pytest.fixture(scope="session")
def triton_model_repository(pytestconfig: pytest.Config) -> Path:
    """Return the model repository to serve; override this fixture to build one."""
    chosen = pytestconfig.getoption(_OPTION) or pytestconfig.getini(_OPTION) or "models"
    directory = pytestconfig.rootpath / str(chosen)
    if not directory.is_dir():
        pytest.fail(
            f"there is no model repository at {directory}: give --triton-model-repository, set "
            f"{_OPTION} in pytest's configuration, or override the fixture {_OPTION}"
        )
    return directory


@pytest.fixture(scope="session")
def triton_server_factory() -> Iterator[Callable[..., Server]]:
    """Return a function that starts servers, which stop at the end of the session.

    It takes the arguments of `tritonclient.server.Server`.
    """
    from tritonclient.server import Server

    with ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(Server(*args, **options))


@pytest.fixture(scope="session")
def triton_server(
    triton_model_repository: Path, triton_server_factory: Callable[..., Server]
) -> Server:
    """Return a running server for `triton_model_repository`, shared by the session."""
    return triton_server_factory(triton_model_repository)


@pytest.fixture
def triton_client(triton_server: Server) -> Iterator[Client]:
    """Return a client of `triton_server` over HTTP."""
    from tritonclient import Client

    with Client(triton_server.http_url) as client:
        yield client
