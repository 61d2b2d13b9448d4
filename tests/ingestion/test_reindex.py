"""Reading documents again, and changing the embedder, over the real store and pipeline."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from ingestion import embedding, reindex
from ingestion.embedding import embed_due, turn
from ingestion.uploads import upload
from models.fake import CopyGenerator, HashEmbedder
from rag.bootstrap import Attest
from rag.domain import Embedding, EmbeddingState, Job, JobState, Leg, Principal, Right, Verdict
from rag.embedders import Embedders
from rag.errors import BadInput, NotPermitted, UnknownGeneration
from rag.ports import Vectors
from tests.ingestion.house import (
    WHO,
    RememberingQueue,
    job_of,
    make_collection,
    open_house,
    work_off,
)

QUESTION = "How many days of paid leave?"
FILES = {
    "leave.md": b"There are 27 days of paid leave a year.",
    "pay.md": b"The salary comes on the 25th.",
}


class Contrary(HashEmbedder):
    """Finds what a question does not ask for; of another dimension than the default."""

    def __init__(self) -> None:
        super().__init__(8)
        self.embedded: list[str] = []

    @property
    def identity(self) -> str:
        return "contrary"

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.embedded += texts
        return np.eye(8, dtype=np.float32)[[self._axis(text) for text in texts]]

    def _axis(self, text: str) -> int:
        return int(("leave" in text) != text.endswith("?"))


@pytest.fixture
def attest(tmp_path: Path) -> Iterator[Attest]:
    opened = house(tmp_path)
    make_collection(opened)
    yield opened
    opened.close()


def house(folder: Path, **settings: object) -> Attest:
    opened = open_house(folder / "data", lease_seconds=1.0, max_attempts=2, **settings)
    opened.generator = CopyGenerator()
    contrary = Contrary()
    opened.embedders = Embedders("hash", lambda: opened.embedder, {"contrary": lambda: contrary})
    return opened


@pytest.fixture
def queue() -> RememberingQueue:
    return RememberingQueue()


def hand_in(attest: Attest, queue: RememberingQueue, **files: bytes) -> list[Job]:
    given = {name.replace("_", "."): data for name, data in files.items()} or FILES
    jobs = [upload(attest, queue, WHO, "handbook", name, data) for name, data in given.items()]
    work_off(attest, queue)
    return [job_of(attest, job.id) for job in jobs]


def first(attest: Attest) -> str:
    """What the dense leg finds first."""
    found = attest.answering.search(WHO, "handbook", QUESTION, leg=Leg.DENSE, k=1)
    return found[0].document_name


def current(attest: Attest) -> Embedding:
    with attest.store() as work:
        return work.embeddings.current(work.collections.named("handbook").id)


def finish(attest: Attest) -> None:
    """All turns that are due."""
    while embed_due(attest, lambda: "worker"):
        pass


def test_questions_go_on_while_it_is_built_and_then_the_new_vectors_decide(
    attest: Attest, queue: RememberingQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_in(attest, queue)
    before = attest.answering.ask(WHO, "handbook", QUESTION)
    monkeypatch.setattr(embedding, "BATCH", 1)
    begun = reindex.embed_with(attest, WHO, "handbook", "contrary")
    assert turn(attest, begun.id, "w", seconds=0) == "more"
    assert first(attest) == "leave.md"
    standing = reindex.standing(attest, WHO, "handbook")
    assert [each.state for each in standing.embeddings] == [
        EmbeddingState.CURRENT,
        EmbeddingState.BUILDING,
    ]
    hand_in(attest, queue, trips_md=b"Travel is paid.")
    assert attest.answering.ask(WHO, "handbook", QUESTION).verdict is Verdict.ANSWERED
    finish(attest)

    assert first(attest) != "leave.md"
    assert current(attest).embedder == "contrary"
    assert attest.answering.ask(WHO, "handbook", QUESTION).replay.generation == 4
    contrary = attest.embedders.named("contrary")
    assert isinstance(contrary, Contrary)
    texts = [text for text in contrary.embedded if not text.endswith("?")]
    assert len(texts) == len(set(texts)) == 3, "each chunk was embedded once"
    assert not (attest.settings.index_folder / current(attest).collection).exists()
    again = attest.answering.replay(WHO, before.id)
    assert again.same
    with pytest.raises(UnknownGeneration, match="another embedder"):
        attest.answering.explain_answer(WHO, before.id)

    hand_in(attest, queue, late_md=b"No leave for ghosts.")
    assert contrary.embedded[-1].endswith("ghosts.")
    reindex.embed_with(attest, WHO, "handbook", "hash")
    finish(attest)
    assert first(attest) == "leave.md"
    assert current(attest).id == current(attest).collection, "the vectors kept were used again"


KILLED = """
import os, signal, sys
from pathlib import Path
import ingestion.embedding
from tests.ingestion.test_reindex import Contrary, house
ingestion.embedding.BATCH = 1
class Killer(Contrary):
    def embed(self, texts):
        if self.embedded:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().embed(texts)
attest = house(Path(sys.argv[1]))
attest.embedders._named["contrary"] = Killer
ingestion.embedding.turn(attest, sys.argv[2], "killed")
"""


def test_a_build_killed_in_the_middle_goes_on_where_it_was(
    attest: Attest, queue: RememberingQueue
) -> None:
    hand_in(attest, queue)
    begun = reindex.embed_with(attest, WHO, "handbook", "contrary")
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(attest.settings.data.parent), begun.id],
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert killed.returncode == -9
    with attest.store() as work:
        assert work.embeddings.counted(begun.id) == (1, 2)
    assert first(attest) == "leave.md"
    until = time.monotonic() + 30
    while turn(attest, begun.id, "next") == "lost" and time.monotonic() < until:
        time.sleep(0.1)  # the lease of the killed one runs out
    finish(attest)
    assert current(attest).embedder == "contrary"
    assert first(attest) == "pay.md"
    contrary = attest.embedders.named("contrary")
    assert isinstance(contrary, Contrary)
    assert len([text for text in contrary.embedded if not text.endswith("?")]) == 1


def test_a_half_built_one_is_called_off(
    attest: Attest, queue: RememberingQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_in(attest, queue)
    monkeypatch.setattr(embedding, "BATCH", 1)
    begun = reindex.embed_with(attest, WHO, "handbook", "contrary")
    turn(attest, begun.id, "w", seconds=0)
    assert reindex.cancel(attest, WHO, "handbook") == 1
    finish(attest)
    assert first(attest) == "leave.md"
    (left,) = reindex.standing(attest, WHO, "handbook").embeddings
    assert left.state is EmbeddingState.CURRENT


def test_a_document_on_its_way_is_embedded_by_whichever_is_current_at_its_end(
    attest: Attest, queue: RememberingQueue
) -> None:
    hand_in(attest, queue)

    class Overtaken(HashEmbedder):
        def embed(self, texts: Sequence[str]) -> Vectors:
            made = super().embed(texts)
            if current(attest).embedder != "contrary":
                finish(attest)
            return made

    reindex.embed_with(attest, WHO, "handbook", "contrary")
    attest.embedder = Overtaken()
    (job,) = hand_in(attest, queue, late_md=b"No leave for ghosts.")
    assert (job.state, job.attempts) == (JobState.DONE, 1)
    contrary = attest.embedders.named("contrary")
    assert isinstance(contrary, Contrary)
    assert contrary.embedded[-1].endswith("ghosts.")


def test_a_person_who_waits_goes_first(
    attest: Attest, queue: RememberingQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_in(attest, queue)
    monkeypatch.setattr(embedding, "BATCH", 1)
    begun = reindex.embed_with(attest, WHO, "handbook", "contrary")
    upload(attest, queue, WHO, "handbook", "new.md", b"Somebody waits for this.")
    assert turn(attest, begun.id, "w", seconds=600) == "more"
    with attest.store() as work:
        assert work.embeddings.counted(begun.id) == (1, 2), "one batch, and no more"
    work_off(attest, queue)
    turn(attest, begun.id, "w", seconds=600)
    assert current(attest).embedder == "contrary"


def test_a_large_collection_is_searched_from_a_snapshot_made_before_the_swap(
    attest: Attest, queue: RememberingQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.search_engines._WORTH", 1)
    hand_in(attest, queue)
    old = attest.settings.index_folder / current(attest).id
    old.mkdir(parents=True)
    begun = reindex.embed_with(attest, WHO, "handbook", "contrary")
    finish(attest)
    folder = attest.settings.index_folder / begun.id
    (made,) = folder.glob("[0-9]*/manifest.json")
    assert f'"dimension": {Contrary().dimension}' in made.read_text()
    assert not old.exists()
    hand_in(attest, queue, late_md=b"No leave for ghosts.")
    assert first(attest) == "pay.md"
    standing = attest.standings()[begun.collection]
    assert (standing.kind, standing.rows, standing.tail) == ("flat", 3, 1)


def test_what_goes_wrong_is_said_and_tried_again(attest: Attest, queue: RememberingQueue) -> None:
    hand_in(attest, queue)
    begun = reindex.embed_with(attest, WHO, "handbook", "contrary")
    known = attest.embedders
    attest.embedders = Embedders("hash", lambda: attest.embedder, {})
    assert turn(attest, begun.id, "w") == "failed"
    assert "add its folder" in reindex.standing(attest, WHO, "handbook").embeddings[1].error
    attest.embedders = known
    finish(attest)
    assert current(attest).embedder == "contrary"
    assert current(attest).error == ""


def test_the_collection_is_read_again_by_the_settings_of_now(
    attest: Attest, queue: RememberingQueue, tmp_path: Path
) -> None:
    rule = " ".join(f"Rule {n} says what holds in case {n}." for n in range(12)).encode()
    hand_in(attest, queue, leave_md=FILES["leave.md"], rules_md=rule)
    before = attest.answering.ask(WHO, "handbook", QUESTION)
    later = house(tmp_path, chunk_tokens=16)
    jobs = reindex.read_again(later, queue, WHO, "handbook")
    assert queue.sent == jobs
    assert reindex.read_again(later, queue, WHO, "handbook") == jobs, "asked for twice, read once"
    assert chunks(attest) == {"leave.md": 1, "rules.md": 1}
    queue.sent = queue.sent[:2]
    work_off(later, queue)
    done = [job_of(attest, id) for id in jobs]
    assert [(job.state, job.reread, job.bulk) for job in done] == [(JobState.DONE, True, True)] * 2
    assert chunks(attest)["rules.md"] > 1
    assert attest.answering.replay(WHO, before.id).same
    assert attest.answering.ask(WHO, "handbook", QUESTION).text == before.text
    assert reindex.standing(attest, WHO, "handbook").rereading == 0
    later.close()


def chunks(attest: Attest) -> dict[str, int]:
    """How many chunks each live document has."""
    with attest.store() as work:
        held = work.documents.all(work.collections.named("handbook").id)
        versions = {each.name: work.documents.version(each.version or "") for each in held}
    return {name: version.chunks for name, version in versions.items()}


def test_who_may(attest: Attest, queue: RememberingQueue) -> None:
    hand_in(attest, queue)
    stranger = Principal("anna", frozenset({"local-readers"}))
    with attest.store() as work:
        held = work.collections.named("handbook")
        work.collections.set_rights(held.id, {**held.rights, "local-readers": Right.READ})
        work.commit()
    with pytest.raises(NotPermitted):
        reindex.read_again(attest, queue, stranger, "handbook")
    with pytest.raises(NotPermitted):
        reindex.embed_with(attest, stranger, "handbook", "contrary")
    with pytest.raises(BadInput, match="name no embedder"):
        reindex.embed_with(attest, WHO, "handbook", "/etc")
