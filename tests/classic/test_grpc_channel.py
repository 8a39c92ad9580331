"""How the classic gRPC clients reach a server: targets, channel arguments, TLS, credentials."""

from __future__ import annotations

import contextlib
import socket
import threading

import grpc
import numpy as np
import pytest
import trustme

import tritonclient
from tests.classic.grpc_server import GrpcServer, answer, simple, simple_stream
from tests.classic.runtimes import CLOSED, Told, both_grpc_runtimes, grpc_pair
from tests.support.peers.hostile_peers import PATIENCE, deadline_guard
from tritonclient.grpc import InferenceServerClient, InferenceServerException, KeepAliveOptions
from tritonclient.grpc._channel import make_route
from tritonclient.transport.blocking.transport import Transport
from tritonclient.transport.grpcio.blocking import GrpcioTransport

A = np.arange(16, dtype=np.int32).reshape(1, 16)
ONES = np.ones((1, 16), np.int32)
#: One that only grpcio knows.
BY_GRPCIO = [("grpc.service_config", "{}")]


def route(url="x:1", ssl=False, creds=None, keep_alive=None, channel_args=None):
    return make_route(url, ssl, None, None, None, creds, keep_alive, channel_args)


def check(client, **options):
    result = client.infer("simple", grpc_pair(A, ONES), **options)
    np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), A + 1)


@pytest.fixture
def server():
    with GrpcServer(ModelInfer=simple, ModelStreamInfer=simple_stream) as server:
        yield server


# Targets


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("localhost:8001", "localhost", 8001),
        ("dns:///localhost:8001", "localhost", 8001),
        ("dns:localhost:8001", "localhost", 8001),
        ("ipv4:127.0.0.1:8001", "127.0.0.1", 8001),
        ("ipv6:[::1]:8001", "::1", 8001),
        ("[::1]:8001", "::1", 8001),
        ("::1", "::1", 443),
        ("passthrough:///x:1", "x", 1),
        ("localhost", "localhost", 443),
    ],
)
def test_targets(url, host, port):
    settings, _, grpcio = route(url)
    assert (settings.endpoint.host, settings.endpoint.port) == (host, port)
    assert not settings.endpoint.secure
    assert grpcio is None
    assert route(url, ssl=True).settings.endpoint.secure


@pytest.mark.parametrize("url", ["unix:/a/b%20c", "unix:///a/b%20c"])
def test_unix_targets(url):
    settings, _, grpcio = route(url)
    assert settings.endpoint.socket_path == "/a/b%20c"
    assert grpcio is None
    settings, _, grpcio = route(url, ssl=True)
    assert (settings.endpoint.secure, grpcio.target) == (True, url)


@pytest.mark.parametrize(
    "url",
    [
        "xds:///a",
        "dns://1.1.1.1/a:1",
        "ipv4:127.0.0.1:1,127.0.0.1:2",
        "unix-abstract:a",
        "vsock:1:2",
    ],
)
def test_targets_for_grpcio(url):
    _, _, grpcio = route(url)
    assert grpcio.target == url


@pytest.mark.parametrize("url", ["http://x:1", "HTTPS://x:1", "grpc://x:1", "grpcs://x:1"])
def test_targets_have_no_scheme(url):
    with pytest.raises(InferenceServerException) as caught:
        InferenceServerClient(url)
    assert str(caught.value) == "url should not include the scheme"


@pytest.mark.parametrize(("url", "kind"), [("", ValueError), ("x:abc", ValueError), (7, TypeError)])
def test_targets_that_make_no_sense(url, kind):
    with pytest.raises(kind):
        InferenceServerClient(url)


@both_grpc_runtimes
def test_a_unix_socket(runtime, tmp_path):
    path = tmp_path / "a b"
    with GrpcServer(ModelInfer=simple, address=f"unix:{path}"):
        for url in (f"unix:{path}", f"unix://{path}"):
            with runtime(f"://{url}") as client:
                check(client)


@both_grpc_runtimes
def test_several_addresses(runtime, server):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = unused.getsockname()[1]
        with runtime(f"://ipv4:127.0.0.1:{nobody},{server.address}") as client:
            check(client)


# Channel arguments


def test_by_default_messages_have_the_largest_size_and_no_pings_are_sent():
    settings = route().settings
    assert settings.max_request_size == settings.max_response_size == 2**31 - 1
    assert settings.keep_alive is None
    assert route(keep_alive=KeepAliveOptions()).settings.keep_alive is None


def test_keep_alive():
    options = KeepAliveOptions(2500, 1500, True, 5)
    expected = tritonclient.KeepAlive(2.5, 1.5, True, 5)
    assert route(keep_alive=options).settings.keep_alive == expected
    arguments = [
        ("grpc.keepalive_time_ms", 2500),
        ("grpc.keepalive_timeout_ms", 1500),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 5),
    ]
    # They replace the options.
    found = route(keep_alive=KeepAliveOptions(1), channel_args=arguments)
    assert (found.settings.keep_alive, found.grpcio) == (expected, None)
    assert route(keep_alive=KeepAliveOptions(1), channel_args=[]).settings.keep_alive is None


def test_a_server_that_is_gone_is_noticed():
    """It takes the connection, and answers nothing."""
    options = KeepAliveOptions(keepalive_time_ms=50, keepalive_timeout_ms=50)
    with socket.create_server(("127.0.0.1", 0)) as listener, deadline_guard():
        with InferenceServerClient(
            f"127.0.0.1:{listener.getsockname()[1]}", keepalive_options=options
        ) as client:
            with pytest.raises(InferenceServerException, match="keepalive") as caught:
                client.is_server_live()
    assert caught.value.status() == "StatusCode.UNAVAILABLE"


@both_grpc_runtimes
def test_limits_of_size(runtime, server):
    for direction, text in (
        ("send", "Sent message larger than max (182 vs. 50)"),
        ("receive", "Received message larger than max (96 vs. 50)"),
    ):
        arguments = [(f"grpc.max_{direction}_message_length", 50)]
        with runtime(server.url, channel_args=arguments) as client:
            for _ in range(2):
                with pytest.raises(InferenceServerException) as caught:
                    check(client)
                assert str(caught.value) == f"[StatusCode.RESOURCE_EXHAUSTED] {text}"
                assert type(caught.value) is InferenceServerException


def test_a_limit_of_size_on_a_stream(server):
    told = Told()
    arguments = [("grpc.max_send_message_length", 50)]
    with InferenceServerClient(server.address, channel_args=arguments) as client:
        client.start_stream(told)
        with pytest.raises(InferenceServerException, match="Sent message larger than max"):
            client.async_stream_infer("simple", grpc_pair(A, ONES))


@pytest.mark.parametrize("arguments", [[], [("grpc.max_receive_message_length", -1)]])
def test_no_limit_that_nobody_asked_for(arguments):
    settings, _, grpcio = route(channel_args=arguments)
    assert (settings.max_request_size, settings.max_response_size) == (None, 2**31 - 1)
    assert grpcio is None


@both_grpc_runtimes
def test_user_agents(runtime, server):
    arguments = [("grpc.primary_user_agent", "mine/1"), ("grpc.secondary_user_agent", "other/2")]
    with runtime(server.url, channel_args=arguments) as client:
        check(client, headers={"x": "y"})
        check(client)
    for call in server.calls:
        assert call.metadata["user-agent"] == "mine/1 other/2"


def test_arguments_that_mean_nothing_here():
    arguments = [
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.enable_retries", 0),
        ("grpc.lb_policy_name", "pick_first"),
        ("grpc.enable_http_proxy", 0),
    ]
    assert route(channel_args=arguments).grpcio is None


@pytest.mark.parametrize(
    "argument",
    [
        ("grpc.service_config", "{}"),
        ("grpc.lb_policy_name", "round_robin"),
        ("grpc.enable_retries", 1),
        ("grpc.enable_http_proxy", 1),
        ("grpc.made_up", 1),
    ],
)
def test_arguments_for_grpcio(argument):
    given = [("grpc.max_receive_message_length", 7), argument]
    grpcio = route("x:1", channel_args=given).grpcio
    assert grpcio == tritonclient.Grpcio(given, None, "x:1")


# Through grpcio


def test_who_carries_the_calls():
    with InferenceServerClient("x:1") as client:
        assert isinstance(client._transport, Transport)
    with InferenceServerClient("x:1", channel_args=BY_GRPCIO) as client:
        assert isinstance(client._transport, GrpcioTransport)


@both_grpc_runtimes
def test_calls_through_grpcio(runtime, server):
    arguments = [*BY_GRPCIO, ("grpc.primary_user_agent", "mine/1")]
    with runtime(server.url, channel_args=arguments) as client:
        check(client)
        check(client, headers={"A": "b"}, compression_algorithm="gzip", client_timeout=10)
        with pytest.raises(InferenceServerException) as caught:
            client.is_server_live()
        assert str(caught.value) == "[StatusCode.UNIMPLEMENTED] Method not implemented!"
        client.close()
        with pytest.raises(ValueError, match=CLOSED):
            check(client)
    assert server.calls[1].metadata["a"] == "b"
    assert server.calls[0].metadata["user-agent"].startswith("mine/1 ")


def test_async_infer_through_grpcio(server):
    told = Told()
    with InferenceServerClient(server.address, channel_args=BY_GRPCIO) as client:
        for _ in range(5):
            client.async_infer("simple", grpc_pair(A, ONES), told)
        for _ in range(5):
            result, error = told.get()
            assert error is None
            np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), A + 1)


def test_cancelling_through_grpcio():
    told = Told()

    def wait(request, context):
        server.ending.wait(PATIENCE)
        return answer(request, A)

    with GrpcServer(ModelInfer=wait) as server:
        with InferenceServerClient(server.address, channel_args=BY_GRPCIO) as client:
            context = client.async_infer("simple", grpc_pair(A, ONES), told)
            server.wait_for_calls(1)
            context.cancel()
            error = told.get()[1]
            assert str(error) == "[StatusCode.CANCELLED] Locally cancelled by application!"
            assert server.cancelled.wait(PATIENCE)


@pytest.mark.parametrize("cancel", [False, True])
def test_streams_through_grpcio(server, cancel):
    told = Told()
    with InferenceServerClient(server.address, channel_args=BY_GRPCIO) as client, deadline_guard():
        for _ in range(2):
            client.start_stream(told)
            for number in range(20):
                client.async_stream_infer("simple", grpc_pair(A, ONES * number))
            for number in range(20):
                result, error = told.get()
                assert error is None
                np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), A + number)
            client.stop_stream(cancel_requests=cancel)
            if cancel:
                assert told.get()[1].status() == "StatusCode.CANCELLED"
    for thread in threading.enumerate():
        if thread.name == "tritonclient-stream":
            thread.join(PATIENCE)
            assert not thread.is_alive()


# TLS


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def files(authority, tmp_path_factory):
    """An authority's certificate, and a client's own certificate and key."""
    folder = tmp_path_factory.mktemp("tls")
    own = authority.issue_cert("client.test")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    own.private_key_pem.write_to_path(str(folder / "key.pem"))
    own.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    names = ("ca.pem", "key.pem", "cert.pem")
    return tuple(str(folder / name) for name in names)


@contextlib.contextmanager
def secure_server(authority, name="127.0.0.1", verify_client=False):
    own = authority.issue_cert(name)
    credentials = grpc.ssl_server_credentials(
        [(own.private_key_pem.bytes(), own.cert_chain_pems[0].bytes())],
        authority.cert_pem.bytes(),
        verify_client,
    )
    procedures = {"ModelInfer": simple, "ModelStreamInfer": simple_stream}
    with GrpcServer(credentials=credentials, **procedures) as server:
        yield server


VIAS = pytest.mark.parametrize("via", [{}, {"channel_args": BY_GRPCIO}], ids=["native", "grpcio"])


@both_grpc_runtimes
@VIAS
def test_tls(authority, files, runtime, via):
    with secure_server(authority) as server:
        with runtime(server.url, ssl=True, root_certificates=files[0], **via) as client:
            check(client)


@both_grpc_runtimes
@VIAS
def test_the_clients_own_certificate(authority, files, runtime, via):
    with secure_server(authority, verify_client=True) as server:
        own = {"private_key": files[1], "certificate_chain": files[2]}
        options = {"ssl": True, "root_certificates": files[0], **via}
        with runtime(server.url, **options, **own) as client:
            check(client)
        with runtime(server.url, **options) as client:
            with pytest.raises(InferenceServerException) as caught:
                check(client)
            assert caught.value.status() == "StatusCode.UNAVAILABLE"


@both_grpc_runtimes
def test_servers_are_verified(authority, files, runtime):
    with secure_server(authority) as server:
        with runtime(server.url, ssl=True) as client:
            with pytest.raises(
                InferenceServerException, match="certificate verify failed"
            ) as caught:
                check(client)
            assert caught.value.status() == "StatusCode.UNAVAILABLE"
            assert caught.value.message().startswith("failed to connect to all addresses; ")


@both_grpc_runtimes
@VIAS
def test_another_name(authority, files, runtime, via):
    with secure_server(authority, "elsewhere.test") as server:
        options = {"ssl": True, "root_certificates": files[0]}
        with runtime(server.url, **options, **via) as client:
            with pytest.raises(InferenceServerException):
                check(client)
        for name in ("grpc.ssl_target_name_override", "grpc.default_authority"):
            if via and name == "grpc.default_authority":
                continue  # which grpcio does not verify
            arguments = [(name, "elsewhere.test"), *via.get("channel_args", [])]
            with runtime(server.url, **options, channel_args=arguments) as client:
                check(client)


def test_certificates_that_people_make_for_themselves(tmp_path):
    """A server's own certificate as root, though it is signed by an authority that is unknown."""
    authority = trustme.CA()
    own = authority.issue_cert("127.0.0.1")
    pem = own.cert_chain_pems[0].bytes()
    credentials = grpc.ssl_server_credentials([(own.private_key_pem.bytes(), pem)])
    (tmp_path / "server.pem").write_bytes(pem)
    with GrpcServer(credentials=credentials, ModelInfer=simple) as server:
        with InferenceServerClient(
            server.address, ssl=True, root_certificates=str(tmp_path / "server.pem")
        ) as client:
            check(client)


@both_grpc_runtimes
def test_credentials_of_grpcio(authority, files, runtime):
    credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
    with secure_server(authority) as server:
        with runtime(server.url, creds=credentials) as client:
            check(client)
        # They win over files.
        with pytest.warns(UserWarning, match="root_certificates has no effect: creds are used"):
            client = runtime(server.url, ssl=True, root_certificates="no", creds=credentials)
        with client:
            check(client)


@both_grpc_runtimes
def test_streams_over_tls(authority, files, runtime):
    told = Told()
    with secure_server(authority) as server:
        with InferenceServerClient(server.address, ssl=True, root_certificates=files[0]) as client:
            client.start_stream(told)
            client.async_stream_infer("simple", grpc_pair(A, ONES))
            assert told.get()[1] is None
            client.async_infer("simple", grpc_pair(A, ONES), told)
            assert told.get()[1] is None
