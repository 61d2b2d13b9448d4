"""What filters compare, as short strings that every engine can hold and list."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from rag.domain import Condition, Filter, MetadataValue
from rag.ports import Row


def label(value: str, *above: str) -> str:
    """32 hexadecimal digits for a text under others: whatever characters and length it has, no
    engine must escape or cut it."""
    told = hashlib.sha256()
    for part in (*above, value):
        data = part.encode()
        told.update(b"%d:" % len(data))
        told.update(data)
    return told.hexdigest()[:32]


def reader_labels(groups: Iterable[str]) -> list[str]:
    return sorted(label(group, "reader") for group in groups)


_EVERYONE = label("", "everyone")  # of rows that all who may read the collection may read


def row_labels(row: Row) -> list[str]:
    """What a filter can ask of a row, but for the generation."""
    readers = [_EVERYONE] if row.readers is None else reader_labels(row.readers)
    return [label(row.document, "document"), *readers, *metadata_labels(row.metadata)]


def filter_labels(filter: Filter) -> list[list[str]]:
    """A row meets the filter, but for the generation, when it has one of each of these lists among
    its `row_labels`."""
    asked = [[_EVERYONE, *reader_labels(filter.groups)]]
    if filter.documents is not None:
        asked.append(sorted(label(document, "document") for document in filter.documents))
    return asked + [condition_labels(condition) for condition in filter.conditions]


def metadata_labels(metadata: Mapping[str, MetadataValue]) -> list[str]:
    return sorted(_metadata_label(key, value) for key, value in metadata.items())


def condition_labels(condition: Condition) -> list[str]:
    """A row meets the condition when it has one of these among its `metadata_labels`."""
    return sorted({_metadata_label(condition.key, value) for value in condition.values})


def _metadata_label(key: str, value: MetadataValue) -> str:
    """The same for values that Python calls equal: True, 1 and 1.0, but not "1"."""
    if isinstance(value, str):
        return label(value, key, "text")
    whole = isinstance(value, int) or value.is_integer()
    return label(str(int(value)) if whole else repr(value), key, "number")
