"""Fixtures of all tests: the servers."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import numpy
import pytest
from _pytest.runner import runtestprotocol

from tests import markers
from tests.support.servers import fetching, official
from tests.support.servers import triton as real_triton
from tests.support.waiting import eventually
from tritonclient import TLS, Client
from tritonclient.transport.aio import grpc_connection, grpc_pool

if TYPE_CHECKING:
    import trustme

    from tritonclient.server import Server

# Machines are slow and shared: no test fails for the time it takes.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")

MODELS = Path(__file__).parent.parent / "models"


def pytest_configure() -> None:
    # Nothing is captured yet, so this is the terminal.
    fetching.terminal = os.dup(2)


def pytest_unconfigure() -> None:
    if fetching.terminal is not None:
        os.close(fetching.terminal)
        fetching.terminal = None


def pytest_report_header() -> list[str]:
    return [f"numpy: {numpy.__version__}", f"real Triton: {real_triton.describe()}"]


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by markers
def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    for item in items:
        markers.mark(item)


def pytest_collection_finish() -> None:
    # Hundreds of tests collect garbage. What was imported until now is none.
    gc.freeze()


@pytest.fixture(scope="session")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[real_triton.RunningServer]:
    """A real Triton that serves all of `models/`, with model control and tracing at hand.

    It is shared by the whole session: a test that unloads a model loads it again.
    """
    if reason := real_triton.unavailable_reason():
        if os.environ.get("CI"):
            pytest.fail(f"no real Triton: {reason}")
        pytest.skip(f"no real Triton: {reason}")
    # It needs onnxruntime, which those who test without servers may lack.
    from tests.support.servers.twins import build_repository

    repository = tmp_path_factory.mktemp("triton") / "models"
    build_repository(MODELS, repository)
    with real_triton.KeptServer(
        repository, control_mode="explicit", extra_args=real_triton.CONTROLLED
    ) as kept:
        _kept.append(kept)
        try:
            yield kept.server
        finally:
            _kept.remove(kept)


_kept: list[real_triton.KeptServer] = []


_TRITON_ENDED = pytest.StashKey[bool]()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run a test once more that failed while the session's Triton ended by itself.

    On a busy machine Triton does so: its Python backend aborts, and streams that are cancelled
    make its gRPC end with a segmentation fault. A test that is at fault itself fails again.
    """
    if not (_kept or "triton" in getattr(item, "fixturenames", ())):
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = _run(item, nextitem)
    if item.stash.get(_TRITON_ENDED, False):
        reports = _run(item, nextitem)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _run(item: pytest.Item, nextitem: pytest.Item | None) -> list[pytest.TestReport]:
    # Here and not in a fixture: those of modules and classes come before any fixture of a test.
    for kept in _kept:
        kept.restart_if_ended()
    return runtestprotocol(item, log=False, nextitem=nextitem)


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    failed = call.excinfo is not None and not call.excinfo.errisinstance(pytest.skip.Exception)
    if not (failed and _kept):
        return
    # Its connections are closed before it has ended: it writes where it was.
    with contextlib.suppress(AssertionError):
        eventually(lambda: not all(kept.is_running for kept in _kept), seconds=10)
        item.stash[_TRITON_ENDED] = True


@pytest.fixture(scope="session", autouse=True)
def _model_processes() -> Iterator[None]:
    """Keep what processes of models are forked from: each start of it takes a second."""
    from tritonclient.server.backends.python.process.template import TEMPLATES

    holder = frozenset({"tests"})
    TEMPLATES.hold(holder)
    yield
    TEMPLATES.release(holder)


@pytest.fixture(scope="session")
def embedded() -> Iterator[Server]:
    """The embedded server with all of `models/`, shared by the whole session."""
    from tritonclient.server import Server

    with Server(MODELS, model_control_mode="explicit", load_models=["*"]) as server:
        yield server


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Who signs the certificates of proxies."""
    import trustme

    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file with that authority's own certificate."""
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture(scope="session")
def grpc_proxy(
    embedded: Server, authority: trustme.CA, ca_file: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], tuple[str, dict[str, Any]]]]:
    """A function that gives the URL of a proxy in front of the embedded server, by its program and
    name such as "nginx plain", and the options that clients of it need.
    """
    from tests.support.peers import grpc_proxies

    urls: dict[str, str] = {}
    with contextlib.ExitStack() as stack:

        def proxy(way: str) -> tuple[str, dict[str, Any]]:
            program, _, name = way.partition(" ")
            if way not in urls:
                directory = tmp_path_factory.mktemp(program)
                upstream = embedded.grpc_address
                served = grpc_proxies.serve(directory, program, name, upstream, authority)
                urls[way] = stack.enter_context(served).url
            return urls[way], {"tls": TLS(ca_file=ca_file)} if name.startswith("tls") else {}

        yield proxy


@pytest.fixture
def executed(embedded: Server) -> Iterator[Callable[[], int]]:
    """A function that tells how often the model "simple" was executed since it was last called."""
    with Client(embedded.grpc_url) as client:
        before = client.statistics("simple")[0].execution_count

        def executed() -> int:
            nonlocal before
            last, before = before, client.statistics("simple")[0].execution_count
            return before - last

        yield executed


@pytest.fixture(scope="session")
def official_python() -> str:
    """The Python of an environment that has the official client."""
    if reason := official.unavailable_reason():
        if os.environ.get("CI"):
            pytest.fail(f"no official client: {reason}")
        pytest.skip(f"no official client: {reason}")
    return str(official.ensure_official())


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, also in a background job, which ignores it otherwise."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gRPC connection's silence is taken for what it is a little sooner."""
    for module in (grpc_connection, grpc_pool):
        monkeypatch.setattr(module, "PATIENCE", 0.2)
