"""Requests as a test server receives them."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np

import tritonclient.http as httpclient
from tritonclient.http.auth import BasicAuth

# What the two sides of HTTP settle between themselves.
UNINTERESTING = {"host", "connection", "user-agent", "content-type", "accept"}
ANSWER = b'{"model_name":"m","model_version":"1","outputs":[]}'


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        length = headers.pop("inference-header-content-length", None)
        headers.pop("content-length", None)
        shown = sorted(item for item in headers.items() if item[0] not in UNINTERESTING)
        print(self.command, self.path, shown)
        if "content-encoding" not in headers:
            size = None if length is None else int(length)
            print(json.dumps(json.loads(body[:size] or b"{}"), sort_keys=True), length is None)
            print(b"" if size is None else body[size:])
        self.send_response(200)
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    do_GET = do_POST = answer

    def log_message(self, *arguments):
        pass


server = HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = httpclient.InferenceServerClient(f"127.0.0.1:{server.server_port}/base/path")

client.is_server_live(headers={"X-Mine": "1"}, query_params={"a b": ["c d", 1], "e": "\u00e4"})
client.is_model_ready("a b", "1")
client.get_server_metadata()
client.get_model_metadata("m", "2")
client.get_model_config("m")
client.get_inference_statistics()
client.get_inference_statistics("m", "3")
client.load_model("m")
client.load_model("m", {"h": "1"}, {"q": "1"}, '{"x":1}', {"file:1/model.onnx": b"\x00\x01"})
client.unload_model("m")
client.unload_model("m", unload_dependents=True)
client.update_trace_settings(
    "m", {"trace_rate": "1", "trace_level": ["A", "B"], "trace_count": None}
)
client.get_trace_settings()
client.update_log_settings({"log_info": True, "log_verbose_level": 2})
client.get_log_settings()
client.get_system_shared_memory_status("r s")
client.register_system_shared_memory("r", "/key", 64, 8)
client.unregister_system_shared_memory("r")
client.unregister_system_shared_memory()
client.get_cuda_shared_memory_status()
client.register_cuda_shared_memory("r", b"aGFuZGxl", 0, 64)
client.unregister_cuda_shared_memory("r")

binary = httpclient.InferInput("A", [2], "FP32").set_data_from_numpy(np.array([1, 2], np.float32))
plain = httpclient.InferInput("B", (1, 2), "INT64")
plain.set_data_from_numpy(np.array([[3, 4]]), binary_data=False)
texts = httpclient.InferInput("C", [2], "BYTES")
texts.set_data_from_numpy(np.array([b"x", b"yz"], dtype=object))
shared = httpclient.InferInput("D", [2], "FP16").set_shared_memory("r", 4)
offset = httpclient.InferInput("E", [2], "FP16").set_shared_memory("r", 4, offset=4)
outputs = [
    httpclient.InferRequestedOutput("X"),
    httpclient.InferRequestedOutput("Y", binary_data=False, class_count=3),
    httpclient.InferRequestedOutput("Z"),
]
outputs[2].set_shared_memory("r", 8, offset=16)
client.infer("m", [binary])
client.infer("m", [plain], "1", [])
client.infer("m", [binary, plain, texts, shared, offset], outputs=outputs, request_id="\u00fc")
client.infer("m", [plain], sequence_id=0, sequence_start=True, sequence_end=True, priority=0)
client.infer("m", [plain], sequence_id=5, sequence_start=True, priority=3, timeout=0)
client.infer("m", [plain], sequence_id="s", sequence_end=True, timeout=7)
client.infer("m", [plain], parameters={"a": 1, "b": True, "c": "x", "d": 1.5, "e": None, "f": [1]})
client.infer("m", [binary], request_compression_algorithm="gzip")
client.infer("m", [binary], response_compression_algorithm="deflate", headers={"X-Mine": "2"})
client.async_infer("m", [binary], query_params={"q": "1"}).get_result()

client.register_plugin(BasicAuth("user", "password"))
client.infer("m", [binary])
client.is_server_ready()
client.unregister_plugin()
client.is_server_ready()
client.close()
server.shutdown()
server.server_close()
