"""Every option: its spellings, its value, and its help."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from . import values as v


class Option(NamedTuple):
    """An option of the command line.

    Attributes:
        spellings: as typed, such as "-p" and "--measurement-interval".
        field: of `Settings`.
        read: what reads a value, as (option, text) -> value; None for a flag.
        value: how help names the value.
        help: what it does.
        repeat: whether each use adds to a list; otherwise the last use wins.
        own: whether the official tool lacks it, so that it never makes an abbreviation ambiguous.
        implies: for a flag, the value it sets.
        old: whether it is a spelling of former times.
    """

    spellings: tuple[str, ...]
    field: str
    read: Callable[[str, str], Any] | None
    value: str
    help: str
    repeat: bool = False
    own: bool = False
    implies: Any = True
    old: bool = False


def _o(
    spellings: str,
    field: str,
    read: Callable[[str, str], Any] | None,
    value: str,
    help: str,
    **more: Any,
) -> Option:
    return Option(tuple(spellings.split()), field, read, value, help, **more)


_FILE = v.existing_file
_KINDS = ("triton", "triton_c_api", "tfserving", "torchserve", "openai", "dynamic_grpc")

GROUPS: dict[str, tuple[Option, ...]] = {
    "General": (
        _o("-m", "model_name", v.text, "NAME", "The model to send requests to."),
        _o("-x", "model_version", v.text, "VERSION", "Its version; by default "
           "the server chooses."),
        _o("--service-kind", "service_kind", v.choice(*_KINDS), "KIND", "What kind of service it "
           "is: triton (default), triton_c_api, openai, torchserve or tfserving."),
        _o("--endpoint", "endpoint", v.text, "PATH", "openai: the path below the URL, such as "
           "v1/chat/completions."),
        _o("--model-signature-name", "model_signature_name", v.text, "NAME", "tfserving: the "
           "signature (serving_default)."),
        _o("--bls-composing-models", "bls_composing_models", v.composing_models, "A:1,B", "Models "
           "that this one calls; their statistics are reported."),
        _o("-v", "verbose", None, "", "Report every window. Twice: also the first "
           "request."),
        _o("--workers", "workers", v.whole(1, 256), "N", "Processes that generate load (one "
           "for each processor, at most one for each request at a time).", own=True),
        _o("--dry-run", "dry_run", None, "", "Print the first request and send nothing.",
           own=True),
        _o("--version", "version", None, "", "Print the version and exit."),
        _o("-h -? --help", "help", None, "", "Print this help and exit."),
    ),
    "Load (one of concurrency, rate, intervals, periodic concurrency, fixed schedule)": (
        _o("--concurrency-range", "concurrency_range", v.concurrency_range, "START:END:STEP",
           "Requests at a time (1). End 0: until the latency limit."),
        _o("--request-rate-range", "request_rate_range", v.rate_range, "START:END:STEP",
           "Requests per second, sent by a schedule whatever the answers do."),
        _o("--request-distribution", "request_distribution", v.choice("constant", "poisson"),
           "KIND", "Gaps between requests of a rate: constant (default) or poisson."),
        _o("--request-intervals", "request_intervals", _FILE, "FILE", "A file with the gaps "
           "between requests, a whole number of microseconds in each line; repeated."),
        _o("--periodic-concurrency-range", "periodic_concurrency_range", v.periodic_range,
           "START:END[:STEP]", "Begin with START requests; add STEP when each of the newest has "
           "had --request-period responses. Needs --streaming and --profile-export-file."),
        _o("--request-period", "request_period", v.whole(1), "N", "See above (10)."),
        _o("--fixed-schedule", "fixed_schedule", None, "", "Send each step of the data once, at "
           "its \"timestamp\" (ms)."),
        _o("--session-concurrency", "session_concurrency", v.whole(1), "N", "openai: "
           "conversations at a time, each sent turn by turn."),
        _o("--request-count", "request_count", v.whole(0), "N", "Send exactly N requests and "
           "end; 0 for no count."),
        _o("--warmup-request-count", "warmup_request_count", v.whole(0), "N", "Requests to send "
           "and wait for before measuring."),
        _o("--warmup", "warmup", v.number(0), "SECONDS", "Seconds of load before measuring.",
           own=True),
        _o("--ramp", "ramp", v.number(0), "SECONDS", "Raise the load evenly from nothing over "
           "these seconds before measuring.", own=True),
        _o("--duration", "duration", v.number(0, above=True), "SECONDS", "Measure for this long "
           "and end, stable or not.", own=True),
        _o("--start-at", "start_at", v.number(0), "TIME", "Begin to send at this time (seconds "
           "since 1970), so that several hosts begin together.", own=True),
        _o("--max-threads", "max_threads", v.whole(1), "N", "Most requests at a time in "
           "synchronous rate mode (4), and in a search without end (16)."),
        _o("--max-in-flight", "max_in_flight", v.whole(1), "N", "Rate modes: drop (and count) "
           "what is due while N requests wait for their answers.", own=True),
        _o("--num-of-sequences", "num_of_sequences", v.whole(1), "N", "Sequences at a time in "
           "rate modes (4)."),
        _o("--serial-sequences", "serial_sequences", None, "", "Rate modes: at most one request "
           "of a sequence at a time."),
        _o("-b", "batch_size", v.whole(1), "N", "Batch size (1)."),
        _o("--seed", "seed", v.whole(0), "N", "Seed of all that is random: data, gaps, lengths "
           "(0).", own=True),
    ),
    "Measurement": (
        _o("--measurement-mode", "measurement_mode", v.choice("time_windows", "count_windows"),
           "MODE", "What ends a window: time_windows (default) or count_windows."),
        _o("-p --measurement-interval", "measurement_interval", v.whole(1), "MS", "Length of a "
           "window (5000); a fifth is added, as the official tool does."),
        _o("--measurement-request-count", "measurement_request_count", v.whole(1), "N",
           "Requests in a window of count_windows (50)."),
        _o("-s --stability-percentage", "stability_percentage", v.number(0), "PERCENT", "How much "
           "three windows in a row may differ to count as stable (10)."),
        _o("-r --max-trials", "max_trials", v.whole(1), "N", "Most windows for a load (10)."),
        _o("--percentile", "percentile", v.percentile, "P", "Judge by this percentile rather than "
           "by the mean; 99.9 is one."),
        _o("-l --latency-threshold", "latency_threshold", v.whole(0), "MS", "Latency limit of a "
           "search; 0 for none."),
        _o("--binary-search", "binary_search", None, "", "Search by halving; the range's step is "
           "the precision."),
        _o("--max-error-rate", "max_error_rate", v.number(0, 100), "PERCENT", "Share of failed "
           "requests from which the exit code is 4 (0).", own=True),
        _o("--max-lag", "max_lag", v.number(0, above=True), "MS", "Exit with 6 when the p99 of "
           "the lag behind the schedule is larger, or the rate is not kept.", own=True),
        _o("--timeout", "timeout", v.number(0, above=True), "SECONDS", "How long an answer may "
           "take; later ones are errors.", own=True),
        _o("--assert", "assertions", v.assertion, "CONDITION", "Exit with 5 unless it holds, such "
           "as 'p99<20ms', 'throughput>1000'. Repeatable.", repeat=True, own=True),
        _o("--goodput", "goodput", v.goal, "METRIC:MS", "openai: a service level that a good "
           "request keeps, such as time_to_first_token:200. Repeatable.", repeat=True, own=True),
    ),
    "Data": (
        _o("--input-data --data-directory", "input_data", v.text, "DATA", "random (default), "
           "zero, a folder, a JSON file, .npy/.npz, a Python file with generate(), or "
           "NAME=random,NAME=zero. Repeatable for files.", repeat=True),
        _o("-z", "zero_input", None, "", "The same as --input-data zero."),
        _o("--data-pool", "data_pool", v.whole(1, 100_000), "N", "How many different random "
           "requests are made (32, fewer where tensors are large).", own=True),
        _o("--shape", "shape", v.shape, "NAME:D1,D2", "Shape of an input with dimensions of -1, "
           "without the batch. Repeatable.", repeat=True),
        _o("--string-length", "string_length", v.whole(1, 2**31 - 1), "N", "Length of random "
           "texts (128)."),
        _o("--string-data", "string_data", v.text, "TEXT", "Text of all BYTES elements."),
        _o("--shared-memory", "shared_memory", v.choice("none", "system", "cuda"), "KIND",
           "Pass tensors in shared memory: none (default), system or cuda."),
        _o("--output-shared-memory-size", "output_shared_memory_size", v.whole(0), "BYTES",
           "Room for each output of unknown size (102400)."),
        _o("--input-tensor-format", "input_tensor_format",
           v.choice("binary", "json", any_case=True), "FORMAT",
           "HTTP: how inputs are sent, binary (default) or json."),
        _o("--output-tensor-format", "output_tensor_format",
           v.choice("binary", "json", any_case=True), "FORMAT", "HTTP: how outputs come back."),
        _o("--request-parameter", "request_parameter", v.request_parameter, "NAME:VALUE:TYPE",
           "A parameter of every request; TYPE is bool, int or string. Repeatable.",
           repeat=True),
        _o("--sequence-length", "sequence_length", v.whole(-(2**31)), "N", "Requests in a "
           "sequence (20, or as many as the data has steps)."),
        _o("--sequence-length-variation", "sequence_length_variation", v.number(0), "PERCENT",
           "How much lengths vary (20)."),
        _o("--sequence-id-range", "sequence_id_range", v.sequence_ids, "START[:END]", "Ids of "
           "sequences, END excluded (from 1)."),
        _o("--sequence-interval", "sequence_interval", v.number(0, above=True), "MS", "Pause "
           "between the requests of a sequence, as a microphone makes.", own=True),
    ),
    "Transport": (
        _o("-u", "url", v.text, "URL", "HOST:PORT or https://HOST:PORT (localhost:8000, gRPC "
           ":8001)."),
        _o("-i", "protocol", v.choice("http", "grpc", any_case=True), "PROTOCOL", "http "
           "(default) or grpc."),
        _o("-a --async", "asynchronous", None, "", "Asynchronous calls; rate modes then have no "
           "limit of requests at a time."),
        _o("--sync", "synchronous", None, "", "Synchronous calls (default)."),
        _o("--streaming", "streaming", None, "", "gRPC streams, as decoupled models need; implies "
           "--async."),
        _o("-H", "headers", v.header, "NAME:VALUE", "A header of every request, or gRPC "
           "metadata. Repeatable.", repeat=True),
        _o("--grpc-compression-algorithm", "grpc_compression_algorithm",
           v.choice("none", "gzip", "deflate"), "KIND", "none (default), gzip or deflate."),
        _o("--http-compression-algorithm", "http_compression_algorithm",
           v.choice("none", "gzip", "deflate"), "KIND", "The same over HTTP, both ways.",
           own=True),
        _o("--grpc-method", "grpc_method", v.text, "METHOD", "dynamic_grpc, which is not there."),
        _o("--ssl-grpc-use-ssl", "ssl_grpc_use_ssl", None, "", "TLS for gRPC."),
        _o("--ssl-grpc-root-certifications-file", "ssl_grpc_root_certifications_file", _FILE,
           "FILE", "PEM file of certificate authorities."),
        _o("--ssl-grpc-private-key-file", "ssl_grpc_private_key_file", _FILE, "FILE", "PEM file "
           "of the client's key."),
        _o("--ssl-grpc-certificate-chain-file", "ssl_grpc_certificate_chain_file", _FILE, "FILE",
           "PEM file of the client's certificates."),
        _o("--ssl-https-verify-peer", "ssl_https_verify_peer", v.whole(0, 1), "0|1", "Whether to "
           "verify the server's certificate (1)."),
        _o("--ssl-https-verify-host", "ssl_https_verify_host", v.whole(0, 2), "0|1|2", "Whether "
           "to verify its name (2)."),
        _o("--ssl-https-ca-certificates-file", "ssl_https_ca_certificates_file", _FILE, "FILE",
           "PEM file of certificate authorities."),
        _o("--ssl-https-client-certificate-file", "ssl_https_client_certificate_file", _FILE,
           "FILE", "The client's certificate."),
        _o("--ssl-https-client-certificate-type", "ssl_https_client_certificate_type",
           v.choice("PEM", "DER"), "PEM|DER", "Its form (PEM)."),
        _o("--ssl-https-private-key-file", "ssl_https_private_key_file", _FILE, "FILE", "The "
           "client's private key."),
        _o("--ssl-https-private-key-type", "ssl_https_private_key_type", v.choice("PEM", "DER"),
           "PEM|DER", "Its form (PEM)."),
        _o("--triton-server-directory", "triton_server_directory", v.text, "FOLDER",
           "triton_c_api: where Triton is installed (/opt/tritonserver)."),
        _o("--model-repository", "model_repository", v.text, "FOLDER", "triton_c_api: the model "
           "repository."),
    ),
    "Output, metrics and tracing": (
        _o("-f", "csv_file", v.output_file, "FILE", "Write a CSV file."),
        _o("--verbose-csv", "verbose_csv", None, "", "With more columns."),
        _o("--profile-export-file", "profile_export_file", v.new_file, "FILE", "Write every "
           "request with its times, inputs and outputs as JSON."),
        _o("--summary-file", "summary_file", v.output_file, "FILE", "Write all figures and "
           "histograms as JSON; `tritonclient bench merge` adds such files.", own=True),
        _o("--html", "html", v.output_file, "FILE", "Write a report as one HTML file.", own=True),
        _o("--compare", "compare", _FILE, "A B", "Compare two summary files and exit.", own=True),
        _o("--live", "live", v.choice("auto", "on", "off"), "WHEN", "The live view: auto "
           "(default, on a terminal), on (lines where there is no terminal) or off.", own=True),
        _o("--collect-metrics", "collect_metrics", None, "", "Collect the server's GPU metrics."),
        _o("--metrics-url", "metrics_url", v.text, "URL", "Where (the server's host, port 8002, "
           "/metrics)."),
        _o("--metrics-interval", "metrics_interval", v.whole(1), "MS", "How often (1000)."),
        _o("--trace-level", "trace_level", v.choice("OFF", "TIMESTAMPS", "TENSORS"), "LEVEL",
           "Trace settings of the server during the run; they are put back."),
        _o("--trace-rate", "trace_rate", v.whole(1), "N", "One request in N is traced (1000)."),
        _o("--trace-count", "trace_count", v.whole(-1), "N", "How many; -1 for all."),
        _o("--log-frequency", "log_frequency", v.whole(0), "N", "Traces in each file."),
        _o("--enable-mpi", "enable_mpi", None, "", "Measure several models at once, a rank each, "
           "stable together."),
    ),
    "Old spellings": (
        _o("-t", "old_concurrency", v.whole(1), "N", "--concurrency-range N", old=True),
        _o("-c", "old_limit", v.whole(1), "N", "the end of --concurrency-range", old=True),
        _o("-d", "old_search", None, "", "search along the concurrency", old=True),
    ),
}  # fmt: skip

OPTIONS: tuple[Option, ...] = tuple(option for group in GROUPS.values() for option in group)
BY_SPELLING: dict[str, Option] = {
    spelling: option for option in OPTIONS for spelling in option.spellings
}
#: Spellings that the official tool knows, among which abbreviations are looked for first.
OFFICIAL_LONG = frozenset(
    spelling
    for spelling, option in BY_SPELLING.items()
    if spelling.startswith("--") and not option.own
)
