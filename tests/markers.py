"""Which tests need what: the marker of each file or folder of tests."""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
KINDS = {"unit", "server"}

#: Files and folders whose tests need no other process and no download. All others are "server".
UNIT = {
    *("test_benchmarks.py", "test_markers.py"),
    *("test_calls.py", "test_coding.py", "test_datatypes.py", "test_dlpack.py"),
    *("test_endpoint.py", "test_errors.py", "test_flows.py", "test_header_block.py"),
    *("test_http1.py", "test_http2.py", "test_http2_bounds.py", "test_images.py"),
    *("test_inference.py", "test_layers.py", "test_messages_pb.py", "test_model.py"),
    *("test_models.py", "test_recordings.py", "test_records.py", "test_rest.py", "test_rpc.py"),
    *("test_rpc_answers.py", "test_rpc_infer.py", "test_rpc_recordings.py", "test_rpc_stream.py"),
    *("test_shm_blocks.py", "test_shm_system.py", "test_utils.py"),
    *("test_utils_shared_memory.py", "test_wire.py"),
}
#: Those that start nginx, HAProxy or nghttpx.
PROXY = {
    *("test_proxies.py", "test_grpc_proxies.py", "test_grpc_proxy_connections.py"),
    *("test_grpc_proxy_streams.py", "test_example_security.py"),
}


def mark(item: pytest.Function) -> None:
    """Add the markers that a test does not carry by itself."""
    place = item.path.relative_to(TESTS).parts[0]
    if not any(item.get_closest_marker(kind) for kind in KINDS):
        item.add_marker("unit" if place in UNIT else "server")
    if place in PROXY:
        item.add_marker("proxy")
    if "triton" in item.fixturenames or _parameter(item, "server") == "triton":
        item.add_marker("triton")


def _parameter(item: pytest.Function, name: str) -> object:
    callspec = getattr(item, "callspec", None)
    return callspec.params.get(name) if callspec else None
