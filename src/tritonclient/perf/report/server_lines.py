"""The server's block of the console report."""

from __future__ import annotations

from collections.abc import Iterator

from ..data.model import ModelInfo
from ..measure.server import ModelSide, ServerSide


def block(server: ServerSide, model: ModelInfo) -> Iterator[str]:
    """The lines of the block, with those of composing models."""
    own = server.model
    yield "  Server: "
    yield from _counts(own, model.cached, "    ")
    if server.composing:
        yield from _ensemble(server, model)
        yield ""
        yield "  Composing models: "
        for index, each in enumerate(server.composing):
            if index:
                yield ""
            yield f"  {each.name}, version: {each.version}"
            yield from _counts(each, model.cached, "      ")
            yield from _times(each, model.cached, "      ", "          ")
    else:
        yield from _times(own, model.cached, "    ", "      ")


def _counts(side: ModelSide, cached: bool, indent: str) -> Iterator[str]:
    yield f"{indent}Inference count: {side.inferences}"
    yield f"{indent}Execution count: {side.executions}"
    if cached:
        yield f"{indent}Cache hit count: {side.count('cache_hit')}"
        yield f"{indent}Cache miss count: {side.count('cache_miss')}"
    yield f"{indent}Successful request count: {side.successes}"


def _ensemble(server: ServerSide, model: ModelInfo) -> Iterator[str]:
    request, queue = server.request, server.queue
    if model.top_cached:
        yield f"    Avg request latency: {request} usec"
        return
    if model.cached:
        cache = server.hit + server.miss
        rest = max(0, request - queue - cache)
        yield (
            f"    Avg request latency: {request} usec (overhead {rest} usec + queue {queue} usec "
            f"+ cache hit/miss {cache} usec)"
        )
        yield f"      Average Cache Hit Latency: {server.hit} usec"
        yield f"      Average Cache Miss Latency: {server.miss} usec "
        return
    rest = max(0, request - queue - server.compute)
    yield (
        f"    Avg request latency: {request} usec (overhead {rest} usec + queue {queue} usec "
        f"+ compute {server.compute} usec)"
    )


def _times(side: ModelSide, cached: bool, indent: str, deeper: str) -> Iterator[str]:
    request, queue = side.average("success"), side.average("queue")
    parts = [side.average(f"compute_{name}") for name in ("input", "infer", "output")]
    if cached:
        hit, miss = side.hit, side.miss
        rest = max(0, request - queue - hit - miss)
        yield (
            f"{indent}Avg request latency: {request} usec (overhead {rest} usec + queue {queue} "
            f"usec + cache hit/miss {hit + miss} usec)"
        )
        yield f"{deeper}Average Cache Hit Latency: {hit} usec"
        yield (
            f"{deeper}Average Cache Miss Latency: {miss} usec (cache lookup/insertion "
            f"{side.average('cache_miss')} usec + compute input {parts[0]} usec + compute infer "
            f"{parts[1]} usec + compute output {parts[2]} usec)"
        )
        return
    rest = max(0, request - queue - sum(parts))
    yield (
        f"{indent}Avg request latency: {request} usec (overhead {rest} usec + queue {queue} usec "
        f"+ compute input {parts[0]} usec + compute infer {parts[1]} usec + compute output "
        f"{parts[2]} usec)"
    )
