"""Models that a test gives to a server together with the request to load them."""

from __future__ import annotations

import base64
import http.client
import json
from typing import Any

from tests.support.waiting import eventually

#: The name of such a model, unless a test gives another.
NAME = "made_by_a_test"
_GOOD = """
class TritonPythonModel:
    def execute(self, requests):
        return []
"""


def ask(server: Any, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Return the status and the JSON of the response to a POST."""
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=60)
    try:
        connection.request("POST", f"/v2/{path}", json.dumps(body))
        response = connection.getresponse()
        return response.status, json.loads(response.read() or b"{}")
    finally:
        connection.close()


def load(
    server: Any, config: dict[str, Any], code: str, name: str = NAME
) -> tuple[int, dict[str, Any]]:
    """Load a model that has this configuration and this `model.py`."""
    file = base64.b64encode(code.encode()).decode()
    parameters = {"config": json.dumps(config), "file:1/model.py": file}
    return ask(server, f"repository/models/{name}/load", {"parameters": parameters})


def unload(server: Any, name: str = NAME) -> None:
    """Unload the model."""
    ask(server, f"repository/models/{name}/unload", {})


def forget_failures(server: Any) -> None:
    """Make the server ready again: it is not while a model whose load failed is not loaded."""
    config = {"backend": "python", "max_batch_size": 0}
    assert load(server, config, _GOOD)[0] == 200
    unload(server)
    eventually(lambda: _is_ready(server), 30)


def _is_ready(server: Any) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=60)
    try:
        connection.request("GET", "/v2/health/ready")
        return connection.getresponse().status == 200
    finally:
        connection.close()
