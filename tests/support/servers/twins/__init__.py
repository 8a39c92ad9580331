"""Twins of the ONNX models, for the real Triton of the tests, whose package has no ONNX backend.

A twin has the name, the tensors and the answers of its original. It is a Python-backend model that
runs the same `model.onnx` through onnxruntime, so the server's Python needs that package.
"""

import re
import shutil
from pathlib import Path

import onnxruntime

_BACKEND = re.compile(r'^(platform: *"onnxruntime_onnx"|backend: *"onnxruntime")$', re.MULTILINE)
_TYPES = {
    "tensor(bool)": "TYPE_BOOL",
    "tensor(uint8)": "TYPE_UINT8",
    "tensor(uint16)": "TYPE_UINT16",
    "tensor(uint32)": "TYPE_UINT32",
    "tensor(uint64)": "TYPE_UINT64",
    "tensor(int8)": "TYPE_INT8",
    "tensor(int16)": "TYPE_INT16",
    "tensor(int32)": "TYPE_INT32",
    "tensor(int64)": "TYPE_INT64",
    "tensor(float16)": "TYPE_FP16",
    "tensor(float)": "TYPE_FP32",
    "tensor(double)": "TYPE_FP64",
}


def build_repository(source: Path, target: Path) -> None:
    """Copies the model repository `source` to the new folder `target`, with twins for ONNX models.

    A twin's config.pbtxt always names the backend and all tensors: the Python backend, unlike the
    ONNX backend, cannot complete them from the model.
    """
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    for model in sorted(target.iterdir()):
        graphs = sorted(model.glob("*/model.onnx"))
        if not graphs:
            continue
        config = model / "config.pbtxt"
        config.write_text(_twin_config(config.read_text(), graphs[-1]))
        for graph in graphs:
            shutil.copyfile(Path(__file__).with_name("model.py"), graph.with_name("model.py"))


def _twin_config(text: str, graph: Path) -> str:
    """The config.pbtxt of an ONNX model, turned into that of its twin."""
    text, found = _BACKEND.subn('backend: "python"', text)
    if not found:
        text += 'backend: "python"\n'
    if not re.search(r"^(input|output)\b", text, re.MULTILINE):
        batched = re.search(r"^max_batch_size: *[1-9]", text, re.MULTILINE) is not None
        text += _tensors(graph, batched)
    return text


def _tensors(graph: Path, batched: bool) -> str:
    """The input and output lines of a configuration, from the ONNX model itself."""
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    lines = []
    for kind, nodes in (("input", session.get_inputs()), ("output", session.get_outputs())):
        for node in nodes:
            shape = node.shape[1:] if batched else node.shape
            dims = ", ".join(str(size) if isinstance(size, int) else "-1" for size in shape)
            lines.append(
                f'{kind} [ {{ name: "{node.name}" data_type: {_TYPES[node.type]} '
                f"dims: [ {dims} ] }} ]\n"
            )
    return "".join(lines)
