"""Python-backend models and the module that they import."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import numpy as np
import pytest

from tests.server.conftest import ECHO, FP32_CONFIG, RepositoryMaker, fp32
from tritonclient import messages as m
from tritonclient.errors import Internal, ServerError
from tritonclient.server.backends.python.pb_utils import module as pb_utils
from tritonclient.server.core import InferenceServer

#: Models are executed in the test's process, and in a process per instance.
IN_BOTH = True
Serve = Callable[..., InferenceServer]

TEXT_CONFIG = FP32_CONFIG.replace('"OUT" data_type: TYPE_FP32', '"OUT" data_type: TYPE_STRING')

TELLS = """
import json
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def initialize(self, args):
        self.args = args
        self.directory = pb_utils.get_model_dir()

    def execute(self, requests):
        (r,) = requests
        seen = [
            self.args, r.request_id(),
            json.loads(r.parameters()), list(r.requested_output_names()), r.correlation_id(),
            r.flags(), r.timeout(), r.is_cancelled(), pb_utils.get_model_dir() == self.directory,
            pb_utils.get_input_tensor_by_name(r, "NOPE"),
        ]
        tensor = pb_utils.Tensor("OUT", np.array([json.dumps(seen)], object))
        return [pb_utils.InferenceResponse(output_tensors=[tensor])]
"""


def test_what_a_model_is_told(repository: RepositoryMaker, serve: Serve) -> None:
    directory = repository.python("a", TELLS, TEXT_CONFIG)
    core = serve()
    parameters = {"sequence_id": 5, "sequence_start": True, "timeout": 9, "mine": "x", "n": 1}
    request = m.Infer("a", (fp32("IN", [1]),), id="seven", parameters=parameters)
    data = bytes(core.handle(request).outputs[0].data or b"")
    args, *seen = json.loads(data[4:])
    assert seen == [
        *("seven", {"mine": "x", "n": 1}, ["OUT"], 5, 1, 9, False, True, None),
    ]
    config = json.loads(args.pop("model_config"))
    assert config == core.handle(m.GetModelConfig("a"))
    assert args == {
        "model_instance_kind": "CPU",
        "model_instance_name": "a_0",
        "model_instance_device_id": "0",
        "model_repository": str(directory),
        "model_version": "1",
        "model_name": "a",
    }
    assert pb_utils.get_output_config_by_name(config, "OUT")["data_type"] == "TYPE_STRING"
    assert pb_utils.get_input_config_by_name(config, "NOPE") is None
    assert not pb_utils.using_decoupled_model_transaction_policy(config)


@pytest.mark.parametrize(
    ("body", "message", "status"),
    [
        ("raise ValueError('no')", "message: ValueError: no\n\nAt:\n  {path}(4): execute\n", "500"),
        (
            "raise pb_utils.TritonModelException('no')",
            "message: TritonModelException: no\n\nAt:\n  {path}(4): execute\n",
            "500",
        ),
        (
            "raise SystemExit('no')",
            "message: SystemExit: no\n\nAt:\n  {path}(4): execute\n",
            "500",
        ),
        (
            "raise GeneratorExit('no')",
            "message: GeneratorExit: no\n\nAt:\n  {path}(4): execute\n",
            "500",
        ),
        ("return []", "Number of InferenceResponse objects do not match", "500"),
        (
            "return None",
            "Expected a list in the execute return, found type '<class 'NoneType'>'",
            "500",
        ),
        ("return [5]", "Expected an 'InferenceResponse' object", "500"),
        ("return [pb_utils.InferenceResponse(error=pb_utils.TritonError('no'))]", "no", "500"),
        (
            "return [pb_utils.InferenceResponse("
            "error=pb_utils.TritonError('no', pb_utils.TritonError.NOT_FOUND))]",
            "no",
            "404",
        ),
    ],
)
def test_failures_of_models(
    repository: RepositoryMaker, serve: Serve, body: str, message: str, status: str
) -> None:
    code = (
        "import triton_python_backend_utils as pb_utils\n"
        f"class TritonPythonModel:\n    def execute(self, requests):\n        {body}\n"
    )
    path = repository.python("a", code) / "1" / "model.py"
    with pytest.raises(ServerError) as caught:
        serve().handle(m.Infer("a", (fp32("IN", [1]),)))
    assert message.format(path=path) in caught.value.message()
    assert caught.value.status() == status
    assert message == "no" or "for model 'a_0'" in caught.value.message()


def test_helpers_of_one_model_are_not_seen_by_another(
    repository: RepositoryMaker, serve: Serve
) -> None:
    code = ECHO.replace("import triton", "import helper, numpy as np\nimport triton", 1).replace(
        "t.as_numpy()", "np.float32([helper.NUMBER])"
    )
    for name, number in (("a", 1), ("b", 2)):
        (repository.python(name, code) / "1" / "helper.py").write_text(f"NUMBER = {number}")
    core = serve()
    for name, number in (("a", 1), ("b", 2)):
        (output,) = core.handle(m.Infer(name, (fp32("IN", [0]),))).outputs
        assert output.data == fp32("", [number]).data
    assert "helper" not in sys.modules
    assert not list(repository.directory.rglob("__pycache__"))


def test_lifecycle_and_instances(
    repository: RepositoryMaker, serve: Serve, in_process: bool
) -> None:
    code = """
import os
class TritonPythonModel:
    def initialize(self, args):
        self.log = os.path.join(args["model_repository"], "log")
        self.name = args["model_instance_name"]
        self.write("up")
    def finalize(self):
        self.write("down")
    def write(self, what):
        with open(self.log, "a") as file:
            file.write(f"{self.name} {what}\\n")
    def execute(self, requests):
        return []
"""
    config = FP32_CONFIG + "instance_group [ { count: 2 } ]"
    log = repository.python("a", code, config) / "log"
    core = serve(control_mode="explicit", load_models=["a"])
    assert log.read_text().splitlines() == ["a_0_0 up", "a_0_1 up"]
    core.handle(m.UnloadModel("a"))
    downs = log.read_text().splitlines()[2:]
    # Processes end at the same time.
    assert (downs if in_process else sorted(downs)) == ["a_0_0 down", "a_0_1 down"]


def test_an_instance_that_fails_ends_those_before_it(
    repository: RepositoryMaker, serve: Serve
) -> None:
    code = """
import os, sys
class TritonPythonModel:
    def initialize(self, args):
        self.directory = args["model_repository"]
        if args["model_instance_name"].endswith("2"):
            sys.exit("enough")
    def finalize(self):
        open(os.path.join(self.directory, f"down{id(self)}"), "w").close()
        sys.exit("down")
"""
    config = FP32_CONFIG + "instance_group [ { count: 3 } ]"
    directory = repository.python("a", code, config)
    with pytest.raises(Internal, match="SystemExit: enough"):
        serve()
    assert len(list(directory.glob("down*"))) == 2


def test_auto_complete_config(repository: RepositoryMaker, serve: Serve) -> None:
    code = """
    @staticmethod
    def auto_complete_config(config):
        assert config.as_dict()["name"] == "a"
        config.set_max_batch_size(4)
        config.add_input({"name": "IN", "data_type": "TYPE_FP32", "dims": [-1]})
        config.add_output({"name": "OUT", "data_type": "TYPE_FP32", "dims": [-1]})
        config.set_dynamic_batching()
        return config
"""
    repository.python("a", ECHO + code, None)
    core = serve()
    metadata = core.handle(m.GetModelMetadata("a"))
    assert metadata.inputs == (m.TensorMetadata("IN", "FP32", (-1, -1)),)
    assert core.handle(m.GetModelConfig("a"))["dynamic_batching"]["preferred_batch_size"] == [4]
    contradiction = 'backend: "python" input { name: "IN" data_type: TYPE_INT8 dims: -1 }'
    repository.python("b", (ECHO + code).replace('== "a"', '== "b"'), contradiction)
    with pytest.raises(
        Internal, match="datatype TYPE_INT8 for input 'IN', model provides TYPE_FP32"
    ):
        serve()


def test_outputs_are_snapshots(repository: RepositoryMaker, serve: Serve) -> None:
    code = """
import numpy as np, triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def initialize(self, args):
        self.array = np.zeros(2, np.float32)
    def execute(self, requests):
        self.array += 1
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", self.array)])]
"""
    repository.python("a", code)
    core = serve()
    first, second = (core.handle(m.Infer("a", (fp32("IN", [0]),))).outputs[0] for _ in range(2))
    assert first.data == fp32("", [1, 1]).data
    assert second.data == fp32("", [2, 2]).data


def test_tensor() -> None:
    array = np.arange(6, dtype=np.int64).reshape(2, 3)
    tensor = pb_utils.Tensor("x", array)
    assert (tensor.name(), tensor.shape(), tensor.triton_dtype()) == ("x", [2, 3], "INT64")
    assert tensor.as_numpy() is array
    assert tensor.is_cpu()
    for source in (tensor, tensor.to_dlpack(), array):
        copy = pb_utils.Tensor.from_dlpack("y", source)
        assert copy.name() == "y"
        np.testing.assert_array_equal(copy.as_numpy(), array)
    for wrong in (np.array(["a"]), np.zeros(1, "M8[s]"), np.zeros(1, complex)):
        with pytest.raises(pb_utils.TritonModelException):
            pb_utils.Tensor("x", wrong)
    with pytest.raises(TypeError, match=r"tensor 'x' is made from list, expected numpy\.ndarray"):
        pb_utils.Tensor("x", [1, 2])


def test_bf16_passes_through() -> None:
    tensor = pb_utils.Tensor.of("x", "BF16", np.array([0x3F80], np.uint16))
    with pytest.raises(pb_utils.TritonModelException, match="Use to_dlpack"):
        tensor.as_numpy()
    assert pb_utils.Tensor.from_dlpack("y", tensor).triton_dtype() == "BF16"


def test_text_tensors() -> None:
    array = np.array([b"a", "\u00fc", b""], object)
    encoded = pb_utils.serialize_byte_tensor(array)
    assert pb_utils.deserialize_bytes_tensor(encoded).tolist() == [b"a", b"\xc3\xbc", b""]
    assert pb_utils.Tensor("x", array).triton_dtype() == "BYTES"


def test_datatypes() -> None:
    assert pb_utils.triton_string_to_numpy("TYPE_STRING") is np.object_
    assert pb_utils.triton_string_to_numpy("TYPE_FP16") is np.float16
    assert pb_utils.triton_to_numpy_type(11) is np.float32
    assert pb_utils.numpy_to_triton_type(np.float32) == 11


@pytest.mark.parametrize("value", ["yes", "no", "maybe"])
def test_inputs_on_the_cpu(repository: RepositoryMaker, serve: Serve, value: str) -> None:
    name = "FORCE_CPU_ONLY_INPUT_TENSORS"
    parameter = f'parameters {{ key: "{name}" value {{ string_value: "{value}" }} }}'
    repository.python("a", config=FP32_CONFIG + parameter)
    if value == "maybe":
        with pytest.raises(Internal, match=f"Incorrect value for {name}: 'maybe', expected 'yes'"):
            serve()
    else:
        assert serve().handle(m.IsModelReady("a"))


def test_arrays_in_another_byte_order_are_refused() -> None:
    with pytest.raises(pb_utils.TritonModelException, match=r"dtype is not supported: >f4 has"):
        pb_utils.Tensor("x", np.ones(1, ">f4"))


def test_arguments_of_the_logger() -> None:
    with pytest.raises(TypeError, match="message is int, expected str"):
        pb_utils.Logger.log_info(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"level is 7, expected a level such as Logger.WARNING"):
        pb_utils.Logger.log("text", 7)  # type: ignore[arg-type]


def test_logger(caplog: pytest.LogCaptureFixture) -> None:
    pb_utils.Logger.log_warn("careful")
    pb_utils.Logger.log("bad", pb_utils.Logger.ERROR)
    assert [(r.levelname, r.message) for r in caplog.records] == [
        ("WARNING", "careful"),
        ("ERROR", "bad"),
    ]
