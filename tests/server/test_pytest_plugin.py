"""The pytest fixtures, in a project of somebody else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.conftest import RepositoryMaker

TEST = """
import urllib.request
import grpc

def test_served(triton_server):
    with urllib.request.urlopen(triton_server.http_url + "/v2/models/a/ready") as response:
        assert response.status == 200
    with grpc.insecure_channel(triton_server.grpc_address) as channel:
        assert channel.unary_unary("/inference.GRPCInferenceService/ServerLive")(b"")

def test_client(triton_client):
    assert triton_client.is_model_ready("a")

def test_factory(triton_server_factory, triton_server, triton_model_repository):
    other = triton_server_factory(triton_model_repository, model_control_mode="explicit")
    assert other.http_port != triton_server.http_port
    assert other.grpc_port != triton_server.grpc_port
"""


@pytest.mark.parametrize("how", ["default", "option", "ini", "missing"])
def test_fixtures(tmp_path: Path, how: str) -> None:
    name = "models" if how == "default" else "elsewhere"
    RepositoryMaker(tmp_path / name).python("a")
    setting = "triton_model_repository = elsewhere" if how == "ini" else ""
    (tmp_path / "pytest.ini").write_text(f"[pytest]\nfilterwarnings = error\n{setting}\n")
    (tmp_path / "test_it.py").write_text(TEST)
    option = ["--triton-model-repository=elsewhere"] if how == "option" else []
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *option],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    if how == "missing":
        assert "give --triton-model-repository" in done.stdout
    else:
        assert "3 passed" in done.stdout, done.stdout
