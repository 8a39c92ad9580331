"""`ModelConfig` of `triton_python_backend_utils`, for `auto_complete_config`."""

from __future__ import annotations

import json
from typing import Any

_OUTPUT_MEMBERS = ("name", "data_type", "dims")
_INPUT_MEMBERS = (*_OUTPUT_MEMBERS, "optional")


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
                    f"but auto-complete-config function for model '{self._values['name']}' tries "
                    "to set scheduling_choice as 'dynamic_batching'"
                )
        self._values.setdefault("dynamic_batching", {})

    def set_model_transaction_policy(self, transaction_policy_dict: dict[str, Any]) -> None:
        """Set whether the model is decoupled."""
        strange = set(transaction_policy_dict) - {"decoupled"}
        if strange:
            raise ValueError(
                "model transaction property in auto-complete-config function for model "
                f"'{self._values['name']}' contains property other than 'decoupled'."
            )
        self._values["model_transaction_policy"] = dict(transaction_policy_dict)

    def add_input(self, input: dict[str, Any]) -> None:
        """Add an input, or complete the configured one."""
        self._add("input", input, _INPUT_MEMBERS)

    def add_output(self, output: dict[str, Any]) -> None:
        """Add an output, or complete the configured one."""
        self._add("output", output, _OUTPUT_MEMBERS)

    def _add(self, kind: str, tensor: dict[str, Any], members: tuple[str, ...]) -> None:
        model = self._values["name"]
        where = f"in auto-complete-config function for model '{model}'"
        strange = set(tensor) - set(members)
        if strange:
            *others, last = map(repr, members)
            raise ValueError(
                f"{kind} '{tensor.get('name', '')}' {where} contains property other than "
                f"{', '.join(others)} and {last}."
            )
        if "name" not in tensor:
            raise ValueError(f"{kind} {where} is missing 'name' property.")
        name = tensor["name"]
        for member in ("data_type", "dims"):
            if member not in tensor:
                raise ValueError(f"{kind} '{name}' {where} is missing '{member}' property.")
        for known in self._values[kind]:
            if known["name"] == name:
                _check_alike(kind, model, known, tensor)
                known.update(tensor)
                return
        self._values[kind].append(dict(tensor))


def _check_alike(kind: str, model: str, known: dict[str, Any], tensor: dict[str, Any]) -> None:
    """Raise ValueError if a tensor is another than the configuration says."""
    name = tensor["name"]
    has, given = known.get("data_type", "TYPE_INVALID"), tensor["data_type"]
    if has not in ("TYPE_INVALID", given):
        raise ValueError(
            f"unable to load model '{model}', configuration expects datatype {has} for {kind} "
            f"'{name}', model provides {given}"
        )
    dims, wanted = list(known.get("dims") or ()), list(tensor["dims"])
    if dims and dims != wanted:
        raise ValueError(
            f"model '{model}', tensor '{name}': the model expects dims {wanted} but the model "
            f"configuration specifies dims {dims}"
        )
    if known.get("optional") and tensor.get("optional") is False:
        raise ValueError(
            f"model '{model}', tensor '{name}': the model expects optional False but the model "
            "configuration specifies optional True"
        )
