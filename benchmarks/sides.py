"""The sides: each client with the Python that it is installed in."""

from __future__ import annotations

import functools
import io
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tests.support.servers.environments import build_python
from tests.support.servers.official import ensure_official

ROOT = Path(__file__).resolve().parent.parent
OFFICIAL = "official"
_REFERENCES = ("numpy", "httpx", "aiohttp", "grpclib")


@dataclass(frozen=True, slots=True)
class Side:
    """A client to measure.

    Attributes:
        client: the class of `clients`, as MODULE:CLASS.
        python: finds its Python, which may take a while the first time.
        source: a folder to import the package from, in place of the one that is installed.
    """

    name: str
    client: str
    python: Callable[[], str]
    source: Path | None = None


def _ours() -> str:
    return sys.executable


def _official() -> str:
    return str(ensure_official())


@functools.cache
def _references() -> str:
    return build_python("bench", _REFERENCES)


SIDES = {
    side.name: side
    for side in (
        Side(OFFICIAL, "official:Official", _official),
        Side("ours", "ours:Ours", _ours),
        Side("classic", "official:Official", _ours),
        Side("grpcio", "ours:ThroughGrpcio", _ours),
        Side("httpx", "reference:Httpx", _references),
        Side("aiohttp", "reference:Aiohttp", _references),
        Side("grpclib", "reference:Grpclib", _references),
        Side("socket", "floor:Floor", _ours),
    )
}


def at(side: Side, commit: str, folder: Path) -> Side:
    """Return a side of this project as it was at a commit, whose source is unpacked in `folder`."""
    return replace(side, name=f"{side.name} at {commit}", source=folder / "src")


def unpack(commit: str, folder: Path) -> str:
    """Unpack the source of a commit; returns the commit's short name.

    Raises:
        subprocess.CalledProcessError: there is no such commit; git has said so.
    """
    archive = _git("archive", commit, "src")
    with tarfile.open(fileobj=io.BytesIO(archive)) as members:
        members.extractall(folder)
    return _git("rev-parse", "--short", commit).decode().strip()


def _git(*arguments: str) -> bytes:
    command = ("git", *arguments)
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
