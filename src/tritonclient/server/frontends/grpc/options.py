"""What can be chosen of the gRPC front; without grpcio, which is imported when it is served."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

Path: TypeAlias = "str | os.PathLike[str]"

#: Levels of compression, numbered as in grpcio.
COMPRESSION_LEVELS = ("none", "low", "medium", "high")


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcOptions:
    """How gRPC is served.

    Attributes:
        host: address to listen at; None for that of HTTP.
        secure: whether to serve over TLS; None for when there is a certificate.
        certfile: certificate (PEM) and those that signed it; None for that of HTTP.
        keyfile: the certificate's key (PEM); None for that of HTTP.
        client_ca_file: certificates (PEM) of which one must have signed a client's; None when
            clients need none.
        compression_level: of answers: "none", "low", "medium" or "high".
        reuse_port: let other servers listen at the same port, which share its connections.
        channel_arguments: further arguments of gRPC's core by name, such as
            {"grpc.keepalive_time_ms": 60_000}.
    """

    host: str | None = None
    secure: bool | None = None
    certfile: Path | None = None
    keyfile: Path | None = None
    client_ca_file: Path | None = None
    compression_level: str = "none"
    reuse_port: bool = False
    channel_arguments: Mapping[str, int | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.compression_level not in COMPRESSION_LEVELS:
            raise ValueError(
                f"compression_level is {self.compression_level!r}, expected one of "
                f"{', '.join(COMPRESSION_LEVELS)}"
            )
        if (self.certfile is None) != (self.keyfile is None):
            raise ValueError("certfile and keyfile belong together")

    def completed(self, host: str, certfile: Path | None, keyfile: Path | None) -> GrpcOptions:
        """With what HTTP has, where nothing was chosen; without certificates for no TLS.

        Raises:
            ValueError: TLS was asked for, and there is no certificate.
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
