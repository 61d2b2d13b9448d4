"""Sources of a collection's documents: list, add, sync, remove."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from ingestion.origins import keeping
from rag.api.access import ADMIN, Caller, Manager, Writer, caller
from rag.api.parts import Here
from rag.domain import MetadataValue, Origin, OriginItem, OriginKind, Right
from rag.reach import collection_for

router = APIRouter(prefix="/collections/{name}/sources", tags=["sources"])
Patterns = Annotated[list[Annotated[str, Field(max_length=400)]], Field(max_length=100)]


class NewSource(BaseModel):
    """`addresses`: one folder, sitemap or bucket, or any number of pages. `every`: seconds between
    two syncs, 0 for none; by default a folder is looked at every 10 seconds, the rest hourly."""

    name: str = Field(max_length=100)
    kind: OriginKind
    addresses: list[Annotated[str, Field(max_length=4000)]] = Field(max_length=10_000)
    include: Patterns = []
    exclude: Patterns = []
    prefix: str = Field(default="", max_length=200)
    every: float | None = None
    readers: list[str] | None = Field(default=None, max_length=1000)
    metadata: dict[str, MetadataValue] = Field(default={}, max_length=100)


class Ask(BaseModel):
    """`confirmed`: what the last sync held back, since so much vanished at once, is really gone."""

    confirmed: bool = False


class Removed(BaseModel):
    """How many documents were deleted with it."""

    deleted: int


@router.get("")
def sources(name: str, who: Writer, here: Here) -> list[Origin]:
    with here.attest.store() as work:
        collection = collection_for(work, name, who, Right.WRITE)
        return work.origins.all(collection.id)


@router.post("", status_code=201)
def add_source(
    name: str, body: NewSource, who: Manager, asking: Annotated[Caller, Depends(caller)], here: Here
) -> Origin:
    """The first sync follows within seconds. Folders of the server are for administrators."""
    every = keeping.default_interval(body.kind) if body.every is None else body.every
    origin = Origin(
        id="",
        collection="",
        name=body.name,
        kind=body.kind,
        addresses=tuple(body.addresses),
        user=who.user,
        include=tuple(body.include),
        exclude=tuple(body.exclude),
        prefix=body.prefix,
        every=every,
        readers=None if body.readers is None else frozenset(body.readers),
        metadata=body.metadata,
    )
    acting = replace(who, admin=who.admin and ADMIN in asking.scopes)
    return keeping.add(here.attest, acting, name, origin)


@router.get("/{source}/items")
def source_items(name: str, source: str, who: Writer, here: Here) -> list[OriginItem]:
    """What was seen there, and what is wrong with what was not taken."""
    with here.attest.store() as work:
        collection = collection_for(work, name, who, Right.WRITE)
        return work.origins.items(work.origins.named(collection.id, source).id)


@router.post("/{source}/sync", status_code=202)
def sync_source(name: str, source: str, body: Ask, who: Writer, here: Here) -> Origin:
    """It is done within seconds, by a worker; `synced` tells when it was."""
    return keeping.ask(here.attest, who, name, source, body.confirmed)


@router.delete("/{source}")
def remove_source(
    name: str, source: str, who: Manager, here: Here, documents: bool = False
) -> Removed:
    """`documents`: delete what it brought, too."""
    return Removed(deleted=keeping.remove(here.attest, who, name, source, documents))
