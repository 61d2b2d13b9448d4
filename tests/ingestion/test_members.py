"""Files inside archives and mails become documents of their own, and share the fate of what they
lie in."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping
from email.message import EmailMessage
from pathlib import Path

import pytest

from ingestion.pipeline import run_job
from ingestion.uploads import upload
from rag.bootstrap import Attest
from rag.changes import delete_document, set_access
from rag.domain import Document, Job, JobState
from tests.ingestion.house import (
    WHO,
    RememberingQueue,
    indexed_names,
    job_of,
    make_collection,
    open_house,
)

LEAVE, PAY = b"Every employee has 28 days of leave.", b"Pay day is the 25th of each month."


def zipped(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def mail(**attached: bytes) -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = (
        "ann@example.org",
        "bo@example.org",
        "Leave",
    )
    message["Date"] = "Mon, 02 Mar 2026 09:00:00 +0000"
    message.set_content("The new rules are attached.")
    for name, data in attached.items():
        message.add_attachment(data, "application", "octet-stream", filename=name)
    return message.as_bytes()


@pytest.fixture
def attest(tmp_path: Path) -> Iterator[Attest]:
    opened = open_house(tmp_path / "data")
    make_collection(opened)
    yield opened
    opened.close()


def take(attest: Attest, name: str, data: bytes, **access: object) -> Job:
    """Hand in, and work off all jobs that come of it, as workers do."""
    queue = RememberingQueue()
    job = upload(attest, queue, WHO, "handbook", name, data, **access)  # type: ignore[arg-type]
    while queue.sent:
        run_job(attest, queue.sent.pop(0), "test-worker", queue=queue)
    return job_of(attest, job.id)


def named(attest: Attest, name: str) -> Document:
    with attest.store() as work:
        return work.documents.named(work.collections.named("handbook").id, name)


def text_of(attest: Attest, name: str) -> str:
    document = named(attest, name)
    assert document.version is not None
    with attest.store() as work:
        blob = work.documents.version(document.version).text_blob
    return attest.blobs.get(blob).decode()


def test_each_file_of_an_archive_is_a_document_under_its_path(attest: Attest) -> None:
    inner = zipped({"pay.txt": PAY})
    job = take(attest, "rules.zip", zipped({"hr/leave.txt": LEAVE, "old/pay.zip": inner}))
    assert job.state is JobState.DONE
    assert indexed_names(attest) == [
        "rules.zip",
        "rules.zip/hr/leave.txt",
        "rules.zip/old/pay.zip/pay.txt",
    ]
    assert text_of(attest, "rules.zip/hr/leave.txt") == LEAVE.decode()
    assert text_of(attest, "rules.zip") == "- hr/leave.txt\n- old/pay.zip/pay.txt"
    assert named(attest, "rules.zip/hr/leave.txt").parent == named(attest, "rules.zip").id


def test_attachments_of_a_mail_in_an_archive(attest: Attest) -> None:
    take(attest, "box.zip", zipped({"leave.eml": mail(**{"rules.txt": LEAVE})}))
    assert indexed_names(attest) == [
        "box.zip",
        "box.zip/leave.eml",
        "box.zip/leave.eml/rules.txt",
    ]
    text = text_of(attest, "box.zip/leave.eml")
    assert "From: ann@example.org" in text
    assert "The new rules are attached." in text
    assert "rules.txt" in text


def test_one_bad_file_fails_alone_and_says_why(attest: Attest) -> None:
    job = take(attest, "a.zip", zipped({"good.txt": LEAVE, "bad.pdf": b"%PDF-1.7 nothing"}))
    assert job.state is JobState.DONE
    with attest.store() as work:
        jobs = {each.name: each for each in work.jobs.inside(job.document)}
    assert jobs["a.zip/good.txt"].state is JobState.DONE
    assert jobs["a.zip/bad.pdf"].state is JobState.FAILED
    assert "damaged" in jobs["a.zip/bad.pdf"].error


def test_replacing_an_archive_replaces_what_is_inside(attest: Attest) -> None:
    take(attest, "a.zip", zipped({"leave.txt": LEAVE, "pay.txt": PAY}))
    kept = named(attest, "a.zip/leave.txt")
    take(attest, "a.zip", zipped({"leave.txt": LEAVE, "new.txt": b"Travel is paid."}))
    assert indexed_names(attest) == ["a.zip", "a.zip/leave.txt", "a.zip/new.txt"]
    assert named(attest, "a.zip/leave.txt") == kept, "what did not change was read again"
    take(attest, "a.zip", b"a text file now")
    assert indexed_names(attest) == ["a.zip"]


def test_deleting_an_archive_deletes_what_is_inside(attest: Attest) -> None:
    take(attest, "a.zip", zipped({"m.eml": mail(**{"rules.txt": LEAVE}), "pay.txt": PAY}))
    take(attest, "b.txt", b"Something else.")
    delete_document(attest.store, WHO, named(attest, "a.zip").id)
    assert indexed_names(attest) == ["b.txt"]


def test_those_who_may_read_an_archive_may_read_what_is_inside(attest: Attest) -> None:
    take(attest, "a.zip", zipped({"pay.txt": PAY}), readers=frozenset({"hr"}))
    assert named(attest, "a.zip/pay.txt").readers == {"hr"}
    set_access(attest.store, WHO, named(attest, "a.zip").id, frozenset({"board"}), {})
    assert named(attest, "a.zip/pay.txt").readers == {"board"}
    # narrowed on its own, and not widened again by a new version of the archive
    set_access(attest.store, WHO, named(attest, "a.zip/pay.txt").id, frozenset({"ann"}), {})
    take(attest, "a.zip", zipped({"pay.txt": PAY + b" Or before.", "new.txt": LEAVE}))
    assert named(attest, "a.zip/pay.txt").readers == {"ann"}
    assert named(attest, "a.zip/new.txt").readers == {"board"}
    # narrowed with a new version of the archive
    take(attest, "a.zip", zipped({"pay.txt": PAY}), readers=frozenset({"hr"}))
    assert named(attest, "a.zip/pay.txt").readers == {"hr"}


def test_a_document_from_elsewhere_is_not_overwritten(attest: Attest) -> None:
    take(attest, "a.zip/pay.txt", b"Written by hand.")
    job = take(attest, "a.zip", zipped({"pay.txt": PAY}))
    assert job.state is JobState.FAILED
    assert "a.zip/pay.txt" in job.error
    assert text_of(attest, "a.zip/pay.txt") == "Written by hand."


def test_too_many_files(tmp_path: Path) -> None:
    attest = open_house(tmp_path / "data", max_archived_files=2)
    make_collection(attest)
    job = take(attest, "a.zip", zipped({f"{n}.txt": b"x" for n in range(3)}))
    assert job.state is JobState.FAILED
    assert "max_archived_files" in job.error
    assert indexed_names(attest) == []
    attest.close()


KILLED = """
import os, signal, sys
from pathlib import Path
from rag.store.blobs import FolderBlobs
from ingestion.pipeline import run_job
from tests.ingestion.house import open_house

left = int(sys.argv[3])
put = FolderBlobs.put
def counted(self, data):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return put(self, data)
FolderBlobs.put = counted
run_job(open_house(Path(sys.argv[1]), lease_seconds=0.2), sys.argv[2], "killed")
"""


@pytest.mark.parametrize("stored", [0, 1, 2])
def test_a_kill_leaves_all_or_nothing_of_an_archive(tmp_path: Path, stored: int) -> None:
    """Killed after so many of its three blobs were stored; the next attempt brings all, once."""
    attest = open_house(tmp_path / "data", lease_seconds=0.2)
    make_collection(attest)
    queue = RememberingQueue()
    data = zipped({"leave.txt": LEAVE, "pay.txt": PAY})
    job = upload(attest, queue, WHO, "handbook", "a.zip", data)
    command = [sys.executable, "-c", KILLED, str(tmp_path / "data"), job.id, str(stored)]
    root = str(Path(__file__).parents[2])
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": root}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert indexed_names(attest) == []
    with attest.store() as work:
        assert len(work.documents.all(job.collection)) == 1
    time.sleep(0.3)  # until the dead one's lease is over
    while queue.sent:
        run_job(attest, queue.sent.pop(0), "next", queue=queue)
    assert indexed_names(attest) == ["a.zip", "a.zip/leave.txt", "a.zip/pay.txt"]
    attest.close()
