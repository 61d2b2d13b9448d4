"""The Library page: documents read again, and another embedder, with its progress."""

from __future__ import annotations

import pytest

from ingestion.embedding import embed_due
from models.fake import HashEmbedder
from rag.embedders import Embedders
from tests.ui.conftest import House, Open, button, settled, words

OTHER = HashEmbedder(32)


@pytest.fixture
def handbook(house: House) -> House:
    attest = house.attest
    attest.embedders = Embedders("hash", lambda: attest.embedder, {"other": lambda: OTHER})
    house.client.create_collection("handbook")
    house.add("handbook", "leave.md", "Full-time staff have thirty days of paid leave.")
    return house


def test_another_embedder_is_asked_for_and_followed(handbook: House, opened: Open) -> None:
    page = opened("library")
    held = handbook.client.collections()[0]
    page.selectbox(key=f"embedder-{held.id}").set_value("other")
    settled(button(page, "Change the embedder").click().run())
    bars = [bar.proto.text for bar in page.get("progress")]
    assert len(bars) == 1
    assert "waiting for a worker" in bars[0]
    while embed_due(handbook.attest, lambda: "a worker"):
        pass
    settled(page.run())
    assert page.get("progress") == []
    assert handbook.client.collections()[0].embedder == OTHER.identity
    assert handbook.client.search("handbook", "paid leave")[0].document_name == "leave.md"


def test_documents_are_read_again(handbook: House, opened: Open) -> None:
    page = opened("library")
    settled(button(page, "Read all documents again").click().run())
    assert "1 document still to be read again" in words(page)
    handbook.queue.work()
    (document,) = handbook.client.documents("handbook")
    assert len(handbook.client.versions(document.id)) == 2
    settled(page.run())
    settled(button(page, "Reindex").click().run())
    settled(button(page, "Stop reindexing").click().run())
    assert handbook.client.reindexing("handbook").rereading == 0
