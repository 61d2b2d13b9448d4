"""Snapshots on disk: DERIVED, SNAPSHOT and ERASED hold with them as without."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import numpy as np
import pytest
import tantivy

from rag.domain import Filter
from rag.errors import UnknownGeneration
from rag.index import approximate
from rag.index.embedded import EmbeddedIndex
from rag.index.row_words import numbered
from rag.index.sizes import Sizes
from tests.index.truth import DIMENSION, New, Truth, unit

SMALL = Sizes(snapshot=8, approximate=30, exact_rows=12, at_once=5)
EVERYBODY = frozenset({"hr"})
WORDS = ("invoice", "paid", "late", "fee", "rare")


def filled(rows: int, seed: int = 0) -> Truth:
    truth, draw = Truth(), np.random.default_rng(seed)
    for start in range(0, rows, 10):
        truth.commit(
            [
                New(" ".join(draw.choice(WORDS, 4)), tuple(draw.normal(size=DIMENSION).tolist()))
                for _ in range(start, min(rows, start + 10))
            ]
        )
    return truth


def over(truth: Truth, folder: Path, sizes: Sizes = SMALL) -> EmbeddedIndex:
    return EmbeddedIndex(truth.store, "c", DIMENSION, folder=folder, sizes=sizes)


def kept(truth: Truth, folder: Path) -> EmbeddedIndex:
    """A searcher that has made a snapshot and moved to it."""
    index = over(truth, folder)
    index.catch_up()
    index.wait()
    assert index.standing().kind != "memory"
    return index


def look_again(index: EmbeddedIndex) -> None:
    """It looks once a second for what is to be done, and counts once a minute."""
    index._upkeep._next_look = index._upkeep._next_count = 0  # type: ignore[union-attr]
    index.catch_up()
    index.wait()


def everything(index: EmbeddedIndex, generation: int | None = None) -> list[object]:
    """Both legs' hits for a few questions, and where words stand in them."""
    at = Filter(index.catch_up() if generation is None else generation, EVERYBODY)
    draw = np.random.default_rng(5)
    dense = [index.dense(unit(draw.normal(size=DIMENSION)), at, 7) for _ in range(9)]
    lexical = [index.lexical(word, at, 7) for word in WORDS]
    met = [hit.chunk for hits in dense for hit in hits]
    return [*dense, *lexical, index.places(WORDS, met)]


@pytest.mark.parametrize("rows", [9, 25, 80])
def test_a_start_from_a_snapshot_gives_the_same_hits(tmp_path: Path, rows: int) -> None:
    truth = filled(rows)
    wanted = everything(EmbeddedIndex(truth.store, "c", DIMENSION))
    index = kept(truth, tmp_path)
    assert everything(index) == wanted
    index.close()
    truth.reads.clear()
    again = over(truth, tmp_path)
    assert everything(again) == wanted
    assert truth.reads == [truth.generation]  # nothing was read but what is new
    assert again.standing().kind == ("flat" if rows < 30 else "approximate")
    truth.commit([New("invoice rare rare")], ended=[0, rows - 1])
    assert everything(again) == everything(EmbeddedIndex(truth.store, "c", DIMENSION))
    again.close()


def files(folder: Path) -> list[Path]:
    return [path for path in folder.glob("[0-9]*/**/*") if path.is_file()]


@pytest.mark.parametrize(
    "name",
    [
        "manifest.json",
        "ids.npy",
        "values.json",
        "vectors.f32",
        "lists.ivf",
        "words/meta.json",
        "shown.u64",
        "ends.npy",
    ],
)
@pytest.mark.parametrize("damage", ["cut", "flipped", "gone"])
def test_a_damaged_snapshot_is_made_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, damage: str
) -> None:
    truth = filled(80)
    index = kept(truth, tmp_path)
    wanted = everything(index)
    index.close()
    (path,) = tmp_path.glob(f"[0-9]*/{name}")
    whole = path.read_bytes()
    middle = len(whole) // 2
    if damage == "cut":
        path.write_bytes(whole[:middle])
    elif damage == "flipped":
        path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 0x41]) + whole[middle + 1 :])
    else:
        path.unlink()
    with caplog.at_level(logging.WARNING):
        again = over(truth, tmp_path)
        again.catch_up()
        again.wait()
        again.catch_up()
        again.wait()
    assert everything(again) == wanted
    if (name, damage) != ("manifest.json", "gone"):  # then there was no snapshot
        assert "dropping the index" in caplog.text
    again.close()


@pytest.mark.parametrize("past", ["another history", "purged", "put back"])
def test_a_snapshot_of_another_history_is_not_used(tmp_path: Path, past: str) -> None:
    truth = filled(40)
    kept(truth, tmp_path).close()
    if past == "another history":
        truth = filled(40, seed=1)
    elif past == "purged":
        del truth.rows[7]
    else:
        truth.restore(filled(20))
    again = over(truth, tmp_path)
    assert everything(again) == everything(EmbeddedIndex(truth.store, "c", DIMENSION))
    again.close()


def test_what_was_deleted_leaves_the_disk_when_it_is_compacted(tmp_path: Path) -> None:
    truth = filled(80)
    truth.commit([New("xylophone", (0, 0, 0, 1), document="secret")])
    index = kept(truth, tmp_path)
    other = over(truth, tmp_path)
    other.catch_up()
    secret = len(truth.rows) - 1
    before = truth.generation
    truth.commit(ended=[secret])
    assert index.lexical("xylophone", Filter(index.catch_up(), EVERYBODY), 5) == []
    vector = truth.rows[secret].vector.tobytes()
    assert [path for path in tmp_path.rglob("*.f32") if vector in path.read_bytes()]
    word = numbered(["xylophon"]).tobytes()
    assert [path for path in tmp_path.rglob("*.u64") if word in path.read_bytes()]
    standing = index.compact()
    assert (standing.rows, standing.dead) == (80, 0)
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in left if vector in path.read_bytes()]
    assert not [path for path in left if numbered(["xylophon"]).tobytes() in path.read_bytes()]
    for words in (*tmp_path.glob("[0-9]*/words"), *tmp_path.glob("working-*/")):
        postings = tantivy.Index.open(str(words)).searcher()
        assert (postings.doc_freq("tokens", "xylophon"), postings.num_docs) == (0, 80)
    with pytest.raises(UnknownGeneration, match="compacted"):
        index.lexical("xylophone", Filter(before, EVERYBODY), 5)
    look_again(other)
    assert other.standing().rows == 80
    assert everything(other) == everything(index)
    index.close()
    other.close()


@pytest.mark.parametrize("rows", [5, 80])
def test_what_was_purged_leaves_memory_and_disk_by_itself(tmp_path: Path, rows: int) -> None:
    truth = filled(rows)
    truth.commit([New("xylophone", (0, 0, 0, 1), document="secret")])
    index, other = over(truth, tmp_path), over(truth, tmp_path)
    for each in (index, other):
        each.catch_up()
        each.wait()
        look_again(each)
    truth.commit(ended=[rows])
    index.catch_up()
    assert index.standing().rows == rows + 1
    vector = truth.rows.pop(rows).vector.tobytes()  # a purge takes the row from the database
    for each in (index, other):
        look_again(each)
        assert each.standing().rows == rows
        assert everything(each) == everything(EmbeddedIndex(truth.store, "c", DIMENSION))
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in left if vector in path.read_bytes()]
    assert not [path for path in left if numbered(["xylophon"]).tobytes() in path.read_bytes()]
    for words in (*tmp_path.glob("[0-9]*/words"), *tmp_path.glob("working-*/")):
        postings = tantivy.Index.open(str(words)).searcher()
        assert (postings.doc_freq("tokens", "xylophon"), postings.num_docs) == (0, rows)
    index.close()
    other.close()


def test_a_generation_within_the_history_is_searched_as_it_was(tmp_path: Path) -> None:
    truth = filled(40)
    before = truth.generation
    index = kept(truth, tmp_path)
    wanted = everything(index, before)
    truth.commit([New("invoice") for _ in range(12)], ended=list(range(20)))
    truth.settled_at = before
    look_again(index)
    assert index.standing().tail == 0  # a new snapshot was made
    assert everything(index, before)[:9] == wanted[:9]  # the dense hits; BM25 counts all rows
    index.close()


def test_many_new_rows_may_wait_but_no_deletion_does(tmp_path: Path) -> None:
    truth = filled(40)
    index = over(truth, tmp_path)
    index.catch_up()
    held = threading.Lock()
    prepare = type(index._held).prepare

    def slow(self: object, born: object) -> object:
        with held:
            return prepare(self, born)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch, held:
        patch.setattr(type(index._held), "prepare", slow)
        old = truth.generation
        truth.commit([New("xylophone") for _ in range(30)])
        assert index.catch_up() == old  # it is answered as of the generation before
        held.release()
        index.wait()
        held.acquire()
        assert index.catch_up() == truth.generation
        held.release()
        truth.commit([New("zither") for _ in range(30)], ended=[0])
        assert index.catch_up() == truth.generation
        held.acquire()
    index.close()


def test_nothing_of_a_process_is_left_when_it_closes(tmp_path: Path) -> None:
    index = kept(filled(40), tmp_path)
    assert list(tmp_path.glob("working-*"))
    index.close()
    assert not list(tmp_path.glob("working-*"))


def test_the_approximate_index_reaches_its_target() -> None:
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(40, 32))
    vectors = (centres[draw.integers(0, 40, 4000)] + 0.5 * draw.normal(size=(4000, 32))).astype(
        "f4"
    )
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    looked = approximate.build(vectors, Path("/dev/null"))
    assert approximate.TARGET <= looked.recall <= 1
    assert looked.probes < looked.lists
