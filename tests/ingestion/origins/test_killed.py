"""A sync that ends anywhere, and syncs that meet: nothing twice, nothing lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestion.origins import bring
from ingestion.origins.keeping import remove
from ingestion.origins.sync import sync
from rag.domain import OriginKind
from tests.ingestion.house import WHO
from tests.ingestion.origins.conftest import Write, aged
from tests.ingestion.origins.house import Origins, copied

FOLDER = OriginKind.FOLDER


class Killed(BaseException):
    """As a process ends: nothing of ours catches it."""


class Blow:
    """Raises at the n-th commit that a sync makes, before or after it."""

    def __init__(self, at: int, after: bool) -> None:
        self.left, self.after = at, after

    def strike(self, committed: bool) -> None:
        if committed is self.after:
            self.left -= 1
            if self.left == 0:
                raise Killed


def broken(origins: Origins, id: str, blow: Blow, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the sync was killed."""
    with monkeypatch.context() as patch:
        kind = type(origins.attest.store())
        commit = kind.commit

        def struck(work: object) -> None:
            blow.strike(committed=False)
            commit(work)  # type: ignore[arg-type]
            blow.strike(committed=True)

        patch.setattr(kind, "commit", struck)
        try:
            sync(origins.attest, origins.queue, id, f"killed at {blow.left}")
        except Killed:
            return True
        return False


def forgotten(origins: Origins, id: str) -> None:
    """As if the lease of the killed one had run out."""
    with origins.attest.store() as work:
        held = work.origins.get(id)
        work.origins.retire(id)
        work.origins.ask(id, held.confirmed)
        work.commit()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_every_commit(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    """A new file, a changed, a renamed and a deleted one; the sync is killed at its first, second,
    ... commit until it gets through; then one more finds nothing to do but the rest."""
    at = 0
    while True:
        at += 1
        folder = tmp_path / f"root-{at}"
        folder.mkdir()
        made = copied(template, tmp_path / f"data-{at}", source_roots=[str(folder)])

        def write(name: str, text: str, folder: Path = folder) -> None:
            (folder / name).write_text(text)
            aged(folder / name)

        for name in ("changed", "old", "gone", "stays"):
            write(f"{name}.md", f"# Title of {name}\n\nWords of {name}.")
        id = made.add(FOLDER, str(folder))
        made.sync(id)
        version = made.version_ids()["old.md"]
        write("changed.md", "# Changed\n\nOther words.")
        write("new.md", "# New\n\nNew words.")
        (folder / "old.md").rename(folder / "moved.md")
        (folder / "gone.md").unlink()
        killed = broken(made, id, Blow(at, after), monkeypatch)
        forgotten(made, id)
        made.queue.sent.clear()  # as when the broker was not told
        with made.attest.store() as work:
            made.queue.sent = work.jobs.due()
        made.sync(id)
        assert sorted(made.documents()) == ["changed.md", "moved.md", "new.md", "stays.md"]
        assert "Other words." in made.documents()["changed.md"]
        assert made.version_ids()["moved.md"] == version
        assert made.jobs() == 6
        assert made.sync(id).counts == {"unchanged": 4}
        made.attest.close()
        if not killed:
            break
    assert at > 5


KILLED = """
import sys
from pathlib import Path
from ingestion.origins.sync import sync
from rag.bootstrap import open_attest
from rag.settings import Settings
from tests.ingestion.house import RememberingQueue

data, root, id = sys.argv[1:]
attest = open_attest(Settings(data=Path(data), source_roots=(Path(root),), lease_seconds=0.5))
print("ready", flush=True)
sync(attest, RememberingQueue(), id, "a process of its own")
"""


def test_a_process_that_is_killed(origins: Origins, folder: Path, write: Write) -> None:
    for number in range(60):
        write(f"{number}.txt", f"Words of {number}.")
    id = origins.add(FOLDER, str(folder))
    data = str(origins.attest.settings.data)
    arguments = [sys.executable, "-c", KILLED, data, str(folder.parent), id]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        while origins.jobs() < 10:
            assert process.poll() is None, "it was through too early"
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
    done = origins.jobs()
    assert done < 60
    while origins.get(id).syncing:
        time.sleep(0.05)
    with origins.attest.store() as work:
        assert work.origins.due() == [id]
        origins.queue.sent = work.jobs.due()
    found = origins.sync(id)
    assert found.counts == {"new": 60 - done, "unchanged": done}
    assert origins.jobs() == 60
    assert len(origins.documents()) == 60


def test_syncs_that_meet(origins: Origins, folder: Path, write: Write) -> None:
    for number in range(6):
        write(f"{number}.txt", f"Words of {number}.")
    id = origins.add(FOLDER, str(folder))
    found = []

    def one(name: str) -> None:
        found.append(sync(origins.attest, origins.queue, id, name))

    threads = [threading.Thread(target=one, args=(f"worker {n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum((each.counts.get("new", 0) for each in found if each), 0) == 6
    assert origins.jobs() == 6


def test_a_source_removed_while_it_syncs(
    origins: Origins, folder: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        write(f"{number}.txt", f"Words of {number}.")
    id = origins.add(FOLDER, str(folder))
    accepted, calls = bring.accepted, []

    def meanwhile(*arguments: object, bulk: bool) -> object:
        calls.append(1)
        return accepted(*arguments, bulk=bulk)  # type: ignore[arg-type]

    put = type(origins.attest.blobs).put

    def removing(blobs: object, data: bytes) -> str:
        if len(calls) == 1:
            remove(origins.attest, WHO, "handbook", "wiki", True)
        return put(blobs, data)  # type: ignore[arg-type]

    monkeypatch.setattr(bring, "accepted", meanwhile)
    monkeypatch.setattr(type(origins.attest.blobs), "put", removing)
    assert sync(origins.attest, origins.queue, id, "unaware") is None
    assert len(calls) == 1
    assert origins.documents() == {}


# --- any history --------------------------------------------------------------------------------

NAMES = st.sampled_from([f"{folder}{name}" for folder in ("", "x/") for name in ("a.md", "b.txt")])
TEXTS = st.sampled_from(["Apples are red.", "# Pears\n\nThey are green.", "Plums."])
STEPS = st.one_of(
    st.tuples(st.just("write"), NAMES, TEXTS),
    st.tuples(st.just("delete"), NAMES, st.none()),
    st.tuples(st.just("move"), NAMES, NAMES),
    st.tuples(st.just("sync"), st.none(), st.none()),
    st.tuples(st.just("kill"), st.integers(1, 6), st.booleans()),
)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), print_blob=False)
@given(steps=st.lists(STEPS, max_size=12))
def test_after_any_history_the_documents_are_the_files(
    steps: list[tuple[str, object, object]],
    template: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    base = tmp_path_factory.mktemp("history")
    folder = base / "root"
    folder.mkdir()
    made = copied(template, base / "data", source_roots=[str(folder)])
    id = made.add(FOLDER, str(folder))
    for what, first, second in steps:
        path = folder / str(first)
        if what == "write":
            path.parent.mkdir(exist_ok=True)
            path.write_text(str(second))
            aged(path)
        elif what == "delete":
            path.unlink(missing_ok=True)
        elif what == "move":
            with suppress(FileNotFoundError):
                target = folder / str(second)
                target.parent.mkdir(exist_ok=True)
                path.rename(target)
        elif what == "sync":
            made.sync(id)
        else:
            with pytest.MonkeyPatch.context() as patch:
                broken(made, id, Blow(int(str(first)), bool(second)), patch)
            forgotten(made, id)
    made.sync(id)
    if made.get(id).held:
        made.sync(id, confirmed=True)
    with made.attest.store() as work:
        made.queue.sent = work.jobs.due()
    made.work_off()
    files = {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }
    texts = {name: text.replace("# ", "") for name, text in made.documents().items()}
    assert texts.keys() == files.keys()
    for name, text in files.items():
        assert texts[name].split() == text.replace("# ", "").split()
    assert made.get(id).error == ""
    made.attest.close()
