"""`SequenceStates`: the implicit state that a model's configuration describes.

The checks use Triton's words where it has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...datatypes import Array
from ..config import tensor_data
from ..config.specification import DATATYPES
from ..jobs.sequence_state import SequenceState
from ..jobs.tensor import Tensor

#: The folder of a model with the files of initial states.
FOLDER = "initial_state"


class SequenceStates:
    """The implicit state of the sequences of a model; false if it has none.

    Args:
        config: the model configuration in its JSON form.
        directory: the model's directory.

    Raises:
        ValueError: a state is not described completely, or its data does not fit.
        ServerError: the file of an initial state cannot be read.
    """

    def __init__(self, config: Mapping[str, Any], directory: Path) -> None:
        states = config["sequence_batching"]["state"]
        _check_names(config, states)
        self._initial = {
            each["output_name"]: _initial(config, each, directory / FOLDER) for each in states
        }

    def __len__(self) -> int:
        return len(self._initial)

    def begin(self) -> SequenceState:
        """Return the state of a new sequence."""
        return SequenceState(self._initial)


def _check_names(config: Mapping[str, Any], states: list[Mapping[str, Any]]) -> None:
    model = config["name"]
    taken = [each["name"] for each in config["input"]]
    taken += [each["name"] for each in config["sequence_batching"]["control_input"]]
    names: set[str] = set()
    for each in states:
        for kind in ("input_name", "output_name"):
            if not each[kind]:
                raise ValueError(f"a state of model '{model}' must specify '{kind}'")
        if each["input_name"] in (*taken, *names):
            raise ValueError(
                f"model '{model}' has several inputs named '{each['input_name']}', one of them for "
                "a state"
            )
        names.add(each["input_name"])
    outputs = [each["output_name"] for each in states]
    if twice := [each for each in outputs if outputs.count(each) > 1]:
        raise ValueError(f"model '{model}' has several states from the output '{twice[0]}'")


def _initial(config: Mapping[str, Any], state: Mapping[str, Any], folder: Path) -> Tensor:
    """Return the state at the beginning of a sequence; as documented, zeros if there is none."""
    name = state["input_name"]
    datatype = DATATYPES.get(state["data_type"])
    if datatype is None:
        raise ValueError(f"the state '{name}' of model '{config['name']}' must specify 'data_type'")
    dims = [max(1, size) for size in state["dims"]]  # a size of its own needs an initial state
    described = state["initial_state"]
    if described:
        _check_initial(name, state, described)
        dims = described[0]["dims"]
    shape = (1, *dims) if config["max_batch_size"] > 0 else tuple(dims)
    return Tensor(name, datatype, _data(name, datatype, shape, described, folder))


def _check_initial(name: str, state: Mapping[str, Any], described: list[Mapping[str, Any]]) -> None:
    initial, dims = described[0], state["dims"]
    if len(described) > 1:
        raise ValueError(
            f"initial_state field for state input '{name}' must contain exactly one or zero "
            f"element. Found '{len(described)}' elements."
        )
    if not initial["name"]:
        raise ValueError(
            f"Field 'name' must be set when using initial_state for state input '{name}'."
        )
    if initial["data_type"] != state["data_type"]:
        raise ValueError(
            f"The data type used for 'initial_state' field of state '{name}' does not match the "
            "state data type."
        )
    if len(initial["dims"]) != len(dims):
        raise ValueError(
            "Number of dimensions in 'initial_state' doesn't match the size of 'state' dimensions "
            f"for state input '{name}'. {len(initial['dims'])} != {len(dims)}"
        )
    for size, expected in zip(initial["dims"], dims, strict=True):
        if size < 0:
            raise ValueError(
                f"'initial_state' field for state input name '{name}' contains variable dimensions."
            )
        if expected not in (-1, size):
            raise ValueError(
                f"'initial_state' dim for input name '{name}' doesn't match 'state' dim "
                f"description. {size} != {expected}"
            )
    if "zero_data" not in initial and "data_file" not in initial:
        raise ValueError(f"initial_state setting expects state'{name}' to have state_data set")


def _data(
    name: str,
    datatype: str,
    shape: tuple[int, ...],
    described: list[Mapping[str, Any]],
    folder: Path,
) -> Array:
    kind = "UINT16" if datatype == "BF16" else datatype
    try:
        if described and "data_file" in described[0]:
            array = tensor_data.read(
                described[0]["data_file"], kind, shape, folder, f"state '{name}'"
            )
        else:
            array = tensor_data.zeros(kind, shape)
    except MemoryError as error:
        raise ValueError(
            f"the state '{name}' of shape {list(shape)} does not fit into memory"
        ) from error
    return np.ascontiguousarray(array).reshape(shape)
