"""Whether someone may do something with a collection: the one place that decides (PERMITTED)."""

from __future__ import annotations

from rag.domain import Collection, Principal, Right
from rag.errors import NotPermitted, UnknownCollection
from rag.ports import readable


def require(collection: Collection, who: Principal, right: Right) -> None:
    """Pass when `who` holds `right` on the collection. Raises UnknownCollection when `who` may not
    even read it (it then looks like one that does not exist), else NotPermitted."""
    held = readable(collection, who)
    if held is None:
        raise UnknownCollection(unknown(collection.name))
    if not held.includes(right):
        raise NotPermitted(
            f"{who.user} may {held.value} the collection {collection.name!r}, which does not "
            f"include {right.value}; ask one of its managers"
        )


def unknown(name: str) -> str:
    """What is said of a collection that is not there, or not there for the one who asks."""
    return f"there is no collection {name!r}; `attest collections list` shows those you may read"
