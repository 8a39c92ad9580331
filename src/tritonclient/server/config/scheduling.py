"""Complete and check `dynamic_batching` and `sequence_batching`.

As in Triton, a configuration that fails these checks is refused before the model is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_DEFAULT_IDLE = 1_000_000  # microseconds
_CORRID = "CONTROL_SEQUENCE_CORRID"
_CORRID_DATATYPES = ("TYPE_UINT64", "TYPE_INT64", "TYPE_UINT32", "TYPE_INT32", "TYPE_STRING")
_VALUES = ("int32_false_true", "fp32_false_true", "bool_false_true")


def complete(config: Any) -> None:
    """Fill in the defaults of the schedulers."""
    batchers = []
    if config.HasField("dynamic_batching"):
        batchers.append(config.dynamic_batching)
    if config.HasField("sequence_batching"):
        sequences = config.sequence_batching
        sequences.max_sequence_idle_microseconds = (
            sequences.max_sequence_idle_microseconds or _DEFAULT_IDLE
        )
        if sequences.HasField("oldest"):
            batchers.append(sequences.oldest)
    for batcher in batchers:
        if config.max_batch_size > 0 and not batcher.preferred_batch_size:
            batcher.preferred_batch_size.append(config.max_batch_size)


def check(config: Any) -> None:
    """Raise ValueError if the settings of a scheduler are invalid."""
    if config.HasField("dynamic_batching"):
        _check_dynamic(config.dynamic_batching, config)
    if config.HasField("sequence_batching"):
        _check_sequences(config.sequence_batching, config)


def _check_dynamic(batching: Any, config: Any) -> None:
    name, levels = config.name, batching.priority_levels
    for size in batching.preferred_batch_size:
        if size <= 0:
            raise ValueError(f"dynamic batching preferred size must be positive for {name}")
        if size > config.max_batch_size:
            raise ValueError(
                f"dynamic batching preferred size must be <= max batch size for {name}"
            )
    if levels and not 1 <= batching.default_priority_level <= levels:
        raise ValueError(f"default priority level must be in range [1, {levels}] for {name}")
    if levels and any(not 1 <= each <= levels for each in batching.priority_queue_policy):
        raise ValueError(
            f"priority queue policy must have priority level in range [1, {levels}] for {name}"
        )


def _check_sequences(sequences: Any, config: Any) -> None:
    name = config.name
    for size in sequences.oldest.preferred_batch_size if sequences.HasField("oldest") else ():
        if size <= 0:
            raise ValueError(f"sequence batching preferred batch size must be positive for {name}")
        if size > config.max_batch_size:
            raise ValueError(
                f"sequence batching preferred batch size must be <= max batch size for {name}"
            )
    if not 0 <= sequences.direct.minimum_slot_utilization <= 1:
        raise ValueError(
            f"sequence batching minimum slot utilization must be in range [0.0, 1.0] for {name}"
        )
    _check_names((each.name for each in sequences.control_input), name)
    kinds = set()
    for each in sequences.control_input:
        for control in each.control:
            kind = control.Kind.Name(control.kind)
            if kind in kinds:
                raise ValueError(f"sequence batching specifies multiple {kind} tensors for {name}")
            kinds.add(kind)
            _check_control(control, kind, name)


def _check_names(names: Iterable[str], model: str) -> None:
    seen: set[str] = set()
    for each in names:
        if not each:
            raise ValueError(f"sequence batching control tensor must have a name for {model}")
        if each in seen:
            raise ValueError(
                f"sequence batching control tensor '{each}' is specified for multiple control "
                f"kinds for {model}"
            )
        seen.add(each)


def _check_control(control: Any, kind: str, model: str) -> None:
    either = "either 'int32_false_true', 'fp32_false_true' or 'bool_false_true'"
    given = [each for each in _VALUES if len(getattr(control, each))]
    if kind == _CORRID:
        if given:
            raise ValueError(f"sequence batching must not specify {either} for {kind} for {model}")
        datatype = control.DESCRIPTOR.fields_by_name["data_type"].enum_type
        if datatype.values_by_number[control.data_type].name not in _CORRID_DATATYPES:
            raise ValueError(
                f"unexpected data type for control {kind} for {model}. Allowed data types are "
                f"{', '.join(_CORRID_DATATYPES[:-1])} and {_CORRID_DATATYPES[-1]}"
            )
        return
    if not given:
        raise ValueError(f"sequence batching must specify {either} for {kind} for {model}")
    if len(given) > 1:
        raise ValueError(
            "sequence batching specifies more than one from 'int32_false_true', "
            f"'fp32_false_true' and 'bool_false_true' for {kind} for {model}"
        )
    if len(getattr(control, given[0])) != 2:
        raise ValueError(
            f"sequence batching control '{given[0]}' must have exactly 2 entries for {kind} for "
            f"{model}"
        )
