"""The command-line contract, as scripts use it: processes, the real worker, the real weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.weights import pulled, weights_folder

pytestmark = [pytest.mark.weights, pytest.mark.slow]
DOCUMENTS = Path(__file__).parents[2] / "examples" / "documents"
COLLECTION = "hollin"
CITATION = {"sentence", "marker", "document", "version", "start", "end", "page", "quote", "support"}
PASSAGE = {"document", "start", "end", "text", "score"}


class Folder:
    """A data folder and `attest` on it as a process of its own."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self._texts: dict[str, str] = {}

    def text(self, document: str) -> str:
        """What `attest text` says; a process for each document, not for each look at one."""
        if document not in self._texts:
            self._texts[document] = self.run("text", document)["text"]
        return self._texts[document]

    def run(self, *arguments: str, code: int = 0) -> Any:
        line = [sys.executable, "-m", "rag.cli", *arguments, "--data", str(self.data), "--json"]
        # One process for the embedder, and no more words than are needed to see the shape.
        env = {"ATTEST_WORKER_PROCESSES": "1", "ATTEST_MAX_ANSWER_TOKENS": "48"}
        done = subprocess.run(
            line, capture_output=True, text=True, check=False, env={**os.environ, **env}
        )
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    for name in ("smollm2-135m-instruct", "all-minilm-l6-v2"):
        pulled(name)
    data = tmp_path_factory.mktemp("contract") / "data"
    data.mkdir()
    (data / "models").symlink_to(weights_folder())
    return Folder(data)


@pytest.fixture(scope="module")
def ingested(folder: Folder, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    broken = tmp_path_factory.mktemp("in") / "broken.pdf"
    broken.write_bytes(b"%PDF-1.7 and then nothing")
    line = ("ingest", str(DOCUMENTS), str(broken), "--collection", COLLECTION, "--wait")
    report: dict[str, Any] = folder.run(*line, code=1)
    return report


def test_ingest(ingested: dict[str, Any]) -> None:
    rows = {row["document"]: row for row in ingested["documents"]}
    assert set(rows) == {path.name for path in DOCUMENTS.iterdir()} | {"broken.pdf"}
    failed = rows.pop("broken.pdf")
    assert (failed["state"], failed["version"]) == ("failed", None)
    assert failed["error"]
    for row in rows.values():
        assert row["state"] == "done"
        assert row["error"] is None
        assert row["version"]
        assert row["chunks"] > 0
    assert ingested["generation"] == len(rows)


def test_search_slices_the_stored_text(folder: Folder, ingested: dict[str, Any]) -> None:
    for leg in ("hybrid", "dense", "lexical"):
        line = ("search", "rent of the workshop", "--collection", COLLECTION, "-k", "3")
        hits = folder.run(*line, "--leg", leg)["hits"]
        assert hits[0]["document"] == "lease.pdf"
        for hit in hits:
            assert set(hit) >= PASSAGE
            text = folder.text(hit["document_id"])
            assert text[hit["start"] : hit["end"]] == hit["text"]


def test_ask_and_replay(folder: Folder, ingested: dict[str, Any]) -> None:
    question = "How much is the monthly rent of the workshop?"
    answer = folder.run("ask", question, "--collection", COLLECTION)
    assert set(answer) >= {"answer", "verdict", "citations", "passages", "timings", "answer_id"}
    assert answer["verdict"] in ("answered", "partial", "refused")
    assert answer["generation"] == ingested["generation"]
    assert set(answer["passages"][0]) >= PASSAGE
    assert all(isinstance(seconds, float) for seconds in answer["timings"].values())
    assert bool(answer["citations"]) == (answer["verdict"] != "refused")
    for citation in answer["citations"]:
        assert set(citation) >= CITATION
        assert f"{citation['sentence']} [" in answer["answer"]
        text = folder.text(citation["document_id"])
        assert text[citation["start"] : citation["end"]] == citation["quote"]
    replayed = folder.run("replay", answer["answer_id"], "--attribution")
    assert replayed["same"] is True
    assert bool(replayed["attribution"]) == bool(answer["citations"])
    for each in replayed["attribution"]:
        assert len(each["drops"]) == len(answer["passages"])
        assert each["agrees"] == (each["largest"] in each["cited"])
    line = ("ask", "And when is it due?", "--collection", COLLECTION)
    follow = folder.run(*line, "--after", answer["answer_id"])
    assert follow["searched"].splitlines()[0] == question
    assert folder.run("replay", follow["answer_id"])["same"] is True
    checks = folder.run("doctor")["checks"]
    assert {each["state"] for each in checks} <= {"ok", "warning"}


def test_the_same_bytes_again_are_one_version(folder: Folder, ingested: dict[str, Any]) -> None:
    line = ("ingest", str(DOCUMENTS / "manual.txt"), "--collection", COLLECTION, "--wait")
    again = folder.run(*line)
    before = {row["document"]: row for row in ingested["documents"]}["manual.txt"]
    assert again["documents"][0]["version"] == before["version"]
    assert again["generation"] == ingested["generation"]


def test_files_inside_an_archive_are_followed_and_listed(folder: Folder, tmp_path: Path) -> None:
    path = tmp_path / "rules.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("hr/leave.txt", "Every employee has 28 days of leave.")
        archive.writestr("broken.pdf", b"%PDF-1.7 and then nothing")
    report = folder.run("ingest", str(path), "--collection", "archives", "--wait", code=1)
    rows = {row["document"]: row for row in report["documents"]}
    assert rows["rules.zip"]["error"] is None
    assert {name: row["state"] for name, row in rows.items()} == {
        "rules.zip": "done",
        "rules.zip/hr/leave.txt": "done",
        "rules.zip/broken.pdf": "failed",
    }
    found = folder.run("search", "days of leave", "--collection", "archives", "-k", "1")
    assert found["hits"][0]["document"] == "rules.zip/hr/leave.txt"
