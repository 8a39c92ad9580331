"""The bytes of an inference request, written without any client, for the clients of reference."""

from __future__ import annotations

import json

from .workloads import Workload

GRPC_PATH = "/inference.GRPCInferenceService/ModelInfer"


def http_request(workload: Workload) -> tuple[str, dict[str, str], bytes]:
    """Return the path, the headers and the body of a POST with binary tensors."""
    inputs = [
        {
            "name": name,
            "shape": array.shape,
            "datatype": workload.datatype,
            "parameters": {"binary_data_size": array.nbytes},
        }
        for name, array in workload.inputs.items()
    ]
    outputs = [{"name": name, "parameters": {"binary_data": True}} for name in workload.outputs]
    head = json.dumps({"inputs": inputs, "outputs": outputs}).encode()
    body = b"".join([head, *(array.tobytes() for array in workload.inputs.values())])
    headers = {
        "Content-Type": "application/octet-stream",
        "Inference-Header-Content-Length": str(len(head)),
    }
    return f"/v2/models/{workload.model}/infer", headers, body


def grpc_request(workload: Workload) -> bytes:
    """Return a ModelInferRequest message (grpc_service.proto)."""
    message = _field(1, workload.model.encode())
    for name, array in workload.inputs.items():
        shape = b"".join(map(_varint, array.shape))
        tensor = _field(1, name.encode()) + _field(2, workload.datatype.encode()) + _field(3, shape)
        message += _field(5, tensor)
    for name in workload.outputs:
        message += _field(6, _field(1, name.encode()))
    return message + b"".join(_field(7, array.tobytes()) for array in workload.inputs.values())


def _field(number: int, data: bytes) -> bytes:
    """Return a length-delimited field of a protobuf message."""
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])
