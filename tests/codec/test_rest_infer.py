"""Inference requests and responses as JSON that is large."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tritonclient import messages as m
from tritonclient.codec import rest_infer
from tritonclient.datatypes import pack


class _Counting:
    """An encoder that notes how many values it encodes at once."""

    def __init__(self, encoder):
        self.most = 0
        self._encoder = encoder

    def encode(self, value):
        values = value.get("data", ()) if isinstance(value, dict) else value
        self.most = max(self.most, len(values))
        return self._encoder.encode(value)


@pytest.mark.parametrize("count", [0, 1, 4096, 4097, 10_000])
@pytest.mark.parametrize("datatype", ["INT32", "BYTES"])
def test_many_values_are_encoded_in_pieces(monkeypatch, datatype, count):
    """Otherwise no other thread runs for seconds, not even one that serves other clients."""
    counting = _Counting(rest_infer._response_encoder)
    monkeypatch.setattr(rest_infer, "_response_encoder", counting)
    values = [f"{number},]" if datatype == "BYTES" else number for number in range(count)]
    array = np.array(values, object if datatype == "BYTES" else np.int32)
    output = m.InferTensor("OUT", datatype, (count,), pack(array, datatype), binary=False)
    _, body = rest_infer.encode_response(m.InferResponse("m", "1", "", {}, (output,)))
    assert json.loads(b"".join(body))["outputs"][0]["data"] == values
    assert counting.most <= 4096
