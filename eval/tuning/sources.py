"""What an adapter is tuned on: files of records, tables, and what collections hold; each source
with its weight, hash, licence and lineage.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from eval.tuning.licence import licence_beside
from eval.tuning_data import from_csv, from_documents, from_feedback, held_passages, lineage
from models.manifest import sha256_of
from models.training.records import Record, read_records
from rag.domain import Principal, Right, Source
from rag.errors import BadInput, BadSamples
from rag.model_errors import model_errors
from rag.ports import UnitOfWork
from rag.reach import collection_for


class Kind(StrEnum):
    RECORDS = "records"  # a file in the schema of samples
    CSV = "csv"
    FEEDBACK = "feedback"  # of a collection
    DOCUMENTS = "documents"  # of a collection

    @property
    def held(self) -> bool:
        """Whether it comes from a collection and not from a file."""
        return self in (Kind.FEEDBACK, Kind.DOCUMENTS)


@dataclass(frozen=True, slots=True)
class Named:
    """A source as it was asked for: a file's path or a collection's name, drawn `weight` times as
    often as one of weight 1."""

    kind: Kind
    name: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Used:
    """A source as the card tells of it. `sha256` is "" for what came from a collection."""

    kind: Kind
    name: str
    weight: float
    records: int
    sha256: str = ""
    licence: str = ""


@dataclass(frozen=True, slots=True)
class Gathered:
    """Records with the weights of their data sets, and what they came from."""

    records: tuple[Record, ...]
    weights: dict[str, float]
    used: tuple[Used, ...]

    @property
    def lineage(self) -> tuple[Source, ...]:
        return lineage(self.records)


def gather(
    work: UnitOfWork, who: Principal, named: Sequence[Named], scope: str | None, seed: int
) -> Gathered:
    """Read every source. Rows of a table without a passage are looked up in the collection called
    `scope`. Whoever tunes on a collection must manage it. Raises BadInput, BadSamples,
    ModelError, UnknownCollection, NotPermitted."""
    if not named:
        raise BadInput(
            "there is nothing to tune on; name --records, --csv, --feedback, --documents"
        )
    records: list[Record] = []
    weights: dict[str, float] = {}
    used: list[Used] = []
    for one in named:
        if not one.weight > 0:
            raise BadInput(f"{one.name}: its weight must be above 0, not {one.weight:g}")
        found = list(_read(work, who, one, scope, seed))
        if not found:
            raise BadSamples(f"{one.kind} {one.name} holds no question that can be learnt from")
        records += found
        weights |= {record.dataset: one.weight for record in found}
        used.append(_used(one, len(found)))
    return Gathered(tuple(records), weights, tuple(used))


def collections_of(named: Sequence[Named], scope: str | None) -> list[str]:
    """The names of the collections whose words the adapter will know."""
    held = [one.name for one in named if one.kind.held]
    if scope is not None and any(one.kind is Kind.CSV for one in named):
        held.append(scope)
    return list(dict.fromkeys(held))


def _read(
    work: UnitOfWork, who: Principal, one: Named, scope: str | None, seed: int
) -> Iterator[Record]:
    """Data sets of one kind from several places are told apart by their place's name."""
    if one.kind is Kind.RECORDS:
        with model_errors():
            yield from read_records(Path(one.name))
        return
    if one.kind is Kind.CSV:
        inside = None if scope is None else _id(work, who, scope)
        found = from_csv(Path(one.name), held_passages(work, inside) if inside else ())
    elif one.kind is Kind.FEEDBACK:
        found = from_feedback(work, _id(work, who, one.name))
    else:
        found = from_documents(work, _id(work, who, one.name), seed)
    for record in found:
        yield replace(record, dataset=f"{one.kind}:{Path(one.name).name}")


def _id(work: UnitOfWork, who: Principal, name: str) -> str:
    return collection_for(work, name, who, Right.MANAGE).id


def _used(one: Named, records: int) -> Used:
    if one.kind.held:
        return Used(one.kind, one.name, one.weight, records, licence="of the collection")
    path = Path(one.name)
    return Used(one.kind, path.name, one.weight, records, sha256_of(path), licence_beside(path))
