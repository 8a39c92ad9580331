"""Messages between the server and a model's process."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from tests.server.backends.python.process.conftest import Pair, head
from tests.support.waiting import eventually
from tritonclient.errors import Internal, NotFound, ProtocolError
from tritonclient.server.backends.python.process import messages
from tritonclient.server.backends.python.process.channel import INLINE, Body
from tritonclient.server.jobs.response import Response
from tritonclient.server.jobs.tensor import Tensor

ARRAYS = [
    Tensor("A", "FP32", np.arange(6, dtype="<f4").reshape(2, 3)),
    Tensor("B", "BYTES", np.array([b"", b"x", "é".encode()], object)),
    Tensor("C", "BF16", np.array([1, 0x3F80], "<u2")),
    Tensor("D", "BOOL", np.zeros((0, 2), bool)),
    Tensor("E", "INT64", np.array(7)),
]


@pytest.mark.parametrize("size", [0, INLINE * 4])
def test_tensors_arrive_as_they_were_sent(pair: Pair, size: int) -> None:
    large = Tensor("L", "UINT8", np.arange(size, dtype="u1"))
    body = Body()
    values = messages.response_values(Response((*ARRAYS, large), final=True), body)
    pair.model.send(values, body)
    message = pair.server.receive()
    assert message is not None
    received = messages.response(message.values, message)
    assert received.outputs is not None
    for sent, got in zip((*ARRAYS, large), received.outputs, strict=True):
        assert got[:2] == sent[:2]
        assert got.array.dtype == sent.array.dtype
        np.testing.assert_array_equal(got.array, sent.array)


def test_a_model_may_write_to_large_inputs(pair: Pair) -> None:
    body = Body()
    values = {
        "inputs": messages.tensor_values([Tensor("L", "UINT8", np.ones(INLINE * 2, "u1"))], body)
    }
    pair.server.send(values, body)
    message = pair.model.receive()
    assert message is not None
    (tensor,) = messages.tensors(message.values["inputs"], message)
    tensor.array[:] = 2
    assert tensor.array.sum() == INLINE * 4


def test_errors_keep_class_text_and_status() -> None:
    error = messages.error(messages.error_values(NotFound("gone", "404")))
    assert (type(error), error.message(), error.status()) == (NotFound, "gone", "404")
    assert type(messages.error(["Exception", "x", None])) is Internal


def test_the_server_never_waits_for_a_process_that_does_not_read(pair: Pair) -> None:
    threads = threading.active_count()
    for number in range(100):
        body = Body()
        body.add(bytes([number]) * INLINE)
        pair.server.send({"number": number}, body)
    for number in range(100):
        message = pair.model.receive()
        assert message is not None
        assert message.values == {"number": number}
        assert bytes(message.body) == bytes([number]) * INLINE
    eventually(lambda: threading.active_count() <= threads)


@pytest.mark.parametrize("size", [None, 10, INLINE * 2])
def test_held_messages_come_before_what_is_sent_after_them(pair: Pair, size: int | None) -> None:
    """None: `flush` sends them. The last of these sizes goes through shared memory."""
    for number in range(3):
        pair.server.send({"number": number}, hold=True)
    assert pair.model.fill()
    assert not pair.model.has_message()
    if size is None:
        pair.server.flush()
    else:
        body = Body()
        body.add(b"x" * size)
        pair.server.send({"number": 3}, body)
    for number in range(3 if size is None else 4):
        message = pair.model.receive()
        assert message is not None
        assert message.values == {"number": number}
    assert bytes(message.body[: size or 0]) == b"x" * (size or 0)


def test_flushing_to_a_closed_end_ends_receiving(pair: Pair) -> None:
    pair.server.send({}, hold=True)
    pair.model.close()
    pair.server.flush()
    assert pair.server.receive() is None


def test_the_end_of_the_other_side_ends_receiving(pair: Pair) -> None:
    pair.model.close()
    assert pair.server.receive() is None
    with pytest.raises(BrokenPipeError):
        pair.server.send({})


@pytest.mark.parametrize(
    "data",
    [
        head(1 << 30, 0, 0),
        head(2, 1 << 40, 0) + b"{}",
        head(2, 0, 7) + b"{}",
        head(2, 0, 0) + b"[]",
        head(2, 0, 0) + b"{x",
        head(2, 0, 0) + b"\xff\xff",
        head(2, 8, 1) + b"{}",  # a segment that was not sent
        head(2, 8, 1, 1) + b"{}",  # without the segment
        head(2, 8, 0, 1) + b"{}",
        head(2, 8, 1, 2) + b"{}",
        head(200_000, 0, 0) + b"[" * 200_000,
    ],
)
def test_what_is_not_a_message_is_refused(pair: Pair, data: bytes) -> None:
    sending = threading.Thread(target=pair.sockets[1].sendall, args=(data,))
    sending.start()
    with pytest.raises(ProtocolError):
        pair.server.receive()
    pair.server.close()
    sending.join()


@pytest.mark.parametrize(
    "values",
    [
        ["A", "FP32", [2], 0, 4],
        ["A", "FP32", [1], 1 << 40, 4],
        ["A", "FP32", [1], -4, 4],
        ["A", "FP31", [1], 0, 4],
        ["A", "FP32", "x", 0, 4],
        ["A"],
        7,
    ],
)
def test_tensors_that_the_body_does_not_have_are_refused(pair: Pair, values: object) -> None:
    body = Body()
    body.add(bytes(4))
    pair.model.send({"outputs": [values]}, body)
    message = pair.server.receive()
    assert message is not None
    with pytest.raises(ProtocolError):
        messages.tensors(message.values["outputs"], message)
