"""TLS by the arguments of the classic HTTP clients."""

from __future__ import annotations

import ssl

import numpy as np
import pytest
import trustme

from tests.classic.runtimes import AsyncRunner, Blocking, bare, both_runtimes, pair
from tests.data import recordings
from tests.support.peers.hostile_peers import Server, answer_all
from tests.transport.test_tls import authority, ca_file, server_context  # noqa: F401
from tritonclient.http import InferenceServerClient, InferenceServerException

REAL = next(e.response for e in recordings.load("infer") if e.name == "binary to binary")
A = np.arange(16, dtype=np.int32).reshape(1, 16)


@pytest.fixture
def server(authority):  # noqa: F811
    with Server([answer_all(REAL)], tls=server_context(authority)) as server:
        yield server


@pytest.fixture
def misnamed(authority):  # noqa: F811
    with Server([answer_all(REAL)], tls=server_context(authority, "elsewhere.test")) as server:
        yield server


@pytest.fixture
def own(authority, tmp_path):  # noqa: F811
    """Files of a client's own certificate and key."""
    issued = authority.issue_cert("client.test")
    issued.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    return {"certfile": str(tmp_path / "cert.pem"), "keyfile": str(tmp_path / "key.pem")}


def ask(client):
    result = client.infer("simple", pair(A, A))
    np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), A + 1)


def refused(client):
    with pytest.raises(InferenceServerException, match="TLS handshake") as caught:
        client.is_server_live()
    assert isinstance(caught.value, ConnectionError)


def test_authorities(server, ca_file):  # noqa: F811
    with Blocking(server.url, ssl=True, ssl_options={"ca_certs": ca_file}) as client:
        ask(client)


@both_runtimes
def test_servers_are_verified(server, runtime):
    with runtime(server.url, ssl=True) as client:
        refused(client)


@both_runtimes
def test_without_ssl_its_arguments_mean_nothing(runtime, server):
    # What speaks TLS answers nothing that a client without it would understand.
    options = {"ssl_options": {"ca_certs": "nowhere"}} if runtime is Blocking else {}
    if options:
        with pytest.warns(UserWarning, match="ssl_options has no effect .* is not encrypted"):
            client = runtime(server.url, **options)
    else:
        client = runtime(server.url)
    with client:
        with pytest.raises(InferenceServerException):
            client.is_server_live()


def test_names_are_verified_unless_told_otherwise(misnamed, ca_file):  # noqa: F811
    options = {"ca_certs": ca_file}
    with Blocking(misnamed.url, ssl=True, ssl_options=options) as client:
        refused(client)
    with Blocking(misnamed.url, ssl=True, ssl_options=options, insecure=True) as client:
        ask(client)
    options["server_hostname"] = "elsewhere.test"
    with Blocking(misnamed.url, ssl=True, ssl_options=options) as client:
        ask(client)


def test_insecure_still_verifies_the_certificate(misnamed):
    with Blocking(misnamed.url, ssl=True, insecure=True) as client:
        refused(client)
    options = {"cert_reqs": ssl.CERT_NONE}
    with Blocking(misnamed.url, ssl=True, ssl_options=options) as client:
        ask(client)


def test_the_clients_own_certificate(authority, ca_file, own):  # noqa: F811
    context = server_context(authority)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    with Server([answer_all(REAL)], tls=context) as server:
        options = {"ca_certs": ca_file, **own}
        with Blocking(server.url, ssl=True, ssl_options=options) as client:
            ask(client)
        with Blocking(server.url, ssl=True, ssl_options={"ca_certs": ca_file}) as client:
            with pytest.raises(InferenceServerException):
                client.is_server_live()


def test_a_context_factory(server, ca_file):  # noqa: F811
    made = []

    def factory(**arguments):
        made.append(arguments)
        return ssl.create_default_context(**arguments)

    def plain():
        made.append(None)
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    for each in (factory, plain):
        options = {"ca_certs": ca_file}
        with Blocking(
            server.url, ssl=True, ssl_options=options, ssl_context_factory=each
        ) as client:
            ask(client)
    assert made == [{"cafile": ca_file}, None]


def test_a_factory_can_not_switch_verification_off(server):
    def trusting():
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context

    with Blocking(server.url, ssl=True, ssl_context_factory=trusting) as client:
        refused(client)


def test_a_factory_without_authorities_gets_the_systems(server):
    def bare_context():
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    with Blocking(server.url, ssl=True, ssl_context_factory=bare_context) as client:
        assert client.client._transport._pool._context.cert_store_stats()["x509_ca"] > 0
        refused(client)


def test_other_options(server, ca_file):  # noqa: F811
    options = {
        "ca_certs": ca_file,
        "ciphers": "ECDHE+AESGCM",
        "options": ssl.OP_NO_TICKET,
        "verify_flags": ssl.VERIFY_DEFAULT,
    }
    with Blocking(server.url, ssl=True, ssl_options=options) as client:
        context = client.client._transport._pool._context
        assert ssl.OP_NO_TICKET in context.options
        assert context.verify_flags == ssl.VERIFY_DEFAULT
        ask(client)


def test_contexts_on_asyncio(server, misnamed, authority):  # noqa: F811
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with AsyncRunner(server.url, ssl=True, ssl_context=context) as client:
        ask(client)
    with AsyncRunner(misnamed.url, ssl=True, ssl_context=context) as client:
        refused(client)
    with AsyncRunner(misnamed.url, ssl=True, ssl_context=False) as client:
        ask(client)


def test_a_key_that_does_not_fit(own):
    other = trustme.CA().issue_cert("other.test")
    with open(own["keyfile"], "wb") as file:
        file.write(other.private_key_pem.bytes())
    with pytest.raises(ssl.SSLError):
        InferenceServerClient(bare("x://localhost"), ssl=True, ssl_options=own)
