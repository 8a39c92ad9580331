"""`GrpcOptions`: options of the gRPC frontend. Imports none of what the frontend needs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from ..forwarding import HeaderForwarding
from .settings import settings_from

Path: TypeAlias = "str | os.PathLike[str]"

#: Compression levels of the gRPC core.
COMPRESSION_LEVELS = ("none", "low", "medium", "high")


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcOptions:
    """Options of the gRPC frontend.

    Attributes:
        host: address to listen on; None for the address of HTTP.
        secure: True to serve over TLS; None to do so if there is a certificate.
        certfile: certificate chain (PEM); None for the certificate of HTTP.
        keyfile: key of the certificate (PEM); None for the key of HTTP.
        client_ca_file: CA certificates (PEM) that client certificates must be signed by; None if
            clients need no certificate.
        compression_level: compression of responses: "none", "low", "medium" or "high".
        reuse_port: True to let other servers listen on the same port and share its connections.
        forwarded_headers: a regular expression; calls of inference have each header (metadata) in
            whose name it is found as a parameter. "" to forward none.
        channel_arguments: further settings by the names of the gRPC core, such as
            {"grpc.keepalive_time_ms": 60_000}; docs/serving.md lists them.
    """

    host: str | None = None
    secure: bool | None = None
    certfile: Path | None = None
    keyfile: Path | None = None
    client_ca_file: Path | None = None
    compression_level: str = "none"
    reuse_port: bool = False
    forwarded_headers: str = ""
    channel_arguments: Mapping[str, int | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.compression_level not in COMPRESSION_LEVELS:
            raise ValueError(
                f"compression_level is {self.compression_level!r}, expected one of "
                f"{', '.join(COMPRESSION_LEVELS)}"
            )
        HeaderForwarding(self.forwarded_headers)
        settings_from(self.channel_arguments)
        if (self.certfile is None) != (self.keyfile is None):
            raise ValueError("certfile and keyfile belong together")

    def completed(self, host: str, certfile: Path | None, keyfile: Path | None) -> GrpcOptions:
        """Return options where None is replaced by the values of HTTP; no certificate means no TLS.

        Raises:
            ValueError: TLS is requested without a certificate.
        """
        if self.certfile is not None:
            certfile, keyfile = self.certfile, self.keyfile
        if self.secure is False:
            certfile = keyfile = None
        elif certfile is None and (self.secure or self.client_ca_file is not None):
            raise ValueError("gRPC over TLS needs certfile and keyfile")
        if self.host is not None:
            host = self.host
        return replace(self, host=host, certfile=certfile, keyfile=keyfile)
