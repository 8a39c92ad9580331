"""Control inputs of sequence models: START, END, READY and CORRID."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ... import datatypes
from ...errors import InvalidArgument
from ..config.specification import DATATYPES
from ..jobs.tensor import Tensor

#: A correlation id; 0 and "" mean none.
SequenceId: TypeAlias = "int | str"

CORRID = "CONTROL_SEQUENCE_CORRID"
_FLAGS = {
    "CONTROL_SEQUENCE_START": "start",
    "CONTROL_SEQUENCE_END": "end",
    "CONTROL_SEQUENCE_READY": "ready",
}
_VALUES = {
    "int32_false_true": "INT32",
    "fp32_false_true": "FP32",
    "bool_false_true": "BOOL",
}


class _Control(NamedTuple):
    """A control input.

    Attributes:
        flag: "start", "end" or "ready"; "" for the correlation id.
        values: the values for false and true.
    """

    name: str
    datatype: str
    flag: str = ""
    values: tuple[Any, ...] = ()


class SequenceControls:
    """The control inputs of a model.

    Args:
        config: the model configuration in its JSON form.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._model = config["name"]
        self._shape = (1, 1) if config["max_batch_size"] > 0 else (1,)
        self._controls = [
            _control(each["name"], control)
            for each in config["sequence_batching"]["control_input"]
            for control in each["control"]
        ]

    def __len__(self) -> int:
        return len(self._controls)

    def tensors(self, id: SequenceId, **flags: bool) -> list[Tensor]:
        """Return the control inputs of one request.

        Args:
            flags: start, end and ready.

        Raises:
            InvalidArgument: the id does not fit the datatype of the model's input.
        """
        return [
            self._tensor(each, each.values[flags[each.flag]] if each.flag else self._id(each, id))
            for each in self._controls
        ]

    def _id(self, control: _Control, id: SequenceId) -> SequenceId | bytes:
        if control.datatype == "BYTES":
            return str(id or "").encode()
        if isinstance(id, str):
            raise InvalidArgument(
                f"sequence {id!r} of model '{self._model}' has a text for an id, where the model "
                f"takes {control.datatype}",
                "400",
            )
        return id

    def _tensor(self, control: _Control, value: Any) -> Tensor:
        if control.datatype == "BYTES":
            array = np.full(self._shape, value, object)
        else:
            dtype = datatypes.NUMPY[control.datatype]
            if not control.flag and value > np.iinfo(dtype).max:
                raise InvalidArgument(
                    f"the sequence id {value} does not fit {control.datatype}, which model "
                    f"'{self._model}' takes",
                    "400",
                )
            array = np.full(self._shape, value, dtype)
        return Tensor(control.name, control.datatype, array)


def _control(name: str, control: Mapping[str, Any]) -> _Control:
    kind = control["kind"]
    if kind == CORRID:
        return _Control(name, DATATYPES[control["data_type"]])
    values = next(each for each in _VALUES if control[each])
    return _Control(name, _VALUES[values], _FLAGS[kind], tuple(control[values]))
