"""Collections and their rights."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from rag.api.access import Manager, Reader, Writer
from rag.api.parts import Here
from rag.domain import Collection, Principal, Right
from rag.errors import BadInput, UnknownCollection
from rag.permit import require, unknown
from rag.ports import UnitOfWork, readable

router = APIRouter(prefix="/collections", tags=["collections"])


class NewCollection(BaseModel):
    name: str = Field(max_length=400)
    rights: dict[str, Right] | None = None


class Rights(BaseModel):
    rights: dict[str, Right] = Field(max_length=1000)


def permitted(work: UnitOfWork, name: str, who: Principal, right: Right) -> Collection:
    """The collection `name`, when `who` holds `right` on it. Raises UnknownCollection for one
    that is not there and for one that `who` may not read, in the same words."""
    try:
        collection = work.collections.named(name)
    except UnknownCollection as exc:
        raise UnknownCollection(unknown(name)) from exc
    require(collection, who, right)
    return collection


@router.get("")
def collections(who: Reader, here: Here) -> list[Collection]:
    """Those you may read."""
    with here.attest.store() as work:
        return [held for held in work.collections.all() if readable(held, who) is not None]


@router.post("", status_code=201)
def create_collection(body: NewCollection, who: Writer, here: Here) -> Collection:
    """By default every group of yours may MANAGE it."""
    rights = body.rights or dict.fromkeys(who.groups, Right.MANAGE)
    _keeps_a_manager(rights, who)
    with here.attest.store() as work:
        collection = work.collections.create(body.name, rights)
        work.audit.add(who.user, "create collection", collection.name, _detail(rights))
        work.commit()
    return collection


@router.get("/{name}")
def collection(name: str, who: Reader, here: Here) -> Collection:
    with here.attest.store() as work:
        return permitted(work, name, who, Right.READ)


@router.put("/{name}/rights")
def set_rights(name: str, body: Rights, who: Manager, here: Here) -> Collection:
    with here.attest.store() as work:
        collection = permitted(work, name, who, Right.MANAGE)
        _keeps_a_manager(body.rights, who)
        work.collections.set_rights(collection.id, body.rights)
        work.audit.add(who.user, "set rights", collection.name, _detail(body.rights))
        work.commit()
        return work.collections.get(collection.id)


@router.delete("/{name}", status_code=204)
def delete_collection(name: str, who: Manager, here: Here) -> None:
    with here.attest.store() as work:
        collection = permitted(work, name, who, Right.MANAGE)
        work.collections.delete(collection.id)
        work.audit.add(who.user, "delete collection", collection.name, {"id": collection.id})
        work.commit()


def _keeps_a_manager(rights: dict[str, Right], who: Principal) -> None:
    if not any(right is Right.MANAGE and group in who.groups for group, right in rights.items()):
        raise BadInput(
            "one of your own groups must keep the right to manage the collection "
            f"(you are in: {', '.join(sorted(who.groups)) or 'no group'})"
        )


def _detail(rights: dict[str, Right]) -> dict[str, str | int | float | bool]:
    return {group: right.value for group, right in sorted(rights.items())}
