"""`ModelConfig` of `triton_python_backend_utils`, for `auto_complete_config`."""

from __future__ import annotations

import json
from typing import Any

_INPUT_MEMBERS = {"name", "data_type", "dims", "optional"}
_OUTPUT_MEMBERS = {"name", "data_type", "dims"}


class ModelConfig:
    """A configuration that a model may complete; contradictions raise ValueError."""

    def __init__(self, model_config: str) -> None:
        self._values: dict[str, Any] = json.loads(model_config)

    def as_dict(self) -> dict[str, Any]:
        """Return the configuration with all changes."""
        return self._values

    def set_max_batch_size(self, max_batch_size: int) -> None:
        """Set the largest batch size; ValueError if the configuration has a larger one."""
        has = self._values["max_batch_size"]
        if has > max_batch_size:
            raise ValueError(
                f"configuration specified max-batch-size {has}, "
                f"but set_max_batch_size is called with max-batch-size {max_batch_size}"
            )
        self._values["max_batch_size"] = max_batch_size

    def set_dynamic_batching(self) -> None:
        """Enable dynamic batching; ValueError if another scheduler is configured."""
        for name in ("sequence_batching", "ensemble_scheduling"):
            if name in self._values:
                raise ValueError(
                    f"Configuration specified scheduling_choice as '{name}', "
                    "but auto-complete-config function tries to set it as 'dynamic_batching'"
                )
        self._values.setdefault("dynamic_batching", {})

    def set_model_transaction_policy(self, transaction_policy_dict: dict[str, Any]) -> None:
        """Set whether the model is decoupled."""
        strange = set(transaction_policy_dict) - {"decoupled"}
        if strange:
            raise ValueError(f"Cannot have property '{strange.pop()}' in the transaction policy")
        self._values["model_transaction_policy"] = dict(transaction_policy_dict)

    def add_input(self, input: dict[str, Any]) -> None:
        """Add an input, or complete the configured one."""
        self._add("input", input, _INPUT_MEMBERS)

    def add_output(self, output: dict[str, Any]) -> None:
        """Add an output, or complete the configured one."""
        self._add("output", output, _OUTPUT_MEMBERS)

    def _add(self, kind: str, tensor: dict[str, Any], members: set[str]) -> None:
        for name in ("name", "data_type", "dims"):
            if name not in tensor:
                raise ValueError(f"Missing field '{name}' in {kind}")
        strange = set(tensor) - members
        if strange:
            raise ValueError(f"Cannot have property '{strange.pop()}' in {kind} {tensor['name']}")
        for known in self._values[kind]:
            if known["name"] == tensor["name"]:
                _merge(kind, known, tensor)
                return
        self._values[kind].append(dict(tensor))


def _merge(kind: str, known: dict[str, Any], tensor: dict[str, Any]) -> None:
    for member, value in tensor.items():
        empty: tuple[object, ...] = (None, [], "TYPE_INVALID", False)
        if known.get(member) not in (*empty, value):
            raise ValueError(
                f"unable to load model due to mismatch in {kind} '{tensor['name']}': the model "
                f"expects {member} {value} but the model configuration specifies {known[member]}"
            )
        known[member] = value
