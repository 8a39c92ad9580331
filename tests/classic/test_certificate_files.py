"""Certificate files that the classic clients can't use: errors name the argument and the file."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

import tritonclient.grpc
import tritonclient.http
from tests.support.certificates import encrypted
from tritonclient import TLS

#: The arguments of each client for authorities, a certificate and its key.
HTTP = ("ca_certs", "certfile", "keyfile")
GRPC = ("root_certificates", "certificate_chain", "private_key")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    for name in ("own", "other"):
        issued = authority.issue_cert("localhost")
        issued.private_key_pem.write_to_path(folder / f"{name}-key.pem")
        issued.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")
    locked = encrypted((folder / "own-key.pem").read_bytes(), b"secret")
    (folder / "locked-key.pem").write_bytes(locked)
    (folder / "text.pem").write_text("no certificate")
    return folder


def make(names: tuple[str, str, str], given: dict[str, Any]) -> None:
    """Make the client that has arguments of these names."""
    if names is HTTP:
        tritonclient.http.InferenceServerClient("localhost:1", ssl=True, ssl_options=given)
    else:
        tritonclient.grpc.InferenceServerClient("localhost:1", ssl=True, **given)


WRONG = [
    (["no.pem", None, None], FileNotFoundError, "{0} '.*no.pem'{owner} is not a file"),
    ([".", None, None], FileNotFoundError, "{0} '.*'{owner} is not a file"),
    (["ca.pem", "no.pem", None], FileNotFoundError, "{1} '.*no.pem'{owner} is not a file"),
    (["ca.pem", "own.pem", "no.pem"], FileNotFoundError, "{2} '.*no.pem'{owner} is not a file"),
    (["text.pem", None, None], ssl.SSLError, "{0} '.*text.pem'{owner} is not right: .*BEGIN"),
    (
        [None, "own.pem", "other-key.pem"],
        ssl.SSLError,
        "{1} '.*own.pem' with {2} '.*other-key.pem'{owner} is not right: .*not the one of this",
    ),
    (
        [None, "own.pem", "locked-key.pem"],  # nothing waits for a password at the terminal
        ssl.SSLError,
        "{1} '.*own.pem' with {2} '.*locked-key.pem'{owner} is not right: .*key is encrypted",
    ),
]


@pytest.mark.parametrize("path", [str, Path])
@pytest.mark.parametrize("names", [HTTP, GRPC], ids=["http", "grpc"])
@pytest.mark.parametrize(("files", "error", "words"), WRONG)
def test_the_error_names_argument_and_file(folder, names, files, error, words, path):
    given = {
        name: path(folder / file)
        for name, file in zip(names, files, strict=True)
        if file is not None
    }
    words = words.format(*names, owner=" of ssl_options" if names is HTTP else "")
    with pytest.raises(error, match=words) as caught:
        make(names, given)
    assert "PosixPath" not in str(caught.value)


def test_paths_of_the_modern_clients_are_spoken_as_texts(folder):
    with pytest.raises(ssl.SSLError, match=r"ca_file '.*text.pem' of TLS is not right"):
        TLS(ca_file=folder / "text.pem").make_context()
    with pytest.raises(ssl.SSLError, match=r"cert_file '.*' with key_file '.*' of TLS is"):
        TLS(cert_file=folder / "own.pem", key_file=folder / "other-key.pem").make_context()


@pytest.mark.parametrize("position", range(3))
def test_what_is_in_a_file_in_place_of_its_path(folder, position):
    given = dict(zip(GRPC, [None, str(folder / "own.pem"), None], strict=True))
    given[GRPC[position]] = (folder / "ca.pem").read_bytes()
    with pytest.raises(TypeError, match=f"{GRPC[position]} is bytes, expected the path of a PEM"):
        make(GRPC, given)
