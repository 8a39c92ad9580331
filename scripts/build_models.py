"""Builds the small ONNX models of the model repository: simple, simple_int8 and versioned."""

from pathlib import Path

import onnx
from onnx import NodeProto, TensorProto, ValueInfoProto, helper

MODELS = Path(__file__).resolve().parent.parent / "models"

# Old on purpose: every onnxruntime since 1.16 reads them.
OPSET = 17
IR_VERSION = 8


def save(
    path: Path,
    nodes: list[NodeProto],
    inputs: list[ValueInfoProto],
    outputs: list[ValueInfoProto],
    weights: list[TensorProto] | None = None,
) -> None:
    """Checks the model and writes it to `path`; its graph is named after the model's folder."""
    graph = helper.make_graph(nodes, path.parent.parent.name, inputs, outputs, weights)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    onnx.checker.check_model(model, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


def tensors(names: list[str], datatype: int, shape: list[str | int]) -> list[ValueInfoProto]:
    return [helper.make_tensor_value_info(name, datatype, shape) for name in names]


def build_simple() -> None:
    """INT32 sum and difference."""
    ends = [
        tensors(names, TensorProto.INT32, ["batch", 16])
        for names in (["INPUT0", "INPUT1"], ["OUTPUT0", "OUTPUT1"])
    ]
    nodes = [
        helper.make_node("Add", ["INPUT0", "INPUT1"], ["OUTPUT0"]),
        helper.make_node("Sub", ["INPUT0", "INPUT1"], ["OUTPUT1"]),
    ]
    save(MODELS / "simple/1/model.onnx", nodes, *ends)


def build_simple_int8() -> None:
    """INT8 sum and difference, computed in INT32 because onnxruntime has no INT8 Add on the CPU."""
    ends = [
        tensors(names, TensorProto.INT8, ["batch", 16])
        for names in (["INPUT0", "INPUT1"], ["OUTPUT0", "OUTPUT1"])
    ]
    nodes = [
        helper.make_node("Cast", ["INPUT0"], ["first"], to=TensorProto.INT32),
        helper.make_node("Cast", ["INPUT1"], ["second"], to=TensorProto.INT32),
        helper.make_node("Add", ["first", "second"], ["sum"]),
        helper.make_node("Sub", ["first", "second"], ["difference"]),
        helper.make_node("Cast", ["sum"], ["OUTPUT0"], to=TensorProto.INT8),
        helper.make_node("Cast", ["difference"], ["OUTPUT1"], to=TensorProto.INT8),
    ]
    save(MODELS / "simple_int8/1/model.onnx", nodes, *ends)


def build_versioned(version: int) -> None:
    """INPUT0 plus the version's own number, so that an answer tells which version gave it."""
    save(
        MODELS / f"versioned/{version}/model.onnx",
        [helper.make_node("Add", ["INPUT0", "version"], ["OUTPUT0"])],
        tensors(["INPUT0"], TensorProto.INT32, ["length"]),
        tensors(["OUTPUT0"], TensorProto.INT32, ["length"]),
        [helper.make_tensor("version", TensorProto.INT32, [1], [version])],
    )


if __name__ == "__main__":
    build_simple()
    build_simple_int8()
    for version in (1, 2):
        build_versioned(version)
