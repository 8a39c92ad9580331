"""Models for requests of the generate extension, and such requests."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support import made_models

JSON = "application/json"
#: Answers with what it got of a request.
DESCRIBING = """
import json
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        return [self._describe(request) for request in requests]

    def _describe(self, request):
        inputs = {}
        for tensor in request.inputs():
            values = [
                value.decode("latin-1") if isinstance(value, bytes) else value.item()
                for value in tensor.as_numpy().flatten()
            ]
            inputs[tensor.name()] = [list(tensor.shape()), values]
        known = {
            "inputs": inputs,
            "parameters": json.loads(request.parameters()),
            "id": request.request_id(),
            "sequence": [request.correlation_id(), request.flags(), request.timeout()],
        }
        text = np.array([json.dumps(known).encode()], dtype=object)
        rows = [shape[0] for shape, _ in inputs.values() if len(shape) > 1]
        text = np.repeat(text[None], rows[0], 0) if rows else text
        return pb_utils.InferenceResponse([pb_utils.Tensor("TEXT", text)])
"""
#: Sends what the letters of a text say; counts the requests that wait until their client leaves.
PLANNED = """
import threading
import time
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    waiting = left = 0

    def execute(self, requests):
        for request in requests:
            plan = pb_utils.get_input_tensor_by_name(request, "PLAN").as_numpy().item().decode()
            arguments = (plan, request.get_response_sender(), request)
            threading.Thread(target=self._send_all, args=arguments).start()

    def _send_all(self, plan, sender, request):
        for letter in plan:
            if letter == "e":
                error = pb_utils.TritonError("refused by the model", pb_utils.TritonError.NOT_FOUND)
                sender.send(pb_utils.InferenceResponse(error=error))
            elif letter == "w":
                self.waiting += 1
                while not sender.is_cancelled():
                    time.sleep(0.01)
                self.left += 1
            else:
                text = f"{self.waiting} {self.left}" if letter == "?" else letter
                outputs = [pb_utils.Tensor("TEXT", np.array([text.encode()], dtype=object))]
                sender.send(pb_utils.InferenceResponse([] if letter == "-" else outputs))
        sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""
#: Gives the outputs that a text names, each with so many elements.
GIVING = """
import numpy as np
import triton_python_backend_utils as pb_utils

VALUES = {
    "BOOL": np.array([True, False]),
    "UINT64": np.array([2**64 - 1, 0], np.uint64),
    "INT8": np.array([-1, 2], np.int8),
    "FP16": np.array([1, 2], np.float16),
    "FP32": np.array([0.1, np.nan], np.float32),
    "FP64": np.array([0.1, -np.inf]),
    "BYTES": np.array([b"caf\\xc3\\xa9", b"\\xff\\"\\n"], dtype=object),
    "ROWS": np.arange(4, dtype=np.int32).reshape(2, 2),
    "id": np.array([b"of the model"], dtype=object),
    "model_name": np.array([b"of the model"], dtype=object),
}

class TritonPythonModel:
    def execute(self, requests):
        name = pb_utils.get_input_tensor_by_name(requests[0], "NAME").as_numpy().item().decode()
        count = pb_utils.get_input_tensor_by_name(requests[0], "COUNT").as_numpy().item()
        outputs = [pb_utils.Tensor(each, VALUES[each][:count]) for each in name.split(",")]
        return [pb_utils.InferenceResponse(outputs)]
"""
KINDS = ("BOOL", "UINT8", "UINT64", "INT8", "INT32", "FP16", "FP32", "FP64", "STRING")


def tensor(name: str, kind: str, dims: list[int], **more: Any) -> dict[str, Any]:
    return {"name": name, "data_type": f"TYPE_{kind}", "dims": dims, **more}


TEXT = tensor("TEXT", "STRING", [-1])
MODELS: dict[str, tuple[dict[str, Any], str]] = {
    "typed": (
        {"input": [tensor(each, each, [-1], optional=True) for each in KINDS], "output": [TEXT]},
        DESCRIBING,
    ),
    "batched": (
        {
            "max_batch_size": 4,
            "input": [
                tensor("ONE", "FP32", [1]),
                tensor("ANY", "STRING", [-1], optional=True),
                tensor("ROWS", "INT32", [-1, 2], optional=True),
                tensor("FREE", "INT32", [-1, -1], optional=True),
                tensor("FIXED", "INT32", [2, 3], optional=True),
                tensor("FLAT", "INT32", [1], reshape={"shape": []}, optional=True),
            ],
            "output": [TEXT],
        },
        DESCRIBING,
    ),
    "named": (
        {
            "input": [tensor(each, "STRING", [1], optional=True) for each in ("id", "parameters")],
            "output": [TEXT],
        },
        DESCRIBING,
    ),
    "planned": (
        {
            "model_transaction_policy": {"decoupled": True},
            "input": [tensor("PLAN", "STRING", [1])],
            "output": [tensor("TEXT", "STRING", [1])],
        },
        PLANNED,
    ),
    "giving": (
        {
            "input": [tensor("NAME", "STRING", [1]), tensor("COUNT", "INT32", [1])],
            "output": [
                *(
                    tensor(each, each.replace("BYTES", "STRING"), [-1])
                    for each in ("BOOL", "UINT64", "INT8", "FP16", "FP32", "FP64", "BYTES")
                ),
                tensor("ROWS", "INT32", [-1, 2]),
                *(tensor(each, "STRING", [1]) for each in ("id", "model_name")),
            ],
        },
        GIVING,
    ),
}
ENSEMBLE = {
    "platform": "ensemble",
    "input": [tensor("IN", "FP32", [-1])],
    "output": [tensor("OUT", "FP32", [-1])],
    "ensemble_scheduling": {
        "step": [
            {
                "model_name": "identity_fp32",
                "model_version": -1,
                "input_map": {"INPUT0": "IN"},
                "output_map": {"OUTPUT0": "OUT"},
            }
        ]
    },
}


@contextmanager
def loaded(server: Any) -> Iterator[None]:
    """Load the models until the end of the block."""
    for name, (config, code) in MODELS.items():
        config = {"backend": "python", "max_batch_size": 0, **config}
        assert made_models.load(server, config, code, name) == (200, {})
    assert made_models.load(server, ENSEMBLE, "", "composed") == (200, {})
    yield
    for name in ("composed", *MODELS):
        made_models.unload(server, name)


def send(
    server: Any, path: str, body: Any, method: str = "POST", headers: dict[str, str] | None = None
) -> tuple[int, str, bytes]:
    """Return status, content type and body of the response to a request about a model."""
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=60)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        connection.request(method, f"/v2/models/{path}", data, headers or {})
        response = connection.getresponse()
        return response.status, response.getheader("Content-Type", ""), response.read()
    finally:
        connection.close()


def generate(server: Any, model: str, body: Any, **more: Any) -> tuple[int, Any]:
    """Return status and JSON of the response."""
    status, kind, text = send(server, f"{model}/generate", body, **more)
    assert kind == JSON
    return status, json.loads(text)
