"""Real reverse proxies for the tests: nginx and haproxy, as child processes.

    with nginx(directory, upstream, authority) as ports, Client(f"http://{ports['plain']}"):
        ...

The ports are bound here and handed down, so nobody else can get them. Each program stays in the
foreground, writes below `directory` only, and is killed when the block is over.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import trustme

#: What nginx allows in one request on the listener "small".
SMALL_BODY = 4096
#: Requests after which nginx closes a connection on the listener "plain".
KEEPALIVE_REQUESTS = 7
_PATIENCE = 20

_NGINX = """
daemon off;
{user}
pid {directory}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
{contents}
}}
"""
_NGINX_HTTP = """
    client_max_body_size 64m;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    upstream embedded {{ server {upstream}; keepalive 4; }}
    upstream nobody {{ server {nobody}; }}

    server {{
        listen {plain};
        keepalive_requests {keepalive_requests};
        location / {{ proxy_pass http://embedded; }}
        location /gateway/ {{ proxy_pass http://embedded/; }}
        location /down/ {{ proxy_pass http://nobody/; }}
        location /status {{ stub_status; }}
    }}
    server {{
        listen {streaming};
        proxy_buffering off;
        proxy_request_buffering off;
        location / {{ proxy_pass http://embedded; }}
    }}
    server {{
        listen {gzip};
        gzip on;
        gzip_proxied any;
        gzip_types application/json application/octet-stream;
        # The proxy compresses, not the server behind it.
        proxy_set_header Accept-Encoding "";
        location / {{ proxy_pass http://embedded; }}
    }}
    server {{
        listen {small};
        client_max_body_size {small_body};
        location / {{ proxy_pass http://embedded; }}
    }}
    server {{
        listen {idle};
        keepalive_timeout 100ms;
        location / {{ proxy_pass http://embedded; }}
    }}
    server {{
        listen {tls} ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {certificate};
        keepalive_requests {keepalive_requests};
        location / {{ proxy_pass http://embedded; }}
    }}
"""

_HAPROXY = """
global
    nbthread 1
defaults
    mode http
    option http-server-close
    retries 0
    timeout connect 5s
    timeout client 20s
    timeout server 20s
    timeout http-request 20s
    timeout http-keep-alive 20s
frontend plain
    bind fd@{plain}
    http-request set-path %[path,regsub(^/gateway/,/)] if {{ path_beg /gateway/ }}
    use_backend nobody if {{ path_beg /down/ }}
    default_backend embedded
frontend closing
    bind fd@{closing}
    option httpclose
    default_backend embedded
frontend idle
    bind fd@{idle}
    timeout http-keep-alive 100ms
    default_backend embedded
frontend tls
    bind fd@{tls} ssl crt {certificate} alpn http/1.1
    default_backend embedded
backend embedded
    server embedded {upstream}
backend nobody
    server nobody {nobody}
"""

#: What starts a program, and what it needs in its environment.
Command = tuple[list[str], dict[str, str]]

_NGINX_LISTENERS = ("plain", "streaming", "gzip", "small", "idle", "tls")
_HAPROXY_LISTENERS = ("plain", "closing", "idle", "tls")


@contextlib.contextmanager
def nginx(directory: Path, upstream: str, authority: trustme.CA) -> Iterator[dict[str, str]]:
    """Nginx in front of `upstream`; "host:port" of each listener by its name."""
    program = find("nginx")
    with listeners(_NGINX_LISTENERS) as sockets, nobody() as refusing:
        addresses = addresses_of(sockets)
        contents = _NGINX_HTTP.format(
            upstream=upstream,
            nobody=refusing,
            certificate=certificate(directory, authority),
            keepalive_requests=KEEPALIVE_REQUESTS,
            small_body=SMALL_BODY,
            **addresses,
        )
        command, environment = nginx_command(program, directory, contents, sockets.values())
        with running(command, directory, sockets, environment, _check(addresses)):
            yield addresses


def nginx_command(
    program: str, directory: Path, contents: str, sockets: Iterable[socket.socket]
) -> Command:
    """How to run nginx on sockets, with these contents of the http block in its configuration."""
    config = directory / "nginx.conf"
    # Root's workers would else become somebody who may not write here.
    user = "user root;" if os.geteuid() == 0 else ""
    config.write_text(_NGINX.format(directory=directory, user=user, contents=contents))
    # Nginx takes over the listeners named here, as it does when it is upgraded in service.
    inherited = "".join(f"{each.fileno()};" for each in sockets)
    return [program, "-p", str(directory), "-c", str(config), "-e", "stderr"], {"NGINX": inherited}


@contextlib.contextmanager
def haproxy(directory: Path, upstream: str, authority: trustme.CA) -> Iterator[dict[str, str]]:
    """Haproxy in front of `upstream`; "host:port" of each listener by its name."""
    program = find("haproxy")
    with listeners(_HAPROXY_LISTENERS) as sockets, nobody() as refusing:
        addresses = addresses_of(sockets)
        config = directory / "haproxy.cfg"
        config.write_text(
            _HAPROXY.format(
                upstream=upstream,
                nobody=refusing,
                certificate=certificate(directory, authority),
                **{name: each.fileno() for name, each in sockets.items()},
            )
        )
        command = [program, "-db", "-f", str(config)]
        with running(command, directory, sockets, {}, _check(addresses)):
            yield addresses


def find(program: str) -> str:
    """The program's path; without it the test is skipped, and fails in continuous integration."""
    # Debian keeps servers where only root looks.
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
    if path is None:
        reason = f"{program} is not installed"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path


@contextlib.contextmanager
def running(
    command: list[str],
    directory: Path,
    sockets: Mapping[str, socket.socket],
    environment: Mapping[str, str],
    check: Callable[[], None],
) -> Iterator[subprocess.Popen[bytes]]:
    """A proxy that takes over sockets and then passes a check."""
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=[each.fileno() for each in sockets.values()],
            start_new_session=True,
        )
    try:
        # The listeners queue who comes early; without our copies they refuse once it has ended.
        for each in sockets.values():
            each.close()
        try:
            check()
        except (OSError, http.client.HTTPException) as error:
            pytest.fail(f"{command[0]} does not serve: {error}\n{log.read_text()}")
        yield process
    finally:
        # All of its session, since a nginx that is killed leaves its worker behind.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _check(addresses: Mapping[str, str]) -> Callable[[], None]:
    def check() -> None:
        assert get(addresses["plain"], "/v2/health/ready") == (200, b"")

    return check


def get(address: str, path: str) -> tuple[int, bytes]:
    """Status and body that the proxy answers to a plain GET on a new connection."""
    with contextlib.closing(http.client.HTTPConnection(address, timeout=_PATIENCE)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()


@contextlib.contextmanager
def listeners(names: Sequence[str]) -> Iterator[dict[str, socket.socket]]:
    """Listening sockets by their names."""
    with contextlib.ExitStack() as stack:
        sockets = {}
        for name in names:
            sockets[name] = stack.enter_context(socket.socket())
            sockets[name].bind(("127.0.0.1", 0))
            sockets[name].listen(128)
            # Nginx takes it as it is; a worker would wait for the call that another has accepted.
            sockets[name].setblocking(False)
        yield sockets


@contextlib.contextmanager
def nobody() -> Iterator[str]:
    """An address that refuses and that nobody else can get: bound and not listening."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield _address(bound)


def addresses_of(sockets: Mapping[str, socket.socket]) -> dict[str, str]:
    """The "host:port" of each."""
    return {name: _address(each) for name, each in sockets.items()}


def _address(sock: socket.socket) -> str:
    return "{}:{}".format(*sock.getsockname())


def certificate(directory: Path, authority: trustme.CA) -> Path:
    """A file with a certificate for 127.0.0.1 and its key."""
    path = directory / "certificate.pem"
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(str(path))
    return path
