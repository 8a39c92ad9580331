"""The gRPC health service."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio

from tests.server.conftest import ECHO, RepositoryMaker
from tests.server.frontends.grpc.support import (
    asking,
    refused,
)
from tritonclient.codec import messages_pb
from tritonclient.server import Server

HEALTH = "/grpc.health.v1.Health"


def check(channel: grpc.Channel, service: str = "") -> int:
    kind = messages_pb.message("grpc.health.v1.HealthCheckRequest")
    answer = channel.unary_unary(f"{HEALTH}/Check")(kind(service=service).SerializeToString())
    return status_of(answer)


def status_of(answer: bytes) -> int:
    return int(messages_pb.message("grpc.health.v1.HealthCheckResponse").FromString(answer).status)


SERVING, NOT_SERVING = 1, 2


def test_health(channel: grpc.Channel) -> None:
    for service in ("", "inference.GRPCInferenceService", "anything"):
        assert check(channel, service) == SERVING
    for procedure in (f"{HEALTH}/Check", f"{HEALTH}/Watch"):
        with refused(grpc.StatusCode.INTERNAL, "Unable to parse request"):
            channel.stream_stream(procedure)(iter([b"\xff"])).result()


def test_health_is_watched(repository: RepositoryMaker) -> None:
    place = repository.python("a", "1/0")
    options: dict[str, Any] = {"model_control_mode": "explicit", "exit_on_error": False}
    with Server(repository.directory, load_models=["a"], **options) as server:
        channel = grpc.insecure_channel(server.grpc_address)
        watch = channel.unary_stream(f"{HEALTH}/Watch")(b"")
        assert check(channel) == status_of(next(watch)) == NOT_SERVING
        (place / "1" / "model.py").write_text(ECHO)
        asking(channel)("RepositoryModelLoad", model_name="a")
        assert status_of(next(watch)) == SERVING
    with channel, refused(grpc.StatusCode.UNAVAILABLE, "the server is shutting down"):
        next(watch)
