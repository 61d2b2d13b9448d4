"""The sources of a collection on the Library page."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingestion.origins.due import sync_due
from rag.domain import OriginKind
from tests.ui.conftest import House, Open, button, html, served, settled, words


def synced(house: House) -> None:
    assert sync_due(house.attest, house.queue, lambda: "a worker") == 1
    house.queue.work()


def test_a_source_and_how_it_fares(
    tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "wiki"
    folder.mkdir()
    (folder / "a.md").write_text("# Apples\n\nThey are red.")
    with served(tmp_path / "data", source_roots=[str(tmp_path)]) as house:
        monkeypatch.setenv("ATTEST_API_URL", house.url)
        house.client.create_collection("handbook")
        page = opened("library")
        assert not page.expander
        house.client.add_source("handbook", "the wiki", OriginKind.FOLDER, [str(folder)], every=0)
        page = opened("library")
        assert "Waiting" in words(page)
        assert button(page, "Sync now").disabled
        synced(house)
        page = opened("library")
        assert "In step" in words(page)
        assert "the wiki" in html(page)
        told = words(page).replace("\\", "")
        assert "1 document" in told
        assert "1 new" in told

        (folder / "a.md").unlink()
        settled(button(page, "Sync now").click().run())
        synced(house)
        page = opened("library")
        told = words(page).replace("\\", "")
        assert "1 of 1 documents came from has vanished at once" in told
        assert len(house.client.documents("handbook")) == 1
        settled(button(page, "Delete them").click().run())
        synced(house)
        assert house.client.documents("handbook") == []
        assert "In step" in words(opened("library"))
