"""The protobuf classes that are made at run time."""

from __future__ import annotations

import pytest

from tritonclient.codec import messages_pb


def test_configuration_has_the_numbers_of_the_wire() -> None:
    message = messages_pb.message("ModelConfig")(name="x", max_batch_size=3)
    message.dynamic_batching.SetInParent()
    assert message.SerializeToString() == b"\x0a\x01x\x20\x03\x5a\x00"
    assert (
        messages_pb.message("ModelConfig").FromString(b"\x92\x01\x00").HasField("model_operations")
    )


def test_classes_are_made_once() -> None:
    assert messages_pb.message("ModelConfig") is messages_pb.message("ModelConfig")
    with pytest.raises(KeyError):
        messages_pb.message("Nope")
