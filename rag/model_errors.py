"""The errors of `models`, which knows no other package, as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from models import errors as model
from rag import errors


@contextmanager
def model_errors() -> Iterator[None]:
    """Raise the errors of `models` as ours: the nearest of the same name."""
    try:
        yield
    except model.ModelError as exc:
        named = (getattr(errors, kind.__name__, None) for kind in type(exc).__mro__)
        ours = next(kind for kind in named if kind is not None)
        raise ours(str(exc)) from exc
