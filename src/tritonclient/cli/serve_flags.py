"""Every flag of tritonserver: what `tritonclient serve` does with it.

`docs/server_flags.md` is made from this table.
"""

from __future__ import annotations

import argparse
from textwrap import fill
from typing import Literal, NamedTuple, TypeAlias

Use: TypeAlias = Literal["works", "without effect", "refused"]


class Flag(NamedTuple):
    """What becomes of a flag.

    Attributes:
        note: why it is refused or has no effect, or where it differs; "" if it needs no words.
        later: True if it is newer than Triton 2.51.
        alone: True if it takes no value.
    """

    use: Use
    note: str = ""
    later: bool = False
    alone: bool = False


_WORKS = Flag("works")
_CPU = Flag("without effect", "there is no GPU")
_THREADS = Flag("without effect", "threads are started as they are needed")
_METRICS = Flag("without effect", "there is no port for metrics yet")
_LOG = Flag("without effect", "the log goes to stderr; --log-verbose chooses its level")
_CLOUD = Flag("without effect", "this service is not served")
_SPEED = Flag("without effect", "it only concerns speed")
_SETTING = Flag("works", "clients can read and change the setting; nothing is traced yet")
_RESTRICTED = Flag("refused", "this server cannot restrict its endpoints yet")
_LOCAL = Flag("works", "the default is 127.0.0.1, not 0.0.0.0")

#: In the order of tritonserver's --help, but for --help itself.
FLAGS: dict[str, Flag] = {
    "--id": Flag("without effect", "the name in the server's metadata is triton"),
    "--exit-timeout-secs": _WORKS,
    "--log-verbose": _WORKS,
    "--log-info": _LOG,
    "--log-warning": _LOG,
    "--log-error": _LOG,
    "--log-format": _LOG,
    "--log-file": _LOG,
    "--model-store": _WORKS,
    "--model-repository": _WORKS,
    "--exit-on-error": _WORKS,
    "--disable-auto-complete-config": Flag(
        "without effect", "configurations are always completed", alone=True
    ),
    "--strict-readiness": _WORKS,
    "--model-control-mode": _WORKS,
    "--repository-poll-secs": _WORKS,
    "--load-model": _WORKS,
    "--model-config-name": Flag("without effect", "config.pbtxt is read"),
    "--model-load-thread-count": _WORKS,
    "--model-load-retry-count": Flag("without effect", "a failed load is not tried again"),
    "--model-namespacing": Flag("without effect", "of two models with one name the first counts"),
    "--enable-peer-access": _CPU,
    "--allow-http": _WORKS,
    "--http-address": _LOCAL,
    "--http-port": _WORKS,
    "--reuse-http-port": Flag("without effect", "the port of HTTP is not shared"),
    "--http-header-forward-pattern": _WORKS,
    "--http-thread-count": _THREADS,
    "--http-restricted-api": _RESTRICTED,
    "--allow-grpc": _WORKS,
    "--grpc-address": _LOCAL,
    "--grpc-port": _WORKS,
    "--reuse-grpc-port": _WORKS,
    "--grpc-header-forward-pattern": _WORKS,
    "--grpc-infer-allocation-pool-size": _SPEED,
    "--grpc-use-ssl": _WORKS,
    "--grpc-use-ssl-mutual": _WORKS,
    "--grpc-server-cert": _WORKS,
    "--grpc-server-key": _WORKS,
    "--grpc-root-cert": _WORKS,
    "--grpc-infer-response-compression-level": _WORKS,
    "--grpc-keepalive-time": _WORKS,
    "--grpc-keepalive-timeout": _WORKS,
    "--grpc-keepalive-permit-without-calls": _WORKS,
    "--grpc-http2-max-pings-without-data": _WORKS,
    "--grpc-http2-min-recv-ping-interval-without-data": _WORKS,
    "--grpc-http2-max-ping-strikes": _WORKS,
    "--grpc-max-connection-age": _WORKS,
    "--grpc-max-connection-age-grace": _WORKS,
    "--grpc-restricted-protocol": _RESTRICTED,
    "--allow-sagemaker": _CLOUD,
    "--sagemaker-port": _CLOUD,
    "--sagemaker-safe-port-range": _CLOUD,
    "--sagemaker-thread-count": _CLOUD,
    "--allow-vertex-ai": _CLOUD,
    "--vertex-ai-port": _CLOUD,
    "--vertex-ai-thread-count": _CLOUD,
    "--vertex-ai-default-model": _CLOUD,
    "--allow-metrics": _METRICS,
    "--allow-gpu-metrics": _METRICS,
    "--allow-cpu-metrics": _METRICS,
    "--metrics-address": _METRICS,
    "--metrics-port": _METRICS,
    "--metrics-interval-ms": _METRICS,
    "--metrics-config": _METRICS,
    "--trace-config": _SETTING,
    "--backend-directory": Flag("without effect", "the backends are in this package"),
    "--backend-config": Flag("without effect", "the backends have no options"),
    "--repoagent-directory": Flag("without effect", "there are no repository agents"),
    "--cache-config": Flag("works", "the cache local only"),
    "--cache-directory": Flag("without effect", "the cache is in this package"),
    "--rate-limit": Flag("without effect", "each instance executes as soon as it can"),
    "--rate-limit-resource": Flag("without effect", "each instance executes as soon as it can"),
    "--pinned-memory-pool-byte-size": _CPU,
    "--cuda-memory-pool-byte-size": _CPU,
    "--cuda-virtual-address-size": _CPU,
    "--min-supported-compute-capability": _CPU,
    "--buffer-manager-thread-count": _SPEED,
    "--host-policy": _SPEED,
    "--model-load-gpu-limit": _CPU,
    "--strict-model-config": Flag("without effect", "configurations are always completed"),
    "--response-cache-byte-size": _WORKS,
    "--trace-file": _SETTING,
    "--trace-level": _SETTING,
    "--trace-rate": _SETTING,
    "--trace-count": _SETTING,
    "--trace-log-frequency": _SETTING,
    "--http-max-input-size": Flag("works", later=True),
    "--grpc-infer-thread-count": _THREADS._replace(later=True),
    "--grpc-max-response-pool-size": _SPEED._replace(later=True),
}


def flags(use: Use) -> list[str]:
    """Return the flags of which this becomes, in alphabetical order."""
    return sorted(name for name, each in FLAGS.items() if each.use == use)


def table() -> str:
    """Return the table as Markdown."""
    rows = ["| Flag | This server | Note |", "|---|---|---|"]
    for name, each in FLAGS.items():
        note = "; ".join(filter(None, [each.note, "newer than Triton 2.51" * each.later]))
        rows.append(f"| `{name}` | {each.use} | {note} |")
    return "\n".join(rows)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags that do not work; other modules declare theirs."""
    listed = fill(", ".join(flags("without effect")), 76, break_on_hyphens=False)
    group = parser.add_argument_group(
        "flags of tritonserver that are taken and have no effect", listed
    )
    for flag in flags("without effect"):
        if FLAGS[flag].alone:
            group.add_argument(flag, action="append_const", const="", help=argparse.SUPPRESS)
        else:
            group.add_argument(flag, action="append", nargs="?", help=argparse.SUPPRESS)
    for flag in flags("refused"):
        group.add_argument(flag, action="append", help=argparse.SUPPRESS)


def ignored(arguments: argparse.Namespace) -> list[str]:
    """Return the flags that were given and have no effect."""
    return [flag for flag in flags("without effect") if _given(arguments, flag)]


def problem(arguments: argparse.Namespace) -> str | None:
    """Return the message about flags that cannot be ignored, or None."""
    found = [flag for flag in flags("refused") if _given(arguments, flag)]
    if not found:
        return None
    return (
        f"{' and '.join(found)}: this server cannot restrict its endpoints yet, so it does not "
        "start. Leave the flag out to serve without restrictions, or use tritonserver"
    )


def _given(arguments: argparse.Namespace, flag: str) -> bool:
    return vars(arguments)[flag.removeprefix("--").replace("-", "_")] is not None
