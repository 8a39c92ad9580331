"""Markers stand where they should: `make quick` relies on them."""

from __future__ import annotations

import pytest

from tests.markers import PROXY, TESTS, UNIT

#: What starts another process, or downloads something.
FIXTURES = {"embedded", "triton", "official_python", "grpc_proxy", "executed", "triton_server"}


def test_the_files_are_there():
    assert [name for name in sorted(UNIT | PROXY) if not (TESTS / name).exists()] == []


def test_unit_tests_need_no_server(request: pytest.FixtureRequest):
    units = [item for item in request.session.items if item.get_closest_marker("unit")]
    assert units
    assert [item.nodeid for item in units if FIXTURES & set(item.fixturenames)] == []
