"""Collections and their rights."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from rag import changes
from rag.api.access import Manager, Reader, Writer
from rag.api.parts import Here
from rag.domain import Collection, PersonalPolicy, Right
from rag.ports import readable
from rag.reach import collection_for

router = APIRouter(prefix="/collections", tags=["collections"])


class NewCollection(BaseModel):
    """`rights` maps groups to rights; by default every group of yours may manage it."""

    name: str = Field(max_length=400)
    rights: dict[str, Right] | None = Field(default=None, max_length=1000)


class Rights(BaseModel):
    rights: dict[str, Right] = Field(max_length=1000)


class PersonalData(BaseModel):
    """What is done with personal data in what is handed in."""

    policy: PersonalPolicy


@router.get("")
def collections(who: Reader, here: Here) -> list[Collection]:
    """Those you may read."""
    with here.attest.store() as work:
        return [held for held in work.collections.all() if readable(held, who) is not None]


@router.post("", status_code=201)
def create_collection(body: NewCollection, who: Writer, here: Here) -> Collection:
    return changes.create_collection(here.attest.store, who, body.name, body.rights)


@router.get("/{name}")
def collection(name: str, who: Reader, here: Here) -> Collection:
    with here.attest.store() as work:
        return collection_for(work, name, who, Right.READ)


@router.put("/{name}/rights")
def set_rights(name: str, body: Rights, who: Manager, here: Here) -> Collection:
    return changes.set_rights(here.attest.store, who, name, body.rights)


@router.put("/{name}/personal-data")
def set_personal_policy(name: str, body: PersonalData, who: Manager, here: Here) -> Collection:
    """For what is handed in from now on."""
    return changes.set_personal_policy(here.attest.store, who, name, body.policy)


@router.delete("/{name}", status_code=204)
def delete_collection(name: str, who: Manager, here: Here) -> None:
    deleted = changes.delete_collection(here.attest.store, who, name)
    here.attest.forget_index(deleted.id)
