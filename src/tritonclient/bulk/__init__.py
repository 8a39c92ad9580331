"""Whole tables, files and folders of images through a model.

`infer` takes a table, or names of files, and gives Arrow record batches; `Model` is a callable from
batch to batch for Ray, Spark, Dask and others. `tritonclient infer` is the command for it.
"""

from ..extras import optional_import

with optional_import("pyarrow", "tritonclient.bulk", "bulk"):
    import pyarrow  # noqa: F401

from .faults import BadInput, BadOutput, RowFailed, ServerGone
from .model import Model
from .tables import infer

__all__ = ["BadInput", "BadOutput", "Model", "RowFailed", "ServerGone", "infer"]
