"""Starts the embedded server, has `image_client` read the example digits, and checks the answers.

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

import tritonclient

ROOT = Path(__file__).resolve().parent.parent
DIGITS = "examples/images/digits"
LABELS = (ROOT / "models/digits/labels.txt").read_text().split()
STARTED = "Started HTTPService at "
PATIENCE = 60.0  # seconds that any one step may take


@contextmanager
def embedded_server() -> Iterator[str]:
    """The URL of a server that ends when the block does, however that ends."""
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


def wait_for(process: subprocess.Popen[str]) -> str:
    """The URL that a starting server tells, once it is ready."""
    assert process.stdout is not None
    give_up = threading.Timer(PATIENCE, process.kill)
    give_up.start()
    try:
        for line in process.stdout:
            if line.startswith(STARTED):
                url = "http://" + line.removeprefix(STARTED).strip()
                with tritonclient.Client(url) as client:
                    client.wait_until_ready("digits", timeout=PATIENCE)
                return url
            print(line, end="")
    finally:
        give_up.cancel()
    raise SystemExit("the server did not start")


def image_client(url: str, *arguments: str) -> str:
    """What `image_client` prints."""
    flags = ["-m", "digits", "-s", "INCEPTION", *arguments]
    show(f"image_client -u {url.removeprefix('http://')} {' '.join(flags)}")
    done = subprocess.run(
        [sys.executable, "-m", "tritonclient.cli.image_client", "-u", url, *flags],
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
    with embedded_server() as url:
        image_client(url, "-c", "3", f"{DIGITS}/8_0905.png")
        read = readings(image_client(url, "-b", "4", DIGITS))
    right = sum(label == LABELS[int(name[0])] for name, label in read.items())
    print(f"{right} of {len(read)} right, in {time.perf_counter() - begin:.1f} seconds")
    return 0 if read and right == len(read) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
