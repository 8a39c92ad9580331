"""Flags of tritonserver that `tritonclient serve` takes without effect, or refuses."""

from __future__ import annotations

import argparse
from textwrap import fill

#: Taken, so that scripts need no changes; a warning names those that were given.
_LISTED = (
    *("--id", "--log-info", "--log-warning", "--log-error", "--log-format", "--log-file"),
    *("--strict-model-config", "--disable-auto-complete-config", "--model-namespacing"),
    *("--model-load-thread-count", "--model-load-retry-count"),
    *("--model-load-gpu-limit", "--enable-peer-access", "--metrics-interval-ms"),
    *("--allow-metrics", "--allow-gpu-metrics", "--allow-cpu-metrics", "--metrics-address"),
    *("--metrics-port", "--metrics-config", "--metrics-publish-interval"),
    *("--http-thread-count", "--reuse-http-port", "--grpc-infer-allocation-pool-size"),
    *("--grpc-infer-thread-count", "--grpc-max-response-pool-size"),
    *("--backend-directory", "--backend-config", "--repoagent-directory", "--host-policy"),
    "--cache-directory",
    *("--rate-limit", "--rate-limit-resource", "--buffer-manager-thread-count"),
    *("--pinned-memory-pool-byte-size", "--cuda-memory-pool-byte-size"),
    *("--cuda-virtual-address-size", "--min-supported-compute-capability"),
    *("--allow-sagemaker", "--sagemaker-port", "--sagemaker-safe-port-range"),
    *("--sagemaker-thread-count", "--allow-vertex-ai", "--vertex-ai-port"),
    *("--vertex-ai-thread-count", "--vertex-ai-default-model"),
)
WITHOUT_EFFECT = tuple(sorted(_LISTED))
#: Refused: a server that ignored them would serve what they are to protect.
REFUSED = ("--http-restricted-api", "--grpc-restricted-protocol")
#: Flags that take no value.
_ALONE = ("--disable-auto-complete-config",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    listed = fill(", ".join(WITHOUT_EFFECT), 76, break_on_hyphens=False)
    ignored = parser.add_argument_group(
        "flags of tritonserver that are taken and have no effect", listed
    )
    for flag in WITHOUT_EFFECT:
        if flag in _ALONE:
            ignored.add_argument(flag, action="append_const", const="", help=argparse.SUPPRESS)
        else:
            ignored.add_argument(flag, action="append", nargs="?", help=argparse.SUPPRESS)
    for flag in REFUSED:
        ignored.add_argument(flag, action="append", help=argparse.SUPPRESS)


def ignored(arguments: argparse.Namespace) -> list[str]:
    """Return the flags that were given and have no effect."""
    return [flag for flag in WITHOUT_EFFECT if _given(arguments, flag)]


def problem(arguments: argparse.Namespace) -> str | None:
    """Return the message about flags that cannot be ignored, or None."""
    found = [flag for flag in REFUSED if _given(arguments, flag)]
    if not found:
        return None
    return (
        f"{' and '.join(found)}: this server cannot restrict its endpoints yet, so it does not "
        "start. Leave the flag out to serve without restrictions, or use tritonserver"
    )


def _given(arguments: argparse.Namespace, flag: str) -> bool:
    return vars(arguments)[flag.removeprefix("--").replace("-", "_")] is not None
