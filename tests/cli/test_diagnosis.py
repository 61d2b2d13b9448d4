"""`attest doctor` on a folder that others work on meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.commands.diagnosis import diagnose
from rag.index.embedded import EmbeddedIndex
from tests.ingestion.house import WHO, RememberingQueue, make_collection, open_house, work_off

PAGE = b"# Leave\n\nEmployees have 27 days of paid leave a year.\n"


@pytest.mark.parametrize("change", ["another page", "the same page anew"])
def test_a_page_that_comes_in_meanwhile_breaks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    from ingestion.uploads import upload

    attest, queue = open_house(tmp_path / "data"), RememberingQueue()
    make_collection(attest)
    upload(attest, queue, WHO, "handbook", "leave.md", PAGE)
    work_off(attest, queue)
    catch_up = EmbeddedIndex.catch_up

    def late(index: EmbeddedIndex) -> int:
        monkeypatch.undo()
        name = "pay.md" if change == "another page" else "leave.md"
        upload(attest, queue, WHO, "handbook", name, PAGE.replace(b"27", b"30"))
        work_off(attest, queue)
        return catch_up(index)

    monkeypatch.setattr(EmbeddedIndex, "catch_up", late)
    checks = {each.check: each for each in diagnose(attest, 0, lambda line: None)}
    assert checks["index"].state == "ok", checks
    attest.close()
