"""`infer`: a table through a model."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import pyarrow as pa

from ..client.blocking import Client
from ..client.model_spec import ModelSpec
from ..client.options import InferOptions
from ..client.suggestions import unknown_argument
from ..images import ImageError, PixelFormat, pixel_format
from .arrays import common_type
from .faults import BadInput
from .pipeline import Pipeline
from .plan import Plan, make_plan
from .reading import PATH
from .results import make_results
from .sources import FileSource, Source, source_of
from .text import TEXT


def infer(
    client_or_url: Client | str,
    model: str,
    data: Any,
    *,
    version: str = "",
    columns: Mapping[str, str | Sequence[str]] | None = None,
    keep: Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
    batch_size: int | None = None,
    concurrency: int | None = None,
    preprocess: str | None = None,
    errors: str = "raise",
    patience: float = 60.0,
    **options: Any,
) -> Generator[pa.RecordBatch, None, None]:
    """Infer each row of a table; return an iterator of record batches, in the order of the rows.

    A batch has the kept columns, a column for each output, and the column `error`, which is null
    where a row has results. Little more than the batches in flight is held in memory.

    Args:
        client_or_url: a client, or a server's URL.
        data: an Arrow table, record batch, dataset or reader; an iterable of record batches; a
            DataFrame; or the name of a file or folder, or a list of them.
        columns: for an input its column, or columns to stack, also as text: "a,b" or "p0..p63". By
            default an input X is made of the column X, or of X_0, X_1 and so on.
        keep: columns to copy to the output; by default all, for files none.
        outputs: names of the outputs wanted; by default all.
        batch_size: the most rows of a request; by default what the model takes.
        concurrency: requests in flight; by default chosen from measured latency.
        preprocess: for images, how their pixels are scaled: NONE, INCEPTION or VGG.
        errors: "raise", or "keep" to give a failed row with its error.
        patience: seconds for which the server may stay away, as when it restarts.
        options: what `Client.infer` takes besides, such as timeout, priority and headers.

    Raises:
        BadInput: data and model do not fit; nothing was sent.
        RowFailed: a row failed, and errors are not kept.
        ServerGone: the server stayed away too long.
    """
    if errors not in ("raise", "keep"):
        raise ValueError(f"errors is {errors!r}, expected 'raise' or 'keep'")
    check_options(options)
    with ExitStack() as stack:
        client = client_or_url
        if not isinstance(client, (Client, str)):
            raise TypeError(
                f"client_or_url is {type(client).__name__}, expected a tritonclient.Client or a URL"
            )
        if not isinstance(client, Client):
            client = stack.enter_context(Client(client))
        source = source_of(data)
        if keep is None and isinstance(source, FileSource):
            keep = source.default_keep()
        pipeline = make_pipeline(
            client, model, source, version=version, columns=columns, keep=keep, outputs=outputs,
            batch_size=batch_size, preprocess=preprocess,
        )  # fmt: skip
        pipeline.concurrency = concurrency
        pipeline.patience = patience
        pipeline.keep_errors = errors == "keep"
        pipeline.options = {**options, **pipeline.options}
        return _run(pipeline, stack.pop_all())


def check_options(options: Mapping[str, Any]) -> None:
    """Raise TypeError for an option that inferences do not have."""
    taken = {*InferOptions.__optional_keys__, "timeout"}
    for name in options:
        if name not in taken:
            raise unknown_argument(name, [*taken, *(infer.__kwdefaults__ or ())])


def _run(pipeline: Pipeline, stack: ExitStack) -> Generator[pa.RecordBatch, None, None]:
    with stack:
        yield from pipeline.run()


def make_pipeline(
    client: Client,
    model: str,
    source: Source,
    *,
    version: str = "",
    columns: Mapping[str, str | Sequence[str]] | None = None,
    keep: Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
    batch_size: int | None = None,
    preprocess: str | None = None,
) -> Pipeline:
    """Return the pipeline for a model and a source; see `infer`.

    Raises:
        BadInput: they do not fit.
    """
    spec = client.model(model, version).spec
    images = _images(client, spec, source, columns or {}, preprocess)
    plan = make_plan(
        spec, source, columns=columns, keep=keep, batch_size=batch_size,
        images=images, scaling=preprocess or "NONE",
    )  # fmt: skip
    kept = _kept_types(source, plan)
    results = make_results(plan, kept, outputs)
    # A model without batches of its own has few outputs to leave out; only what is asked for comes.
    options: dict[str, Any] = {} if outputs is None else {"outputs": results.names}
    return Pipeline(client, source, plan, results, options=options)


def _kept_types(source: Source, plan: Plan) -> dict[str, pa.DataType]:
    """Return the types of the kept columns; text is read as what its input needs.

    Raises:
        BadInput: a column has types in two files that nothing holds.
    """
    schemas = list(source.schemas())
    if not isinstance(source, FileSource):
        return {name: schemas[0][1].field(name).type for name in plan.keep}
    kept = {}
    for name in plan.keep:
        if source.form in TEXT and name in plan.types:
            kept[name] = pa.string() if source.form == "csv" else plan.types[name]
            continue
        places = {schema.field(name).type: place for place, schema in schemas}
        kind = common_type(places)
        if kind is None:
            shown = ", ".join(f"{kind} in {place}" for kind, place in list(places.items())[:3])
            raise BadInput(
                f"column {name!r} is {shown}; make it one type, or leave it out of those to keep"
            )
        kept[name] = kind
    return kept


def _images(
    client: Client,
    spec: ModelSpec,
    source: Source,
    columns: Mapping[str, str | Sequence[str]],
    preprocess: str | None,
) -> dict[str, PixelFormat]:
    """Return the inputs that are made of images: those of a folder, or what is asked for."""
    if preprocess is None and getattr(source, "form", "") != "images":
        return {}
    pixels, reasons = {}, []
    config = client.model_config(spec.name, spec.version)
    for name, tensor in spec.inputs.items():
        if name in columns or PATH in source.columns or name in source.columns:
            try:
                batched = bool(spec.max_batch_size)
                pixels[name] = pixel_format(tensor, batched, config)
            except ImageError as error:
                reasons.append(f"input {name!r}: {error}")
    if not pixels:
        raise BadInput(
            f"model {spec.name!r} can't be given images: "
            + ("; ".join(reasons) or f"no column makes one of its inputs {', '.join(spec.inputs)}")
        )
    return pixels
