"""Ours has the names of the official client, and they are called with the same arguments.

What the official ones are is in signatures.json, which `python -m tests.classic.record` writes.
"""

from __future__ import annotations

import importlib
import json

import pytest

from tests.classic.describe import describe
from tests.classic.record import NAMES, SIGNATURES

OFFICIAL = json.loads(SIGNATURES.read_text())
ALL_NAMES = json.loads(NAMES.read_text())
#: Of the modules that came along with star imports, those that ours give as well.
COMES_ALONG = ("module numpy", "module tritonclient")

#: What ours leave out or make otherwise on purpose, and why programs don't miss it.
ON_PURPOSE = {
    "tritonclient.grpc.aio": {
        "auth": "the subpackage of that name, and its parts are the same",
    },
    "tritonclient.grpc.service_pb2_grpc": {
        "GRPC_GENERATED_VERSION": "it is not generated, and takes any version",
        "GRPC_VERSION": "it is not generated, and takes any version",
    },
    "tritonclient.utils.cuda_shared_memory": {
        "CudaSharedMemoryException.__init__": "that of Exception does as well",
        "CudaSharedMemoryException.__str__": "that of Exception does as well",
        "CudaSharedMemoryRegion.__init__": "create_shared_memory_region makes them",
        "CudaStream": "an inner part that came along",
        "SharedMemoryTensor.__dlpack__": "consumers give all by name, and newer ones give more",
        "call_cuda_function": "an inner part that came along",
        "maybe_set_device": "an inner part that came along",
    },
}


@pytest.mark.parametrize("module", sorted(OFFICIAL))
def test_a_module_has_all_names_of_the_official_one(module):
    ours = describe(module)
    found = _differences(ours, OFFICIAL[module])
    on_purpose = ON_PURPOSE.get(module, {})
    assert [text for text in found if text.split(" ")[0] not in on_purpose] == []


def test_both_http_clients_have_the_same_methods():
    blocking, awaited = (
        describe(module)["InferenceServerClient"]
        for module in ("tritonclient.http", "tritonclient.http.aio")
    )
    for name in ("__init__", "__enter__", "__exit__", "async_infer"):
        del blocking[name]
    for name in ("__init__", "__aenter__", "__aexit__"):
        del awaited[name]
    assert blocking == {name: text.replace("async ", "") for name, text in awaited.items()}


def test_both_grpc_clients_have_the_same_methods():
    blocking, awaited = (
        describe(module)["InferenceServerClient"]
        for module in ("tritonclient.grpc", "tritonclient.grpc.aio")
    )
    for name in ("__enter__", "__exit__", "async_infer"):
        del blocking[name]
    for name in ("async_stream_infer", "start_stream", "stop_stream"):
        del blocking[name]
    for name in ("__aenter__", "__aexit__", "stream_infer"):
        del awaited[name]
    assert blocking == {name: text.replace("async ", "") for name, text in awaited.items()}


def _differences(ours, official):
    found = []
    for name, expected in official.items():
        if name == "__all__":
            if ours.get(name) != expected:
                found.append(f"__all__ is {ours.get(name)}, expected {expected}")
        elif isinstance(expected, dict):
            if not isinstance(ours.get(name), dict):
                found.append(f"{name} is {ours.get(name)}, expected a class")
            else:
                found += [f"{name}.{text}" for text in _differences(ours[name], expected)]
        elif not _fits(ours.get(name), expected):
            found.append(f"{name} is {ours.get(name)}, expected {expected}")
    return found


def _fits(ours, expected):
    if expected.startswith("from ") or (
        expected.startswith("module ") and not expected.startswith(COMES_ALONG)
    ):
        return True
    if expected.startswith("a "):
        return ours is not None  # of a kind that is made otherwise
    if ours is None or not ours.startswith(expected[:-1]):
        return False
    # Further arguments may follow that need not be given.
    more = [part for part in ours[len(expected) - 1 : -1].split(", ") if part]
    return all("=" in part or part == "*" for part in more)


#: Names that come with packages which this one does not need: there where the package is installed.
OF_OTHER_PACKAGES = {"HTTPClient", "URL", "aiohttp", "gevent", "version"}
#: Names of inner parts that no program can use.
INNER_PARTS = {
    "tritonclient.utils.cuda_shared_memory": "all but what signatures.json has",
    "tritonclient.grpc.service_pb2": "what protobuf's generator leaves behind",
    "tritonclient.grpc.model_config_pb2": "what protobuf's generator leaves behind",
    "tritonclient.grpc.service_pb2_grpc": "what grpcio's generator leaves behind",
    "tritonclient.utils.shared_memory": "_key_mapping, the table of its own regions",
}


@pytest.mark.parametrize("module", sorted(ALL_NAMES.keys() - INNER_PARTS.keys()))
def test_a_module_has_what_the_official_one_imports(module):
    ours = importlib.import_module(module)
    missing = [name for name in ALL_NAMES[module] if not hasattr(ours, name)]
    assert set(missing) <= OF_OTHER_PACKAGES, missing


def test_names_are_what_they_say():
    from tritonclient.grpc import _client, aio, grpc
    from tritonclient.http import _client as http_client

    assert grpc is aio.grpc is _client.grpc is importlib.import_module("grpc")
    assert _client._get_inference_request is aio._get_inference_request
    assert _client._get_inference_request is not http_client._get_inference_request
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = aio.nothing
