"""Requests of inference, in short."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

MODELS = Path(__file__).parents[2] / "models"

Json = dict[str, Any]


def tensor(name: str, datatype: str, shape: Sequence[int], **more: object) -> Json:
    return {"name": name, "shape": list(shape), "datatype": datatype, **more}


def binary_tensor(name: str, datatype: str, shape: Sequence[int], size: int) -> Json:
    return tensor(name, datatype, shape, parameters={"binary_data_size": size})


def output(name: str, **parameters: object) -> Json:
    return {"name": name, "parameters": parameters} if parameters else {"name": name}


A = list(range(16))
B = [1] * 16
INT32S = struct.pack("<16i", *A) + struct.pack("<16i", *B)


def simple(**more: object) -> Json:
    """A request to the model `simple` that succeeds, changed as told."""
    inputs = [
        tensor("INPUT0", "INT32", [1, 16], data=A),
        tensor("INPUT1", "INT32", [1, 16], data=B),
    ]
    return {"inputs": inputs, **more}


def simple_but(**changes: object) -> Json:
    """Return a request with its first input changed."""
    request = simple()
    request["inputs"][0] |= changes
    return request


def simple_binary(**more: object) -> Json:
    inputs = [
        binary_tensor("INPUT0", "INT32", [1, 16], 64),
        binary_tensor("INPUT1", "INT32", [1, 16], 64),
    ]
    return {"inputs": inputs, **more}


def batch(size: int) -> Json:
    inputs = [tensor(f"INPUT{i}", "INT32", [size, 16], data=A * size) for i in range(2)]
    return {"inputs": inputs}


def identity(datatype: str, data: Sequence[object]) -> Json:
    return {"inputs": [tensor("INPUT0", datatype, [len(data)], data=list(data))]}


def failing(message: str) -> Json:
    return {"inputs": [tensor("MESSAGE", "BYTES", [1], data=[message])]}


def pack_bytes(elements: Iterable[bytes]) -> bytes:
    return b"".join(struct.pack("<I", len(each)) + each for each in elements)
