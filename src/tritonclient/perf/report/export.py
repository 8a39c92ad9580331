"""The profile export: every request with its times, inputs and outputs."""

from __future__ import annotations

import glob
import heapq
import json
import math
import os
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import IO, Any, NamedTuple

from ...codec.rest import HttpResponse
from ...datatypes import element_count, unpack
from ...errors import InferenceServerException
from ...messages import Infer, InferTensor
from ..load.counting import RECORD, RESPONSE
from ..load.plan import Plan
from ..measure.figures import Point
from ..options.settings import Settings
from ..services.service import Service

_HEAD_LENGTH = "inference-header-content-length"


class _Record(NamedTuple):
    end: int
    start: int
    wire: int
    sequence: int
    failed: bool
    responses: list[tuple[int, bytes]]


def write(
    points: Sequence[Point], settings: Settings, service: Service, plan: Plan, folder: str
) -> None:
    """Write the file, request by request, so that its size does not matter."""
    with open(settings.profile_export_file, "w", encoding="utf-8") as file:
        file.write('{"experiments":[')
        for index, point in enumerate(points):
            if index:
                file.write(",")
            _experiment(file, point, settings, plan, folder)
        tail = {
            "version": version("tritonclient"),
            "service_kind": settings.service_kind,
            "endpoint": settings.endpoint,
        }
        file.write(f"],{json.dumps(tail)[1:]}")


def _experiment(file: IO[str], point: Point, settings: Settings, plan: Plan, folder: str) -> None:
    value = float(point.value) if point.mode == "request_rate" else int(point.value)
    head = json.dumps({"mode": point.mode, "value": value}, separators=(",", ":"))
    file.write(f'{{"experiment":{head},"requests":[')
    first = True
    inputs: dict[int, str] = {}
    for record in _records(folder, point):
        if record.failed:
            continue
        text = _request(record, point, plan, inputs)
        file.write(text if first else f",{text}")
        first = False
    boundaries = json.dumps(point.boundaries, separators=(",", ":"))
    file.write(f'],"window_boundaries":{boundaries}}}')


def _records(folder: str, point: Point) -> Iterator[_Record]:
    """The requests that ended in the windows of a load, in order."""
    if not point.boundaries:
        return
    low = point.boundaries[0] - point.begin_offset
    high = point.boundaries[-1] - point.begin_offset
    paths = sorted(glob.glob(os.path.join(folder, "*.records")))
    for record in heapq.merge(*map(_read, paths), key=lambda each: each.end):
        if low < record.end <= high:
            yield record


def _read(path: str) -> Iterator[_Record]:
    with open(path, "rb") as file:
        while len(head := file.read(RECORD.size)) == RECORD.size:
            wire, sequence, flags, start, end, _, count = RECORD.unpack(head)
            responses = []
            for _ in range(count):
                at, size = RESPONSE.unpack(file.read(RESPONSE.size))
                responses.append((at, file.read(size)))
            yield _Record(end, start, wire, sequence, bool(flags), responses)


def _request(record: _Record, point: Point, plan: Plan, inputs: dict[int, str]) -> str:
    offset = point.begin_offset
    parts = [f'"timestamp":{record.start + offset}']
    if plan.sequences is not None:
        parts.append(f'"sequence_id":{record.sequence}')
    known = inputs.get(record.wire)
    if known is None:
        known = inputs[record.wire] = _compact(_inputs(plan, record.wire))
    parts.append(f'"request_inputs":{known}')
    parts.append(f'"response_timestamps":{_compact([at + offset for at, _ in record.responses])}')
    outputs = [_outputs(plan, record.wire, message) for _, message in record.responses]
    parts.append(f'"response_outputs":{_compact(outputs)}')
    return "{" + ",".join(parts) + "}"


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _inputs(plan: Plan, index: int) -> dict[str, Any]:
    if plan.payloads:
        payload = plan.payloads[index]
        return {"payload": payload if isinstance(payload, str) else json.dumps(payload)}
    return {tensor.name: _value(tensor) for tensor in plan.requests[index].inputs}


def _outputs(plan: Plan, index: int, message: bytes) -> dict[str, Any]:
    if plan.payloads:
        return {"response": message.decode("utf-8", "replace")}
    request = plan.requests[index]
    try:
        answer = plan.target.decode(request, _answer(plan, message))
    except (InferenceServerException, ValueError):
        return {}
    if answer is None:
        return {}
    if not answer.outputs:  # the end of a decoupled request's responses
        return dict.fromkeys(_output_names(request, plan), "")
    return {tensor.name: _value(tensor) for tensor in answer.outputs}


def _output_names(request: Infer, plan: Plan) -> list[str]:
    return [each.name for each in request.outputs] or list(plan.output_names)


def _answer(plan: Plan, message: bytes) -> Any:
    if plan.target.kind != "http":
        return bytearray(message)
    length, _, body = message.partition(b"\n")
    headers = {_HEAD_LENGTH: length.decode()} if length else {}
    return HttpResponse(200, headers, (memoryview(body),))


def _value(tensor: InferTensor) -> Any:
    """One element as a scalar, several as a flat list, BYTES as one text."""
    if tensor.data is None:
        return None
    if tensor.datatype == "BYTES":
        items = unpack(tensor.data, "BYTES", (element_count(tensor.shape),)).tolist()
        return b"".join(items).decode("utf-8", "replace")
    values = unpack(tensor.data, tensor.datatype, (element_count(tensor.shape),))
    if tensor.datatype == "BF16":
        values = values.astype("float32")
    plain = [_finite(each) for each in values.tolist()]
    return plain[0] if len(plain) == 1 else plain


def _finite(value: Any) -> Any:
    # JSON has neither NaN nor infinities.
    return None if isinstance(value, float) and not math.isfinite(value) else value
