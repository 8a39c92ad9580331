"""Addresses of servers: URLs, and TLS settings."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from socket import AF_INET6, inet_pton
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import quote, unquote

from ..operations import names_arguments

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


#: What no part of a URL may hold: line breaks and other control characters, halves of characters.
#: A scheme that other characters than "://" follow.
_SLIP = re.compile(r"(https?|grpcs?)[:/\\]+(?=[^:/\\]|$)", re.IGNORECASE)
_UNSENDABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")
_SCHEME = re.compile(r"[A-Za-z+]+://")
_QUERY = re.compile("([?#]).*", re.DOTALL)
_NETLOC = re.compile(r"(?:\[([^\[\]]+)\]|([^:\[\]]*))(?::([0-9]*))?")
_HOST = re.compile(r"[A-Za-z0-9_.~-]+\Z")
#: What stands in paths as it is (RFC 3986, section 3.3), besides what `quote` knows.
_PATH_CHARACTERS = "/%:@!$&'()*+,;="
_LONGEST_SOCKET_PATH = 107 if sys.platform == "linux" else 103


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server's address, taken apart.

    Attributes:
        protocol: "http" or "grpc".
        authority: what the Host header says.
        host: name or address, in ASCII and with the zone of IPv6; "" for a unix socket.
        socket_path: path of the unix socket, or "".
        base_path: prefix of every path, such as "/gateway", percent-encoded, without a slash at its
            end.
    """

    url: str
    protocol: str
    secure: bool
    authority: str
    host: str
    port: int
    socket_path: str = ""
    base_path: str = ""

    @property
    def server_name(self) -> str:
        """The name that TLS expects in the server's certificate; no zone and no dot at its end."""
        return self.host.partition("%")[0].removesuffix(".")


def parse_url(url: str, default_port: int = 0) -> Endpoint:
    """Return the endpoint that a URL names.

    `http://host[:port][/base/path]`, `https://`, `grpc://`, `grpcs://`, and for unix sockets
    `unix:/path/of/socket` (HTTP) and `grpc+unix:/path/of/socket`. Without a port, http means 8000
    and grpc 8001, Triton's own; https and grpcs mean 443. IPv6 addresses stand in brackets, with
    a zone as in `[fe80::1%25eth0]` (RFC 6874). Host names outside of ASCII become IDNA names.
    In base paths, what can't stand in a URL is percent-encoded.

    Args:
        default_port: the port of URLs without one, in place of those above.

    Raises:
        TypeError: the URL is not text.
        ValueError: the URL has no host, an unknown scheme, or parts that make no sense here.
    """
    if not isinstance(url, str):
        raise TypeError(
            f"url is {type(url).__name__}, expected str, such as 'http://localhost:8000'"
        )
    shown = repr(without_secrets(url))
    if _UNSENDABLE.search(url) or url != url.strip():
        raise ValueError(
            f"url {shown} holds a line break, a control character or a blank at an end; "
            "remove it, with url.strip() where it came from a file"
        )
    scheme, _, rest = url.partition(":")
    scheme = scheme.lower()
    unix = scheme.endswith("unix")
    if scheme not in _SCHEMES or not (unix or rest.startswith("//")):
        raise ValueError(
            f"url {shown} does not begin with one of {', '.join(map(_beginning, _SCHEMES))}; "
            f"for example {_with_scheme(url)}"
        )
    if "?" in rest or "#" in rest:
        raise ValueError(f"url {shown} has a query or fragment; expected at most a base path")
    netloc, slash, path = rest[2:].partition("/") if rest.startswith("//") else ("", "", rest)
    path = slash + path
    if "@" in netloc:
        raise ValueError("url holds a user name or password; pass an authorization header instead")
    if _BAD_ESCAPE.search(path):
        raise ValueError(f"url {shown} has a % without two hexadecimal digits; write it as %25")
    protocol, secure, usual_port = _SCHEMES[scheme]
    if unix:
        socket_path = _socket_path(path, shown)
        if not socket_path or netloc:
            raise ValueError(f"url {shown} has no socket path; expected {scheme}:/a/path")
        return Endpoint(url, protocol, False, "localhost", "", 0, socket_path=socket_path)
    host, named_port = _host_and_port(netloc, shown, scheme)
    base_path = quote(path.rstrip("/"), safe=_PATH_CHARACTERS)
    if protocol == "grpc" and base_path:
        raise ValueError(
            f"url {shown} has a path, which gRPC does not; use {f'{scheme}://{netloc}'!r}"
        )
    port = named_port or default_port or usual_port
    authority = _in_brackets(host.partition("%")[0])
    if port != (443 if secure else 80):
        authority += f":{port}"
    return Endpoint(url, protocol, secure, authority, host, port, base_path=base_path)


def _with_scheme(url: str) -> str:
    """Return a URL that was meant: with the slashes of its scheme, or with a scheme."""
    slip = _SLIP.match(url)
    if slip:
        return f"{slip[1].lower()}://{url[slip.end() :] or 'localhost:8000'}"
    if not re.fullmatch(r"([\w.-]+|\[[\da-fA-F:.]+\])(:[0-9]{1,5})?", url):
        url = "localhost:8000"
    return f"{'grpc' if url.endswith(':8001') else 'http'}://{url}"


def without_secrets(url: str) -> str:
    """Return a URL as texts may show it: without a user name, a password or a query."""
    head, at, tail = url.rpartition("@")
    if at:
        scheme = _SCHEME.match(head)
        url = f"{scheme[0] if scheme else ''}...@{tail}"
    return _QUERY.sub(r"\1...", url)


def _host_and_port(netloc: str, shown: str, scheme: str) -> tuple[str, int]:
    """Return host and port of a URL's authority; port 0 for none."""
    match = _NETLOC.fullmatch(netloc)
    if match is None:
        raise ValueError(
            f"url {shown} is not valid: expected a host, or an IPv6 address in brackets, "
            f"and at most a colon and a port number behind it; for example {scheme}://localhost:8000"
        )
    bracketed, name, digits = match.groups()
    if not (bracketed or name):
        raise ValueError(f"url {shown} has no host; for example {scheme}://localhost")
    port = int(digits[:9]) if digits else 0
    if digits and not port:
        raise ValueError(f"url {shown} has port 0, which is never a server's")
    if port > 65535:
        raise ValueError(
            f"url {shown} is not valid: ports end at 65535; Triton's are 8000 for HTTP and 8001 "
            "for gRPC"
        )
    host = _ipv6(bracketed) if bracketed else _name(name)
    if not host:
        what = "IPv6 address" if bracketed else "host name"
        raise ValueError(f"url {shown} is not valid: it has no proper {what}")
    return host, port


def _ipv6(text: str) -> str:
    """Return an address of IPv6 with its zone as systems write it; "" if it is none."""
    address, percent, zone = text.partition("%")
    if percent:
        zone = unquote(zone[2:]) if zone.startswith("25") else zone
        if not _HOST.match(zone):
            return ""
    try:
        inet_pton(AF_INET6, address)
    except OSError:
        return ""
    return address.lower() + percent + zone


def _name(name: str) -> str:
    """Return a host's name in ASCII and lower case; "" if it is none."""
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")
        except UnicodeError:
            return ""
    return name.lower() if _HOST.match(name) else ""


def _socket_path(path: str, shown: str) -> str:
    found = unquote(path, errors="surrogateescape")
    # A zero byte at the beginning is that of Linux's abstract names.
    if "\0" in found[1:] or len(os.fsencode(found)) > _LONGEST_SOCKET_PATH:
        raise ValueError(
            f"url {shown} is not valid: a socket path has up to {_LONGEST_SOCKET_PATH} bytes, "
            "and no zero byte"
        )
    return found


def _in_brackets(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _beginning(scheme: str) -> str:
    return f"{scheme}:" if scheme.endswith("unix") else f"{scheme}://"


@names_arguments
@dataclass(frozen=True, slots=True)
class TLS:
    """Settings of TLS. By default the server's certificate and name are verified.

    Files are read once, when a client is made. Make a new client to use renewed certificates.

    Attributes:
        ca_file: PEM file of certificate authorities to trust instead of the system's.
        cert_file: PEM file of the client's own certificate (chain).
        key_file: PEM file of its private key; not needed when `cert_file` holds it.
        key_password: password of that key.
        server_name: name to expect in the server's certificate, when it is not the URL's host.
        verify: False trusts any server, whatever `ca_file` says. Use it in tests only.
        context: a ready `ssl.SSLContext` in place of all files above. It is never changed, so that
            other clients may share it. For gRPC it must announce HTTP/2, for HTTP it must not:
            `context.set_alpn_protocols(["h2"])`.

    Raises:
        ValueError: the settings contradict each other.
    """

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    key_password: str | None = field(default=None, repr=False)
    server_name: str | None = None
    verify: bool = True
    context: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.verify, bool):
            raise TypeError(
                f"verify of TLS is {self.verify!r:.60}, expected True or False; ca_file is the "
                "file of authorities to trust"
            )
        for name in ("ca_file", "cert_file", "key_file", "server_name"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, (str, PathLike)):
                raise TypeError(f"{name} of TLS is {type(value).__name__}, expected str")
        if self.context is not None:
            files = ("ca_file", "cert_file", "key_file", "key_password")
            others = [name for name in files if getattr(self, name) is not None]
            others += [] if self.verify else ["verify"]
            if others:
                raise ValueError(
                    f"TLS has a context and {', '.join(others)}, which the context says already; "
                    "leave one of them out"
                )
        for name in ("key_file", "key_password"):
            if getattr(self, name) is not None and self.cert_file is None:
                raise ValueError(f"TLS has a {name} but no cert_file")

    def make_context(
        self, alpn: str = "", host: str = "", arguments: Mapping[str, str] | None = None
    ) -> ssl.SSLContext:
        """Return the `ssl.SSLContext` of these settings.

        Args:
            alpn: the protocol to agree on in the handshake: "h2" for gRPC, "http/1.1" for HTTP.
            host: the server's name.
            arguments: how errors name the files, by attribute, if they were given by other names.

        Raises:
            OSError: a file can't be read; `ssl.SSLError` when it is not what it should be.
            ValueError: `context` agrees on another protocol.
        """
        if self.context is not None:
            if alpn:
                from .alpn import check_announced

                check_announced(self.context, alpn, self.server_name or host or "localhost")
            return self.context
        import ssl  # takes longer to import than a client without TLS

        from .. import pem_files

        owner = " of TLS" if arguments is None else ""
        called = arguments or {}
        ca, cert, key = (called.get(name, name) for name in ("ca_file", "cert_file", "key_file"))
        given = {ca: self.ca_file, cert: self.cert_file, key: self.key_file}
        pem_files.check_files(given, owner)
        with pem_files.naming(f"{ca} {str(self.ca_file)!r}{owner}", self.ca_file):
            context = ssl.create_default_context(cafile=self.ca_file)
        if alpn:
            context.set_alpn_protocols([alpn])
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.cert_file is not None:
            files = f"{cert} {str(self.cert_file)!r}"
            if self.key_file is not None:
                files += f" with {key} {str(self.key_file)!r}"
            pem_files.load_chain(
                context, f"{files}{owner}", self.cert_file, self.key_file, self.key_password
            )
        return context


#: How to secure a client's connections: True and a context stand for `TLS()` with it.
Security: TypeAlias = "TLS | ssl.SSLContext | bool | None"


def security(tls: Security, endpoint: Endpoint) -> TLS:
    """Return the TLS settings that a client's argument `tls` stands for.

    Raises:
        TypeError: it is something else.
        ValueError: the URL does not ask for TLS and the argument does, or the other way round.
    """
    if tls is None:
        return TLS()
    if tls is False:
        if endpoint.secure:
            raise ValueError(
                f"tls is False, but url {endpoint.url!r} asks for TLS; use "
                f"{endpoint.protocol}://, or tls=TLS(verify=False) to trust any server"
            )
        return TLS()
    if not endpoint.secure:
        if endpoint.socket_path:
            raise ValueError(
                f"tls is given, but url {endpoint.url!r} is a unix socket, which has no TLS; "
                "leave tls out"
            )
        where = f"{_in_brackets(endpoint.host)}:{endpoint.port}{endpoint.base_path}"
        raise ValueError(
            f"tls is given, but url {endpoint.url!r} is not encrypted; "
            f"use {endpoint.protocol}s://{where}"
        )
    if isinstance(tls, TLS):
        return tls
    if tls is True:
        return TLS()
    import ssl

    if isinstance(tls, ssl.SSLContext):
        return TLS(context=tls)
    raise TypeError(f"tls is {type(tls).__name__}, expected TLS, an ssl.SSLContext or True")
