"""`attest reindex` on a real data folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingestion.embedding import embed_due
from models.fake import HashEmbedder
from rag.bootstrap import Attest as Parts
from rag.bootstrap import open_attest
from rag.embedders import Embedders
from rag.settings import load_settings
from tests.api.house import NAME
from tests.cli.conftest import Attest

OTHER = HashEmbedder(32)


@pytest.fixture(autouse=True)
def two_embedders(monkeypatch: pytest.MonkeyPatch) -> None:
    first = HashEmbedder()
    monkeypatch.setattr(Parts, "embedder", first)
    known = Embedders("hash", lambda: first, {"other": lambda: OTHER})
    monkeypatch.setattr(Parts, "embedders", known)


def test_another_embedder_from_asking_to_forgetting(attest: Attest, data: Path) -> None:
    begun = attest("reindex", NAME, "--embedder", "other", as_json=False)
    assert begun.code == 0, begun.err
    assert f"building 0%: {OTHER.identity}" in begun.out
    twice = attest("reindex", NAME, "--embedder", "hash")
    assert (twice.code, twice.json["error"]) == (1, "conflict")
    assert "already" in twice.err
    parts = open_attest(load_settings(data))
    while embed_due(parts, lambda: "a worker"):
        pass
    parts.close()
    standing = attest("reindex", NAME, "--status").json["reindexing"]
    states = {each["embedder"]: each["state"] for each in standing["embeddings"]}
    assert states == {HashEmbedder().identity: "former", OTHER.identity: "current"}
    assert attest("doctor").json["checks"][0]["state"] == "ok"
    assert attest("search", "leave", "--collection", NAME).json["hits"]
    gone = attest("reindex", NAME, "--forget-old", as_json=False)
    assert "of 1 embedders" in gone.out


def test_documents_are_read_again_and_called_off(attest: Attest) -> None:
    one = attest("reindex", NAME, "--document", "leave.md")
    assert (one.code, len(one.json["jobs"])) == (0, 1)
    everything = attest("reindex", NAME)
    assert len(everything.json["jobs"]) > 1
    assert everything.json["reindexing"]["rereading"] == len(everything.json["jobs"])
    stopped = attest("reindex", NAME, "--cancel", as_json=False)
    assert f"called off: {len(everything.json['jobs'])}" in stopped.out
    assert attest("reindex", NAME, "--status").json["reindexing"]["rereading"] == 0
    lost = attest("reindex", NAME, "--document", "nowhere.md")
    assert (lost.code, lost.json["error"]) == (1, "unknown_document")
