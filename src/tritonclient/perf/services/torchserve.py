"""TorchServe: files posted to its prediction interface."""

from __future__ import annotations

import os
from urllib.parse import quote

from ..data.dataset import Dataset
from ..exits import SetupError
from ..load.connection import Target, Wire
from .plain_http import PlainHttp

_BOUNDARY = "perf-analyzer-7d1c0f5e2b9a4836"


class TorchServe(PlainHttp):
    """POST /predictions/<model>[/<version>] with a file as the form's field "data"."""

    kind = "TORCHSERVE"

    def wires(self, target: Target, data: Dataset) -> list[Wire]:
        """The requests: the files that the data names."""
        settings = self._settings
        path = f"predictions/{quote(settings.model_name, safe='')}"
        if settings.model_version:
            path += f"/{quote(settings.model_version, safe='')}"
        return [self._wire(target, path, step.payload) for step in data.steps]

    def _wire(self, target: Target, path: str, name: str) -> Wire:
        try:
            with open(name, "rb") as file:
                content = file.read()
        except OSError as error:
            raise SetupError(f"TORCHSERVE_INPUT {name!r} can't be read: {error.strerror}") from None
        shown = os.path.basename(name).replace('"', "_")
        head = (
            f"--{_BOUNDARY}\r\n"
            f'Content-Disposition: form-data; name="data"; filename="{shown}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        body = head.encode() + content + f"\r\n--{_BOUNDARY}--\r\n".encode()
        kind = f"multipart/form-data; boundary={_BOUNDARY}"
        return target.encode_raw("POST", path, [("Content-Type", kind)], body)
