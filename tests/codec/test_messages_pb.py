"""The protobuf classes that are made at run time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2

from tests.support.servers import official
from tests.support.servers.environments import python_with
from tritonclient.codec import messages_pb
from tritonclient.codec.messages_pb import enum, file, message, public_names

ROOT = Path(__file__).parents[2]


def test_configuration_has_the_numbers_of_the_wire() -> None:
    config = message("ModelConfig")(name="x", max_batch_size=3)
    config.dynamic_batching.SetInParent()
    assert config.SerializeToString() == b"\x0a\x01x\x20\x03\x5a\x00"
    assert message("ModelConfig").FromString(b"\x92\x01\x00").HasField("model_operations")


def test_inference_has_the_numbers_of_the_wire() -> None:
    request = message("ModelInferRequest")(
        model_name="m",
        model_version="1",
        id="7",
        inputs=[{"name": "X", "datatype": "INT8", "shape": [2]}],
        outputs=[{"name": "Y"}],
        raw_input_contents=[b"ab"],
    )
    request.parameters["p"].uint64_param = 1
    assert request.SerializeToString() == (
        b"\x0a\x01m\x12\x011\x1a\x017"
        b"\x22\x07\x0a\x01p\x12\x02\x28\x01"
        b"\x2a\x0c\x0a\x01X\x12\x04INT8\x1a\x01\x02"
        b"\x32\x03\x0a\x01Y\x3a\x02ab"
    )


def test_classes_are_made_once() -> None:
    assert message("ModelConfig") is message("ModelConfig") is message("inference.ModelConfig")
    for get in (message, enum, file, public_names):
        with pytest.raises(KeyError):
            get("Nope")


def test_nested_classes() -> None:
    kind = message("ModelInferRequest")
    assert message("ModelInferRequest.InferInputTensor") is kind.InferInputTensor
    assert enum("ModelInput.Format").Name(1) == "FORMAT_NHWC"
    assert message("ModelInput").Format.Value("FORMAT_NHWC") == 1
    assert message("ModelInput").FORMAT_NHWC == 1


def test_health() -> None:
    response = message("grpc.health.v1.HealthCheckResponse")(status=1)
    assert response.SerializeToString() == b"\x08\x01"
    assert enum("grpc.health.v1.HealthCheckResponse.ServingStatus").Name(1) == "SERVING"
    (service,) = file("health.proto").services_by_name.values()
    assert service.full_name == "grpc.health.v1.Health"
    assert [method.name for method in service.methods] == ["Check", "Watch"]


def test_all_names_of_a_file() -> None:
    names = public_names("grpc_service.proto")
    assert names.pop("DESCRIPTOR") is file("grpc_service.proto")
    assert names["InferParameter"] is message("InferParameter")
    assert len(names) == 48
    names = public_names("model_config.proto")
    assert names["TYPE_FP32"] == names["DataType"].Value("TYPE_FP32") == 11


def test_json_form() -> None:
    found = messages_pb.to_dict(message("StatisticDuration")(ns=2**64 - 1))
    assert found == {"count": 0, "ns": 2**64 - 1}


# Against others

_DUMP = """
import sys
from tritonclient.grpc import model_config_pb2, service_pb2
for module in (service_pb2, model_config_pb2):
    sys.stdout.buffer.write(module.DESCRIPTOR.serialized_pb.hex().encode() + b"\\n")
"""


def _essence(file: descriptor_pb2.FileDescriptorProto) -> descriptor_pb2.FileDescriptorProto:
    """A file without what follows from the rest: empty options, and names in JSON."""
    for service in file.service:
        for method in service.method:
            assert not method.options.ListFields()
            method.ClearField("options")
    messages = list(file.message_type)
    while messages:
        kind = messages.pop()
        messages += kind.nested_type
        for field in kind.field:
            field.ClearField("json_name")
    return file


@pytest.mark.server
def test_the_official_client_has_the_same_messages() -> None:
    if reason := official.unavailable_reason():
        pytest.skip(reason)
    command = [str(official.ensure_official()), "-c", _DUMP]
    done = subprocess.run(command, capture_output=True, check=True)
    for line in done.stdout.split():
        theirs = descriptor_pb2.FileDescriptorProto.FromString(bytes.fromhex(line.decode()))
        ours = descriptor_pb2.FileDescriptorProto()
        file(theirs.name).CopyToProto(ours)
        assert _essence(ours) == _essence(theirs)


@pytest.mark.server
def test_the_descriptor_is_what_the_files_give() -> None:
    python = python_with("grpcio-tools", ["grpcio-tools"])
    script = ROOT / "scripts" / "build_protos.py"
    subprocess.run([python, str(script), "--check"], check=True)


@pytest.mark.server
@pytest.mark.parametrize("implementation", ["upb", "python"])
@pytest.mark.parametrize("version", ["4.21", "5", "6", None])
def test_codec_with_other_versions(version: str | None, implementation: str) -> None:
    python = sys.executable
    if version is not None:
        # The oldest of both that we promise to work with, and what lies between.
        numpy = "numpy==1.24.*" if version == "4.21" and sys.version_info < (3, 12) else "numpy"
        python = python_with(f"protobuf-{version}", [f"protobuf=={version}.*", numpy])
    environment = {**os.environ, "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": implementation}
    command = [python, str(ROOT / "tests/support/protobuf_check.py")]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    found, kind = done.stdout.split()
    assert kind == implementation
    assert found.startswith(f"{version}." if version else "")


#: Threads that need a class at the same time, when there is none yet.
TOGETHER = """
import threading
from tritonclient.codec import messages_pb

start = threading.Barrier(8)
found = []

def find():
    start.wait()
    found.append(messages_pb.message("ModelConfig"))

threads = [threading.Thread(target=find) for _ in range(8)]
for each in threads:
    each.start()
for each in threads:
    each.join()
assert len(found) == 8
assert len(set(found)) == 1
"""


def test_threads_get_the_same_classes() -> None:
    subprocess.run([sys.executable, "-c", TOGETHER], check=True)
