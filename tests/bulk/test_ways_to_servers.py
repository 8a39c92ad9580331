"""`map`, `bulk.infer` and `tritonclient infer` against both servers, over every kind of URL."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
import trustme

from tests.support.peers.dying_connections import Relay
from tritonclient import TLS, Client, bulk
from tritonclient.cli import main

COLUMNS = {"IMAGE": "p0..p63"}
SCHEMES = ("http", "grpc", "https", "grpcs", "http+unix", "grpc+unix")
Array = np.ndarray[Any, Any]
Same = Callable[[pa.Table], None]


class Way(NamedTuple):
    """A server's URL, and the file of the authority that signed its certificate."""

    url: str
    ca_file: str


@pytest.fixture(params=["embedded", pytest.param("triton", marks=pytest.mark.triton)])
def peer(request: pytest.FixtureRequest) -> Any:
    """A server with all of `models/`: the embedded one, then a real Triton."""
    return request.getfixturevalue(request.param)


@pytest.fixture(params=SCHEMES)
def way(
    request: pytest.FixtureRequest, peer: Any, authority: trustme.CA, tmp_path: Path
) -> Iterator[Way]:
    """A way to the server: directly, or through a relay that ends TLS or has a unix socket."""
    scheme: str = request.param
    url = peer.http_url if scheme.startswith("http") else peer.grpc_url
    if scheme in ("http", "grpc"):
        yield Way(url, "")
        return
    ca_file, address = str(tmp_path / "ca.pem"), urlsplit(url)
    authority.cert_pem.write_to_path(ca_file)
    upstream = (str(address.hostname), address.port or 0)
    if scheme.endswith("unix"):
        path = str(tmp_path / "socket")
        with Relay(upstream, family=socket.AF_UNIX, address=path):
            yield Way(f"{scheme}:{path}", ca_file)
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2" if scheme == "grpcs" else "http/1.1"])
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with Relay(upstream, context) as relay:
        yield Way(f"{scheme}://127.0.0.1:{relay.port}", ca_file)


def tls_of(way: Way) -> TLS | None:
    return TLS(ca_file=way.ca_file) if "s:" in way.url else None


def test_map(way: Way, pixels: Array, wanted: Array) -> None:
    with Client(way.url, tls=tls_of(way)) as client:
        found = [
            each["PROBABILITIES"] for each in client.map("digits", pixels.reshape(-1, 1, 8, 8))
        ]
    np.testing.assert_allclose(found, wanted, 1e-4, 1e-5)


def test_infer(way: Way, table: pa.Table, same: Same) -> None:
    with Client(way.url, tls=tls_of(way)) as client:
        same(pa.Table.from_batches(bulk.infer(client, "digits", table, columns=COLUMNS)))


def test_model(way: Way, table: pa.Table, wanted: Array) -> None:
    given = {"tls": tls_of(way)}
    found = bulk.Model(way.url, "digits", columns=COLUMNS, keep=[], client=given)(table)
    np.testing.assert_allclose(found["PROBABILITIES"].to_pylist(), wanted, 1e-4, 1e-5)


def test_command(way: Way, table: pa.Table, same: Same, tmp_path: Path) -> None:
    source, output = tmp_path / "in.parquet", tmp_path / "out.arrow"
    pyarrow.parquet.write_table(table, source)
    given = ["-m", "digits", "-i", str(source), "-o", str(output), "--map", "IMAGE=p0..p63"]
    trust = ["--ca-file", way.ca_file] if tls_of(way) else []
    assert main(["infer", *given, "-u", way.url, *trust]) == 0
    same(pyarrow.feather.read_table(output))
