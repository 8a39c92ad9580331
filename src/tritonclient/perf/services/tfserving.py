"""TensorFlow Serving over its REST interface.

Source: TensorFlow Serving's "RESTful API" page: model metadata, and predict in column format.
"""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote

from ...datatypes import element_count, unpack
from ..data.dataset import Dataset, Tensor
from ..data.model import ModelInfo, TensorInfo
from ..exits import SetupError
from ..load.connection import Target, Wire
from ..options.settings import Settings
from .plain_http import PlainHttp

_DATATYPES = {
    "DT_HALF": "FP16",
    "DT_FLOAT": "FP32",
    "DT_DOUBLE": "FP64",
    "DT_BFLOAT16": "BF16",
    "DT_INT8": "INT8",
    "DT_INT16": "INT16",
    "DT_INT32": "INT32",
    "DT_INT64": "INT64",
    "DT_UINT8": "UINT8",
    "DT_UINT16": "UINT16",
    "DT_UINT32": "UINT32",
    "DT_UINT64": "UINT64",
    "DT_BOOL": "BOOL",
    "DT_STRING": "BYTES",
}
_ANY = 2**31 - 1


class TensorFlowServing(PlainHttp):
    """POST /v1/models/<model>[/versions/<version>]:predict."""

    kind = "TENSORFLOW_SERVING"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._path = f"v1/models/{quote(settings.model_name, safe='')}"
        if settings.model_version:
            self._path += f"/versions/{quote(settings.model_version, safe='')}"
        self.model = self._describe_model()

    def _describe_model(self) -> ModelInfo:
        url = f"{self._url}/{self._path}/metadata"
        headers = dict(self._settings.headers)
        context = self._tls.make_context() if url.startswith("https") else None
        try:
            request = urllib.request.Request(url, headers=headers)
            with urllib.request.urlopen(request, timeout=10, context=context) as answer:
                document = json.load(answer)
        except urllib.error.HTTPError as error:
            text = error.read(500).decode("utf-8", "replace")
            raise SetupError(
                f"error: failed to get model metadata: HTTP {error.code}: {text}"
            ) from None
        except (OSError, ValueError) as error:
            raise SetupError(f"error: failed to get model metadata: {error}") from None
        name = self._settings.model_signature_name
        try:
            signatures = document["metadata"]["signature_def"]["signature_def"]
            if name not in signatures:
                raise SetupError(
                    f"--model-signature-name is {name!r}, expected one of {', '.join(signatures)}"
                )
            return self._signature(signatures[name])
        except (KeyError, TypeError, ValueError) as error:
            raise SetupError(f"error: the model metadata can't be read: {error!r}") from None

    def _signature(self, signature: dict[str, Any]) -> ModelInfo:
        inputs = {name: _tensor(name, each) for name, each in signature["inputs"].items()}
        outputs = {name: _tensor(name, each) for name, each in signature.get("outputs", {}).items()}
        batches = all(each.shape and each.shape[0] == -1 for each in inputs.values())
        if "batch_size" in self._settings.given and not batches:
            raise SetupError(
                f"-b is {self._settings.batch_size}, but an input's first dimension is not open"
            )
        if batches:
            inputs = {name: _cut(each) for name, each in inputs.items()}
        settings = self._settings
        return ModelInfo(
            settings.model_name,
            settings.model_version,
            inputs,
            outputs,
            _ANY if batches else 0,
        )

    def wires(self, target: Target, data: Dataset) -> list[Wire]:
        """The requests, in column format."""
        steps = data.steps
        batch = self._settings.batch_size if self.model.max_batch_size else 0
        wires = []
        for number in range(len(steps)):
            columns: dict[str, Any] = {}
            for name in steps[number].inputs:
                rows = [
                    _nested(steps[(number * max(1, batch) + index) % len(steps)].inputs[name])
                    for index in range(max(1, batch))
                ]
                columns[name] = rows if batch else rows[0]
            value = {"signature_name": self._settings.model_signature_name, "inputs": columns}
            body = json.dumps(value, separators=(",", ":")).encode()
            headers = [("Content-Type", "application/json")]
            wires.append(target.encode_raw("POST", f"{self._path}:predict", headers, body))
        return wires


def _tensor(name: str, described: dict[str, Any]) -> TensorInfo:
    datatype = _DATATYPES.get(described["dtype"])
    if datatype is None:
        raise SetupError(f"tensor {name!r} has the type {described['dtype']}, which is not known")
    dims = described.get("tensor_shape", {}).get("dim", [])
    return TensorInfo(name, datatype, tuple(int(each["size"]) for each in dims))


def _cut(tensor: TensorInfo) -> TensorInfo:
    return TensorInfo(tensor.name, tensor.datatype, tensor.shape[1:])


def _nested(tensor: Tensor) -> Any:
    values = unpack(tensor.data, tensor.datatype, (element_count(tensor.shape),))
    if tensor.datatype == "BF16":
        values = values.astype("float32")
    shaped = values.reshape(tensor.shape)
    if tensor.datatype != "BYTES":
        return shaped.tolist()

    def encode(value: Any) -> Any:
        if isinstance(value, list):
            return [encode(each) for each in value]
        return {"b64": base64.b64encode(value).decode()}

    return encode(shaped.tolist())
