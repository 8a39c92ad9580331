"""Inference requests that are broken in some way, the same for the same seed."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tritonclient.grpc import service_pb2 as pb

HEAD_LENGTH = "Inference-Header-Content-Length"
#: What stands in the place of a value of JSON.
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 1.5, 2**63 - 1, 2**63, 2**64, -(2**63), 1e300),
    *("", "x", "INPUT0", "OUTPUT0", "FP32", "INT32", "BYTES", "BF16", "fp32"),
    *([], {}, [1], [1, 2], [[1], [2]], [[]], ["a", "b"], {"a": 1}, [None], [True]),
)
#: Members that may be added to an object.
MEMBERS = (
    *("id", "name", "datatype", "shape", "data", "parameters", "inputs", "outputs"),
    *("binary_data_size", "binary_data", "binary_data_output", "classification"),
    *("shared_memory_region", "shared_memory_offset", "shared_memory_byte_size"),
    *("sequence_id", "sequence_start", "sequence_end", "priority", "timeout", "unknown"),
    *("triton_enable_empty_final_response", "triton_x"),
)
LENGTHS = ("", "0", "1", "-1", "+1", "01", " 1", "x", "1.5", "99999", str(2**63), str(2**64))


class HttpBroken(NamedTuple):
    """A request over HTTP."""

    headers: dict[str, str]
    body: bytes


def http_requests(seed: int, count: int) -> Iterator[HttpBroken]:
    """Yield requests to `identity_fp32` over HTTP."""
    chance = random.Random(seed)
    ways: list[Callable[[random.Random], HttpBroken]] = [_json_tree, _json_text, _binary, _head]
    for number in range(count):
        yield ways[number % len(ways)](chance)


def grpc_requests(seed: int, count: int) -> Iterator[bytes]:
    """Yield messages of ModelInfer to `identity_fp32`."""
    chance = random.Random(seed)
    for number in range(count):
        message = _changed_message(chance)
        data = message.SerializeToString()
        yield _changed_bytes(chance, data) if number % 4 == 0 else data


def _request(binary: bool) -> dict[str, Any]:
    tensor: dict[str, Any] = {"name": "INPUT0", "datatype": "FP32", "shape": [2]}
    tensor |= {"parameters": {"binary_data_size": 8}} if binary else {"data": [1, 2]}
    parameters = {"binary_data": binary}
    output = {"name": "OUTPUT0", "parameters": parameters}
    return {"id": "a", "inputs": [tensor], "outputs": [output], "parameters": {"x": 1}}


def _json_tree(chance: random.Random) -> HttpBroken:
    value = _changed_value(chance, _request(binary=False))
    return HttpBroken({}, json.dumps(value).encode())


def _json_text(chance: random.Random) -> HttpBroken:
    return HttpBroken({}, _changed_bytes(chance, json.dumps(_request(binary=False)).encode()))


def _binary(chance: random.Random) -> HttpBroken:
    value = _changed_value(chance, _request(binary=True))
    head, data = json.dumps(value).encode(), bytes(8)
    if chance.random() < 0.3:
        data = bytes(chance.choice((0, 1, 4, 7, 9, 16)))
    return HttpBroken({HEAD_LENGTH: str(len(head))}, head + data)


def _head(chance: random.Random) -> HttpBroken:
    head = json.dumps(_request(binary=True)).encode()
    length = chance.choice([*LENGTHS, str(len(head) + chance.randint(-3, 10))])
    return HttpBroken({HEAD_LENGTH: length}, chance.choice([b"", bytes(8), head, head + bytes(8)]))


def _changed_value(chance: random.Random, value: dict[str, Any]) -> dict[str, Any]:
    value = copy.deepcopy(value)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        owner, key = chance.choice(list(_places(value)))
        way = chance.random()
        if way < 0.6:
            owner[key] = copy.deepcopy(chance.choice(VALUES))
        elif way < 0.75:
            del owner[key]
        elif isinstance(owner, dict):
            owner[chance.choice(MEMBERS)] = copy.deepcopy(chance.choice(VALUES))
        else:
            owner.append(copy.deepcopy(owner[key]))
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each member of a JSON value, as its object or array and its name or index."""
    for key in value if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], (dict, list)):
            yield from _places(value[key])


def _changed_bytes(chance: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 5))):
        place = chance.randrange(len(changed) or 1)
        way = chance.randrange(4)
        if way == 0:
            changed[place : place + 1] = bytes([chance.randrange(256)])
        elif way == 1:
            del changed[place : place + chance.choice((1, 1, 4))]
        elif way == 2:
            changed[place:place] = chance.choice((b"\0", b"\xff", b'"', b"{", b"[", b"\\ud800"))
        else:
            del changed[place:]
    return bytes(changed)


def _message() -> pb.ModelInferRequest:
    message = pb.ModelInferRequest(model_name="identity_fp32", id="a")
    message.inputs.add(name="INPUT0", datatype="FP32", shape=[2])
    message.raw_input_contents.append(bytes(8))
    return message


def _changed_message(chance: random.Random) -> pb.ModelInferRequest:
    message = _message()
    for _ in range(chance.choice((1, 1, 2, 3))):
        chance.choice(_CHANGES)(chance, message)
    return message


def _tensor(message: pb.ModelInferRequest) -> Any:
    return message.inputs[0] if message.inputs else message.inputs.add()


def _change_name(chance: random.Random, message: pb.ModelInferRequest) -> None:
    _tensor(message).name = chance.choice(("", "x", "INPUT1", "INPUT0"))


def _change_datatype(chance: random.Random, message: pb.ModelInferRequest) -> None:
    _tensor(message).datatype = chance.choice(("", "x", "fp32", "INT32", "BYTES", "BF16", "BOOL"))


def _change_shape(chance: random.Random, message: pb.ModelInferRequest) -> None:
    sizes = (0, 1, 2, 3, -1, -2, 2**31, 2**32, 2**62, 2**63 - 1, -(2**63))
    _tensor(message).shape[:] = chance.choices(sizes, k=chance.randrange(4))


def _change_raw(chance: random.Random, message: pb.ModelInferRequest) -> None:
    size = chance.choice((0, 1, 4, 7, 8, 9))
    message.raw_input_contents[:] = [bytes(size)] * chance.randrange(3)


def _add_contents(chance: random.Random, message: pb.ModelInferRequest) -> None:
    contents = _tensor(message).contents
    field = chance.choice(("fp32", "int", "int64", "uint", "uint64", "fp64", "bool", "bytes"))
    value = b"a" if field == "bytes" else 1
    getattr(contents, f"{field}_contents").extend([value] * chance.randrange(4))
    if chance.random() < 0.5:
        message.raw_input_contents[:] = []


def _add_input(chance: random.Random, message: pb.ModelInferRequest) -> None:
    message.inputs.add(name=chance.choice(("INPUT0", "x")), datatype="FP32", shape=[1])


def _change_outputs(chance: random.Random, message: pb.ModelInferRequest) -> None:
    output = message.outputs.add(name=chance.choice(("OUTPUT0", "OUTPUT0", "x", "")))
    if chance.random() < 0.5:
        _set(chance, output.parameters[chance.choice(MEMBERS)])


def _add_parameter(chance: random.Random, message: pb.ModelInferRequest) -> None:
    _set(chance, message.parameters[chance.choice(MEMBERS)])


def _add_tensor_parameter(chance: random.Random, message: pb.ModelInferRequest) -> None:
    _set(chance, _tensor(message).parameters[chance.choice(MEMBERS)])


def _set(chance: random.Random, parameter: Any) -> None:
    field = chance.choice(("bool", "int64", "string", "double", "uint64", ""))
    values = {
        "bool": (True, False),
        "int64": (0, 1, -1, 2**63 - 1, -(2**63)),
        "string": ("", "x", "y" * 200),
        "double": (0.0, 1.5),
        "uint64": (0, 1, 2**64 - 1),
    }
    if field:
        setattr(parameter, f"{field}_param", chance.choice(values[field]))


def _change_model(chance: random.Random, message: pb.ModelInferRequest) -> None:
    message.model_name = chance.choice(("", "x", "identity_fp32"))
    message.model_version = chance.choice(("", "1", "2", "x", "-1", "01"))


_CHANGES: tuple[Callable[[random.Random, pb.ModelInferRequest], None], ...] = (
    *(_change_name, _change_datatype, _change_shape, _change_raw, _add_contents, _add_input),
    *(_change_outputs, _add_parameter, _add_tensor_parameter, _change_model),
)
