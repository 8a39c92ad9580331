"""What a command line asks for, as values."""

from __future__ import annotations

from dataclasses import dataclass, field

from .values import Assertion, Range, RequestParameter


@dataclass
class Settings:
    """All options. A field is named like the option it comes from, unless it says otherwise.

    Attributes:
        given: names of the fields that the command line set.
        arguments: the command line itself.
    """

    arguments: tuple[str, ...] = ()
    given: frozenset[str] = frozenset()

    # General
    model_name: str = ""
    model_version: str = ""
    service_kind: str = "triton"
    endpoint: str = ""
    model_signature_name: str = "serving_default"
    bls_composing_models: tuple[tuple[str, str], ...] = ()
    verbose: int = 0
    workers: int = 0
    dry_run: bool = False

    # Load
    concurrency_range: Range | None = None
    request_rate_range: Range | None = None
    request_distribution: str = "constant"
    request_intervals: str = ""
    periodic_concurrency_range: Range | None = None
    request_period: int = 10
    fixed_schedule: bool = False
    session_concurrency: int = 0
    request_count: int = 0
    warmup_request_count: int = 0
    warmup: float = 0.0
    ramp: float = 0.0
    duration: float = 0.0
    max_threads: int = 0
    max_in_flight: int = 0
    num_of_sequences: int = 4
    serial_sequences: bool = False
    batch_size: int = 1
    seed: int = 0
    start_at: float = 0.0

    # Measurement
    measurement_mode: str = "time_windows"
    measurement_interval: int = 5000
    measurement_request_count: int = 50
    stability_percentage: float = 10.0
    max_trials: int = 10
    percentile: float = -1.0
    latency_threshold: int = 0
    binary_search: bool = False
    max_error_rate: float = 0.0
    max_lag: float = 0.0
    timeout: float = 0.0
    assertions: list[Assertion] = field(default_factory=list)
    goodput: list[tuple[str, float]] = field(default_factory=list)

    # Data
    input_data: list[str] = field(default_factory=list)
    zero_input: bool = False
    data_pool: int = 0
    shape: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)
    string_length: int = 128
    string_data: str = ""
    shared_memory: str = "none"
    output_shared_memory_size: int = 102400
    input_tensor_format: str = "binary"
    output_tensor_format: str = "binary"
    request_parameter: list[RequestParameter] = field(default_factory=list)
    sequence_length: int = 20
    sequence_length_variation: float = 20.0
    sequence_id_range: tuple[int, int | None] = (1, None)
    sequence_interval: float = 0.0

    # Transport
    url: str = ""
    protocol: str = "http"
    asynchronous: bool = False
    synchronous: bool = False
    streaming: bool = False
    headers: list[tuple[str, str]] = field(default_factory=list)
    grpc_compression_algorithm: str = "none"
    http_compression_algorithm: str = "none"
    grpc_method: str = ""
    ssl_grpc_use_ssl: bool = False
    ssl_grpc_root_certifications_file: str = ""
    ssl_grpc_private_key_file: str = ""
    ssl_grpc_certificate_chain_file: str = ""
    ssl_https_verify_peer: int = 1
    ssl_https_verify_host: int = 2
    ssl_https_ca_certificates_file: str = ""
    ssl_https_client_certificate_file: str = ""
    ssl_https_client_certificate_type: str = "PEM"
    ssl_https_private_key_file: str = ""
    ssl_https_private_key_type: str = "PEM"
    triton_server_directory: str = "/opt/tritonserver"
    model_repository: str = ""

    # Output
    csv_file: str = ""
    verbose_csv: bool = False
    profile_export_file: str = ""
    summary_file: str = ""
    html: str = ""
    compare: tuple[str, ...] = ()
    live: str = "auto"
    collect_metrics: bool = False
    metrics_url: str = ""
    metrics_interval: int = 1000
    trace_level: str = ""
    trace_rate: int = 1000
    trace_count: int = -1
    log_frequency: int = 0
    enable_mpi: bool = False

    # Old spellings
    old_concurrency: int = 0
    old_limit: int = 0
    old_search: bool = False

    @property
    def open_loop(self) -> bool:
        """True if requests are sent by a schedule rather than when another ends."""
        return bool(self.request_rate_range or self.request_intervals or self.fixed_schedule)

    @property
    def grpc(self) -> bool:
        """True if the protocol is gRPC."""
        return self.protocol == "grpc"

    @property
    def load_range(self) -> Range:
        """The range of concurrencies or rates to measure."""
        return self.request_rate_range or self.concurrency_range or Range(1)

    @property
    def one_window(self) -> bool:
        """True if a number of requests or a duration ends the measurement, not stability."""
        return bool(self.request_count or self.duration or self.fixed_schedule)
