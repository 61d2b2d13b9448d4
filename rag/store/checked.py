"""What may be written into the truth: names, groups and metadata, checked at the door."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from rag.domain import MetadataValue
from rag.errors import BadInput, BadName
from rag.store.tables import NAME_LENGTH


def checked_name(name: str, of: str) -> str:
    """`name` itself. Raises BadName when it is blank, too long or not plain text."""
    if not name.strip():
        raise BadName(f"the name of {of} is empty")
    if len(name) > NAME_LENGTH:
        raise BadName(f"the name of {of} has {len(name)} characters; at most {NAME_LENGTH}")
    if not _plain(name):
        raise BadName(f"the name of {of} holds control characters: {name!r:.100}")
    return name


def checked_groups(groups: Iterable[str]) -> list[str]:
    """The groups, sorted. Raises BadName."""
    return sorted({checked_name(group, "a group") for group in groups})


def checked_metadata(metadata: Mapping[str, MetadataValue]) -> dict[str, MetadataValue]:
    """A copy. Raises BadInput for a key or value that has no exact JSON form."""
    for key, value in metadata.items():
        if not isinstance(key, str) or not key or not _plain(key):
            raise BadInput(f"metadata key {key!r:.100} is not plain text")
        if not isinstance(value, str | int | float | bool):
            raise BadInput(f"metadata {key!r} is a {type(value).__name__}, not text or a number")
        if isinstance(value, float) and not math.isfinite(value):
            raise BadInput(f"metadata {key!r} is {value}, which is not a number to filter by")
    return dict(metadata)


def _plain(text: str) -> bool:
    """No control characters, and no half of a surrogate pair."""
    return not any(ord(c) < 32 or ord(c) == 127 or 0xD800 <= ord(c) <= 0xDFFF for c in text)
