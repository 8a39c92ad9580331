"""The flags of `tritonclient serve` that concern gRPC, with tritonserver's names."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from typing import TYPE_CHECKING, Any

from ..extras import install_command
from .arguments import LOCAL, pattern, port, switch, unsigned

if TYPE_CHECKING:
    from ..server.frontends.grpc.options import GrpcOptions

#: Numbers: flag, the name in gRPC's core, its default and what it means.
_NUMBERS = (
    (
        *("--grpc-keepalive-time", "grpc.keepalive_time_ms", "7200000"),
        "milliseconds without traffic before a keepalive ping",
    ),
    (
        *("--grpc-keepalive-timeout", "grpc.keepalive_timeout_ms", "20000"),
        "milliseconds to wait for the answer to a ping before the connection is closed",
    ),
    (
        *("--grpc-http2-max-pings-without-data", "grpc.http2.max_pings_without_data", "2"),
        "largest number of pings without traffic; 0: no limit",
    ),
    (
        "--grpc-http2-min-recv-ping-interval-without-data",
        *("grpc.http2.min_ping_interval_without_data_ms", "300000"),
        "least milliseconds between pings of a client without traffic; earlier pings are strikes",
    ),
    (
        *("--grpc-http2-max-ping-strikes", "grpc.http2.max_ping_strikes", "2"),
        "ping strikes before the connection is closed; 0: no limit",
    ),
    (
        *("--grpc-max-connection-age", "grpc.max_connection_age_ms", "no limit"),
        "milliseconds before a connection is closed with GOAWAY",
    ),
    (
        *("--grpc-max-connection-age-grace", "grpc.max_connection_age_grace_ms", "no limit"),
        "milliseconds to wait for running calls after this GOAWAY",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    grpc = parser.add_argument_group("gRPC")
    switch(grpc, "--allow-grpc", None, "serve gRPC (default: true, if hpack is installed)")
    grpc.add_argument(
        "--grpc-address",
        default=LOCAL,
        metavar="ADDRESS",
        help="0.0.0.0 for clients on other machines (default: %(default)s)",
    )
    grpc.add_argument(
        "--grpc-port",
        type=port,
        default=8001,
        metavar="PORT",
        help="0 takes a free one (default: %(default)s)",
    )
    switch(grpc, "--reuse-grpc-port", False, "let servers that have this share the port")
    grpc.add_argument(
        "--grpc-header-forward-pattern",
        type=pattern,
        metavar="REGEX",
        help="requests have each header that this matches as a parameter",
    )
    switch(grpc, "--grpc-use-ssl", False, "serve over TLS, with the certificate and key below")
    switch(
        grpc,
        "--grpc-use-ssl-mutual",
        False,
        "serve over mutual TLS: clients must have certificates",
    )
    grpc.add_argument("--grpc-server-cert", metavar="FILE", help="certificate (PEM)")
    grpc.add_argument("--grpc-server-key", metavar="FILE", help="key of the certificate (PEM)")
    grpc.add_argument(
        "--grpc-root-cert", metavar="FILE", help="certificate authorities of clients (PEM)"
    )
    grpc.add_argument(
        "--grpc-infer-response-compression-level",
        choices=("none", "low", "medium", "high"),
        default="none",
        help="compression of responses, for clients that accept it (default: %(default)s)",
    )
    for flag, _, default, meaning in _NUMBERS:
        text = f"{meaning} (default: {default})"
        grpc.add_argument(flag, type=unsigned, metavar="NUMBER", help=text)
    switch(
        grpc,
        "--grpc-keepalive-permit-without-calls",
        None,
        "send keepalive pings without running calls (default: false)",
    )


def is_installed() -> bool:
    """True if gRPC can be served; otherwise print a note with the reason."""
    if importlib.util.find_spec("hpack") is not None:
        return True
    command = install_command("server")
    print(f"note: gRPC is not served, since hpack is missing: {command}", file=sys.stderr)
    return False


def problem(arguments: argparse.Namespace) -> str | None:
    """Why gRPC can't be served as it was asked, or None."""
    if arguments.grpc_use_ssl_mutual and arguments.grpc_root_cert is None:
        return "--grpc-use-ssl-mutual needs --grpc-root-cert"
    secure = arguments.grpc_use_ssl or arguments.grpc_use_ssl_mutual
    if secure and (arguments.grpc_server_cert is None or arguments.grpc_server_key is None):
        return "gRPC over TLS needs --grpc-server-cert and --grpc-server-key"
    return None


def options(arguments: argparse.Namespace) -> GrpcOptions:
    """How gRPC is to be served."""
    from ..server.frontends.grpc.options import GrpcOptions

    numbers: dict[str, Any] = {name: _value(arguments, flag) for flag, name, _, _ in _NUMBERS}
    without_calls = arguments.grpc_keepalive_permit_without_calls
    numbers["grpc.keepalive_permit_without_calls"] = without_calls and int(without_calls)
    mutual = arguments.grpc_use_ssl_mutual
    secure = arguments.grpc_use_ssl or mutual
    return GrpcOptions(
        host=arguments.grpc_address,
        secure=secure,
        certfile=arguments.grpc_server_cert if secure else None,
        keyfile=arguments.grpc_server_key if secure else None,
        client_ca_file=arguments.grpc_root_cert if mutual else None,
        compression_level=arguments.grpc_infer_response_compression_level,
        reuse_port=arguments.reuse_grpc_port,
        forwarded_headers=arguments.grpc_header_forward_pattern or "",
        channel_arguments={k: v for k, v in numbers.items() if v is not None},
    )


def _value(arguments: argparse.Namespace, flag: str) -> Any:
    return vars(arguments)[flag.removeprefix("--").replace("-", "_")]
