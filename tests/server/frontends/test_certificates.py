"""Certificates of a server that cannot be read: the error names the file."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.server.conftest import MODELS
from tests.support.certificates import encrypted
from tritonclient.server import GrpcOptions, Server


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("certificates")
    names = ("cert", "key", "other", "text", "missing", "encrypted")
    paths = {name: folder / f"{name}.pem" for name in names}
    authority = trustme.CA()
    for key, cert in (("key", "cert"), ("other", None)):
        issued = authority.issue_cert("localhost")
        issued.private_key_pem.write_to_path(paths[key])
        if cert:
            issued.cert_chain_pems[0].write_to_path(paths[cert])
    paths["text"].write_text("no certificate")
    paths["encrypted"].write_bytes(encrypted(paths["key"].read_bytes(), b"secret"))
    return paths


WRONG: list[tuple[dict[str, str], type[OSError], str]] = [
    ({"certfile": "missing", "keyfile": "key"}, FileNotFoundError, "certfile '.*' is not a file"),
    ({"certfile": "cert", "keyfile": "missing"}, FileNotFoundError, "keyfile '.*' is not a file"),
    (
        {"certfile": "text", "keyfile": "key"},
        ssl.SSLError,
        r"text\.pem' with keyfile '.*is not right: .*begin with -----BEGIN CERTIFICATE-----",
    ),
    (
        {"certfile": "cert", "keyfile": "other"},
        ssl.SSLError,
        r"other\.pem' is not right: .*MISMATCH.*the key is not the one of this certificate",
    ),
    (
        {"certfile": "cert", "keyfile": "text"},
        ssl.SSLError,
        r"text\.pem' is not right: .*a PEM key, which begins with -----BEGIN PRIVATE KEY-----",
    ),
    (
        {"certfile": "cert", "keyfile": "encrypted"},
        ssl.SSLError,
        r"encrypted\.pem' is not right: .*the key is encrypted, and its password is missing",
    ),
]


@pytest.mark.parametrize("of_grpc", [False, True])
@pytest.mark.parametrize(("given", "error", "words"), WRONG)
def test_the_file_is_named(
    files: dict[str, Path], given: dict[str, str], error: type[OSError], words: str, of_grpc: bool
) -> None:
    paths: dict[str, Any] = {name: files[file] for name, file in given.items()}
    options = {"grpc": GrpcOptions(**paths)} if of_grpc else paths
    with pytest.raises(error, match=words):
        Server(MODELS, model_control_mode="explicit", **options).start()


def test_authorities_of_clients(files: dict[str, Path]) -> None:
    grpc = GrpcOptions(certfile=files["cert"], keyfile=files["key"], client_ca_file=files["text"])
    with pytest.raises(ssl.SSLError, match=r"client_ca_file '.*text\.pem' is not right"):
        Server(MODELS, model_control_mode="explicit", grpc=grpc).start()
