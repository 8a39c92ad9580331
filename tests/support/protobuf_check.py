"""Checks the codec against the recorded calls; run in environments with other protobufs.

    python tests/support/protobuf_check.py

These have no pytest, so it is a program: it prints the version of protobuf, or fails.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from google import protobuf  # noqa: E402
from google.protobuf.internal import api_implementation  # noqa: E402

from tests.data.recordings import rpc as recordings  # noqa: E402
from tritonclient import errors  # noqa: E402
from tritonclient import messages as m  # noqa: E402
from tritonclient.codec import messages_pb, rpc  # noqa: E402


def check_call(call: recordings.Call) -> None:
    """Read a call and write it again."""
    try:
        request = rpc.decode_request(call.method, call.requests[0])
    except errors.ServerError:
        return
    kind = messages_pb.message(f"{call.method}Response")
    for data in call.responses:
        answer = rpc.decode_response(request, data)
        written = b"".join(rpc.encode_response(request, answer))
        assert kind.FromString(written) == kind.FromString(data), call.name
    if getattr(request, "model", "m"):
        written = b"".join(rpc.encode_request(request).message)
        assert rpc.decode_request(call.method, written) == request, call.name


def check_classes() -> None:
    """Check the protobuf classes of the classic modules."""
    names = messages_pb.public_names("model_config.proto")
    assert names["TYPE_BF16"] == names["DataType"].Value("TYPE_BF16") == 14
    kind = messages_pb.message("ModelInferRequest")
    assert kind().inputs.add(name="x") == kind.InferInputTensor(name="x")
    assert kind.DESCRIPTOR.file is messages_pb.file("grpc_service.proto")
    for broken in (b"\xff", b"\x0a\x01\xff", b"\x0a"):
        try:
            rpc.decode_response(m.GetServerMetadata(), broken)
        except errors.ProtocolError:
            continue
        raise AssertionError(broken)


def main() -> None:
    for subject in recordings.subjects():
        for call in recordings.load(subject):
            if call.method != "ModelStreamInfer":
                check_call(call)
    check_classes()
    print(protobuf.__version__, api_implementation.Type())


if __name__ == "__main__":
    main()
