"""Tensors as binary data or as JSON: which of them a server takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..errors import (
    InferenceServerException,
    Internal,
    InvalidArgument,
    Unimplemented,
)
from ..messages import Infer, ServerMetadata

_EXTENSION = "binary_tensor_data"
#: What servers answer to a body that they can't read.
REFUSALS = (Internal, InvalidArgument, Unimplemented)


class BinaryTensors:
    """True if a server takes tensors as binary data, an extension of Triton's.

    Requests are sent in this form until the server refuses one. Then it is asked for its
    extensions, once. If it lacks this one, the request is sent as JSON, and later ones too if the
    server took it.

    Args:
        given: True to send binary data always, False for never, None to find out.
        protocol: "http", or "grpc", which has one form only.

    Attributes:
        sent: whether requests have this form.
        known: whether the server was asked.
        lacking: whether it does not name the extension. Some such servers take binary data, so
            that what is sent changes only when JSON was taken where binary data were not.
    """

    __slots__ = ("_free", "known", "lacking", "sent")

    def __init__(self, given: bool | None, protocol: str) -> None:
        if given is not None and not isinstance(given, bool):
            raise TypeError(f"binary is {given!r:.60}, expected True, False, or None to find out")
        self.sent = given is not False
        self.known = self.lacking = False
        self._free = given is None and protocol == "http"

    def may_matter(self, error: InferenceServerException, options: Mapping[str, Any]) -> bool:
        """True if a call with these options may have failed for its form."""
        if not self._free or "binary" in options:
            return False
        return isinstance(error, REFUSALS) or error.status() == "415"  # media type

    def learn(self, metadata: ServerMetadata | None) -> None:
        """Take note of what the server says of itself; None when it could not be asked."""
        self.known = True
        if metadata is not None and _EXTENSION not in metadata.extensions:
            self.lacking = True


def in_json(request: Infer) -> Infer:
    """Return a request whose tensors are sent, and asked for, as JSON."""
    inputs = tuple(tensor._replace(binary=False) for tensor in request.inputs)
    outputs = tuple(output._replace(binary=False) for output in request.outputs)
    return replace(request, inputs=inputs, outputs=outputs, binary=False)
