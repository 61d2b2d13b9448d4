"""The commands that need no weights, on a real data folder."""

from __future__ import annotations

import hashlib
import io
import sqlite3
from pathlib import Path

import pytest

from tests.api.house import NAME, OPEN, PEOPLE, QUESTION, House
from tests.api.house import opened as with_fakes
from tests.cli.conftest import Attest


def test_collections(attest: Attest) -> None:
    assert [each["name"] for each in attest("collections", "list").json["collections"]] == [NAME]
    made = attest("collections", "create", "prices", "--grant", "local=manage")
    assert (made.code, made.json["collection"]["rights"]) == (0, {"local": "manage"})
    again = attest("collections", "create", "prices")
    assert (again.code, again.json["error"]) == (1, "conflict")
    locked_out = attest("collections", "create", "other", "--grant", "staff=manage")
    assert (locked_out.code, locked_out.json["error"]) == (1, "bad_input")
    named = attest("collections", "create", "a/b")
    assert (named.code, named.json["error"]) == (2, "bad_name")


def test_documents_and_jobs(attest: Attest, furnished: House) -> None:
    rows = attest("documents", "list", "--collection", NAME).json["documents"]
    assert {(row["document"], row["chunks"]) for row in rows} >= {("leave.md", 1), ("pay.md", 1)}
    jobs = attest("jobs", "list", "--collection", NAME).json["jobs"]
    assert {job["state"] for job in jobs} == {"done", "failed"}
    plain = attest("documents", "list", "--collection", NAME, as_json=False)
    assert furnished.open.id in plain.out


def test_text_is_printed_letter_for_letter(attest: Attest, furnished: House) -> None:
    assert attest("text", furnished.open.id, as_json=False).out.rstrip("\n") == OPEN
    shown = attest("text", "leave.md").json
    assert (shown["text"], shown["document_id"]) == (OPEN, furnished.open.id)
    assert attest("text", "leave.md", "--version", str(furnished.open.version)).code == 0
    foreign = attest("text", "leave.md", "--version", str(furnished.secret.version))
    assert (foreign.code, foreign.json["error"]) == (1, "unknown_document")


def test_a_collections_policy_for_personal_data(attest: Attest) -> None:
    kept = attest("collections", "personal-data", NAME, "refuse").json["collection"]
    assert kept["settings"] == {"personal_data": "refuse"}
    assert attest("collections", "personal-data", NAME, "maybe").code == 2


def test_show_a_document(attest: Attest, furnished: House) -> None:
    shown = attest("documents", "show", "leave.md", "--collection", NAME).json["document"]
    assert (shown["document_id"], shown["copies"]) == (furnished.open.id, [])
    plain = attest("documents", "show", furnished.open.id, as_json=False).out
    assert "not examined" in plain


@pytest.mark.parametrize("by", ["id", "name"])
def test_delete(attest: Attest, furnished: House, by: str) -> None:
    document = furnished.open.id if by == "id" else "leave.md"
    done = attest("delete", document, "--collection", NAME)
    assert done.code == 0
    assert done.json == {
        "document": "leave.md",
        "document_id": furnished.open.id,
        "generation": done.json["generation"],
    }
    gone = attest("text", document)
    assert (gone.code, gone.json["error"]) == (1, "unknown_document")
    assert gone.err.startswith("attest: ")


def test_acting_as_someone_has_that_ones_rights(attest: Attest, furnished: House) -> None:
    names = attest("documents", "list", "--collection", NAME, "--as", "rae").json["documents"]
    assert "pay.md" not in {row["document"] for row in names}
    hidden = attest("text", furnished.secret.id, "--as", "rae")
    assert (hidden.code, hidden.json["error"]) == (1, "unknown_document")
    kept = attest("delete", "leave.md", "--as", "rae")
    assert (kept.code, kept.json["error"]) == (1, "not_permitted")
    unseen = attest("documents", "list", "--collection", NAME, "--as", "sam")
    assert (unseen.code, unseen.json["error"]) == (1, "unknown_collection")
    nobody = attest("collections", "list", "--as", "nobody")
    assert (nobody.code, nobody.json["error"]) == (1, "not_found")


def test_users(attest: Attest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("a password of this test\n"))
    added = attest("users", "add", "eve", "--group", "readers", "--password-stdin")
    assert (added.code, added.json["groups"]) == (0, ["readers"])
    users = {row["user"] for row in attest("users", "list").json["users"]}
    assert users == {*PEOPLE, "ada", "eve"}
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    weak = attest("users", "add", "bob", "--password-stdin")
    assert (weak.code, weak.json["error"]) == (1, "bad_input")
    assert attest("users", "list", "--as", "rae").json["error"] == "not_permitted"


def test_the_audit_log(attest: Attest, data: Path) -> None:
    assert attest("audit", "verify").json == {"holds": True, "first_broken": None}
    with sqlite3.connect(data / "attest.db") as database:
        database.execute("UPDATE audit SET user = 'someone else' WHERE number = 2")
    database.close()
    broken = attest("audit", "verify")
    assert broken.code == 1
    assert broken.json["holds"] is False


def test_without_weights_the_command_says_how_to_get_them(attest: Attest) -> None:
    for line in (("ask", "Why?"), ("search", "why")):
        missing = attest(*line, "--collection", NAME)
        assert (missing.code, missing.json["error"]) == (1, "weights_missing")
        assert "attest models pull" in missing.err


def test_explain(attest: Attest, furnished: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag.bootstrap.open_attest", with_fakes)
    asked = ("explain", QUESTION, "--collection", NAME)
    found = attest(*asked).json
    assert found["candidates"][0]["marker"] == 1
    assert found["candidates"][0]["passage"]["document_name"] == "leave.md"
    assert set(found["candidates"][0]["ranks"]) == {"dense", "lexical", "hybrid", "rerank"}

    plain = attest(*asked, as_json=False).out
    assert "2 passages that you may read" in plain
    assert "days as day, paid, leave as leav, employees as employe\nnot counted: How, of" in plain
    assert "conditions" not in plain
    assert "[1]       " in plain
    assert "milliseconds: embed " in plain
    assert "pay.md" in plain
    assert "pay.md" not in attest(*asked, "--as", "rae", as_json=False).out

    some = attest(*asked, "--where", "year=2024", "--where", "year=2025", as_json=False).out
    assert "conditions year=2024|2025: 0 of them meet these" in some
    assert f"leave.md [0:{len(OPEN)}], not year=2024|2025" in some

    stored = attest("explain", furnished.answer, "--as", "mia")
    assert (stored.json["answer"], stored.json["same"]) == (furnished.answer, True)
    unknown = attest("explain", furnished.answer, "--as", "rae")
    assert (unknown.code, unknown.json["error"]) == (1, "unknown_answer")
    assert attest(*asked, "--where", "year").code == 2


def test_replay_of_what_is_not_there(attest: Attest) -> None:
    missing = attest("replay", "none")
    assert (missing.code, missing.json["error"]) == (1, "unknown_answer")


def test_unknown_models(attest: Attest) -> None:
    unknown = attest("models", "pull", "no-such-model")
    assert unknown.code == 1
    assert "no-such-model" in unknown.json["message"]


def test_ingest_without_wait_keeps_what_can_be_kept(attest: Attest, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "good.md").write_text("# Good\n\nWords.")
    (folder / "empty.txt").write_bytes(b"")
    missing = str(tmp_path / "missing.pdf")
    done = attest("ingest", str(folder), missing, "--collection", "fresh")
    assert done.code == 1
    rows = {row["document"]: row for row in done.json["documents"]}
    assert set(rows) == {"deep/good.md", "empty.txt", "missing.pdf"}
    assert (rows["deep/good.md"]["state"], rows["deep/good.md"]["error"]) == ("queued", None)
    assert rows["empty.txt"]["state"] == rows["missing.pdf"]["state"] == "failed"
    assert "empty" in rows["empty.txt"]["error"]
    assert rows["missing.pdf"]["path"] == missing
    assert attest("jobs", "list", "--collection", "fresh").json["jobs"][0]["state"] == "queued"


def test_doctor_finds_what_is_broken(attest: Attest, data: Path, furnished: House) -> None:
    def states() -> dict[str, str]:
        return {each["check"]: each["state"] for each in attest("doctor").json["checks"]}

    sound = states()
    assert (sound["store"], sound["quotes"]) == ("ok", "ok")
    assert sound["weights"] == "broken"  # none were pulled here
    with sqlite3.connect(data / "attest.db") as database:
        changed = database.execute(
            "UPDATE answers SET citations = replace(citations, 'thirty', 'ninety')"
        )
        assert changed.rowcount
    database.close()
    assert attest("doctor").code == 1
    assert states()["quotes"] == "broken"
    for blob in (data / "blobs").rglob(hashlib.sha256(OPEN.encode()).hexdigest()):
        blob.unlink()
    assert states()["store: blob_missing"] == "broken"
