"""Sources over the API: what the client adds is what a sync finds, and folders are for
administrators."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingestion.origins.due import sync_due
from rag import changes
from rag.client import Client
from rag.domain import LOCAL_USER, OriginKind
from rag.errors import (
    AddressRefused,
    BadInput,
    Conflict,
    NotPermitted,
    UnknownOrigin,
)
from tests.api.conftest import As, copied
from tests.api.house import NAME, House, Sent

FOLDER = OriginKind.FOLDER


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "wiki"
    made.mkdir()
    (made / "a.md").write_text("# Apples\n\nThey are red.")
    (made / "b.md").write_text("# Bananas\n\nThey are yellow.")
    return made


@pytest.fixture
def built(furnished: House, tmp_path: Path) -> House:
    return copied(furnished, tmp_path / "local", source_roots=[str(tmp_path)])


def test_a_source_from_adding_to_removing(
    local: Client, built: House, queue: Sent, folder: Path
) -> None:
    local.remove_source(NAME, "wiki")
    made = local.add_source(
        NAME, "docs", FOLDER, [str(folder)], prefix="docs/", metadata={"kind": "fruit"}
    )
    assert (made.every, made.documents, made.synced) == (10.0, 0, None)
    assert local.sources(NAME) == [made]
    assert sync_due(built.attest, queue, lambda: "a worker") == 1
    (synced,) = local.sources(NAME)
    assert (synced.counts, synced.documents, synced.error) == ({"new": 2}, 2, "")
    assert len(queue.jobs) == 2
    items = {item.key: item for item in local.source_items(NAME, "docs")}
    shelf = local.document(str(items["a.md"].document))
    assert (shelf.document.name, shelf.document.metadata) == ("docs/a.md", {"kind": "fruit"})
    for path in folder.iterdir():
        path.unlink()
    assert local.sync_source(NAME, "docs").due is not None
    sync_due(built.attest, queue, lambda: "a worker")
    (held,) = local.sources(NAME)
    assert (held.held, held.documents) == (2, 2)
    assert local.sync_source(NAME, "docs", confirmed=True).confirmed
    sync_due(built.attest, queue, lambda: "a worker")
    assert local.sources(NAME)[0].documents == 0
    assert local.remove_source(NAME, "docs", documents=True) == 0
    with pytest.raises(UnknownOrigin):
        local.source_items(NAME, "docs")


def test_what_cannot_be_added(local: Client, folder: Path) -> None:
    with pytest.raises(Conflict):
        local.add_source(NAME, "wiki", FOLDER, [str(folder)])
    with pytest.raises(AddressRefused, match="source_roots"):
        local.add_source(NAME, "etc", FOLDER, ["/etc"])
    with pytest.raises(AddressRefused, match="source_hosts"):
        local.add_source(NAME, "page", OriginKind.URLS, ["http://169.254.169.254/"])
    with pytest.raises(BadInput, match="at least 1"):
        local.add_source(NAME, "quick", FOLDER, [str(folder)], every=0.1)


def test_folders_are_for_administrators(house: House, signed_in: As, folder: Path) -> None:
    mia = signed_in("mia")
    with pytest.raises(NotPermitted, match="administrator"):
        mia.add_source(NAME, "docs", FOLDER, [str(folder)])
    changes.set_groups(house.attest.store, LOCAL_USER, "ada", ["managers"])
    ada = signed_in("ada")
    with pytest.raises(AddressRefused):  # the house allows no folder, but ada may ask
        ada.add_source(NAME, "docs", FOLDER, [str(folder)])
    ada.token = ada.add_key("a key", ["manage"]).token
    with pytest.raises(NotPermitted, match="administrator"):
        ada.add_source(NAME, "docs", FOLDER, [str(folder)])
