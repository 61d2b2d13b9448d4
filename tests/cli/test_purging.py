"""`attest purge` on a real data folder."""

from __future__ import annotations

import pytest

from models.fake import HashEmbedder
from rag.bootstrap import Attest as Parts
from tests.api.house import NAME
from tests.cli.conftest import Attest


def test_what_would_go_goes_and_is_on_record(
    attest: Attest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Parts, "embedder", HashEmbedder())
    assert attest("delete", "leave.md", "--collection", NAME).code == 0
    would = attest("purge", "--dry-run").json
    assert would["dry_run"]
    assert would["documents"] == 1
    assert would["bytes"] > 0
    assert "would remove 1 documents" in attest("purge", "--dry-run", as_json=False).out
    done = attest("purge", "--shrink").json
    assert done["settled"]
    counts = ("documents", "versions", "chunks", "vectors", "answers", "blobs", "bytes")
    assert {key: done[key] for key in counts} == {key: would[key] for key in counts}
    assert "removed nothing" in attest("purge", as_json=False).out
    assert attest("audit", "verify").code == 0
    assert attest("doctor").json["checks"][0]["state"] == "ok"
    assert attest("search", "trains", "--collection", NAME).json["hits"]


def test_it_is_for_administrators(attest: Attest) -> None:
    refused = attest("purge", "--as", "rae")
    assert (refused.code, refused.json["error"]) == (1, "not_permitted")
