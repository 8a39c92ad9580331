"""Real reverse proxies for gRPC: nginx, haproxy and nghttpx, each with its ways to be difficult.

    with serve(directory, "nginx", "closing", upstream, authority) as proxy:
        Client(proxy.url).infer(...)

Each listener is a process of its own, since much of what is set is set for a whole process. See
`proxies` for how they run.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import trustme

from tests.support.peers import http_proxies
from tests.support.peers.h2peer import HELLO

PROGRAMS = ("nginx", "haproxy", "nghttpx")
#: Calls after which a "closing" proxy ends a connection.
CALLS_PER_CONNECTION = 7
#: Calls that a "tight" proxy lets in work at once on a connection.
CALLS_AT_ONCE = 3
#: What a "small" proxy allows in one request.
SMALL_BODY = 4096
_PATIENCE = 20
#: What asks each program to end, or to begin anew, without any harm to what is in work.
_STOP = {"nginx": signal.SIGQUIT, "haproxy": signal.SIGUSR1, "nghttpx": signal.SIGQUIT}
_RELOAD = {"nginx": signal.SIGHUP, "nghttpx": signal.SIGHUP}

_NGINX = """
    {settings}
    ssl_certificate {certificate};
    ssl_certificate_key {certificate};
    upstream embedded {{ server {upstream}; keepalive 4; }}
    server {{
        listen {address} {protocol};
        location / {{ grpc_pass grpc://embedded; }}
        location = /unavailable {{
            internal;
            default_type application/grpc;
            add_header grpc-status 14;
            add_header grpc-message "no server is up%21";
            return 204;
        }}
    }}
"""
_NGINX_DEFAULTS = {"client_max_body_size": "64m", "keepalive_requests": "1000000"}
_NGINX_SETTINGS: dict[str, dict[str, object]] = {
    "closing": {"keepalive_requests": CALLS_PER_CONNECTION},
    "tight": {
        "http2_max_concurrent_streams": CALLS_AT_ONCE,
        # The initial window; such a small one makes nginx refuse what comes before it is known.
        "http2_body_preread_size": 1000,
        "http2_chunk_size": 500,
    },
    "small": {"client_max_body_size": SMALL_BODY},
    "idle": {"keepalive_timeout": "100ms"},
    "hasty": {"grpc_read_timeout": "100ms"},
    # As nginx's own guide for gRPC says.
    "down in gRPC": {"error_page": "502 = /unavailable"},
}
_NGINX_PROTOCOLS = {"tls": "ssl http2", "tls without HTTP/2": "ssl", "HTTP/1": ""}

_HAPROXY = """
global
    nbthread 1
    {settings}
defaults
    mode http
    retries 0
    timeout connect 5s
    timeout client 20s
    timeout server 20s
    timeout http-keep-alive 20s
frontend front
    bind fd@{fd} {protocol}
    {front}
    default_backend embedded
backend embedded
    {back}
    server embedded {upstream} proto h2
"""
_HAPROXY_SETTINGS = {
    "tight": f"tune.h2.max-concurrent-streams {CALLS_AT_ONCE}\n"
    "    tune.h2.initial-window-size 1000",
}
_HAPROXY_FRONTS = {
    "closing": "option httpclose",
    "idle": "timeout http-keep-alive 100ms",
    "down in gRPC": "http-request return status 200 hdr content-type application/grpc"
    ' hdr grpc-status 14 hdr grpc-message "no server is up%%21"',
}
_HAPROXY_BACKS = {"hasty": "timeout server 100ms"}
_HAPROXY_PROTOCOLS = {
    "tls": "ssl crt {certificate} alpn h2",
    "tls without HTTP/2": "ssl crt {certificate} alpn http/1.1 proto h1",
    "HTTP/1": "proto h1",
}

_NGHTTPX_OPTIONS = {
    "closing": [f"--frontend-max-requests={CALLS_PER_CONNECTION}"],
    "tight": [
        f"--frontend-http2-max-concurrent-streams={CALLS_AT_ONCE}",
        "--frontend-http2-window-size=1000",
        "--frontend-http2-connection-window-size=5000",
        "--frontend-http2-decoder-dynamic-table-size=0",
        "--frontend-http2-encoder-dynamic-table-size=100",
    ],
    "idle": ["--frontend-http2-read-timeout=100ms"],
    "hasty": ["--backend-read-timeout=100ms"],
    "tls without HTTP/2": ["--npn-list=http/1.1"],
}


@dataclass(frozen=True)
class GrpcProxy:
    """A proxy that runs.

    Attributes:
        url: where it listens.
    """

    program: str
    url: str
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """Ask it to end when all calls in work have; `wait` until then."""
        self.process.send_signal(_STOP[self.program])

    def wait(self) -> None:
        # Not to be reaped yet, so that nobody else can get its number.
        os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)

    def reload(self) -> None:
        """Ask it for workers with a new configuration, while the old ones end what they have."""
        self.process.send_signal(_RELOAD[self.program])


@contextlib.contextmanager
def serve(
    directory: Path, program: str, name: str, upstream: str, authority: trustme.CA
) -> Iterator[GrpcProxy]:
    """A proxy in front of `upstream`, "host:port" of a gRPC server.

    Args:
        name: "plain", or how it differs from that, over TLS when "tls" comes first; "down" has
            nobody behind it.
    """
    path = http_proxies.find(program)
    with http_proxies.listeners(["proxy"]) as sockets, http_proxies.nobody() as nobody:
        address = http_proxies.addresses_of(sockets)["proxy"]
        command, environment = _COMMANDS[program](
            path,
            directory,
            name,
            nobody if name.startswith("down") else upstream,
            sockets["proxy"],
            http_proxies.certificate(directory, authority),
        )
        secure = name.startswith("tls")

        def check() -> None:
            _greet(address, secure)

        with http_proxies.running(command, directory, sockets, environment, check) as process:
            yield GrpcProxy(program, f"{'grpcs' if secure else 'grpc'}://{address}", process)


T = TypeVar("T")


def _of(name: str, table: Mapping[str, T], default: T) -> T:
    """Return the entry of a table for a name; "tls closing" is looked up as "tls" or "closing"."""
    first, _, rest = name.partition(" ")
    return next((table[each] for each in (name, first, rest) if each in table), default)


def _nginx(
    path: str, directory: Path, name: str, upstream: str, sock: socket.socket, certificate: Path
) -> http_proxies.Command:
    settings = {**_NGINX_DEFAULTS, **_of(name, _NGINX_SETTINGS, {})}
    contents = _NGINX.format(
        upstream=upstream,
        address="{}:{}".format(*sock.getsockname()),
        protocol=_of(name, _NGINX_PROTOCOLS, "http2"),
        settings=" ".join(f"{key} {value};" for key, value in settings.items()),
        certificate=certificate,
    )
    return http_proxies.nginx_command(path, directory, contents, [sock])


def _haproxy(
    path: str, directory: Path, name: str, upstream: str, sock: socket.socket, certificate: Path
) -> http_proxies.Command:
    config = directory / "haproxy.cfg"
    config.write_text(
        _HAPROXY.format(
            upstream=upstream,
            fd=sock.fileno(),
            protocol=_of(name, _HAPROXY_PROTOCOLS, "proto h2").format(certificate=certificate),
            settings=_of(name, _HAPROXY_SETTINGS, ""),
            front=_of(name, _HAPROXY_FRONTS, ""),
            back=_of(name, _HAPROXY_BACKS, ""),
        )
    )
    return [path, "-db", "-f", str(config)], {}


def _nghttpx(
    path: str, directory: Path, name: str, upstream: str, sock: socket.socket, certificate: Path
) -> http_proxies.Command:
    host, port = sock.getsockname()
    options = ["--conf=/dev/null", "--errorlog-file=/dev/stderr", "--no-ocsp", "--workers=1"]
    options.append("--backend={},{};;proto=h2".format(*upstream.split(":")))
    if name.startswith("tls"):
        options += [f"--frontend={host},{port}", str(certificate), str(certificate)]
    else:
        options.append(f"--frontend={host},{port};no-tls")
    command = [path, *_of(name, _NGHTTPX_OPTIONS, []), *options]
    # It takes over such a listener from the process that it replaces.
    return command, {"NGHTTPX_ACCEPT_1": f"tcp,{sock.fileno()}"}


_COMMANDS: dict[str, Callable[[str, Path, str, str, socket.socket, Path], http_proxies.Command]] = {
    "nginx": _nginx,
    "haproxy": _haproxy,
    "nghttpx": _nghttpx,
}


def _greet(address: str, secure: bool) -> None:
    """See whether somebody there answers HTTP/2's first words, whatever the answer."""
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=_PATIENCE) as plain:
        with contextlib.ExitStack() as stack:
            sock = plain
            if secure:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
                sock = stack.enter_context(context.wrap_socket(plain))
            sock.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + HELLO)
            if not sock.recv(1):
                raise ConnectionError("it closes the connection")
