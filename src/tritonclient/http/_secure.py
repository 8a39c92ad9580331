"""TLS from the arguments of the blocking classic client."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..transport.endpoint import TLS

if TYPE_CHECKING:
    import ssl

#: How errors of files name what they were given in.
_OWNER = " of ssl_options"
_OPTIONS = (
    *("ca_certs", "certfile", "keyfile", "server_hostname"),
    *("ciphers", "options", "verify_flags", "cert_reqs"),
)


def make_tls(
    ssl_options: Mapping[str, Any] | None,
    ssl_context_factory: Callable[..., ssl.SSLContext] | None,
    insecure: bool,
) -> TLS:
    """Return the TLS settings for these arguments; see `InferenceServerClient`.

    Raises:
        OSError: a file can't be read; `ssl.SSLError` if it is invalid.
    """
    import ssl  # takes longer to import than a client without TLS

    from ..pem_files import check_files, load_chain

    options = ssl_options or {}
    if options.get("keyfile") is not None and options.get("certfile") is None:
        raise ValueError("ssl_options has a keyfile but no certfile")
    for name in options:
        if name not in _OPTIONS:
            warnings.warn(
                f"{name!r} in ssl_options has no effect; known are {', '.join(_OPTIONS)}",
                stacklevel=3,
            )
    files = {name: options.get(name) for name in ("ca_certs", "certfile", "keyfile")}
    check_files(files, _OWNER)
    context = _make_context(ssl_context_factory or ssl.create_default_context, options)
    context.check_hostname = not insecure
    if not insecure:
        # Whatever the factory says: without this nothing would be verified.
        context.verify_mode = ssl.CERT_REQUIRED
    if options.get("cert_reqs") == ssl.CERT_NONE:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if options.get("certfile") is not None:
        named = " with ".join(
            f"{name} {str(options[name])!r}"
            for name in ("certfile", "keyfile")
            if options.get(name) is not None
        )
        load_chain(context, named + _OWNER, options["certfile"], options.get("keyfile"))
    if "ciphers" in options:
        context.set_ciphers(options["ciphers"])
    for name in ("options", "verify_flags"):
        if name in options:
            setattr(context, name, options[name])
    return TLS(context=context, server_name=options.get("server_hostname"))


def _make_context(
    factory: Callable[..., ssl.SSLContext], options: Mapping[str, Any]
) -> ssl.SSLContext:
    from ..pem_files import naming

    authorities = options.get("ca_certs")
    with naming(f"ca_certs {str(authorities)!r}{_OWNER}", authorities):
        try:
            return factory(cafile=authorities)
        except TypeError:  # a factory without arguments
            context = factory()
            if authorities is not None:
                context.load_verify_locations(cafile=authorities)
            elif not context.cert_store_stats()["x509_ca"]:
                context.load_default_certs()
            return context
