"""URLs: what they mean, and which are refused with what words."""

from __future__ import annotations

import pytest

from tritonclient.transport.endpoint import parse_url


@pytest.mark.parametrize(
    ("url", "protocol", "secure", "host", "port", "authority", "base"),
    [
        ("http://localhost", "http", False, "localhost", 8000, "localhost:8000", ""),
        ("http://localhost:80", "http", False, "localhost", 80, "localhost", ""),
        ("HTTP://LocalHost:8000/", "http", False, "localhost", 8000, "localhost:8000", ""),
        ("https://a.example", "http", True, "a.example", 443, "a.example", ""),
        ("https://a:8443/b/c/", "http", True, "a", 8443, "a:8443", "/b/c"),
        ("grpc://a", "grpc", False, "a", 8001, "a:8001", ""),
        ("grpcs://a", "grpc", True, "a", 443, "a", ""),
        ("http://[::1]:9000", "http", False, "::1", 9000, "[::1]:9000", ""),
        ("http://[::1]", "http", False, "::1", 8000, "[::1]:8000", ""),
        ("http://127.0.0.1:1/x", "http", False, "127.0.0.1", 1, "127.0.0.1:1", "/x"),
    ],
)
def test_meaning(url, protocol, secure, host, port, authority, base):
    found = parse_url(url)
    assert (found.url, found.protocol, found.secure) == (url, protocol, secure)
    assert (found.host, found.port, found.authority) == (host, port, authority)
    assert (found.base_path, found.socket_path) == (base, "")


@pytest.mark.parametrize(
    ("url", "protocol", "path"),
    [
        ("unix:/run/triton", "http", "/run/triton"),
        ("unix:///run/triton", "http", "/run/triton"),
        ("http+unix:/a%20b", "http", "/a b"),
        ("grpc+unix:/run/grpc", "grpc", "/run/grpc"),
    ],
)
def test_unix_sockets(url, protocol, path):
    found = parse_url(url)
    assert (found.protocol, found.socket_path, found.host) == (protocol, path, "")
    assert found.authority == "localhost"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://", "has no host; for example http://localhost"),
        ("http://:8000", "has no host"),
        ("https:///v2", "has no host"),
        ("", "does not begin with one of http://, https://, .* unix:"),
        ("localhost:8000", "does not begin with .* for example http://localhost:8000"),
        ("localhost", "does not begin with"),
        ("http:localhost", "does not begin with one of http://"),
        ("grpc:/localhost:8001", "does not begin with .* grpc://"),
        ("ftp://a", "does not begin with"),
        ("http://a:port", "is not valid"),
        ("http://a:99999", "is not valid"),
        ("http://a:-1", "is not valid"),
        ("http://a:0", "has port 0"),
        ("http://[::1", "is not valid"),
        ("http://a?b=c", "query or fragment"),
        ("http://a/#b", "query or fragment"),
        ("http://user:word@a", "authorization header"),
        ("grpc://a/b", "which gRPC does not"),
        ("unix:", "has no socket path"),
        ("unix://host/a", "has no socket path"),
    ],
)
def test_refused(url, words):
    with pytest.raises(ValueError, match=words) as caught:
        parse_url(url)
    assert str(caught.value).startswith("url ")
    assert "word@" not in str(caught.value)


@pytest.mark.parametrize("url", [None, 1, b"http://a"])
def test_no_text(url):
    with pytest.raises(TypeError, match=f"url is {type(url).__name__}, expected str"):
        parse_url(url)
