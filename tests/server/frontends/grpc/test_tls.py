"""TLS of the gRPC frontend."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import grpc
import grpc.aio
import pytest
import trustme

from tests.server.conftest import MODELS
from tests.server.frontends.grpc.support import (
    asking,
    refused,
)
from tritonclient.server import GrpcOptions, Server


class Certificates(NamedTuple):
    """Files of a server and of a client, signed by an authority."""

    authority: Path
    certfile: Path
    keyfile: Path
    client: grpc.ChannelCredentials
    stranger: grpc.ChannelCredentials


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    authority, other = trustme.CA(), trustme.CA()
    files = Certificates(
        *(tmp_path / name for name in ("ca.pem", "cert.pem", "key.pem")), None, None
    )
    issued = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(files.authority)
    issued.private_key_pem.write_to_path(files.keyfile)
    issued.cert_chain_pems[0].write_to_path(files.certfile)

    def credentials(signer: trustme.CA) -> grpc.ChannelCredentials:
        own = signer.issue_cert("client@example.org")
        return grpc.ssl_channel_credentials(
            authority.cert_pem.bytes(),
            own.private_key_pem.bytes(),
            own.cert_chain_pems[0].bytes(),
        )

    return files._replace(client=credentials(authority), stranger=credentials(other))


def ready(server: Server, credentials: grpc.ChannelCredentials) -> bool:
    with grpc.secure_channel(server.grpc_address, credentials) as channel:
        return bool(asking(channel)("ServerReady").ready)


def test_tls(certificates: Certificates) -> None:
    """One certificate serves both protocols."""
    with Server(
        MODELS, host="localhost", certfile=certificates.certfile, keyfile=certificates.keyfile
    ) as server:
        assert server.grpc_url == f"grpcs://localhost:{server.grpc_port}"
        assert server.http_url == f"https://localhost:{server.http_port}"
        anonymous = grpc.ssl_channel_credentials(certificates.authority.read_bytes())
        assert ready(server, anonymous)
        with grpc.insecure_channel(server.grpc_address) as channel:
            with refused(grpc.StatusCode.UNAVAILABLE):
                asking(channel)("ServerReady")


def test_tls_on_both_sides(certificates: Certificates) -> None:
    options = GrpcOptions(
        certfile=certificates.certfile,
        keyfile=certificates.keyfile,
        client_ca_file=certificates.authority,
    )
    with Server(MODELS, host="localhost", grpc=options) as server:
        assert server.grpc_url.startswith("grpcs://")
        assert server.http_url.startswith("http://")
        assert ready(server, certificates.client)
        with refused(grpc.StatusCode.UNAVAILABLE):
            ready(server, certificates.stranger)
        with refused(grpc.StatusCode.UNAVAILABLE):
            ready(server, grpc.ssl_channel_credentials(certificates.authority.read_bytes()))


def test_tls_for_http_alone(certificates: Certificates) -> None:
    certificate = {"certfile": certificates.certfile, "keyfile": certificates.keyfile}
    with Server(MODELS, grpc=GrpcOptions(secure=False), **certificate) as server:
        assert server.grpc_url.startswith("grpc://")
        with grpc.insecure_channel(server.grpc_address) as channel:
            assert asking(channel)("ServerReady").ready


def test_certificates_that_are_none(certificates: Certificates, tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("no")
    good = {"certfile": certificates.certfile, "keyfile": certificates.keyfile}
    for wrong in (
        {"keyfile": tmp_path / "no.pem"},
        {"certfile": tmp_path / "missing.pem"},
        {"client_ca_file": tmp_path / "no.pem"},
    ):
        with pytest.raises(OSError):  # noqa: PT011  # whose kinds and words are OpenSSL's
            Server(MODELS, http_port=None, grpc=GrpcOptions(**{**good, **wrong})).start()
