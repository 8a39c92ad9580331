"""Where a service is and how connections to it are secured, as the options say."""

from __future__ import annotations

import ssl

from ... import TLS
from ..exits import UsageError
from ..options.settings import Settings

_PORTS = {"triton": (8000, 8001), "tfserving": (8501, 8500), "torchserve": (8080, 7070)}


def url_of(settings: Settings) -> str:
    """The URL of -u, with its scheme and port.

    Raises:
        UsageError: it is none.
    """
    given = settings.url
    secure = settings.grpc and settings.ssl_grpc_use_ssl
    for scheme in ("https://", "grpcs://"):
        if given.startswith(scheme):
            secure, given = True, given[len(scheme) :]
    for scheme in ("http://", "grpc://"):
        given = given.removeprefix(scheme)
    if "://" in given:
        raise UsageError(f"-u is {settings.url!r}, expected HOST:PORT or https://HOST:PORT")
    http, grpc = _PORTS.get(settings.service_kind, _PORTS["triton"])
    if not given:
        given = "localhost"
    host, slash, path = given.partition("/")
    bare = host.rpartition("]")[2] if host.startswith("[") else host
    if ":" not in bare:
        host = f"{host}:{grpc if settings.grpc else http}"
    scheme = ("grpc" if settings.grpc else "http") + ("s" if secure else "")
    return f"{scheme}://{host}{slash}{path}".rstrip("/")


def tls_of(settings: Settings) -> TLS:
    """The TLS settings that the options make."""
    if settings.grpc:
        return TLS(
            ca_file=settings.ssl_grpc_root_certifications_file or None,
            cert_file=settings.ssl_grpc_certificate_chain_file or None,
            key_file=settings.ssl_grpc_private_key_file or None,
        )
    tls = TLS(
        ca_file=settings.ssl_https_ca_certificates_file or None,
        cert_file=settings.ssl_https_client_certificate_file or None,
        key_file=settings.ssl_https_private_key_file or None,
        verify=bool(settings.ssl_https_verify_peer),
    )
    if settings.ssl_https_verify_peer and not settings.ssl_https_verify_host:
        try:
            context = tls.make_context("http/1.1")
        except (OSError, ValueError) as error:
            raise UsageError(f"the TLS options make no connection: {error}") from None
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        return TLS(context=context)
    return tls
