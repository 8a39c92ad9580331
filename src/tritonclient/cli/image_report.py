"""What `image_client` and its like print of results, and what they do about failures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from .. import images
from ..client.results import Classification, InferResult
from ..errors import ServerError
from ..images import ImageError
from .image_jobs import Batch, Job
from .output import Progress, note


class Tally:
    """Counts the images that were classified, and prints those that were not.

    Attributes:
        as_json: True to print a JSON object per image instead of text.
        keep_going: True to go on after images that cannot be read or classified.
    """

    def __init__(self, as_json: bool, keep_going: bool, program: str) -> None:
        self.as_json = as_json
        self.keep_going = keep_going
        self._program = program
        self._classified = 0
        self._failed = 0

    def classified(self, images: int) -> None:
        """Count images."""
        self._classified += images

    def failed(self, file: str, error: Exception) -> None:
        """Print why an image was not classified, and count it."""
        self._failed += 1
        text = " ".join(str(error).split())
        if self.as_json:
            print(json.dumps({"image": file, "error": text}))
        else:
            named = text if file in text else f"{file!r}: {text}"
            note(f"{self._program}: error: {named}")

    def finish(self) -> int:
        """Print the end of the output; the exit status."""
        if self.keep_going:
            total = self._classified + self._failed
            note(f"{self._program}: {self._classified} of {total} images classified")
        if not self.as_json:
            print("FAIL" if self._failed else "PASS")
        return 1 if self._failed else 0


def as_json(classes: Iterable[Classification]) -> list[dict[str, object]]:
    """Return the classes of an image as JSON values."""
    return [{"value": each.value, "index": each.index, "label": each.label} for each in classes]


class Report(Tally):
    """Prints results as they come.

    Args:
        headings: True to print a line with number and size of each request.

    The other arguments are the attributes of `Tally`, and the name of the program, for messages.
    """

    def __init__(
        self, as_json: bool, keep_going: bool, program: str, headings: bool = True
    ) -> None:
        super().__init__(as_json, keep_going, program)
        self._headings = headings

    @contextmanager
    def begin(self, job: Job) -> Iterator[Job]:
        """Show progress in the block; yields the job without the images that cannot be read."""
        if self.keep_going:
            job = replace(job, files=[file for file in job.files if self._is_readable(job, file)])
        self._job = job
        with Progress(f"{self._program}: images", len(job.files)) as self._progress:
            yield job

    def _is_readable(self, job: Job, file: str) -> bool:
        try:
            images.read(file, job.model.pixels, job.scaling)
        except ImageError as error:
            self.failed(file, error)
            return False
        return True

    def show(self, batch: Batch, result: InferResult) -> None:
        """Print the classes of the images of a request."""
        files = self._own(batch)
        if not self.as_json:
            job = self._job
            print(job.report(batch, result) if self._headings else job.shown(batch, result))
        else:
            rows = self._job.rows(batch, result)
            for file, row in zip(
                files, rows, strict=False
            ):  # those that fill the batch up are last
                line = {"image": file, "request": batch.number, "classes": as_json(row)}
                print(json.dumps(line))
        self.classified(len(files))
        self._progress.advance(len(files))

    @contextmanager
    def failures(self, batch: Batch | None) -> Iterator[None]:
        """Go on after an error of the server in the block, if that was asked for."""
        try:
            yield
        except ServerError as error:
            if not self.keep_going or batch is None:
                raise
            files = self._own(batch)
            for file in files:
                self.failed(file, error)
            self._progress.advance(len(files))

    def _own(self, batch: Batch) -> tuple[str, ...]:
        """Return the files of a request without those that fill up the last one."""
        left = len(self._job.files) - batch.number * self._job.batch_size
        return batch.files[:left]
