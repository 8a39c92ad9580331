"""The classic HTTP clients, blocking and awaited, behind one face."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tritonclient.http
import tritonclient.http.aio
from tests import adversity
from tritonclient.http import InferInput


def _blocking(url: str, timeout: float, **options: Any) -> Any:
    return tritonclient.http.InferenceServerClient(bare(url), network_timeout=timeout, **options)


def _awaited(url: str, timeout: float, **options: Any) -> Any:
    return tritonclient.http.aio.InferenceServerClient(bare(url), conn_timeout=timeout, **options)


def bare(url: str) -> str:
    """A URL as the classic clients take it, without its scheme."""
    return url.partition("://")[2]


class Blocking(adversity.Blocking):
    """A `tritonclient.http.InferenceServerClient`."""

    make = staticmethod(_blocking)


class Awaiting(adversity.Awaiting):
    """A `tritonclient.http.aio.InferenceServerClient`, each of whose methods runs an event loop."""

    make = staticmethod(_awaited)


both_runtimes = pytest.mark.parametrize("runtime", [Blocking, Awaiting], ids=lambda r: r.kind)


def make_input(name: str, array: Any, datatype: str, binary_data: bool = True) -> InferInput:
    """An input that holds an array."""
    array = np.asarray(array)
    return InferInput(name, list(array.shape), datatype).set_data_from_numpy(array, binary_data)


def pair(a: Any, b: Any, binary_data: bool = True) -> list[InferInput]:
    """The inputs of the model `simple`."""
    return [make_input(f"INPUT{n}", x, "INT32", binary_data) for n, x in enumerate((a, b))]
