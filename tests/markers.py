"""Which tests need what: the marker of each folder of tests."""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
KINDS = {"unit", "server"}

#: Folders and files whose tests need no other process and no download. All others are "server".
UNIT = {
    *("client", "codec", "engine", "shm"),
    *("meta/test_benchmarks.py", "meta/test_layers.py", "meta/test_markers.py"),
    *("examples/test_images.py", "examples/test_models.py", "classic/test_utils.py"),
    "classic/test_certificate_files.py",
    *("transport/test_endpoint.py", "transport/test_happy_eyeballs.py"),
}
#: Of these folders, files that do need one.
SERVER = {
    *("client/test_placement.py", "client/test_secrets.py", "client/test_ignored_arguments.py"),
    *("client/test_mistakes.py", "client/test_mistakes_of_kinds.py", "client/test_call_log.py"),
}
#: Those that start nginx, HAProxy or nghttpx.
PROXY = {"proxies", "examples/test_security.py"}
#: Of those that need a server, the ones that the version of Python matters most for.
VERSIONS = {"server/backends"}
#: Those that install other servers and programs.
PEERS = {"peers"}


def mark(item: pytest.Function) -> None:
    """Add the markers that a test does not carry by itself."""
    path = item.path.relative_to(TESTS)
    places = {path.parts[0], "/".join(path.parts[:2])}
    if not any(item.get_closest_marker(kind) for kind in KINDS):
        item.add_marker("unit" if places & UNIT and not places & SERVER else "server")
    if places & PROXY:
        item.add_marker("proxy")
    if places & VERSIONS:
        item.add_marker("versions")
    if places & PEERS:
        item.add_marker("peers")
    if "triton" in item.fixturenames or _parameter(item, "server") == "triton":
        item.add_marker("triton")


def _parameter(item: pytest.Function, name: str) -> object:
    callspec = getattr(item, "callspec", None)
    return callspec.params.get(name) if callspec else None
