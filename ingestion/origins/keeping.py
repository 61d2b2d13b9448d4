"""Adding, asking for, and removing origins, each with its right checked and its audit entry. Both
ways in, the API and the command line, go through here."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ingestion.origins.bring import live_document
from ingestion.origins.opening import open_place
from ingestion.origins.page_name import canonical
from ingestion.uploads import checked_name
from rag.changes import end_document
from rag.domain import MetadataValue, Origin, OriginKind, Principal, Right
from rag.errors import BadInput, BadName, NotPermitted
from rag.reach import collection_for

if TYPE_CHECKING:
    from rag.bootstrap import Attest

NAME: Final = re.compile(r"[^\W_][\w .@+-]{0,99}")
EVERY: Final = {OriginKind.FOLDER: 10.0}  # seconds; a folder is watched
HOURLY: Final = 3600.0
LOCAL: Final = ("file", "local")  # protocols of buckets that are this machine's folders


def default_interval(kind: OriginKind) -> float:
    return EVERY.get(kind, HOURLY)


def add(attest: Attest, who: Principal, collection: str, origin: Origin) -> Origin:
    """A first sync follows at once. What reads this machine's own folders is for administrators.
    Raises Conflict, BadName, BadInput, AddressRefused, NotPermitted."""
    with attest.store() as work:
        held = collection_for(work, collection, who, Right.MANAGE)
    if not who.admin and _is_local(origin):
        raise NotPermitted("only an administrator may add a source that reads folders")
    wanted = replace(_checked(origin), collection=held.id, user=who.user)
    with open_place(attest.settings, wanted):
        pass
    with attest.store() as work:
        held = collection_for(work, collection, who, Right.MANAGE)
        made = work.origins.add(wanted)
        detail: dict[str, MetadataValue] = {"name": made.name, "collection": held.name}
        detail |= {"kind": made.kind.value, "addresses": " ".join(made.addresses)[:1000]}
        work.audit.add(who.user, "add source", made.id, detail)
        work.commit()
    return made


def ask(attest: Attest, who: Principal, collection: str, name: str, confirmed: bool) -> Origin:
    """Have it synced now; `confirmed`: what the last sync held back is really gone."""
    with attest.store() as work:
        held = collection_for(work, collection, who, Right.WRITE)
        origin = work.origins.named(held.id, name)
        work.origins.ask(origin.id, confirmed)
        detail: dict[str, MetadataValue] = {"name": name, "collection": held.name}
        work.audit.add(who.user, "ask for sync", origin.id, detail | {"confirmed": confirmed})
        work.commit()
        return work.origins.get(origin.id)


def remove(attest: Attest, who: Principal, collection: str, name: str, documents: bool) -> int:
    """With its documents, or without. Returns how many were deleted. A sync that runs has lost its
    lease first. Killed on the way it leaves the origin without interval, to be removed again."""
    with attest.store() as work:
        held = collection_for(work, collection, who, Right.MANAGE)
        origin = work.origins.named(held.id, name)
        work.origins.retire(origin.id)
        work.commit()
        items = work.origins.items(origin.id) if documents else []
    deleted = 0
    for item in items:
        with attest.store() as work:
            held = collection_for(work, collection, who, Right.MANAGE)
            document = live_document(work, held, item)
            if document is not None:
                end_document(work, who, held, document)
                deleted += 1
            work.origins.drop(origin.id, item.key)
            work.commit()
    with attest.store() as work:
        work.origins.remove(origin.id)
        detail: dict[str, MetadataValue] = {"name": name, "collection": held.name}
        work.audit.add(who.user, "remove source", origin.id, detail | {"deleted": deleted})
        work.commit()
    return deleted


def _is_local(origin: Origin) -> bool:
    protocols = {address.partition("://")[0] for address in origin.addresses}
    return origin.kind is OriginKind.FOLDER or not protocols.isdisjoint(LOCAL)


def _checked(origin: Origin) -> Origin:
    if not NAME.fullmatch(origin.name):
        raise BadName(
            f"{origin.name!r:.120} cannot be a source's name; use up to 100 letters, digits, "
            "spaces and . _ @ + -, beginning with a letter or digit"
        )
    if origin.prefix:
        checked_name(f"{origin.prefix}name")
    if not math.isfinite(origin.every) or not (origin.every == 0 or 1 <= origin.every <= 1e8):
        raise BadInput("the interval is a number of seconds, at least 1, or 0 for none")
    if origin.kind in (OriginKind.URLS, OriginKind.SITEMAP):
        addresses = tuple(dict.fromkeys(canonical(each) for each in origin.addresses))
        return replace(origin, addresses=addresses)
    return origin
