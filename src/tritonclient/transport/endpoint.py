"""Where a server is: URLs, and TLS settings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    import ssl

_SCHEMES = {
    # scheme: (protocol, secure, default port)
    "http": ("http", False, 8000),
    "https": ("http", True, 443),
    "grpc": ("grpc", False, 8001),
    "grpcs": ("grpc", True, 443),
    "unix": ("http", False, 0),
    "http+unix": ("http", False, 0),
    "grpc+unix": ("grpc", False, 0),
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server's address, taken apart.

    Attributes:
        protocol: "http" or "grpc".
        authority: what the Host header says.
        host: name or address; "" for a unix socket.
        socket_path: path of the unix socket, or "".
        base_path: prefix of every path, such as "/gateway", without a slash at its end.
    """

    url: str
    protocol: str
    secure: bool
    authority: str
    host: str
    port: int
    socket_path: str = ""
    base_path: str = ""


def parse_url(url: str) -> Endpoint:
    """The endpoint that a URL names.

    `http://host[:port][/base/path]`, `https://`, `grpc://`, `grpcs://`, and for unix sockets
    `unix:/path/of/socket` (HTTP) and `grpc+unix:/path/of/socket`. Without a port, http means 8000
    and grpc 8001, Triton's own; https and grpcs mean 443. IPv6 addresses stand in brackets.

    Raises:
        TypeError: the URL is not text.
        ValueError: the URL has no host, an unknown scheme, or parts that make no sense here.
    """
    if not isinstance(url, str):
        raise TypeError(f"url is {type(url).__name__}, expected str")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"url {url!r} is not valid: {error}") from None
    # urlsplit takes "localhost:8000" for a scheme and a path.
    if parts.scheme not in _SCHEMES or ("//" not in url and not parts.scheme.endswith("unix")):
        raise ValueError(
            f"url {url!r} does not begin with one of {', '.join(map(_beginning, _SCHEMES))}; "
            "for example http://localhost:8000"
        )
    if parts.query or parts.fragment:
        raise ValueError(f"url {url!r} has a query or fragment; expected at most a base path")
    if parts.username is not None or parts.password is not None:
        raise ValueError("url holds a user name or password; pass an authorization header instead")
    protocol, secure, default_port = _SCHEMES[parts.scheme]
    if parts.scheme.endswith("unix"):
        path = unquote(parts.path)
        if not path or parts.netloc:
            raise ValueError(f"url {url!r} has no socket path; expected {parts.scheme}:/a/path")
        return Endpoint(url, protocol, False, "localhost", "", 0, socket_path=path)
    if not parts.hostname:
        raise ValueError(f"url {url!r} has no host; for example {parts.scheme}://localhost")
    base_path = parts.path.rstrip("/")
    if protocol == "grpc" and base_path:
        raise ValueError(f"url {url!r} has a path, which gRPC does not")
    if port == 0:
        raise ValueError(f"url {url!r} has port 0, which is never a server's")
    host, port = parts.hostname, port or default_port
    authority = f"[{host}]" if ":" in host else host
    if port != (443 if secure else 80):
        authority += f":{port}"
    return Endpoint(url, protocol, secure, authority, host, port, base_path=base_path)


def _beginning(scheme: str) -> str:
    return f"{scheme}:" if scheme.endswith("unix") else f"{scheme}://"


@dataclass(frozen=True, slots=True)
class TLS:
    """How to secure a connection. By default the server's certificate and name are verified.

    Attributes:
        ca_file: PEM file of certificate authorities to trust instead of the system's.
        cert_file: PEM file of the client's own certificate (chain).
        key_file: PEM file of its private key; not needed when `cert_file` holds it.
        key_password: password of that key.
        server_name: name to expect in the server's certificate, when it is not the URL's host.
        verify: False trusts any server, which defeats the purpose except in tests.
        context: a ready `ssl.SSLContext`, used as it is in place of all files above.
    """

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    key_password: str | None = None
    server_name: str | None = None
    verify: bool = True
    context: ssl.SSLContext | None = None

    def make_context(self, alpn: str = "") -> ssl.SSLContext:
        """The `ssl.SSLContext` of these settings.

        Args:
            alpn: the protocol to agree on in the handshake, which gRPC insists on.

        Raises:
            OSError: a file can't be read; `ssl.SSLError` when it is not what it should be.
        """
        if self.context is not None:
            if alpn:
                self.context.set_alpn_protocols([alpn])
            return self.context
        if self.key_file is not None and self.cert_file is None:
            raise ValueError("TLS has a key_file but no cert_file")
        import ssl  # takes longer to import than a client without TLS

        @contextmanager
        def named(files: str) -> Iterator[None]:
            try:
                yield
            except ssl.SSLError as error:
                error.strerror = f"{files} of TLS is not right: {error.strerror}"
                raise

        for name in ("ca_file", "cert_file", "key_file"):
            path = getattr(self, name)
            # ssl's own error does not say which file is missing.
            if path is not None and not os.path.isfile(path):
                raise FileNotFoundError(f"{name} {path!r} of TLS is not a file")
        with named(f"ca_file {self.ca_file!r}"):
            context = ssl.create_default_context(cafile=self.ca_file)
        if alpn:
            context.set_alpn_protocols([alpn])
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.cert_file is not None:
            files = f"cert_file {self.cert_file!r}"
            if self.key_file is not None:
                files += f" with key_file {self.key_file!r}"
            with named(files):
                context.load_cert_chain(self.cert_file, self.key_file, self.key_password)
        return context
