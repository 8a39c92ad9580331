"""The service of a kind."""

from __future__ import annotations

from ..options.settings import Settings
from .service import Service


def connect(settings: Settings) -> Service:
    """The service that the options name, reached and asked for its model.

    Raises:
        SetupError: it can't be reached, or does not have the model.
    """
    kind = settings.service_kind
    if kind == "triton":
        from .triton import Triton

        return Triton(settings)
    if kind == "openai":
        from .openai import OpenAI

        return OpenAI(settings)
    if kind == "torchserve":
        from .torchserve import TorchServe

        return TorchServe(settings)
    if kind == "tfserving":
        from .tfserving import TensorFlowServing

        return TensorFlowServing(settings)
    from .c_api import InProcessTriton

    return InProcessTriton(settings)
