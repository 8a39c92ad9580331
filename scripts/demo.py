"""Start the embedded server, read the example digits with `image_client`, and check the results.

Both are started as commands, the way people start them.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIGITS = "examples/images/digits"
LABELS = (ROOT / "models/digits/labels.txt").read_text().split()
STARTED = {"Started GRPCInferenceService at ": "grpc", "Started HTTPService at ": "http"}
PATIENCE = 60.0  # seconds that any one step may take


@contextmanager
def embedded_server() -> Iterator[dict[str, str]]:
    """Start a server; give its URLs by protocol, and end it with the block."""
    flags = ["--model-repository", "models", "--http-port", "0", "--grpc-port", "0"]
    flags += ["--http-address", "127.0.0.1", "--grpc-address", "127.0.0.1"]
    command = [sys.executable, "-m", "tritonclient", "serve", *flags]
    show("tritonclient serve --model-repository models --http-port 0 --grpc-port 0")
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield wait_for(process)
        finally:
            process.terminate()
            try:
                process.communicate(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()


def wait_for(process: subprocess.Popen[str]) -> dict[str, str]:
    """Return the URLs that a server prints when it is ready."""
    assert process.stdout is not None
    give_up = threading.Timer(PATIENCE, process.kill)
    give_up.start()
    urls: dict[str, str] = {}
    try:
        for line in process.stdout:
            for text, scheme in STARTED.items():
                if line.startswith(text):
                    urls[scheme] = f"{scheme}://{line.removeprefix(text).strip()}"
                    break
            else:
                print(line, end="")
            if len(urls) == len(STARTED):
                return urls
    finally:
        give_up.cancel()
    raise SystemExit("the server did not start")


def image_client(url: str, *arguments: str) -> str:
    """Return the output of `image_client`."""
    scheme, _, address = url.partition("://")
    flags = ["-u", address, "-m", "digits", "-s", "INCEPTION", *arguments]
    if scheme == "grpc":
        flags = ["-i", "gRPC", *flags]
    show(f"image_client {' '.join(flags)}")
    done = subprocess.run(
        [sys.executable, "-m", "tritonclient.cli.image_client", *flags],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
    )
    print(done.stdout)
    if done.returncode:
        raise SystemExit("image_client failed")
    return done.stdout


def show(command: str) -> None:
    print(f"$ {command}", flush=True)


def readings(output: str) -> dict[str, str]:
    """The best label of each image, by the name of its file."""
    lines = output.splitlines()
    return {
        Path(line.split("'")[1]).name: best.rpartition(" = ")[2]
        for line, best in pairwise(lines)
        if line.startswith("Image ")
    }


def main() -> int:
    begin = time.perf_counter()
    one = ["-c", "3", f"{DIGITS}/8_0905.png"]
    with embedded_server() as urls:
        same = image_client(urls["http"], *one) == image_client(urls["grpc"], *one)
        read = readings(image_client(urls["grpc"], "--streaming", "-b", "4", DIGITS))
    if not same:
        raise SystemExit("HTTP and gRPC answer differently")
    right = sum(label == LABELS[int(name[0])] for name, label in read.items())
    print(f"{right} of {len(read)} right, in {time.perf_counter() - begin:.1f} seconds")
    return 0 if read and right == len(read) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
