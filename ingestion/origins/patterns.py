"""Which of a place's entries are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from rag.domain import Origin
from rag.errors import LimitExceeded


def wanted(origin: Origin, path: str) -> bool:
    """Whether `path` meets a pattern of `include` (none: all do) and none of `exclude`. Shell
    patterns over the whole path; `*` goes past slashes."""
    included = not origin.include or _meets(path, origin.include)
    return included and not _meets(path, origin.exclude)


def _meets(path: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def check_count(count: int, most: int) -> None:
    """Raises LimitExceeded."""
    if count > most:
        raise LimitExceeded(
            f"there are more than {most:,} items (source_items); name a narrower place, or leave "
            "some out with patterns"
        )
