"""The errors of `models`, which knows no other package, as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from models import errors as model
from rag import errors


@contextmanager
def model_errors() -> Iterator[None]:
    """Raise the errors of `models` as ours."""
    try:
        yield
    except model.ModelError as exc:
        ours = getattr(errors, type(exc).__name__, errors.ModelError)
        raise ours(str(exc)) from exc
