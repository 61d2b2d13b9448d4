"""Data care on the way in: policies, copies, what is stored and shown."""

from __future__ import annotations

import random
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from ingestion.limits import Limits
from ingestion.parse import parse
from ingestion.pipeline import run_job
from ingestion.sandbox import Outcome
from ingestion.uploads import upload
from rag import changes
from rag.api.page_image import draw
from rag.bootstrap import Attest
from rag.domain import Job, JobState, PersonalPolicy, Principal, Right, Sameness, Version
from rag.errors import NotPermitted
from rag.layout import MASK
from rag.reach import copies_for
from tests.ingestion.house import (
    WHO,
    RememberingQueue,
    indexed_names,
    job_of,
    make_collection,
    open_house,
    work_off,
)
from tests.ingestion.making import pdf, prose

CONTACT = (
    "# Contact\n\nAsk Anna at anna.schmidt@firma.de or 030 901820 about the leave that full-time "
    "staff may take. The card 4111 1111 1111 1111 is charged on the first day of the month.\n"
)


@pytest.fixture
def attest(tmp_path: Path) -> Iterator[Attest]:
    opened = open_house(tmp_path / "data")
    make_collection(opened)
    yield opened
    opened.close()


def take(attest: Attest, name: str, data: bytes | str) -> Job:
    queue = RememberingQueue()
    raw = data.encode() if isinstance(data, str) else data
    job = upload(attest, queue, WHO, "handbook", name, raw)
    work_off(attest, queue)
    return job_of(attest, job.id)


def version_of(attest: Attest, job: Job) -> Version:
    assert job.version is not None, job.error
    with attest.store() as work:
        return work.documents.version(job.version)


def set_policy(attest: Attest, policy: PersonalPolicy) -> None:
    changes.set_personal_policy(attest.store, WHO, "handbook", policy)


def test_personal_data_is_shown_and_left_by_default(attest: Attest) -> None:
    version = version_of(attest, take(attest, "a.md", CONTACT))
    text = attest.blobs.get(version.text_blob).decode()
    assert version.findings is not None
    assert version.findings.personal == {"card": 1, "email": 1, "phone": 1}
    assert [text[one.start : one.end] for one in version.findings.places] == [
        "anna.schmidt@firma.de",
        "030 901820",
        "4111 1111 1111 1111",
    ]
    with attest.store() as work:
        document = work.documents.get(version.document)
    assert document.metadata["language"] == "en", "a question can be filtered by it"


def test_what_the_uploader_says_of_the_language_wins(attest: Attest) -> None:
    queue = RememberingQueue()
    job = upload(
        attest, queue, WHO, "handbook", "a.md", CONTACT.encode(), metadata={"language": "x"}
    )
    work_off(attest, queue)
    with attest.store() as work:
        assert work.documents.get(job.document).metadata["language"] == "x"


def test_masked_words_are_nowhere_to_be_searched(attest: Attest) -> None:
    plain = version_of(attest, take(attest, "plain.md", CONTACT))
    set_policy(attest, PersonalPolicy.MASK)
    version = version_of(attest, take(attest, "a.md", CONTACT + "\nMore.\n"))
    before = attest.blobs.get(plain.text_blob).decode()
    after = attest.blobs.get(version.text_blob).decode()
    at = before.index("anna.schmidt")
    assert after[at : at + 21] == MASK * 21
    assert after.index("about the leave") == before.index("about the leave")
    with attest.store() as work:
        rows = work.chunks.since(work.collections.named("handbook").id, 0).born
    mine = [row.text for row in rows if row.document == version.document]
    assert mine
    assert all(MASK in text and "@" not in text and "4111" not in text for text in mine)


def test_the_picture_of_a_page_is_masked_too(attest: Attest) -> None:
    data = pdf(prose(["Ask anna.schmidt@firma.de about leave."]))
    set_policy(attest, PersonalPolicy.MASK)
    version = version_of(attest, take(attest, "a.pdf", data))
    text = attest.blobs.get(version.text_blob).decode()
    (box,) = attest.boxes(version.id, text.index(MASK), text.rindex(MASK) + 1)
    open_page = draw(data, 1, 1.0)
    covered = draw(data, 1, 1.0, [(box.x0, box.y0, box.x1, box.y1)])
    inside = (round(box.x0) + 1, round(box.y0) + 1, round(box.x1) - 1, round(box.y1) - 1)
    assert len(set(Image.open(BytesIO(open_page)).convert("L").crop(inside).tobytes())) > 1
    assert set(Image.open(BytesIO(covered)).convert("L").crop(inside).tobytes()) == {0}


def test_a_refusal_fails_the_job_and_leaves_the_old_version(attest: Attest) -> None:
    first = take(attest, "a.md", "# Contact\n\nAsk at the front desk.\n")
    set_policy(attest, PersonalPolicy.REFUSE)
    refused = take(attest, "a.md", CONTACT)
    assert refused.state is JobState.FAILED
    assert refused.error.startswith("refused_content: ")
    assert "1 card (line" in refused.error
    assert "anna" not in refused.error
    with attest.store() as work:
        assert work.documents.get(first.document).version == first.version
        told = " ".join(str(entry) for entry in work.audit.entries())
    assert "anna.schmidt" not in told
    assert indexed_names(attest) == ["a.md"]
    assert take(attest, "b.md", "# Leave\n\nThirty days.\n").state is JobState.DONE


def test_only_who_manages_sets_the_policy(attest: Attest) -> None:
    with attest.store() as work:
        collection = work.collections.named("handbook")
        work.collections.set_rights(collection.id, {"local": Right.MANAGE, "staff": Right.WRITE})
        work.commit()
    staff = Principal("wim", frozenset({"staff"}))
    with pytest.raises(NotPermitted):
        changes.set_personal_policy(attest.store, staff, "handbook", PersonalPolicy.ALLOW)


def here(data: bytes, name: str, limits: Limits) -> Outcome:
    """Parse in this process: many children take minutes."""
    return Outcome(parse(data, name), None)


def words(seed: int, n: int = 120) -> list[str]:
    rng = random.Random(seed)
    stock = ["leave", "pay", "staff", "month", "year", "form", "desk", "head", "day", "rule"]
    return [rng.choice(stock) + str(rng.randrange(60)) for _ in range(n)]


def test_copies_are_found_among_others(attest: Attest) -> None:
    queue = RememberingQueue()
    for seed in range(20):
        text = " ".join(words(seed)).encode()
        upload(attest, queue, WHO, "handbook", f"{seed}.txt", text)
    near = words(7)
    near[50] = "changed"
    upload(attest, queue, WHO, "handbook", "near.txt", " ".join(near).encode())
    upload(attest, queue, WHO, "handbook", "bytes.txt", " ".join(words(9)).encode())
    upload(attest, queue, WHO, "handbook", "text.md", (" ".join(words(11)) + "\n\n").encode())
    for id in queue.sent:
        run_job(attest, id, "w", here)
    with attest.store() as work:
        collection = work.collections.named("handbook")
        all_of = copies_for(work, collection, WHO)
        named = {
            work.documents.get(id).name: [(copy.name, copy.sameness) for copy in copies]
            for id, copies in all_of.items()
        }
        of_near = work.documents.named(collection.id, "near.txt").id
        assert copies_for(work, collection, WHO, of_near) == {of_near: all_of[of_near]}
        assert 0.8 <= all_of[of_near][0].share < 1.0
    assert named == {
        "7.txt": [("near.txt", Sameness.NEAR)],
        "near.txt": [("7.txt", Sameness.NEAR)],
        "9.txt": [("bytes.txt", Sameness.BYTES)],
        "bytes.txt": [("9.txt", Sameness.BYTES)],
        "11.txt": [("text.md", Sameness.TEXT)],
        "text.md": [("11.txt", Sameness.TEXT)],
    }
    with attest.store() as work:
        work.documents.delete(work.documents.named(collection.id, "7.txt").id)
        work.commit()
    with attest.store() as work:
        assert copies_for(work, collection, WHO, of_near) == {}, "what is deleted is no copy"
