"""What options may not be together, and what some of them mean for others."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

from ..exits import UsageError
from .effects import without_effect
from .settings import Settings
from .values import Range

Warn = Callable[[str], None]

_MODES = {
    "concurrency_range": "--concurrency-range",
    "request_rate_range": "--request-rate-range",
    "request_intervals": "--request-intervals",
    "periodic_concurrency_range": "--periodic-concurrency-range",
    "fixed_schedule": "--fixed-schedule",
    "session_concurrency": "--session-concurrency",
}
_KIND_ONLY = {
    "goodput": ("openai", "--goodput"),
    "session_concurrency": ("openai", "--session-concurrency"),
    "model_signature_name": ("tfserving", "--model-signature-name"),
}
#: Fields of options that need another one.
_NEEDS = {
    "metrics_url": ("collect_metrics", "--metrics-url", "--collect-metrics"),
    "metrics_interval": ("collect_metrics", "--metrics-interval", "--collect-metrics"),
}


def check(settings: Settings, warn: Warn) -> Settings:
    """The settings with old spellings and what follows from others filled in.

    Raises:
        UsageError: they contradict each other.
    """
    settings = _old_spellings(settings)
    if settings.compare:
        if len(settings.compare) != 2:
            raise UsageError(
                "--compare is given more than once, expected it once, as --compare A B"
            )
        return settings
    _check_kind(settings, warn)
    _check_mode(settings)
    _check_range(settings, warn)
    settings = _check_calls(settings, warn)
    _check_counts(settings)
    _check_data(settings)
    _check_transport(settings)
    for field, (needed, name, needs) in _NEEDS.items():
        if field in settings.given and not getattr(settings, needed):
            raise UsageError(f"{name} needs {needs}, which is not given")
    for line in without_effect(settings):
        warn(line)
    return _sequences(settings, warn)


def _old_spellings(settings: Settings) -> Settings:
    given = settings.given
    old = {"old_concurrency", "old_limit", "old_search"} & given
    if settings.zero_input:
        if settings.input_data and settings.input_data != ["zero"]:
            raise UsageError(f"-z means --input-data zero, but it is {settings.input_data[-1]!r}")
        settings = replace(settings, input_data=["zero"])
    if not old:
        return settings
    if "concurrency_range" in given:
        raise UsageError("-t, -c and -d are old spellings and can't stand with --concurrency-range")
    start = settings.old_concurrency or 1
    if settings.old_search or settings.old_limit:
        value = Range(start, settings.old_limit, 1)
    else:
        value = Range(start)
    return replace(settings, concurrency_range=value, given=given | {"concurrency_range"})


def _check_kind(settings: Settings, warn: Warn) -> None:
    kind = settings.service_kind
    if kind == "dynamic_grpc" or settings.grpc_method:
        raise UsageError(
            "--service-kind dynamic_grpc (with --grpc-method) is not supported; expected one of "
            "triton, triton_c_api, openai, torchserve, tfserving"
        )
    if not settings.model_name:
        raise UsageError("-m is missing, expected the name of the model")
    for field, (wanted, name) in _KIND_ONLY.items():
        if field in settings.given and kind != wanted:
            raise UsageError(f"{name} needs --service-kind {wanted}, but it is {kind}")
    if kind == "tfserving" and settings.grpc:
        raise UsageError(
            "--service-kind tfserving with -i grpc is not supported; expected -i http, which uses "
            "TensorFlow Serving's REST API (port 8501)"
        )
    if kind in ("tfserving", "torchserve", "openai"):
        if settings.streaming:
            hint = "; its streams need no option" if kind == "openai" else ""
            raise UsageError(f"--streaming can't be used with --service-kind {kind}{hint}")
        if settings.grpc:
            raise UsageError(f"-i grpc can't be used with --service-kind {kind}, expected http")
        if settings.shared_memory != "none":
            raise UsageError(f"--shared-memory can't be used with --service-kind {kind}")
    if kind == "openai":
        if not settings.endpoint:
            raise UsageError(
                "--service-kind openai needs --endpoint, such as --endpoint v1/chat/completions"
            )
        if not settings.input_data:
            raise UsageError("--service-kind openai needs --input-data with a JSON file")
        if settings.batch_size != 1:
            raise UsageError(
                f"-b is {settings.batch_size}, but --service-kind openai allows 1 only"
            )
    elif settings.endpoint:
        warn(f"--endpoint is ignored with --service-kind {kind}")
    if kind == "torchserve" and not any(each.endswith(".json") for each in settings.input_data):
        raise UsageError("--service-kind torchserve needs --input-data with a JSON file")
    if kind == "triton_c_api":
        if not settings.model_repository:
            raise UsageError("--service-kind triton_c_api needs --model-repository")
        if settings.grpc:
            warn("-i is ignored with --service-kind triton_c_api, which uses no network")
    if kind != "triton":
        if settings.collect_metrics:
            raise UsageError(f"--collect-metrics needs --service-kind triton, but it is {kind}")
        if settings.trace_level:
            raise UsageError(f"--trace-level needs --service-kind triton, but it is {kind}")


def _check_mode(settings: Settings) -> None:
    modes = [name for field, name in _MODES.items() if field in settings.given]
    if len(modes) > 1:
        raise UsageError(f"{' and '.join(modes)} are given together, expected one of them")
    if settings.periodic_concurrency_range is not None:
        if not (settings.streaming and settings.profile_export_file):
            raise UsageError(
                "--periodic-concurrency-range needs --streaming and --profile-export-file"
            )
    elif "request_period" in settings.given:
        raise UsageError("--request-period needs --periodic-concurrency-range")
    if settings.fixed_schedule:
        if settings.request_count:
            raise UsageError("--fixed-schedule can't be used with --request-count")
        if not settings.input_data or settings.input_data[-1] in ("random", "zero"):
            raise UsageError("--fixed-schedule needs --input-data with files that have timestamps")
    if settings.serial_sequences and not (
        settings.request_rate_range or settings.request_intervals
    ):
        raise UsageError("--serial-sequences needs --request-rate-range or --request-intervals")
    if settings.max_in_flight and not settings.open_loop:
        raise UsageError("--max-in-flight needs a rate mode, such as --request-rate-range")
    if settings.max_lag and not settings.open_loop:
        raise UsageError("--max-lag needs a rate mode, such as --request-rate-range")


def _check_range(settings: Settings, warn: Warn) -> None:
    value = settings.load_range
    name = "--request-rate-range" if settings.request_rate_range else "--concurrency-range"
    if value.end == 0 and not settings.latency_threshold:
        raise UsageError(f"{name} without an end (0) needs a latency limit, -l MS")
    if value.end is not None and value.end and value.end < value.start:
        warn(f"{name} ends below its start; only {value.start:g} is measured")
    if settings.binary_search:
        if value.end is None or value.end == 0:
            raise UsageError(f"--binary-search needs an end in {name}, as START:END:PRECISION")
        if not settings.latency_threshold:
            raise UsageError("--binary-search needs a latency limit, -l MS")
        if value.end < value.start:
            raise UsageError(f"--binary-search needs an end of {name} that is not below its start")
    if settings.enable_mpi and not value.single:
        raise UsageError(f"--enable-mpi allows a single point only, but {name} has several")


def _check_calls(settings: Settings, warn: Warn) -> Settings:
    if settings.asynchronous and settings.synchronous:
        raise UsageError("--async and --sync are given together, expected one of them")
    if settings.streaming:
        if settings.synchronous:
            raise UsageError("--streaming implies --async and can't stand with --sync")
        if not settings.grpc and settings.service_kind != "triton_c_api":
            raise UsageError(f"--streaming needs -i grpc, but the protocol is {settings.protocol}")
        settings = replace(settings, asynchronous=True)
    if settings.service_kind == "openai":
        if settings.synchronous:
            raise UsageError("--sync can't be used with --service-kind openai, which is async")
        settings = replace(settings, asynchronous=True)
    if settings.service_kind == "tfserving" and settings.asynchronous:
        raise UsageError("--async can't be used with --service-kind tfserving")
    return settings


def _check_counts(settings: Settings) -> None:
    value = settings.load_range
    count = settings.request_count
    if count:
        if not value.single:
            raise UsageError("--request-count needs a single load, but the range has several")
        if count < value.start:
            what = "request rate" if settings.request_rate_range else "concurrency"
            raise UsageError(
                f"--request-count is {count}, expected at least the {what}, {value.start:g}"
            )
        if settings.duration:
            raise UsageError("--request-count and --duration are given together, expected one")
    if settings.warmup_request_count and not value.single:
        raise UsageError("--warmup-request-count needs a single load, but the range has several")


def _check_data(settings: Settings) -> None:
    words = [each for each in settings.input_data if each in ("zero", "random")]
    if words and len(settings.input_data) > 1:
        raise UsageError(
            f"--input-data is {words[0]!r} and also given again, expected either a word or files"
        )
    names = [name for name, _ in settings.shape]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise UsageError(f"--shape is given twice for {sorted(twice)[0]!r}")
    if settings.grpc and "json" in (settings.input_tensor_format, settings.output_tensor_format):
        raise UsageError("--input-tensor-format and --output-tensor-format json need -i http")


def _check_transport(settings: Settings) -> None:
    if settings.grpc_compression_algorithm != "none" and not settings.grpc:
        raise UsageError(
            "--grpc-compression-algorithm needs -i grpc; over HTTP use --http-compression-algorithm"
        )
    if settings.http_compression_algorithm != "none" and settings.grpc:
        raise UsageError(
            "--http-compression-algorithm needs -i http; over gRPC use --grpc-compression-algorithm"
        )
    for form, name in (
        (settings.ssl_https_client_certificate_type, "--ssl-https-client-certificate-type"),
        (settings.ssl_https_private_key_type, "--ssl-https-private-key-type"),
    ):
        if form == "DER":
            raise UsageError(
                f"{name} is DER, which is not supported; expected PEM (openssl converts it)"
            )
    if settings.ssl_grpc_private_key_file and not settings.ssl_grpc_certificate_chain_file:
        raise UsageError(
            "--ssl-grpc-private-key-file needs --ssl-grpc-certificate-chain-file beside it"
        )
    if settings.ssl_https_private_key_file and not settings.ssl_https_client_certificate_file:
        raise UsageError(
            "--ssl-https-private-key-file needs --ssl-https-client-certificate-file beside it"
        )
    if settings.shared_memory == "cuda" and sys.platform not in ("linux", "win32"):
        raise UsageError("--shared-memory cuda needs Linux or Windows")


def _sequences(settings: Settings, warn: Warn) -> Settings:
    if settings.sequence_length <= 0:
        warn(f"--sequence-length is {settings.sequence_length}, which is not above 0; 20 is used")
        settings = replace(settings, sequence_length=20)
    start, end = settings.sequence_id_range
    if start == 0:
        warn("--sequence-id-range begins with 0, which means no sequence; it begins with 1 instead")
        settings = replace(settings, sequence_id_range=(1, end))
    return settings
