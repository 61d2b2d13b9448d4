"""A watched folder: changes, deletions and renames follow; what only looks like a deletion does
not, and nothing outside is read."""

from __future__ import annotations

import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from ingestion.origins.keeping import add, remove
from ingestion.uploads import upload
from rag.changes import delete_document
from rag.domain import Origin, OriginKind, Principal, Right
from rag.errors import AddressRefused, BadInput, BadName, Conflict, NotPermitted, UnknownOrigin
from tests.ingestion.house import WHO, open_house
from tests.ingestion.origins.conftest import Write, aged
from tests.ingestion.origins.house import Origins

FOLDER = OriginKind.FOLDER


def test_a_folder_becomes_documents_and_then_only_changes_count(
    origins: Origins, folder: Path, write: Write
) -> None:
    write("a.md", "Apples are red.")
    write("deep/b.txt", "Bananas are yellow.")
    write(".hidden/c.txt", "Nobody sees this.")
    write("~$lock.docx", "Nor this.")
    id = origins.add(FOLDER, str(folder), prefix="wiki/", metadata={"kind": "fruit"})
    first = origins.sync(id)
    assert (first.counts, first.error, first.documents) == ({"new": 2}, "", 2)
    assert origins.documents() == {
        "wiki/a.md": "Apples are red.",
        "wiki/deep/b.txt": "Bananas are yellow.",
    }
    assert origins.sync(id).counts == {"unchanged": 2}
    assert origins.jobs() == 2

    write("a.md", "Apples are green.")
    assert origins.sync(id).counts == {"changed": 1, "unchanged": 1}
    assert origins.documents()["wiki/a.md"] == "Apples are green."
    os.utime(folder / "a.md", (1e9, 1e9))  # touched, the same bytes
    assert origins.sync(id).counts == {"unchanged": 2}
    assert origins.jobs() == 3

    (folder / "deep/b.txt").unlink()
    assert origins.sync(id).counts == {"deleted": 1, "unchanged": 1}
    assert list(origins.documents()) == ["wiki/a.md"]
    with origins.attest.store() as work:
        (document,) = work.documents.all(work.collections.named("handbook").id)
        assert document.metadata["kind"] == "fruit"
    assert origins.audited(["add source", "sync source", "delete document"]) == [
        "add source",
        "sync source",
        "sync source",
        "delete document",
        "sync source",
    ]


def test_patterns(origins: Origins, folder: Path, write: Write) -> None:
    for name in ("a.md", "drafts/b.md", "deep/c.md", "d.txt"):
        write(name, f"Words of {name}.")
    id = origins.add(FOLDER, str(folder), include=("*.md",), exclude=("drafts/*",))
    origins.sync(id)
    assert sorted(origins.documents()) == ["a.md", "deep/c.md"]


def test_a_file_that_moves_keeps_its_version(origins: Origins, folder: Path, write: Write) -> None:
    """Nothing is parsed or embedded again."""
    write("a b.md", "# Apples\n\nThey are red.")
    write("plain.txt", "No title of its own.")
    write("stays.md", "# Stays\n\nWhere it is.")
    id = origins.add(FOLDER, str(folder))
    origins.sync(id)
    before = origins.version_ids()
    (folder / "new").mkdir()
    (folder / "a b.md").rename(folder / "new/apples.md")
    (folder / "plain.txt").rename(folder / "new/plain.txt")
    assert origins.sync(id).counts == {"renamed": 2, "unchanged": 1}
    after = origins.version_ids()
    assert after["new/apples.md"] == before["a b.md"]
    assert after["new/plain.txt"] == before["plain.txt"]
    assert sorted(after) == ["new/apples.md", "new/plain.txt", "stays.md"]
    assert origins.jobs() == 3

    (folder / "new/plain.txt").rename(folder / "new/other.txt")  # the name is its title
    assert origins.sync(id).counts == {"new": 1, "deleted": 1, "unchanged": 2}
    with origins.attest.store() as work:
        named = work.documents.named(work.collections.named("handbook").id, "new/other.txt")
        assert work.documents.version(str(named.version)).title == "other"


def test_an_empty_folder_deletes_nothing_until_a_person_says_so(
    origins: Origins, folder: Path, write: Write
) -> None:
    """As when it is not mounted."""
    for number in range(3):
        write(f"{number}.txt", f"Words of {number}.")
    id = origins.add(FOLDER, str(folder))
    origins.sync(id)
    away = folder.parent / "away"
    folder.rename(away)
    missing = origins.sync(id)
    assert "is it mounted" in missing.error
    assert len(origins.documents()) == 3
    folder.mkdir()
    held = origins.sync(id)
    assert (held.held, held.counts) == (3, {})
    assert "3 of 3" in held.error
    assert len(origins.documents()) == 3

    shutil.copytree(away, folder, dirs_exist_ok=True)  # it is there again
    assert (origins.sync(id).held, origins.get(id).error) == (0, "")

    shutil.rmtree(folder)
    folder.mkdir()
    assert origins.sync(id).held == 3
    assert origins.sync(id, confirmed=True).counts == {"deleted": 3}
    assert origins.documents() == {}
    assert origins.get(id).error == ""


def test_what_is_held_back_stays_so_while_the_rest_goes_on(
    origins: Origins, folder: Path, write: Write
) -> None:
    for number in range(8):
        write(f"{number}.txt", f"Words of {number}.")
    id = origins.add(FOLDER, str(folder))
    origins.sync(id)
    for number in range(5):
        (folder / f"{number}.txt").unlink()
    write("new.txt", "It is new.")
    held = origins.sync(id)
    assert (held.held, held.counts) == (5, {"new": 1, "unchanged": 3})
    (folder / "7.txt").unlink()  # one more is held back with them
    assert origins.sync(id).held == 6
    write("0.txt", "Words of 0.")
    assert (origins.sync(id).held, len(origins.documents())) == (5, 9)
    assert origins.sync(id, confirmed=True).counts == {"deleted": 5, "unchanged": 4}
    assert sorted(origins.documents()) == ["0.txt", "5.txt", "6.txt", "new.txt"]


def test_links_out_of_the_folder_are_not_followed(
    origins: Origins, folder: Path, write: Write, tmp_path: Path
) -> None:
    write("real.txt", "Inside.")
    secret = tmp_path / "secret.txt"
    secret.write_text("Outside.")
    beside = folder.parent / "beside"
    beside.mkdir()
    (beside / "b.txt").write_text("Beside.")
    (folder / "out.txt").symlink_to(secret)
    (folder / "beside").symlink_to(beside)
    (folder / "circle.txt").symlink_to(folder / "circle.txt")
    (folder / "inner.txt").symlink_to("real.txt")
    os.mkfifo(folder / "pipe.txt")
    id = origins.add(FOLDER, str(folder))
    origins.sync(id)
    assert origins.documents() == {"real.txt": "Inside.", "inner.txt": "Inside."}


def test_a_file_that_is_being_written_is_waited_for(
    origins: Origins, folder: Path, write: Write
) -> None:
    write("whole.txt", "It is whole.")
    stop = threading.Event()

    def writing() -> None:
        with (folder / "half.txt").open("w") as file:
            while not stop.wait(0.02):
                file.write("More and more. ")
                file.flush()

    writer = threading.Thread(target=writing)
    writer.start()
    time.sleep(0.1)
    try:
        id = origins.add(FOLDER, str(folder))
        assert origins.sync(id).counts == {"new": 1, "waiting": 1}
    finally:
        stop.set()
        writer.join()
    (folder / "fresh.txt").write_text("Written a moment ago.")
    assert origins.sync(id).counts == {"new": 2, "unchanged": 1}
    assert set(origins.documents()) == {"whole.txt", "half.txt", "fresh.txt"}


def test_what_is_wrong_with_one_file_keeps_no_other_out(
    origins: Origins, folder: Path, write: Write
) -> None:
    write("good.txt", "It is good.")
    write("empty.txt", "")
    write("large.txt", "x" * 100_001)
    odd = folder / os.fsdecode(b"caf\xe9.txt")
    odd.write_text("A name that is not UTF-8.")
    aged(odd)
    id = origins.add(FOLDER, str(folder))
    assert origins.sync(id).counts == {"new": 2, "failed": 2}
    assert "good.txt" in origins.documents()
    errors = {key: item.error for key, item in origins.items(id).items() if item.error}
    assert errors.keys() == {"empty.txt", "large.txt"}
    assert "0 bytes" in errors["empty.txt"]
    assert "100,001" in errors["large.txt"]
    assert origins.sync(id).counts == {"unchanged": 2, "failed": 2}
    write("empty.txt", "No more.")
    assert origins.sync(id).counts == {"new": 1, "unchanged": 2, "failed": 1}


def test_only_its_own_documents_are_replaced_or_deleted(
    origins: Origins, folder: Path, write: Write
) -> None:
    upload(origins.attest, origins.queue, WHO, "handbook", "a.txt", b"By hand.")
    origins.work_off()
    write("a.txt", "From the folder.")
    id = origins.add(FOLDER, str(folder))
    assert origins.sync(id).counts == {"failed": 1}
    assert "prefix" in origins.items(id)["a.txt"].error
    (folder / "a.txt").unlink()
    assert (origins.sync(id).error, origins.items(id)) == ("", {})
    assert origins.documents() == {"a.txt": "By hand."}


def test_a_document_that_somebody_deleted_comes_back_only_with_new_bytes(
    origins: Origins, folder: Path, write: Write
) -> None:
    write("a.txt", "Old words.")
    id = origins.add(FOLDER, str(folder))
    origins.sync(id)
    delete_document(origins.attest.store, WHO, str(origins.items(id)["a.txt"].document))
    origins.sync(id)
    assert origins.documents() == {}
    write("a.txt", "New words.")
    origins.sync(id)
    assert origins.documents() == {"a.txt": "New words."}


def test_a_sync_goes_on_where_its_time_was_up(
    origins: Origins, folder: Path, write: Write, tmp_path: Path
) -> None:
    for number in range(4):
        write(f"{number}.txt", f"Words of {number}.")
    id = origins.add(FOLDER, str(folder), every=0.0)
    roots = [str(folder.parent)]
    hurried = Origins(
        open_house(tmp_path / "data", source_roots=roots, source_seconds=1e-9), origins.queue
    )
    hurried.sync(id)
    assert hurried.get(id).due is not None
    hurried.attest.close()
    assert origins.sync(id).counts == {"new": 4}


def test_the_one_who_added_it_must_still_be_allowed(
    origins: Origins, folder: Path, write: Write
) -> None:
    write("a.txt", "Words.")
    id = origins.add(FOLDER, str(folder))
    with origins.attest.store() as work:
        held = work.collections.named("handbook")
        work.collections.set_rights(held.id, {"others": Right.MANAGE, "local": Right.READ})
        work.commit()
    assert "does not include write" in origins.sync(id).error
    assert origins.jobs() == 0


@pytest.mark.parametrize("place", ["", "/", "/etc", "relative", "{root}/../elsewhere", "{root}ed"])
def test_folders_that_the_operator_does_not_allow(
    origins: Origins, folder: Path, place: str
) -> None:
    with pytest.raises(AddressRefused, match="source_roots"):
        origins.add(FOLDER, place.format(root=folder.parent))


def test_a_root_that_is_taken_back_ends_the_syncs(
    origins: Origins, folder: Path, write: Write, tmp_path: Path
) -> None:
    write("a.txt", "Words.")
    id = origins.add(FOLDER, str(folder))
    narrowed = Origins(open_house(tmp_path / "data"), origins.queue)
    assert "source_roots" in narrowed.sync(id).error
    narrowed.attest.close()
    assert origins.documents() == {}


def test_who_may_add(origins: Origins, folder: Path) -> None:
    manager = Principal("mia", frozenset({"local"}))
    with pytest.raises(NotPermitted, match="administrator"):
        origins.add(FOLDER, str(folder), who=manager)
    stranger = Principal("sam", frozenset({"others"}), admin=True)
    with pytest.raises(Exception, match="no collection"):
        origins.add(FOLDER, str(folder), who=stranger)


@pytest.mark.parametrize(
    ("rest", "error"),
    [
        ({"name": "a/b"}, BadName),
        ({"name": ""}, BadName),
        ({"prefix": "../"}, BadName),
        ({"every": 0.5}, BadInput),
        ({"every": float("nan")}, BadInput),
    ],
)
def test_what_cannot_be_added(
    origins: Origins, folder: Path, rest: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        origins.add(FOLDER, str(folder), **rest)
    with pytest.raises(BadInput, match="exactly one"):
        origins.add(FOLDER)


@pytest.mark.parametrize("documents", [True, False])
def test_removing(origins: Origins, folder: Path, write: Write, documents: bool) -> None:
    write("a.txt", "Words of a.")
    write("b.txt", "Words of b.")
    id = origins.add(FOLDER, str(folder))
    with pytest.raises(Conflict):
        add(origins.attest, WHO, "handbook", Origin("", "", "wiki", FOLDER, (str(folder),), ""))
    origins.sync(id)
    assert remove(origins.attest, WHO, "handbook", "wiki", documents) == 2 * documents
    assert len(origins.documents()) == 2 * (not documents)
    with pytest.raises(UnknownOrigin):
        origins.get(id)
    with origins.attest.store() as work:
        assert work.audit.verify() is None
