"""An origin over the small house: added, synced, and what came of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from ingestion.limits import Limits
from ingestion.origins.keeping import add, ask
from ingestion.origins.sync import sync
from ingestion.parse.dispatch import parse
from ingestion.pipeline import run_job
from ingestion.sandbox import Outcome
from rag.bootstrap import Attest
from rag.domain import Origin, OriginItem, OriginKind, Principal
from tests.ingestion.house import WHO, RememberingQueue, make_collection, open_house

ATTEMPTS = count()


@dataclass
class Origins:
    attest: Attest
    queue: RememberingQueue = field(default_factory=RememberingQueue)

    def add(self, kind: OriginKind, *addresses: str, who: Principal = WHO, **rest: object) -> str:
        name = str(rest.pop("name", "wiki"))
        made = Origin("", "", name, kind, addresses, "", **rest)  # type: ignore[arg-type]
        return add(self.attest, who, "handbook", made).id

    def sync(self, id: str, confirmed: bool = False, work: bool = True) -> Origin:
        if confirmed:
            ask(self.attest, WHO, "handbook", self.get(id).name, True)
        found = sync(self.attest, self.queue, id, f"attempt {next(ATTEMPTS)}")
        assert found is not None
        if work:
            self.work_off()
        return found

    def work_off(self) -> None:
        while self.queue.sent:
            run_job(self.attest, self.queue.sent.pop(0), "test-worker", _parsed_here)

    def get(self, id: str) -> Origin:
        with self.attest.store() as work:
            return work.origins.get(id)

    def items(self, id: str) -> dict[str, OriginItem]:
        with self.attest.store() as work:
            return {item.key: item for item in work.origins.items(id)}

    def documents(self) -> dict[str, str]:
        """The text of each live document, by name."""
        found = {}
        with self.attest.store() as work:
            for document in work.documents.all(work.collections.named("handbook").id):
                if document.version is not None:
                    blob = work.documents.version(document.version).text_blob
                    found[document.name] = self.attest.blobs.get(blob).decode()
        return found

    def version_ids(self) -> dict[str, str | None]:
        with self.attest.store() as work:
            held = work.documents.all(work.collections.named("handbook").id)
            return {document.name: document.version for document in held}

    def jobs(self) -> int:
        with self.attest.store() as work:
            return len(work.jobs.all(work.collections.named("handbook").id))

    def audited(self, actions: Iterable[str]) -> list[str]:
        with self.attest.store() as work:
            return [each.action for each in work.audit.entries() if each.action in set(actions)]


def _parsed_here(data: bytes, name: str, limits: Limits) -> Outcome:
    """These texts are our own: no child is needed to be safe from them."""
    return Outcome(parse(data, name, limits), None)


def opened(folder: Path, **settings: object) -> Origins:
    attest = open_house(folder, **settings)
    make_collection(attest)
    return Origins(attest)


def copied(template: Path, folder: Path, **settings: object) -> Origins:
    """As `opened`, but quicker: `template` is a data folder that was opened and closed."""
    shutil.copytree(template, folder)
    return Origins(open_house(folder, **settings))
