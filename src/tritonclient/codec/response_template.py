"""Response templates: the offsets of the parts of gRPC inference responses.

Responses to similar calls differ in their data and ids only. If a response has the length of an
earlier one, and the same bytes outside data and id, its parts have the same offsets.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..datatypes import Buffer
from ..messages import InferResponse
from ..operations import NO_PARAMETERS
from . import wire
from .outputs import Place, PlacedOutputs, place
from .rpc_head import MAX_TEMPLATE, Parts

#: Messages up to this size are small enough for their reading to matter, and for their data to be
#: copied, which is quicker than to let numpy find that they are not aligned and copy them.
MAX_SIZE = 16 * 1024
#: Largest number of lengths, and of templates for each.
_MAX_LENGTHS, _MAX_EACH = 256, 4
#: Makes a named tuple without the Python call of its class.
_make: Any = tuple.__new__


class ResponseTemplate(NamedTuple):
    """The offsets of the parts of a message.

    Attributes:
        split: returns all of a message but its id and data.
        fixed: what that is in all such messages.
        id_start, id_end: offsets of the id; both 0 without an id.
        response: the response without id and outputs.
        places: where its outputs are, by their names.
    """

    split: Callable[[Buffer], tuple[bytes, ...]]
    fixed: tuple[bytes, ...]
    id_start: int
    id_end: int
    response: InferResponse
    places: Mapping[str, Place]

    def read(self, message: bytearray) -> InferResponse | None:
        """Return the response in a message of the same length; None if its fixed bytes differ.

        Raises:
            ValueError: its id is not UTF-8.
        """
        split, fixed, id_start, id_end, (model, version, id, parameters, _), places = self
        if split(message) != fixed:
            return None
        if id_end:
            id = message[id_start:id_end].decode()
        # A copy, since the template is remembered.
        given = dict(parameters) if parameters else NO_PARAMETERS
        outputs = PlacedOutputs(places, message)
        response: InferResponse = _make(InferResponse, (model, version, id, given, outputs))
        return response


#: By the length of messages.
templates: dict[int, tuple[ResponseTemplate, ...]] = {}


def store_template(view: memoryview, parts: Parts, response: InferResponse) -> None:
    """Remember a message whose outputs all are raw contents, if that is worthwhile."""
    outputs = response.outputs
    if not parts.end or len(parts.raw) != len(outputs):
        return
    if len(view) > MAX_SIZE or len(parts.head) > MAX_TEMPLATE:
        return
    if any(each.data is None or each.parameters for each in outputs):
        return
    end, id_start, id_end = parts.end, parts.id_start, parts.id_end
    form = [f"{id_start}s{id_end - id_start}x{end - id_end}s"]
    places = {}
    for output, data in zip(outputs, parts.raw, strict=True):
        _, start = wire.read_varint(view, end + 1)
        form.append(f"{start - end}s{len(data)}x")
        end = start + len(data)
        places[output.name] = place(output, slice(start, end))
    if len(places) != len(outputs):
        return  # two have the same name
    # A copy, since the caller may change what it was given.
    common = response._replace(id="", parameters=dict(response.parameters), outputs=())
    split = struct.Struct("".join(form)).unpack
    template = ResponseTemplate(split, split(view), id_start, id_end, common, places)
    if len(templates) >= _MAX_LENGTHS:
        templates.clear()
    templates[len(view)] = (template, *templates.get(len(view), ())[: _MAX_EACH - 1])
