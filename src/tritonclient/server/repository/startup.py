"""`load_all`: the models that a server loads when it starts."""

from __future__ import annotations

from collections.abc import Iterable

from ...errors import Internal, ServerError
from .repository import Repository


def load_all(repository: Repository, names: Iterable[str], exit_on_error: bool) -> None:
    """Load these models of a repository.

    Args:
        exit_on_error: True to raise the errors of models; their index has them in any case.

    Raises:
        Internal: models cannot be loaded, with `exit_on_error`.
    """
    failures = {}
    for name in dict.fromkeys(names):
        try:
            repository.start(name)
        except ServerError as error:
            text = (error.message() or "").strip()
            cause = repository.failure(name)
            failures[name] = f"{text} ({cause})" if cause and cause not in text else text
    if not failures or not exit_on_error:
        return
    # A missing package is named once, with all models that need it.
    texts = []
    for text, models in repository.missing().items():
        texts.append(f"{text} (for {', '.join(map(repr, models))})")
        for name in models:
            failures.pop(name, None)
    raise Internal("failed to load all models: " + "; ".join([*texts, *failures.values()]))
