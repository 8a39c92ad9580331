"""The command; see the package."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests import triton
from tests.record_vectors import administration, inference, refusals
from tests.record_vectors.recorder import Recorder
from tests.record_vectors.requests import MODELS
from tests.recordings import save
from tests.twins import build_repository

#: What is recorded, in this order: the statistics come first, so that they count no other's.
SUBJECTS: Mapping[str, Callable[[Recorder], None]] = {
    name.removeprefix("record_"): value
    for module in (administration, inference, refusals)
    for name, value in vars(module).items()
    if name.startswith("record_")
}


def main(wanted: Sequence[str]) -> None:
    if unknown := set(wanted) - set(SUBJECTS):
        sys.exit(f"unknown subject {', '.join(sorted(unknown))}; there are {', '.join(SUBJECTS)}")
    # A fixed place, because errors of the Python backend tell the path of the model.
    repository = Path(tempfile.gettempdir(), "tritonclient-recording", "models")
    shutil.rmtree(repository.parent, ignore_errors=True)
    repository.parent.mkdir()
    try:
        build_repository(MODELS, repository)
        with triton.start(
            repository, control_mode="explicit", extra_args=triton.CONTROLLED
        ) as server:
            for subject, record in SUBJECTS.items():
                if not wanted or subject in wanted:
                    recorder = Recorder(server.http_port)
                    record(recorder)
                    save(subject, recorder.exchanges)
    finally:
        shutil.rmtree(repository.parent)


if __name__ == "__main__":
    main(sys.argv[1:])
