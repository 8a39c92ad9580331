"""The files of an input, and the format of each."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import lru_cache

from ..client.suggestions import meant
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
#: Suffixes of tables of other formats, which are neither images nor folders.
_OTHERS = (
    *(".xlsx", ".xls", ".ods", ".tsv", ".txt", ".json", ".xml", ".orc", ".avro", ".h5", ".hdf5"),
    *(".pkl", ".pickle", ".pt", ".db", ".sqlite", ".zip", ".tar", ".parq", ".tfrecord"),
    *(".onnx", ".py", ".ipynb", ".md", ".yaml", ".yml", ".toml", ".log", ".pdf", ".html"),
)
#: The formats that --input-format offers.
INPUT_FORMATS = ("parquet", "csv", "jsonl", "arrow", "npy", "npz", "images")


def format_of(path: str) -> str:
    """Return the format that a file's suffix names, or ""."""
    name = os.path.basename(path).lower()
    for suffix, form in SUFFIXES.items():
        if name.endswith(suffix):
            return form
    return ""


def refuse_others(path: str, what: str) -> None:
    """Raise BadInput for a file of a table's format that is none of ours."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix in _OTHERS:
        raise BadInput(
            f"the {what} {path!r} is a {suffix} file, expected one of {', '.join(SUFFIXES)}, "
            f"or a folder{'' if what == 'input' else f': {path + os.sep!r}'}"
        )


def find_files(
    paths: Sequence[str], form: str = "", apart: Sequence[str] = ()
) -> tuple[str, list[str]]:
    """Return the one format and the files that paths name, folders with their subfolders.

    The files of a folder are sorted by name. Names that begin with "." or "_" are left out.

    Args:
        form: the format; "" for what the suffixes say. Files with no known suffix are images.
        apart: files and folders to leave out of the folders, as the output may be in one of them.

    Raises:
        BadInput: a path does not exist, or the files are of several formats, or there are none.
    """
    files: dict[str, str] = {}
    for path in paths:
        if not os.path.exists(path):
            raise BadInput(f"there is no file or folder {path!r}{_instead(path)}")
        if os.path.isdir(path):
            files.update(_in_folder(path, form, apart))
        else:
            if not form:
                refuse_others(path, "input")
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


def _instead(path: str) -> str:
    """Return what may be meant by the path of a file that is not there, or ""."""
    if "://" in path:
        return "; it is a URL, and files of this machine are read: download it first"
    if any(each in path for each in "*?["):
        return "; it is a pattern, which the shell expands where it is not in quotes"
    folder, name = os.path.split(path)
    return meant(name, os.listdir(folder or ".")) if os.path.isdir(folder or ".") else ""


def _in_folder(folder: str, form: str, apart: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    if form != "images":
        for file in _walk(folder):
            if (kind := format_of(file)) and not is_in(file, apart):
                found[file] = form or kind
    if not found and form in ("", "images"):
        try:
            require_pillow()
            images = find(folder, lambda skipped: None)
            found = {file: "images" for file in images if not is_in(file, apart)}
        except ImageError as error:
            raise BadInput(
                f"the folder {folder!r} has no file that can be read: expected "
                f"{', '.join(SUFFIXES)}, or images ({error})"
            ) from None
    if not found:
        raise BadInput(f"the folder {folder!r} has no {form} file")
    return found


def is_in(file: str, places: Sequence[str]) -> bool:
    """True if a file is one of some files, or lies in one of some folders."""
    name = f"{_real(file)}{os.sep}"
    return any(name.startswith(f"{_real(each)}{os.sep}") for each in places)


def _real(path: str) -> str:
    if os.path.islink(path) or os.path.isdir(path):
        return os.path.realpath(path)
    folder, name = os.path.split(path)
    return os.path.join(_real_folder(os.path.abspath(folder)), name)


@lru_cache(maxsize=64)
def _real_folder(path: str) -> str:
    return os.path.realpath(path)


def _walk(folder: str) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        raise BadInput(f"the folder {error.filename!r} can't be read: {error.strerror}")

    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if name[0] not in "._")
        for name in sorted(names):
            if name[0] not in "._":
                yield os.path.join(place, name)
