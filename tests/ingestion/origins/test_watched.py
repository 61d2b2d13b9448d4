"""A watched folder under a real worker and two schedulers: what changes in it is indexed by
itself, once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ingestion.broker import Broker
from ingestion.origins.keeping import add
from rag.bootstrap import Attest
from rag.domain import Origin, OriginKind
from tests.ingestion.house import WHO, indexed_names
from tests.ingestion.workers import quick_house, run, running, wait_for

pytestmark = pytest.mark.slow


def test_a_folder_is_followed(tmp_path: Path, embedder: Path) -> None:
    folder = tmp_path / "root"
    folder.mkdir()
    settings = {"source_roots": [str(folder)], "source_poll_seconds": 0.5}
    origin = Origin("", "", "watched", OriginKind.FOLDER, (str(folder),), "", every=1.0)

    def holds(attest: Attest, names: list[str]) -> Callable[[], bool]:
        return lambda: indexed_names(attest) == names

    with (
        quick_house(tmp_path / "data", embedder, **settings) as attest,
        Broker(attest.settings),
        running(attest),
    ):
        second = run(attest, "scheduler")
        try:
            for name in ("a.md", "b.md", "c.md"):
                (folder / name).write_text(f"# Rule {name}\n\nWhat holds in {name}.\n")
            add(attest, WHO, "handbook", origin)
            wait_for(holds(attest, ["a.md", "b.md", "c.md"]), "the first files")
            (folder / "b.md").unlink()
            (folder / "d.md").write_text("# Rule d\n\nIt came later.\n")
            wait_for(holds(attest, ["a.md", "c.md", "d.md"]), "the changes")
        finally:
            second.stop(20)
        with attest.store() as work:
            held = work.collections.named("handbook")
            assert len(work.jobs.all(held.id)) == 4
            assert work.audit.verify() is None
