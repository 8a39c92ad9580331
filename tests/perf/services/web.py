"""A server with the interfaces of OpenAI, TorchServe and TensorFlow Serving, as their public
documentation describes them: the OpenAI API reference (chat, completions, embeddings, streams of
events), TorchServe's inference API, and TensorFlow Serving's RESTful API.
"""

from __future__ import annotations

import email
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: Seconds before the first token and between tokens.
FIRST, GAP = 0.05, 0.01


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # a response that is no stream goes out in one piece
    server: Web

    def log_message(self, *arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        if self.path.endswith("/metadata"):
            self.send(200, METADATA)
        else:
            self.send(404, {"error": "not found"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.path, dict(self.headers), body))
        if self.path.startswith("/v1/chat/completions"):
            self.chat(json.loads(body))
        elif self.path == "/v1/completions":
            self.send(200, {"choices": [{"text": "four words are here"}],
                            "usage": {"prompt_tokens": 3, "completion_tokens": 4}})  # fmt: skip
        elif self.path == "/v1/embeddings":
            self.send(200, {"data": [{"embedding": [0.5]}], "usage": {"prompt_tokens": 5}})
        elif self.path.startswith("/predictions/"):
            self.predict(body)
        elif self.path.endswith(":predict"):
            self.tensorflow(json.loads(body))
        else:
            self.send(404, {"error": {"message": "no such endpoint"}})

    def send(self, status: int, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def chat(self, request: dict[str, Any]) -> None:
        if request.get("model") != "m":
            self.send(404, {"error": {"message": "the model does not exist"}})
            return
        count = request.get("max_tokens", 5)
        if not request.get("stream"):
            said = {"role": "assistant", "content": " ".join(["word"] * count)}
            self.send(200, {"choices": [{"message": said}],
                            "usage": {"prompt_tokens": 2, "completion_tokens": count}})  # fmt: skip
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.chunk(_delta({"role": "assistant", "content": ""}))
        time.sleep(FIRST)
        for _ in range(count):
            text = _delta({"content": "word "})
            # An event need not come in one piece, nor a piece hold one event.
            self.chunk(text[:7])
            self.chunk(text[7:])
            time.sleep(GAP)
        self.chunk(_delta({}, "stop") + b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def predict(self, body: bytes) -> None:
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        form = email.message_from_bytes(head + body)
        parts = {
            part.get_param("name", header="content-disposition"): part.get_payload(decode=True)
            for part in form.get_payload()  # type: ignore[union-attr]
        }
        if parts.get("data") != b"a kitten":
            self.send(400, {"code": 400, "type": "BadRequest", "message": "no data"})
        else:
            self.send(200, {"tabby": 0.9})

    def tensorflow(self, request: dict[str, Any]) -> None:
        inputs = request["inputs"]
        if request["signature_name"] != "serving_default" or len(inputs["x"][0]) != 3:
            self.send(400, {"error": "wrong input"})
        else:
            self.send(200, {"outputs": [[sum(row)] for row in inputs["x"]]})


def _delta(delta: dict[str, Any], reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    value = {"object": "chat.completion.chunk", "choices": [choice]}
    return b"data: " + json.dumps(value).encode() + b"\n\n"


METADATA = {
    "model_spec": {"name": "half", "version": "1"},
    "metadata": {"signature_def": {"signature_def": {"serving_default": {
        "inputs": {
            "x": {"dtype": "DT_FLOAT", "name": "x:0", "tensor_shape": {
                "dim": [{"size": "-1", "name": ""}, {"size": "3", "name": ""}],
                "unknown_rank": False}},
            "word": {"dtype": "DT_STRING", "name": "w:0", "tensor_shape": {
                "dim": [{"size": "-1", "name": ""}], "unknown_rank": False}},
        },
        "outputs": {"y": {"dtype": "DT_FLOAT", "name": "y:0", "tensor_shape": {
            "dim": [{"size": "-1", "name": ""}], "unknown_rank": False}}},
        "method_name": "tensorflow/serving/predict",
    }}}},
}  # fmt: skip


class Web(ThreadingHTTPServer):
    """The server, and the requests that it has seen."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, dict[str, str], bytes]] = []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


@contextmanager
def start() -> Iterator[Web]:
    with Web() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
