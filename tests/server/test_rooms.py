"""The rooms of the embedded server: who may import whom. Imports for type checkers count."""

from __future__ import annotations

import pytest

from tests.meta.imports import MODULES, circles, imports, own

PREFIX = "server."
#: Every room, and the rooms that it may import; a module of the top level is a room.
MAY_IMPORT: dict[str, set[str]] = {
    "": {"embedded", "frontends", "backends"},
    "faults": {"core", "inference", "jobs"},
    "fault_proxy": set(),
    "embedded": {"arguments", "frontends", "core", "repository", "loop"},
    "arguments": {"frontends"},
    "pytest_plugin": {""},
    "frontends": {"core", "inference", "jobs", "loop"},
    "core": {"inference", "repository", "tensors", "telemetry", "jobs", "loop"},
    "inference": {"repository", "tensors", "jobs"},
    "repository": {"scheduling", "backends", "tensors", "jobs", "config", "telemetry", "loop"},
    "scheduling": {"jobs", "config", "telemetry"},
    "backends": {"jobs", "config", "telemetry", "loop"},
    "tensors": {"jobs", "config"},
    "jobs": {"config", "telemetry"},
    "telemetry": set(),
    "loop": set(),
    "config": set(),
    "extras": set(),
}
SERVER = sorted(each for each in MODULES if each == "server" or each.startswith(PREFIX))
EVERY = pytest.mark.parametrize("module", SERVER)


def inside(module: str) -> str:
    """Return the module's name in the server."""
    return module.removeprefix("server").lstrip(".")


def room(module: str) -> str:
    return inside(module).split(".")[0]


def imported(module: str) -> set[str]:
    """Return the modules of the server that a module imports."""
    found = own(imports(module, for_types=True))
    return {inside(each) for each in found if each == "server" or each.startswith(PREFIX)}


def outside(module: str) -> set[str]:
    """Return the other packages that a module imports."""
    return {name.split(".")[0] for name in imports(module, for_types=True)} - {"tritonclient"}


def test_every_module_is_in_a_room() -> None:
    assert {room(each) for each in SERVER} == set(MAY_IMPORT)


@EVERY
def test_requests_go_in_one_direction(module: str) -> None:
    allowed = {room(module), "extras", *MAY_IMPORT[room(module)]}
    assert [each for each in imported(module) if each.split(".")[0] not in allowed] == []


def test_no_room_is_in_a_circle() -> None:
    lower = dict(MAY_IMPORT)
    while lowest := {each for each, below in lower.items() if not below & set(lower)}:
        for each in lowest:
            del lower[each]
    assert not lower
    assert not [each for each in circles() if each & set(SERVER)]


@EVERY
def test_frontends_know_only_the_errors_of_jobs(module: str) -> None:
    if room(module) == "frontends":
        jobs = [each for each in imported(module) if each.split(".")[0] == "jobs"]
        assert set(jobs) <= {"jobs.errors"}


@EVERY
def test_one_frontend_does_not_import_the_other(module: str) -> None:
    for one, other in (("http", "grpc"), ("grpc", "http")):
        if inside(module).startswith(f"frontends.{one}"):
            assert not any(each.startswith(f"frontends.{other}") for each in imported(module))


@EVERY
def test_jobs_know_of_configurations_and_telemetry_one_module_each(module: str) -> None:
    if room(module) == "jobs":
        known = {each for each in imported(module) if each.split(".")[0] in ("config", "telemetry")}
        assert known <= {"config.specification", "telemetry.metrics"}


@EVERY
def test_loading_alone_chooses_backend_and_scheduler(module: str) -> None:
    chosen = {
        *("backends.registry", "backends.onnx", "backends.python.backend"),
        *("scheduling.dynamic", "scheduling.sequence", "scheduling.ensemble"),
    }
    if inside(module) not in ("repository.loading", "backends.registry"):
        assert not chosen & imported(module)


@EVERY
def test_optional_packages_are_imported_in_one_place(module: str) -> None:
    homes = {
        "grpc": "nowhere",
        "hpack": "frontends.grpc.listener",
        "uvicorn": "frontends.http.listener",
        "httptools": "frontends.http.listener",
        "onnxruntime": "backends.onnx",
    }
    for package, home in homes.items():
        if package in outside(module):
            assert f"{inside(module)}.".startswith(f"{home}.")


def test_the_rules_see_imports() -> None:
    assert "frontends.grpc.options" in imported("server")  # for type checkers
    assert "backends.python.backend" in imported("server.backends.registry")  # in a function
    assert {"uvicorn", "httptools"} <= outside("server.frontends.http.listener")
    assert "hpack" in outside("server.frontends.grpc.listener")
    assert "onnxruntime" in outside("server.backends.onnx")
