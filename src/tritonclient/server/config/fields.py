"""Every field of a model configuration: what this server does with it.

`docs/model_configuration.md` is made from this table. A field that is neither honoured nor
refused is named in a warning when a model that has it is loaded.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, TypeAlias

_log = logging.getLogger(__name__)

Use: TypeAlias = Literal["honoured", "refused", "without effect"]


class Field(NamedTuple):
    """What becomes of a field.

    Attributes:
        note: why it is refused or has no effect, or how it is honoured; "" if it needs no words.
    """

    use: Use
    note: str = ""


_YES = Field("honoured")
_CPU = Field("without effect", "there is no GPU")
_SPEED = Field("without effect", "it only concerns speed")
_ORDER = Field("without effect", "responses are sent when they are ready")
_PINNED = Field("honoured", "all memory is on the CPU")
_RAGGED = Field("refused", "ragged batches are not made")
_METRICS = Field("without effect", "there are no metrics")
_TENSORRT = Field("refused", "only TensorRT has it, as in Triton")

#: By the full name of a field without "inference."; not the fields inside of those without use.
FIELDS: dict[str, Field] = {
    "ModelConfig.name": _YES,
    "ModelConfig.platform": _YES,
    "ModelConfig.backend": _YES,
    "ModelConfig.runtime": Field("refused", "this server has no runtimes to choose from"),
    "ModelConfig.version_policy": _YES,
    "ModelVersionPolicy.latest": _YES,
    "ModelVersionPolicy.Latest.num_versions": _YES,
    "ModelVersionPolicy.all": _YES,
    "ModelVersionPolicy.specific": _YES,
    "ModelVersionPolicy.Specific.versions": _YES,
    "ModelConfig.max_batch_size": _YES,
    "ModelConfig.input": _YES,
    "ModelInput.name": _YES,
    "ModelInput.data_type": _YES,
    "ModelInput.format": Field("honoured", "an image format needs three dims"),
    "ModelInput.dims": _YES,
    "ModelInput.reshape": _YES,
    "ModelTensorReshape.shape": _YES,
    "ModelInput.is_shape_tensor": _TENSORRT,
    "ModelInput.allow_ragged_batch": Field("without effect", "other shapes are other batches"),
    "ModelInput.optional": _YES,
    "ModelInput.is_non_linear_format_io": _TENSORRT,
    "ModelConfig.output": _YES,
    "ModelOutput.name": _YES,
    "ModelOutput.data_type": _YES,
    "ModelOutput.dims": _YES,
    "ModelOutput.reshape": _YES,
    "ModelOutput.label_filename": _YES,
    "ModelOutput.is_shape_tensor": _TENSORRT,
    "ModelOutput.is_non_linear_format_io": _TENSORRT,
    "ModelConfig.batch_input": _RAGGED,
    "ModelConfig.batch_output": _RAGGED,
    "ModelConfig.optimization": _YES,
    "ModelOptimizationPolicy.graph": _SPEED,
    "ModelOptimizationPolicy.priority": _SPEED,
    "ModelOptimizationPolicy.cuda": _CPU,
    "ModelOptimizationPolicy.execution_accelerators": _SPEED,
    "ModelOptimizationPolicy.input_pinned_memory": _PINNED,
    "ModelOptimizationPolicy.PinnedMemoryBuffer.enable": _YES,
    "ModelOptimizationPolicy.output_pinned_memory": _PINNED,
    "ModelOptimizationPolicy.gather_kernel_buffer_threshold": _CPU,
    "ModelOptimizationPolicy.eager_batching": _SPEED,
    "ModelConfig.dynamic_batching": _YES,
    "ModelDynamicBatching.preferred_batch_size": _YES,
    "ModelDynamicBatching.max_queue_delay_microseconds": _YES,
    "ModelDynamicBatching.preserve_ordering": _ORDER,
    "ModelDynamicBatching.priority_levels": _YES,
    "ModelDynamicBatching.default_priority_level": _YES,
    "ModelDynamicBatching.default_queue_policy": _YES,
    "ModelQueuePolicy.timeout_action": _YES,
    "ModelQueuePolicy.default_timeout_microseconds": _YES,
    "ModelQueuePolicy.allow_timeout_override": _YES,
    "ModelQueuePolicy.max_queue_size": _YES,
    "ModelDynamicBatching.priority_queue_policy": _YES,
    "ModelConfig.sequence_batching": _YES,
    "ModelSequenceBatching.direct": _YES,
    "ModelSequenceBatching.StrategyDirect.max_queue_delay_microseconds": _YES,
    "ModelSequenceBatching.StrategyDirect.minimum_slot_utilization": _YES,
    "ModelSequenceBatching.oldest": _YES,
    "ModelSequenceBatching.StrategyOldest.max_candidate_sequences": _YES,
    "ModelSequenceBatching.StrategyOldest.preferred_batch_size": _YES,
    "ModelSequenceBatching.StrategyOldest.max_queue_delay_microseconds": _YES,
    "ModelSequenceBatching.StrategyOldest.preserve_ordering": _ORDER,
    "ModelSequenceBatching.max_sequence_idle_microseconds": _YES,
    "ModelSequenceBatching.control_input": _YES,
    "ModelSequenceBatching.ControlInput.name": _YES,
    "ModelSequenceBatching.ControlInput.control": _YES,
    "ModelSequenceBatching.Control.kind": _YES,
    "ModelSequenceBatching.Control.int32_false_true": _YES,
    "ModelSequenceBatching.Control.fp32_false_true": _YES,
    "ModelSequenceBatching.Control.bool_false_true": _YES,
    "ModelSequenceBatching.Control.data_type": _YES,
    "ModelSequenceBatching.state": Field(
        "honoured", "models in Python cannot change it, as in Triton"
    ),
    "ModelSequenceBatching.State.input_name": _YES,
    "ModelSequenceBatching.State.output_name": _YES,
    "ModelSequenceBatching.State.data_type": _YES,
    "ModelSequenceBatching.State.dims": _YES,
    "ModelSequenceBatching.State.initial_state": Field("honoured", "zeros if there is none"),
    "ModelSequenceBatching.InitialState.data_type": _YES,
    "ModelSequenceBatching.InitialState.dims": _YES,
    "ModelSequenceBatching.InitialState.zero_data": _YES,
    "ModelSequenceBatching.InitialState.data_file": Field(
        "honoured", "a file in the model's folder `initial_state`"
    ),
    "ModelSequenceBatching.InitialState.name": _YES,
    "ModelSequenceBatching.State.use_same_buffer_for_input_output": _SPEED,
    "ModelSequenceBatching.State.use_growable_memory": _SPEED,
    "ModelSequenceBatching.iterative_sequence": _YES,
    "ModelConfig.ensemble_scheduling": _YES,
    "ModelEnsembling.step": _YES,
    "ModelEnsembling.Step.model_name": _YES,
    "ModelEnsembling.Step.model_version": _YES,
    "ModelEnsembling.Step.input_map": _YES,
    "ModelEnsembling.Step.output_map": _YES,
    "ModelEnsembling.Step.model_namespace": Field("without effect", "there is one namespace"),
    "ModelEnsembling.max_inflight_requests": Field("without effect", "there is no limit"),
    "ModelConfig.instance_group": _YES,
    "ModelInstanceGroup.name": _YES,
    "ModelInstanceGroup.kind": Field("honoured", "KIND_GPU gets the CPU, with a warning"),
    "ModelInstanceGroup.count": _YES,
    "ModelInstanceGroup.rate_limiter": Field("without effect", "instances do not share resources"),
    "ModelInstanceGroup.gpus": Field("without effect", "KIND_GPU gets the CPU"),
    "ModelInstanceGroup.secondary_devices": _CPU,
    "ModelInstanceGroup.profile": _TENSORRT,
    "ModelInstanceGroup.passive": Field("without effect", "all instances execute"),
    "ModelInstanceGroup.host_policy": Field("without effect", "there is one host policy"),
    "ModelConfig.default_model_filename": _YES,
    "ModelConfig.cc_model_filenames": _CPU,
    "ModelConfig.metric_tags": _METRICS,
    "ModelConfig.parameters": _YES,
    "ModelParameter.string_value": _YES,
    "ModelConfig.model_warmup": _YES,
    "ModelWarmup.name": _YES,
    "ModelWarmup.batch_size": _YES,
    "ModelWarmup.inputs": _YES,
    "ModelWarmup.Input.data_type": _YES,
    "ModelWarmup.Input.dims": _YES,
    "ModelWarmup.Input.zero_data": _YES,
    "ModelWarmup.Input.random_data": _YES,
    "ModelWarmup.Input.input_data_file": Field("honoured", "a file in the model's folder `warmup`"),
    "ModelWarmup.count": _YES,
    "ModelConfig.model_operations": Field("without effect", "no backend loads operations"),
    "ModelConfig.model_transaction_policy": _YES,
    "ModelTransactionPolicy.decoupled": _YES,
    "ModelConfig.model_repository_agents": Field("refused", "this server has no repository agents"),
    "ModelConfig.response_cache": _YES,
    "ModelResponseCache.enable": _YES,
    "ModelConfig.model_metrics": _METRICS,
}


def check(config: Any) -> None:
    """Raise ValueError if a field is set that this server refuses."""
    for path, name in _given(config):
        if FIELDS[name].use == "refused":
            raise ValueError(_refusal(path, name, config))


def warn(config: Any) -> None:
    """Name the fields that are set and have no effect, in one warning."""
    ignored = {
        path: FIELDS[name].note
        for path, name in _given(config)
        if FIELDS[name].use == "without effect"
    }
    if ignored:
        texts = "; ".join(f"{path} ({note})" for path, note in ignored.items())
        _log.warning("model '%s' has settings without effect: %s", config.name, texts)


def _refusal(path: str, name: str, config: Any) -> str:
    """Return the message about a refused field, in Triton's words where it refuses it as well."""
    if name.endswith(".is_shape_tensor"):
        return f"shape tensors are only supported for TensorRT platform for {config.name}"
    if name.endswith(".is_non_linear_format_io"):
        return f"Non-linear IO format is only supported for the TensorRT platform for {config.name}"
    if name == "ModelInstanceGroup.profile":
        group = next(each.name for each in config.instance_group if each.profile)
        return (
            f"instance group {group} of model {config.name} and platform {config.platform} "
            "specifies profile field which is only supported for TensorRT models"
        )
    return f"model '{config.name}' has {path}, which this server refuses: {FIELDS[name].note}"


def _given(message: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the path and the name in `FIELDS` of each field that is set."""
    for field, value in message.ListFields():
        name = f"{message.DESCRIPTOR.full_name.removeprefix('inference.')}.{field.name}"
        if name not in FIELDS:
            continue
        path = f"{prefix}{field.name}"
        yield path, name
        if field.message_type is None or FIELDS[name].use != "honoured":
            continue
        if field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type is None:
                continue
            items = list(value.values())
        else:
            items = list(value) if hasattr(value, "extend") else [value]
        for each in items:
            yield from _given(each, f"{path}.")


def table() -> str:
    """Return the table of all fields, in Markdown."""
    rows = ["| Field | This server | Note |", "|---|---|---|"]
    rows += [f"| `{name}` | {use} | {note} |" for name, (use, note) in FIELDS.items()]
    return "\n".join(rows) + "\n"
