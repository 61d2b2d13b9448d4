"""What a sync needs of a place that documents come from; one adapter for each kind of origin."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

from rag.domain import MetadataValue, OriginItem


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that a place lists. `name` is the document's, without the origin's prefix; as long
    as `mark` stays, so do the bytes ("": only reading tells)."""

    key: str
    name: str
    mark: str = ""
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listing:
    """What a place holds now, by key. `later` are the keys of what is there but cannot be taken at
    this moment; `unread` says why there may be more, else it is ""."""

    entries: Mapping[str, Entry]
    later: frozenset[str] = frozenset()
    unread: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    data: bytes
    mark: str


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The same bytes as under the mark of before, to be known by `mark` from now on."""

    mark: str


class Gone(Exception):
    """It was listed, but the place says that it is not there."""


class Place(Protocol):
    """A context manager: leaving it gives connections back."""

    def listing(self) -> Listing:
        """Raises OriginUnavailable when the place cannot be reached, LimitExceeded when it holds
        too much, AddressRefused."""
        ...

    def same(self, entry: Entry, item: OriginItem, now: datetime.datetime) -> bool:
        """Whether the entry need not be read, because it is what `item` was."""
        ...

    def read(self, entry: Entry, before: str) -> Content | Unchanged:
        """`before` is the mark of the bytes taken last, "" when there are none. Raises Gone,
        OriginUnavailable for what may work later, BadInput or NotPermitted for what will not."""
        ...

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
