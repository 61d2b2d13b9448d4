"""Whether someone may do something with a collection: the one place that decides (PERMITTED)."""

from __future__ import annotations

from rag.domain import Collection, Document, Principal, Right
from rag.errors import NotPermitted, UnknownCollection, UnknownDocument
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


def may_read(collection: Collection, document: Document, who: Principal) -> bool:
    """The rule both retrieval legs filter by: the collection is readable, and so is the document
    where it names its readers."""
    if readable(collection, who) is None:
        return False
    return document.readers is None or not document.readers.isdisjoint(who.groups)


def may_list(collection: Collection, document: Document, who: Principal) -> bool:
    """Whether `who` may know of the document: its readers, and all who manage the collection, so
    that nothing becomes impossible to delete. Its words are for its readers alone."""
    return may_read(collection, document, who) or readable(collection, who) is Right.MANAGE


def require_document(
    collection: Collection, document: Document, who: Principal, right: Right
) -> None:
    """Pass when `who` may know of the document and holds `right` on the collection; READ asks for
    its words. Raises UnknownDocument when it may not be seen, else NotPermitted."""
    seen = may_read if right is Right.READ else may_list
    if not seen(collection, document, who):
        raise UnknownDocument(f"there is no document {document.id!r}")
    require(collection, who, right)
