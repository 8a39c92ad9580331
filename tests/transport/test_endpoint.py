"""URLs: what they mean, and which are refused with what words."""

from __future__ import annotations

import pytest

from tritonclient.transport.endpoint import parse_url, without_secrets


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
        ("http://a:", "http", False, "a", 8000, "a:8000", ""),
        ("http://a_b.", "http", False, "a_b.", 8000, "a_b.:8000", ""),
        ("http://b\u00fc.de", "http", False, "xn--b-eha.de", 8000, "xn--b-eha.de:8000", ""),
        ("grpc://\u4e2d.de:1", "grpc", False, "xn--fiq.de", 1, "xn--fiq.de:1", ""),
        ("http://[FE80::1%25eth0]", "http", False, "fe80::1%eth0", 8000, "[fe80::1]:8000", ""),
        ("grpc://[fe80::1%2]:9", "grpc", False, "fe80::1%2", 9, "[fe80::1]:9", ""),
        ("http://a/b c/\u00e9/", "http", False, "a", 8000, "a:8000", "/b%20c/%C3%A9"),
        ("http://a/b%20c/\\<", "http", False, "a", 8000, "a:8000", "/b%20c/%5C%3C"),
        ("http://a//b/../c", "http", False, "a", 8000, "a:8000", "//b/../c"),
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
        ("unix:/a b", "http", "/a b"),
        ("unix:/b\u00fc", "http", "/b\u00fc"),
        ("unix:a", "http", "a"),
        ("unix:%00abstract", "http", "\0abstract"),
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
        ("triton:8000", "; for example http://triton:8000"),
        ("10.0.0.1:8001", "; for example grpc://10.0.0.1:8001"),
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
        ("unix:/a%00b", "no zero byte"),
        ("unix:/" + "a" * 200, "is not valid: a socket path has up to"),
        ("unix:/a?b", "query or fragment"),
        ("http://a?", "query or fragment"),
        ("http://127.0.0.1\n:23000", "holds a line break"),
        ("http://a\r\nHost: b", "holds a line break"),
        ("http://a\t", "holds a line break"),
        ("http://a/b\0", "holds a line break, a control character"),
        (" http://a", "blank at an end"),
        ("http://a/b ", "blank at an end"),
        ("http://a b", "no proper host name"),
        ("http://b\u00fc..b", "no proper host name"),
        ("http://" + "\u00fc" * 64, "no proper host name"),
        ("http://\u2100.de", "no proper host name"),
        ("http://a%41", "no proper host name"),
        ("http://a\\b", "no proper host name"),
        ("http://a:8\uff10", "is not valid"),
        ("http://a:+8", "is not valid"),
        ("http://a:" + "9" * 5000, "ports end at 65535"),
        ("http://a:b:c", "an IPv6 address in brackets"),
        ("http://::1:8000", "an IPv6 address in brackets"),
        ("http://[::1]a", "is not valid"),
        ("http://[::1%25]", "no proper IPv6 address"),
        ("http://[::1%25a%2fb]", "no proper IPv6 address"),
        ("http://[v1.a]", "no proper IPv6 address"),
        ("http://[a]", "no proper IPv6 address"),
        ("http://a/%zz", "a % without two hexadecimal digits"),
        ("http://a/\udc80", "a control character"),
        ("http://user:word@127.0.0.1:bad", "authorization header"),
        ("http://user:wo/rd@word@a:bad", "is not valid"),
        ("http://user:wo#rd@a", "query or fragment"),
        ("user:word@a", "does not begin with"),
        ("http://a/?token=word@", "query or fragment"),
    ],
)
def test_refused(url, words):
    with pytest.raises(ValueError, match=words) as caught:
        parse_url(url)
    assert str(caught.value).startswith("url ")
    assert "word@" not in str(caught.value)
    assert "wo/" not in str(caught.value)
    assert "wo#" not in str(caught.value)
    # Nor in what led to it, which loggers and error trackers show.
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://a/b", "http://a/b"),
        ("http://u:p@a/b", "http://...@a/b"),
        ("http://u:p@q/r@a", "http://...@a"),
        ("u:p@a", "...@a"),
        ("http://a?b=c", "http://a?..."),
        ("http://a#b\nc", "http://a#..."),
    ],
)
def test_without_secrets(url, shown):
    assert without_secrets(url) == shown


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://a.example.", "a.example"),
        ("https://[fe80::1%25eth0]", "fe80::1"),
        ("https://b\u00fc.de", "xn--b-eha.de"),
    ],
)
def test_name_that_certificates_have(url, name):
    assert parse_url(url).server_name == name


def test_default_port():
    assert parse_url("http://a", 80).authority == "a"
    assert parse_url("http://a:", 80).port == 80
    assert parse_url("http://a:81", 80).port == 81


@pytest.mark.parametrize("url", [None, 1, b"http://a"])
def test_no_text(url):
    with pytest.raises(TypeError, match=f"url is {type(url).__name__}, expected str"):
        parse_url(url)
