"""Whole runs over TLS: HTTPS and gRPC, with certificates of the server and of the client."""

from __future__ import annotations

import pytest
import trustme

from tests.conftest import MODELS
from tests.perf import running
from tests.support.peers import http_proxies
from tritonclient.server import GrpcOptions, Server

SIMPLE = {"simple": MODELS / "simple"}
COUNT = ("-m", "simple", "--request-count", "20")
CHECKED = ("--ssl-https-verify-peer", "1", "--ssl-https-verify-host", "2")
_NGINX = """
    upstream embedded {{ server {upstream}; keepalive 4; }}
    server {{
        listen {proxy} ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {certificate};
        ssl_client_certificate {authority};
        ssl_verify_client on;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        location / {{ proxy_pass http://embedded; }}
    }}
"""


def issue(authority, folder, name):
    """Certificate and key of a name, in two files."""
    issued = authority.issue_cert(name)
    chain, key = folder / f"{name}.pem", folder / f"{name}.key"
    issued.private_key_pem.write_to_path(str(key))
    chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    return str(chain), str(key)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def server(authority, folder):
    """A server whose certificate is for 127.0.0.1."""
    certfile, keyfile = issue(authority, folder, "127.0.0.1")
    with Server(models=SIMPLE, certfile=certfile, keyfile=keyfile) as server:
        yield server


@pytest.fixture(scope="module")
def other_name(authority, folder):
    """A server whose certificate is for another name than its address."""
    certfile, keyfile = issue(authority, folder, "triton.example")
    with Server(models=SIMPLE, certfile=certfile, keyfile=keyfile) as server:
        yield server


@pytest.fixture(scope="module")
def client_certificate(authority, folder):
    return issue(authority, folder, "client.example")


def https(server, *options):
    return running.run(*COUNT, "-u", server.http_url, *options)


def grpcs(server, *options, count=COUNT):
    url = server.grpc_url.removeprefix("grpcs://")
    return running.run(*count, "-i", "grpc", "-u", url, "--ssl-grpc-use-ssl", *options)


def check_measured(report):
    assert report.code == 0, report.err
    assert report.number("Request count") == report.number("Successful request count") == 20


def check_refused(report, text):
    assert report.code == 99, report.out
    assert text in report.err


@pytest.mark.parametrize("more", [(), ("--concurrency-range", "4", "-a"), ("--streaming",)])
def test_grpc(server, ca_file, more):
    check_measured(grpcs(server, "--ssl-grpc-root-certifications-file", ca_file, *more))


@pytest.mark.parametrize("more", [(), ("--concurrency-range", "4", "-a")])
def test_https(server, ca_file, more):
    check_measured(https(server, *CHECKED, "--ssl-https-ca-certificates-file", ca_file, *more))


def test_https_without_verification(server):
    off = ("--ssl-https-verify-peer", "0", "--ssl-https-verify-host", "0")
    check_measured(https(server, *off))


def test_an_unknown_authority(server, folder):
    path = folder / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(path))
    failed = "certificate verify failed"
    check_refused(https(server, *CHECKED), failed)
    check_refused(https(server, "--ssl-https-ca-certificates-file", str(path)), failed)
    check_refused(grpcs(server), failed)
    check_refused(grpcs(server, "--ssl-grpc-root-certifications-file", str(path)), failed)


def test_another_name(other_name, ca_file):
    of = ("--ssl-https-ca-certificates-file", ca_file)
    check_refused(https(other_name, *CHECKED, *of), "IP address mismatch")
    check_measured(https(other_name, "--ssl-https-verify-host", "0", *of))
    check_refused(
        grpcs(other_name, "--ssl-grpc-root-certifications-file", ca_file), "IP address mismatch"
    )


def test_grpc_with_a_client_certificate(authority, folder, ca_file, client_certificate):
    certfile, keyfile = issue(authority, folder, "127.0.0.1")
    options = GrpcOptions(certfile=certfile, keyfile=keyfile, client_ca_file=ca_file)
    with Server(models=SIMPLE, http_port=None, grpc=options) as server:
        of = ("--ssl-grpc-root-certifications-file", ca_file)
        chain, key = client_certificate
        own = ("--ssl-grpc-certificate-chain-file", chain, "--ssl-grpc-private-key-file", key)
        check_measured(grpcs(server, *of, *own))
        assert grpcs(server, *of).code == 99


def test_https_with_a_client_certificate(
    embedded, authority, ca_file, client_certificate, tmp_path
):
    with http_proxies.listeners(["proxy"]) as sockets:
        addresses = http_proxies.addresses_of(sockets)
        contents = _NGINX.format(
            upstream=embedded.http_url.removeprefix("http://"),
            certificate=http_proxies.certificate(tmp_path, authority),
            authority=ca_file,
            **addresses,
        )
        command, environment = http_proxies.nginx_command(
            http_proxies.find("nginx"), tmp_path, contents, sockets.values()
        )
        with http_proxies.running(command, tmp_path, sockets, environment, lambda: None):
            given = (*COUNT, *CHECKED, "-u", f"https://{addresses['proxy']}")
            of = ("--ssl-https-ca-certificates-file", ca_file)
            chain, key = client_certificate
            own = (
                *("--ssl-https-client-certificate-file", chain),
                *("--ssl-https-client-certificate-type", "PEM"),
                *("--ssl-https-private-key-file", key, "--ssl-https-private-key-type", "PEM"),
            )
            check_measured(running.run(*given, *of, *own))
            check_refused(running.run(*given, *of), "No required SSL certificate was sent")
