"""The design's rules, read from the source: who may import whom, and that twins are twins."""

from __future__ import annotations

import ast
import inspect
import re
import sys

import pytest

import tritonclient
from tests.meta.imports import MODULES, ROOT, imports, own
from tritonclient import messages
from tritonclient.client import admin, aio_admin
from tritonclient.client.mapping import calls
from tritonclient.codec import procedures, routes

#: A module may import its own layer and those above it in this list; longest name counts.
LAYERS = [
    {"errors", "extras", "caches", "call_log", "pem_files"},
    {"datatypes"},
    {"messages", "model_statistics", "operations"},
    {"shm"},
    {"codec", "engine"},
    {"transport"},
    {"client"},
    {""},  # tritonclient itself: the public names
    {
        "classic",
        "http",
        "grpc",
        "utils",
        "_auth",
        "_client",
        "_plugin",
        "_request",
        "server",
        "perf",
        "images",
        "bulk",
    },
    {"cli", "testing", "__main__"},
]
IO = {
    "socket", "ssl", "asyncio", "select", "selectors", "threading", "time", "grpc", "http.client",
    "urllib.request", "subprocess", "multiprocessing", "socketserver", "signal", "os", "io",
}  # fmt: skip
#: What has parts that may be missing, beyond numpy; they are imported when first needed.
EXTRAS = {
    "grpc", "server", "perf", "cli", "testing", "shm", "codec.messages_pb", "codec.rpc",
    "engine.header_block", "client.notebook", "images", "bulk",
}  # fmt: skip


#: The modules of `transport` that know the codec.
CALLS = ("transport.http_call", "transport.grpc_call")
FOLDERS = ("blocking", "aio", "grpcio")
RUNTIMES = tuple(f"transport.{folder}." for folder in FOLDERS)
EVERY = pytest.mark.parametrize("module", list(MODULES), ids=lambda name: name or "tritonclient")


def layer(module):
    first = module.split(".")[0]
    return next(i for i, names in enumerate(LAYERS) if first in names)


def test_the_walk_sees_imports():
    assert "codec.rest_infer" in own(imports("codec.rest"))
    assert "numpy" in imports("datatypes")
    assert "ml_dtypes" in imports("datatypes")  # inside a function
    assert "typing_extensions" not in imports("client.blocking")  # for type checkers only
    assert own(imports("client.blocking")) >= {"client.flows", "messages"}


@EVERY
def test_layers_point_downward(module):
    for imported in own(imports(module)):
        if module and module.split(".")[0] != imported.split(".")[0]:
            assert layer(imported) <= layer(module), f"{module} imports {imported}"


@pytest.mark.parametrize("package", ["codec", "engine"])
def test_neither_codec_nor_engine_imports_the_other(package):
    other = {"codec": "engine", "engine": "codec"}[package]
    for module in MODULES:
        if module.split(".")[0] == package:
            assert not any(name.split(".")[0] == other for name in own(imports(module)))


@EVERY
def test_codec_and_engine_do_no_io(module):
    if module.split(".")[0] not in (
        "codec",
        "engine",
        "errors",
        "datatypes",
        "messages",
        "operations",
    ):
        return
    names = imports(module)
    assert not names & IO
    assert not any(name.startswith(("grpc.", "asyncio.")) for name in names)


@EVERY
def test_transport_leaves_the_codec_to_one_module(module):
    if module.startswith("transport") and module not in CALLS:
        assert not any(name.startswith("codec") for name in own(imports(module)))


#: What each runtime must not import: the means of the others.
FOREIGN = {
    "transport.blocking": {"asyncio", "transport.aio", "transport.grpcio"},
    "transport.aio": {"threading", "transport.blocking", "transport.grpcio"},
    "transport.grpcio": {"transport.blocking", "transport.aio"},
}


@EVERY
def test_runtimes_are_apart(module):
    for runtime, foreign in FOREIGN.items():
        if f"{module}.".startswith(f"{runtime}."):
            names = {n.removeprefix("tritonclient.") for n in imports(module, for_types=True)}
            for name in names:
                assert not any(f"{name}.".startswith(f"{each}.") for each in foreign), name


def test_what_runtimes_share_imports_none():
    for module in MODULES:
        if re.fullmatch(r"transport\.\w+", module) and module.split(".")[1] not in FOLDERS:
            assert not [name for name in own(imports(module)) if name.startswith(RUNTIMES)], module


@EVERY
def test_base_needs_numpy_only(module):
    if module in EXTRAS or module.split(".")[0] in EXTRAS or module.startswith("transport.grpcio."):
        return
    outside = {name.split(".")[0] for name in imports(module)} - {"tritonclient", "__future__"}
    allowed = {"numpy"} | ({"ml_dtypes"} if module == "datatypes" else set())
    assert outside - set(sys.stdlib_module_names) <= allowed


@EVERY
def test_a_module_says_what_it_is_for(module):
    docstring = ast.get_docstring(ast.parse(MODULES[module].read_text(encoding="utf-8")))
    assert docstring, f"{module} has no docstring"


# Twins


def public(kind):
    return {
        name: member
        for name, member in vars(kind).items()
        if not name.startswith("_") and callable(member)
    }


TWINS = [
    (tritonclient.Client, tritonclient.AsyncClient),
    (admin.AdminClient, aio_admin.AsyncAdminClient),
    (calls.MapCalls, calls.AsyncMapCalls),
    (tritonclient.Model, tritonclient.AsyncModel),
    (tritonclient.SharedMemory, tritonclient.AsyncSharedMemory),
]


@pytest.mark.parametrize(("blocking", "awaiting"), TWINS)
def test_twins(blocking, awaiting):
    one, other = public(blocking), public(awaiting)
    assert list(one) == list(other)
    for name in one:
        ours, theirs = (inspect.signature(kind[name]).parameters for kind in (one, other))
        assert list(map(str, ours.values())) == list(map(str, theirs.values())), name


@pytest.mark.parametrize(("blocking", "awaiting"), TWINS)
def test_twins_are_called_alike(blocking, awaiting):
    for name in ("__call__", "__init__"):
        ours, theirs = (
            {p.name: str(p) for p in inspect.signature(getattr(kind, name)).parameters.values()}
            for kind in (blocking, awaiting)
        )
        # Tasks need no worker threads; and a model knows its own kind of client.
        ours.pop("workers", None)
        ours.pop("client", None), theirs.pop("client", None)
        assert ours == theirs


@pytest.mark.parametrize(("blocking", "awaiting"), TWINS)
def test_only_the_awaiting_twin_awaits(blocking, awaiting):
    # They ask nothing, or give something to wait for.
    at_once = {"prepare", "submit", "stream", "open_stream", "shared_memory", "output", "map"}
    for name, member in public(awaiting).items():
        assert inspect.iscoroutinefunction(member) == (name not in at_once), name
    for member in public(blocking).values():
        assert not inspect.iscoroutinefunction(member)


# Tables


def requests():
    return [
        kind
        for kind in vars(messages).values()
        if isinstance(kind, type)
        and issubclass(kind, messages.Request)
        and kind is not messages.Request
    ]


def test_every_request_has_a_route():
    assert {route.request for route in routes.ROUTES} == set(requests())
    assert len(routes.ROUTES) == len(requests())


def test_every_request_has_a_procedure():
    assert {row.request for row in procedures.RPCS} == set(requests())
    assert len(procedures.RPCS) == len(requests())


def test_type_checkers_are_told_every_name():
    """A `__getattr__` that they see would make any misspelt name one of type Any."""
    tree = ast.parse((ROOT / "__init__.py").read_text())
    assert not [node for node in tree.body if getattr(node, "name", "") == "__getattr__"]
