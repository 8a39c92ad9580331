"""The files of an input, and the format of each."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from ..images import ImageError, find, require_pillow
from .faults import BadInput

#: Formats by the suffix of a file's name.
SUFFIXES = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".csv.gz": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".npy": "npy",
    ".npz": "npz",
}
#: The formats that --input-format offers.
INPUT_FORMATS = ("parquet", "csv", "jsonl", "arrow", "npy", "npz", "images")


def format_of(path: str) -> str:
    """Return the format that a file's suffix names, or ""."""
    name = os.path.basename(path).lower()
    for suffix, form in SUFFIXES.items():
        if name.endswith(suffix):
            return form
    return ""


def find_files(paths: Sequence[str], form: str = "") -> tuple[str, list[str]]:
    """Return the one format and the files that paths name, folders with their subfolders.

    The files of a folder are sorted by name. Names that begin with "." or "_" are left out.

    Args:
        form: the format; "" for what the suffixes say. Files with no known suffix are images.

    Raises:
        BadInput: a path does not exist, or the files are of several formats, or there are none.
    """
    files: dict[str, str] = {}
    for path in paths:
        if not os.path.exists(path):
            raise BadInput(f"there is no file or folder {path!r}")
        if os.path.isdir(path):
            files.update(_in_folder(path, form))
        else:
            files[path] = form or format_of(path) or "images"
    formats = sorted(set(files.values()))
    if len(formats) > 1:
        example = {kind: file for file, kind in files.items()}
        raise BadInput(
            "the input has files of several formats: "
            + ", ".join(f"{file!r} is {kind}" for kind, file in sorted(example.items()))
            + "; give files of one format"
        )
    return formats[0], list(files)


def _in_folder(folder: str, form: str) -> dict[str, str]:
    found = {}
    if form != "images":
        for file in _walk(folder):
            if kind := format_of(file):
                found[file] = form or kind
    if not found and form in ("", "images"):
        try:
            require_pillow()
            found = dict.fromkeys(find(folder, lambda skipped: None), "images")
        except ImageError as error:
            raise BadInput(
                f"the folder {folder!r} has no file that can be read: expected "
                f"{', '.join(SUFFIXES)}, or images ({error})"
            ) from None
    if not found:
        raise BadInput(f"the folder {folder!r} has no {form} file")
    return found


def _walk(folder: str) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        raise BadInput(f"the folder {error.filename!r} can't be read: {error.strerror}")

    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if name[0] not in "._")
        for name in sorted(names):
            if name[0] not in "._":
                yield os.path.join(place, name)
