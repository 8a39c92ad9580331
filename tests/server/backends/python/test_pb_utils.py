"""`triton_python_backend_utils` takes, refuses and returns what that of Triton 2.51 does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import ml_dtypes
import numpy as np
import pytest

import tritonclient
from tests.server.conftest import RepositoryMaker
from tritonclient.server import Server
from tritonclient.server.backends.python.pb_utils import module as pb_utils

#: Models are executed in the test's process, and in a process per instance.
IN_BOTH = True
TEXT = """
backend: "python"
input [ { name: "IN" data_type: TYPE_STRING dims: [ -1 ] } ]
output [ { name: "OUT" data_type: TYPE_STRING dims: [ -1 ] } ]
"""
REQUEST = {"inputs": [], "requested_output_names": ["A"], "model_name": "x"}


def request(**options: object) -> pb_utils.InferenceRequest:
    return pb_utils.InferenceRequest(**{**REQUEST, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: pb_utils.triton_to_numpy_type(1), np.bool_),
        (lambda: pb_utils.triton_to_numpy_type(13), np.object_),
        (lambda: pb_utils.triton_to_numpy_type(0), None),
        (lambda: pb_utils.triton_to_numpy_type(99), None),
        (lambda: pb_utils.numpy_to_triton_type(np.dtype("float32")), 11),
        (lambda: pb_utils.numpy_to_triton_type(np.bool_), 1),
        (lambda: pb_utils.numpy_to_triton_type(np.bytes_), 13),
        (lambda: pb_utils.numpy_to_triton_type(np.str_), None),
        (lambda: pb_utils.numpy_to_triton_type(np.complex64), None),
        (lambda: pb_utils.triton_string_to_numpy("TYPE_BOOL"), bool),
        (lambda: pb_utils.serialize_byte_tensor(np.zeros(0, object)), ()),
        (lambda: pb_utils.serialize_byte_tensor(np.zeros(1)), None),
        (lambda: pb_utils.serialize_byte_tensor(np.array(["a"])), None),
        (
            lambda: pb_utils.serialize_byte_tensor(np.array(["a", 1, None], object)),
            b"\1\0\0\0a\1\0\0\x001\4\0\0\0None",
        ),
        (lambda: pb_utils.Tensor(b"A", np.zeros(1)).name(), "A"),  # type: ignore[arg-type]
        (lambda: request(requested_output_names=[b"A"]).requested_output_names(), {"A"}),
        (lambda: request(request_id=b"i").request_id(), "i"),
        (lambda: request(correlation_id="c").correlation_id(), "c"),
        (
            lambda: request(parameters={"a": 1, "b": True, "c": "x"}).parameters(),
            '{"a":1,"b":true,"c":"x"}',
        ),
        (lambda: request().trace().get_context(), None),
        (lambda: request(trace=request().trace()).flags(), 0),
        (lambda: int(pb_utils.TRITONSERVER_MEMORY_GPU), 0),
        (lambda: int(pb_utils.TRITONSERVER_MEMORY_CPU), 1),
        (lambda: int(pb_utils.TritonError("x", pb_utils.TritonError.NOT_FOUND).code()), 2),
        (lambda: pb_utils.InferenceResponse().parameters(), "{}"),
        (lambda: pb_utils.InferenceResponse(parameters={"a": 1}).parameters(), '{"a": 1}'),
        (lambda: pb_utils.InferenceResponse(output_tensors=[]).has_error(), False),
    ],
)
def test_what_is_returned(call: Callable[[], object], expected: object) -> None:
    assert call() == expected


def memory() -> object:
    return pb_utils.PreferredMemory(
        preferred_memory_type=pb_utils.TRITONSERVER_MEMORY_CPU, preferred_device_id=0
    )


def test_the_preferred_memory_of_a_request() -> None:
    assert request(preferred_memory=memory()).flags() == 0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: pb_utils.Tensor(1, np.zeros(1)), TypeError, "name of a tensor is int"),  # type: ignore[arg-type]
        (lambda: pb_utils.InferenceRequest(model_name="x"), TypeError, "inputs.* are required"),
        (lambda: request(inputs=[5]), TypeError, "inputs is 5, expected Tensor"),
        (lambda: request(model_version="1"), TypeError, "str"),
        (lambda: request(correlation_id=b"c"), pb_utils.TritonModelException, "integer or string"),
        (lambda: request(parameters={1: 1}), pb_utils.TritonModelException, "keys.*'int'"),
        (lambda: request(parameters={"a": 1.5}), pb_utils.TritonModelException, "'float'"),
        (lambda: request(preferred_memory=1), TypeError, "preferred_memory is 1"),
        (lambda: request().get_response_sender(), pb_utils.TritonModelException, "no response se"),
        (lambda: request().set_release_flags(2), pb_utils.TritonModelException, "`execute` rec"),
        (lambda: pb_utils.PreferredMemory(0), TypeError, "preferred_memory_type is 0"),  # type: ignore[arg-type]
        (lambda: pb_utils.TritonError("x", 3), TypeError, "code is 3"),  # type: ignore[arg-type]
        (lambda: pb_utils.InferenceResponse([], error="x"), TypeError, "expected TritonError"),  # type: ignore[arg-type]
        (lambda: pb_utils.InferenceResponse(parameters=[1]), TypeError, "expected dict"),  # type: ignore[arg-type]
        (
            lambda: pb_utils.InferenceResponse(parameters={"a": 1.5}),
            pb_utils.TritonModelException,
            "'float'",
        ),
        (lambda: pb_utils.Tensor.from_dlpack("x", 5), pb_utils.TritonModelException, "is int"),
        (
            lambda: pb_utils.Tensor("x", np.array([b"a"], object)).to_dlpack(),
            pb_utils.TritonModelException,
            "string tensors",
        ),
    ],
)
def test_what_is_refused(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_bf16_through_dlpack() -> None:
    bits = np.array([1.0, -2.5], ml_dtypes.bfloat16).view(np.uint16)
    tensor = pb_utils.Tensor.of("x", "BF16", bits)
    for source in (tensor, tensor.to_dlpack()):
        copy = pb_utils.Tensor.from_dlpack("y", source)
        assert (copy.name(), copy.triton_dtype(), copy.shape()) == ("y", "BF16", [2])
        again = pb_utils.Tensor.from_dlpack("z", copy.to_dlpack())
        np.testing.assert_array_equal(again._array, bits)
    with pytest.raises(pb_utils.TritonModelException, match="Use to_dlpack"):
        tensor.as_numpy()


def test_memory_of_a_device_is_refused() -> None:
    class OnDevice:
        def __dlpack__(self, **options: object) -> object:
            raise AssertionError("not asked for")

        def __dlpack_device__(self) -> tuple[int, int]:
            return (2, 0)

    with pytest.raises(pb_utils.TritonModelException, match="copy the tensor to the CPU first"):
        pb_utils.Tensor.from_dlpack("x", OnDevice())


CODE = """
import numpy as np
import triton_python_backend_utils as pb_utils

class Broken:
    def __str__(self):
        raise KeyError("no text")

class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        word = request.inputs()[0].as_numpy()[0]
        if word == b"broken":
            objects = [Broken()]
        elif word == b"objects":
            objects = [1, 2.5, None, b"x\\0", "\\u00fc"]
        else:  # the name of a model, as bytes
            called = pb_utils.InferenceRequest(
                model_name=word,
                requested_output_names=["OUT"],
                inputs=[pb_utils.Tensor("IN", np.array(["objects"], object))],
            ).exec()
            objects = [called.parameters(), *called.output_tensors()[0].as_numpy()]
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor("OUT", np.array(objects, object))],
            parameters={"text": "t", "number": 7, "flag": True},
        )
"""


@pytest.fixture(params=["http", "grpc"])
def client(
    repository: RepositoryMaker, request: pytest.FixtureRequest
) -> Iterator[tritonclient.Client]:
    for name in ("a", "b"):
        repository.python(name, CODE, TEXT)
    with Server(repository.directory) as server:
        url = server.http_url if request.param == "http" else server.grpc_url
        with tritonclient.Client(url) as client:
            yield client


OBJECTS = [b"1", b"2.5", b"None", b"x\0", b"\xc3\xbc"]


@pytest.mark.server
def test_objects_and_parameters_reach_the_client(client: tritonclient.Client) -> None:
    result = client.infer("a", {"IN": np.array(["objects"], object)})
    assert result["OUT"].tolist() == OBJECTS
    assert dict(result.parameters) == {"text": "t", "number": 7, "flag": True}


@pytest.mark.server
def test_a_model_is_called_by_a_name_in_bytes(client: tritonclient.Client) -> None:
    text, *objects = client.infer("a", {"IN": np.array(["b"], object)})["OUT"].tolist()
    assert objects == OBJECTS
    assert json.loads(text) == {"text": "t", "number": 7, "flag": True}


@pytest.mark.server
def test_an_object_without_text_is_an_error_of_the_model(client: tritonclient.Client) -> None:
    with pytest.raises(tritonclient.ServerError, match=r"message: KeyError: 'no text'"):
        client.infer("a", {"IN": np.array(["broken"], object)})
