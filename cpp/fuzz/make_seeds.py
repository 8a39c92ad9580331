"""Write what the fuzz targets start from: the answers that were recorded of a real Triton.

PYTHONPATH=. python3 cpp/fuzz/make_seeds.py FOLDER, in the repository's root.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from tests.data import recordings
from tests.data.recordings import rpc


def _write(folder: Path, data: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha1(data).hexdigest()).write_bytes(data)


def main(target: str) -> None:
    for subject in recordings.subjects():
        for exchange in recordings.load(subject):
            first, headers, body = recordings.parse_head(exchange.response)
            if " 200 " in first and "/infer" in exchange.request[:100].decode("latin-1"):
                length = int(headers.get("inference-header-content-length", "0"))
                _write(Path(target, "rest_answer_fuzz"), length.to_bytes(2, "little") + body)
    for subject in rpc.subjects():
        for call in rpc.load(subject):
            if call.method in ("ModelInfer", "ModelStreamInfer"):
                stream = call.method == "ModelStreamInfer"
                for response in call.responses:
                    _write(Path(target, "rpc_answer_fuzz"), bytes([stream, 16]) + response)


if __name__ == "__main__":
    main(sys.argv[1])
