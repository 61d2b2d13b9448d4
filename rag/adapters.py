"""The adapter registry's rules: what is registered is a candidate; one adapter of a scope is
promoted and answers; a rollback brings the one before it back. Every change has its right checked
and its audit entry in the same transaction.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from rag.domain import Adapter, AdapterState, MetadataValue, Principal, Right
from rag.errors import BadInput, BadName, Conflict, NotPermitted, UnknownAdapter
from rag.permit import require
from rag.ports import Store, UnitOfWork

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}")
RESERVED = ("default", "none")  # what the setting `adapter` means by them


def require_name(name: str) -> None:
    """Raises BadName for what cannot be an adapter's name (it becomes a folder)."""
    if not NAME.fullmatch(name) or name in RESERVED:
        raise BadName(
            f"{name!r:.120} cannot be an adapter's name; use letters, digits, '.', '_' and '-', "
            f"and neither {' nor '.join(RESERVED)}"
        )


def register(store: Store, who: Principal, adapter: Adapter) -> Adapter:
    """As a candidate. Raises BadName, Conflict, NotPermitted."""
    require_name(adapter.name)
    with store() as work:
        require_right(work, who, adapter.collection)
        work.adapters.register(adapter)
        work.audit.add(who.user, "register adapter", adapter.name, _on_record(adapter))
        work.commit()
        return work.adapters.get(adapter.name)


def promote(
    store: Store, who: Principal, data: Path, name: str, *, ungated: bool = False
) -> tuple[Adapter, Adapter | None]:
    """The adapter answers its scope's questions from the next one on. Returns it and the one it
    replaced. Raises UnknownAdapter (also when its weights are gone), NotPermitted, Conflict when
    it is promoted already or no gate let it pass; `ungated` overrules that, and the audit log
    says so."""
    with store() as work:
        adapter = work.adapters.get(name)
        require_right(work, who, adapter.collection)
        if adapter.state is AdapterState.PROMOTED:
            raise Conflict(f"the adapter {name!r} is promoted already")
        if not (ungated or adapter.passed):
            raise Conflict(
                f"no gate has let the adapter {name!r} pass; measure it with `attest adapters "
                f"measure {name} --samples FILE --gate FILE`, or overrule with --ungated"
            )
        weights_of(adapter, data)
        before = work.adapters.promote(name)
        gate = "passed" if adapter.passed else "overruled"
        detail = _on_record(adapter) | {"gate": gate, "before": before.name if before else ""}
        work.audit.add(who.user, "promote adapter", name, detail)
        work.commit()
        return work.adapters.get(name), before


def rollback(
    store: Store, who: Principal, data: Path, collection: str | None, base: str = ""
) -> tuple[Adapter, Adapter | None]:
    """Take the promoted adapter of a scope back (`collection` is an id; `base` may be left out
    where only one has a promoted adapter). Returns it and the one that answers in its place: the
    one promoted before it, or None where there is none (then the wider scope's or the shipped one
    answers). Raises Conflict when nothing is promoted, BadInput, NotPermitted, UnknownAdapter."""
    with store() as work:
        require_right(work, who, collection)
        current = _current(work, collection, base)
        before = work.adapters.earlier(current.base, collection)
        if before is not None:
            weights_of(before, data)
        work.adapters.withdraw(current.name)
        if before is not None:
            work.adapters.promote(before.name)
        detail = _on_record(current) | {"back": "" if before is None else before.name}
        work.audit.add(who.user, "roll adapter back", current.name, detail)
        work.commit()
        back = None if before is None else work.adapters.get(before.name)
        return work.adapters.get(current.name), back


def retire(store: Store, who: Principal, name: str) -> Adapter:
    """No longer to be used, and no rollback brings it back; where it was the promoted one, its
    scope has none until another is promoted. Raises UnknownAdapter, NotPermitted."""
    with store() as work:
        adapter = work.adapters.get(name)
        require_right(work, who, adapter.collection)
        work.adapters.withdraw(name)
        detail = _on_record(adapter) | {"was": adapter.state.value}
        work.audit.add(who.user, "retire adapter", name, detail)
        work.commit()
        return work.adapters.get(name)


def answering(work: UnitOfWork, base: str, collection: str | None) -> Adapter | None:
    """The promoted adapter that answers a collection's questions: its own, else the one for every
    collection of the base, else None."""
    own = None if collection is None else work.adapters.promoted(base, collection)
    return own or work.adapters.promoted(base, None)


def weights_of(adapter: Adapter, data: Path) -> Path:
    """The folder of its weights. Raises UnknownAdapter when they are gone."""
    folder = data / adapter.folder
    if not folder.is_dir():
        raise UnknownAdapter(
            f"the weights of the adapter {adapter.name!r} are no longer in {folder}; put them "
            f"back, or retire it with `attest adapters retire {adapter.name}`"
        )
    return folder


def _current(work: UnitOfWork, collection: str | None, base: str) -> Adapter:
    found: Sequence[Adapter] = [
        adapter
        for adapter in work.adapters.all()
        if adapter.state is AdapterState.PROMOTED
        and adapter.collection == collection
        and base in ("", adapter.base)
    ]
    if not found:
        where = "this collection" if collection else "every collection"
        raise Conflict(f"no adapter is promoted for {where}, so there is nothing to roll back")
    if len(found) > 1:
        bases = ", ".join(adapter.base for adapter in found)
        raise BadInput(f"adapters of several bases are promoted; name one with --base: {bases}")
    return found[0]


def require_right(work: UnitOfWork, who: Principal, collection: str | None) -> None:
    """An adapter for every collection is the administrators' matter, one for a single collection
    also its managers'. Raises NotPermitted, UnknownCollection."""
    if who.admin:
        return
    if collection is None:
        raise NotPermitted(f"{who.user} is no administrator; the adapter is for every collection")
    require(work.collections.get(collection), who, Right.MANAGE)


def _on_record(adapter: Adapter) -> dict[str, MetadataValue]:
    return {
        "adapter": adapter.identity,
        "base": adapter.base,
        "collection": adapter.collection or "",
    }
