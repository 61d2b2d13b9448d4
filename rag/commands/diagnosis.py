"""The checks of `attest doctor`. Each looks at one promise and changes nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from rag.domain import LOCAL_USER, AdapterState, Answer, Collection, Filter
from rag.errors import AttestError, BrokerUnavailable, Corrupt, NotFound
from rag.ports import Delta, Row

if TYPE_CHECKING:
    from rag.bootstrap import Attest

State = Literal["ok", "warning", "broken"]
LEAST_DISK, LITTLE_DISK = 100 * 2**20, 2 * 2**30  # bytes free


@dataclass(frozen=True, slots=True)
class Checked:
    """What one check found. `broken` fails the command, `warning` should pass by itself."""

    check: str
    state: State
    detail: str


def diagnose(attest: Attest, answers: int, progress: Callable[[str], None]) -> list[Checked]:
    """Every check, in a fixed order; one that cannot be made is broken itself."""
    checks: dict[str, Callable[[], Iterator[Checked]]] = {
        "store": lambda: _store(attest),
        "index": lambda: _indexes(attest),
        "quotes": lambda: _quotes(attest, answers),
        "broker": lambda: _broker(attest),
        "engine": lambda: _engine(attest),
        "weights": lambda: _weights(attest),
        "adapters": lambda: _adapters(attest),
        "kv blocks": lambda: _kv_blocks(attest),
        "disk": lambda: _disk(attest),
    }
    found: list[Checked] = []
    for name, check in checks.items():
        progress(f"checking {name}")
        try:
            found.extend(check())
        except AttestError as exc:
            found.append(Checked(name, "broken", str(exc)))
    return found


def _store(attest: Attest) -> Iterator[Checked]:
    """The truth agrees with itself, blobs included, and the audit chain holds."""
    from rag.store.doctor import examine

    findings = examine(attest.store, attest.blobs, read_blobs=True)
    for finding in findings:
        state: State = "broken" if finding.severity == "error" else "warning"
        yield Checked(f"store: {finding.code}", state, f"{finding.subject} {finding.message}")
    if not findings:
        yield Checked("store", "ok", "rows, blobs, generations and the audit chain agree")


def _indexes(attest: Attest) -> Iterator[Checked]:
    """The index holds exactly the live rows of the database (DERIVED)."""
    from rag.index.embedded import EmbeddedIndex

    with attest.store() as work:
        collections = work.collections.all()
    rows, sound = 0, True
    for collection in collections:
        if collection.generation == 0:
            continue
        searched = attest.searched(collection.id)
        index, embedding = searched.index, searched.embedding.id
        generation = index.catch_up()
        if isinstance(index, EmbeddedIndex) and (standing := index.standing()).kind != "memory":
            yield Checked(f"index: {collection.name}", "ok", str(standing))
            there: Set[object] = _live_rows(attest, embedding, generation)
            held: Set[object] = set(index.live(generation).tolist())
        else:
            with attest.store() as work:  # afterwards, since a worker may commit in between
                live = _live(work.chunks.since(embedding, 0), generation)
            there, held = live.keys(), _held(attest, collection, live, generation)
        rows += len(there)
        for wrong, what in ((there - held, "lacks"), (held - there, "still holds")):
            if wrong:
                sound = False
                detail = f"{what} {len(wrong)} chunks, among them {min(map(str, wrong))}"
                yield Checked(f"index: {collection.name}", "broken", detail)
    if sound:
        yield Checked("index", "ok", f"compared {rows} live rows of {len(collections)} collections")


def _live_rows(attest: Attest, embedding: str, generation: int) -> set[object]:
    """The numbers of the rows live at `generation`, read piece by piece."""
    from rag.index.building import pages

    return {
        row.row
        for page in pages(attest.store, embedding, generation)
        for row in page
        if row.died is None
    }


def _live(delta: Delta, generation: int) -> dict[str, Row]:
    """The rows of `delta`, which began at 0, that are live at `generation`, by chunk."""
    ended = {row for row, died in delta.died if died <= generation}
    return {
        row.chunk: row
        for row in delta.born
        if row.born <= generation
        and row.row not in ended
        and (row.died is None or row.died > generation)
    }


def _held(
    attest: Attest, collection: Collection, live: dict[str, Row], generation: int
) -> set[str]:
    """What the dense leg returns when everything is asked for by someone who may read it all; an
    engine on servers, which gives only so many hits, is asked for its rows."""
    from rag.index.fed import FedIndex

    index = attest.index(collection.id)
    if isinstance(index, FedIndex):
        return index.live(generation)
    if not live:
        return set()
    some = next(iter(live.values()))
    readers = (row.readers for row in live.values() if row.readers is not None)
    everyone = frozenset(collection.rights).union(*readers)
    probe = np.asarray(some.vector, dtype=np.float32)
    hits = index.dense(probe, Filter(generation, everyone), len(live) + 100)
    return {hit.chunk for hit in hits}


def _quotes(attest: Attest, limit: int) -> Iterator[Checked]:
    """Each citation of recent answers is a slice of the stored text (EXACT)."""
    texts: dict[str, str | None] = {}
    quotes, sound = 0, True
    for answer in _recent(attest, limit):
        for citation in answer.citations:
            text = texts.setdefault(citation.version, _text(attest, citation.version))
            if text is None:  # purged since
                continue
            quotes += 1
            if text[citation.start : citation.end] != citation.quote:
                sound = False
                where = f"{citation.version}[{citation.start}:{citation.end}]"
                detail = f"answer {answer.id} quotes other words than {where} holds"
                yield Checked("quotes", "broken", detail)
    if sound:
        yield Checked("quotes", "ok", f"compared {quotes} quotes with their sources")


def _recent(attest: Attest, limit: int) -> Iterator[Answer]:
    with attest.store() as work:
        users = {LOCAL_USER.user, *(account.user for account in work.accounts.all())}
        for collection in work.collections.all():
            for user in sorted(users):
                yield from work.answers.recent(collection.id, user, limit)


def _text(attest: Attest, version: str) -> str | None:
    with attest.store() as work:
        try:
            blob = work.documents.version(version).text_blob
        except NotFound:
            return None
    try:
        return attest.blobs.get(blob).decode("utf-8")
    except NotFound as exc:
        raise Corrupt(f"the text of version {version} is not stored; restore a backup") from exc


def _broker(attest: Attest) -> Iterator[Checked]:
    """Reachable; the built-in one may rest while `attest up` does not run."""
    from ingestion.queue import CeleryQueue

    try:
        CeleryQueue(attest.settings).check()
    except BrokerUnavailable as exc:
        own = attest.settings.broker_url is None
        detail = "not running; `attest up` or `attest ingest --wait` starts it" if own else str(exc)
        yield Checked("broker", "warning" if own else "broken", detail)
    else:
        yield Checked("broker", "ok", "reachable")


def _engine(attest: Attest) -> Iterator[Checked]:
    """Where it is a process elsewhere: reachable, and with the weights for every collection."""
    from rag.engine_wire import EngineHealth

    if attest.engine_client is None:
        return
    there = attest.engine_client.get(EngineHealth, "/health")
    detail = f"{attest.engine_client.url} answers, version {there.version}"
    yield Checked("engine", "ok", detail)
    with attest.store() as work:
        asked = {each.name: each.id for each in work.collections.all()}
    for name, id in asked.items():
        try:
            attest.readers.of(id)
        except AttestError as exc:
            yield Checked(f"engine: {name}", "broken", str(exc))


def _weights(attest: Attest) -> Iterator[Checked]:
    """There, and with the published hashes; where the engine is a process elsewhere, the model is
    there."""
    from models.catalogue import CATALOGUE
    from models.pull import located, verify
    from rag.model_errors import model_errors

    published = {entry.name for entry in CATALOGUE}
    own = attest.settings
    embedders = dict.fromkeys((own.embedder, *own.embedders))
    for name in embedders if own.engine_url is not None else (own.model, *embedders):
        with model_errors():
            if name in published:
                verify(name, attest.settings.model_folder)
                yield Checked(f"weights: {name}", "ok", "every hash as published")
            else:
                path = located(name, attest.settings.model_folder)
                yield Checked(f"weights: {name}", "ok", f"{path}, of your own")


def _adapters(attest: Attest) -> Iterator[Checked]:
    """Every promoted one is there, with the hash it was registered by; an engine elsewhere looks at
    its own when it is asked."""
    from models.lora import WEIGHTS
    from models.manifest import sha256_of
    from rag.adapters import weights_of

    if attest.engine_client is not None:
        return
    with attest.store() as work:
        held = [each for each in work.adapters.all() if each.state is AdapterState.PROMOTED]
    for adapter in held:
        try:
            found = sha256_of(weights_of(adapter, attest.settings.data) / WEIGHTS)
        except (AttestError, OSError) as exc:
            yield Checked(f"adapter: {adapter.name}", "broken", str(exc))
            continue
        same = found == adapter.digest
        detail = "the hash it was registered by" if same else f"its weights were changed: {found}"
        yield Checked(f"adapter: {adapter.name}", "ok" if same else "broken", detail)


def _kv_blocks(attest: Attest) -> Iterator[Checked]:
    """None on disk is of text that no live chunk shows (ERASED)."""
    from rag.kv_blocks import leftovers

    left = leftovers(attest.store, attest.kv_blocks)
    if left:
        detail = (
            f"{len(left)} of text that no live chunk shows, among them {min(left)}; the next start "
            f"of the API removes them, or delete {attest.settings.kv_folder} at any time"
        )
        yield Checked("kv blocks", "warning", detail)
    else:
        yield Checked("kv blocks", "ok", "every one is of a live chunk")


def _disk(attest: Attest) -> Iterator[Checked]:
    free = shutil.disk_usage(attest.settings.data).free
    state: State = "broken" if free < LEAST_DISK else "warning" if free < LITTLE_DISK else "ok"
    yield Checked("disk", state, f"{free / 2**30:.1f} GiB free under {attest.settings.data}")
