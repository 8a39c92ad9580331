"""Options that do nothing without another one: what is missing is said, and the run goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .settings import Settings


def _secure(settings: Settings) -> bool:
    by_option = settings.grpc and settings.ssl_grpc_use_ssl
    return by_option or settings.url.startswith(("https://", "grpcs://"))


#: Fields of options, what they need, and whether it is there.
_NEEDS: tuple[tuple[tuple[str, ...], str, Callable[[Settings], bool]], ...] = (
    (
        ("ssl_grpc_use_ssl",),
        "-i grpc; over HTTP give an https:// URL",
        lambda settings: settings.grpc,
    ),
    (
        (
            "ssl_grpc_root_certifications_file",
            "ssl_grpc_private_key_file",
            "ssl_grpc_certificate_chain_file",
        ),
        "-i grpc with --ssl-grpc-use-ssl",
        lambda settings: settings.grpc and _secure(settings),
    ),
    (
        (
            "ssl_https_verify_peer",
            "ssl_https_verify_host",
            "ssl_https_ca_certificates_file",
            "ssl_https_client_certificate_file",
            "ssl_https_private_key_file",
        ),
        "-i http with an https:// URL",
        lambda settings: not settings.grpc and _secure(settings),
    ),
    (
        ("model_repository", "triton_server_directory"),
        "--service-kind triton_c_api",
        lambda settings: settings.service_kind == "triton_c_api",
    ),
    (
        ("trace_rate", "trace_count", "log_frequency"),
        "--trace-level",
        lambda settings: bool(settings.trace_level),
    ),
    (
        ("request_distribution",),
        "--request-rate-range",
        lambda settings: settings.request_rate_range is not None,
    ),
    (("verbose_csv",), "-f", lambda settings: bool(settings.csv_file)),
    (
        ("measurement_request_count",),
        "--measurement-mode count_windows",
        lambda settings: settings.measurement_mode == "count_windows",
    ),
)


def without_effect(settings: Settings) -> Iterator[str]:
    """A line for each option that was given and does nothing."""
    for fields, needed, there in _NEEDS:
        for field in fields:
            if field in settings.given and not there(settings):
                yield f"--{field.replace('_', '-')} has no effect without {needed}"
