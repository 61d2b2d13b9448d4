"""One suite over every back end of the search port: the embedded index with each of its lexical
legs, and the engines on servers. PERMITTED, SNAPSHOT, ERASED and DERIVED."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import strategies as st
from rank_bm25 import BM25Okapi

from rag.analyse import analyse
from rag.domain import Condition, Filter, Hit, Leg
from rag.errors import Corrupt, ModelError
from rag.index.lexical import K1, B
from rag.index.terms import terms
from rag.ports import SearchIndex
from rag.wording import places
from tests.index.backends import Backend, Wiped, explore
from tests.index.histories import filters, steps, texts, told, vectors
from tests.index.truth import New, Truth, unit

EVERYBODY = frozenset({"hr"})
EAST = unit((1, 0, 0, 0))
CLOSE = 1e-5  # between two ways of adding up the same score


@pytest.fixture(
    params=["tantivy", "snapshots", "rank_bm25", "milvus", "pgvector", "pgvector_nodes"]
)
def backend(request: pytest.FixtureRequest) -> Backend:
    made: Backend = request.getfixturevalue(request.param)
    return made


def chunks(found: list[Hit]) -> list[str]:
    return [hit.chunk for hit in found]


def scores(found: list[Hit]) -> dict[str, float]:
    return {hit.chunk: hit.score for hit in found}


def at(generation: int, *conditions: Condition) -> Filter:
    return Filter(generation, EVERYBODY, conditions)


def well_formed(found: list[Hit], leg: Leg, k: int) -> None:
    assert [hit.rank for hit in found] == list(range(1, len(found) + 1))
    assert {hit.leg for hit in found} <= {leg}
    assert len(set(chunks(found))) == len(found) <= k
    falling = [hit.score for hit in found]
    assert falling == sorted(falling, reverse=True)


def same(one: list[Hit], other: list[Hit]) -> None:
    """The same hits with the same scores; rows that score as good as alike in any order."""
    assert [hit.score for hit in one] == pytest.approx([hit.score for hit in other], abs=CLOSE)
    ranked = scores(other)
    last = other[-1].score if other else 0.0
    for hit in one:
        assert ranked.get(hit.chunk, last) == pytest.approx(hit.score, abs=CLOSE)


# --- PERMITTED ---------------------------------------------------------------------------------


def test_the_lexical_leg_permits_before_it_cuts(backend: Backend) -> None:
    """No row that the filter does not permit, and none of those missing that hold a word asked
    for; where scores are steady, what the filter hides changes none."""

    @explore(backend, history=steps(), filter=filters, query=texts, k=st.integers(0, 12))
    def check(history: list, filter: Filter, query: str, k: int) -> None:
        truth = told(history)
        index = backend.index(truth)
        newest = index.catch_up()
        every = index.lexical(query, filter, 99)
        well_formed(every, Leg.LEXICAL, 99)
        words = set(analyse(query))
        holding = {row.chunk for row in truth.rows if words & set(terms(row))}
        assert (
            set(chunks(every)) == {truth.rows[i].chunk for i in truth.permitted(filter)} & holding
        )
        assert index.lexical(query, filter, k) == every[:k]
        if backend.steady:
            wide = Filter(min(filter.generation, newest), frozenset({"hr", "it", "law"}))
            whole = scores(index.lexical(query, wide, 99))
            for chunk, score in scores(every).items():
                assert whole[chunk] == pytest.approx(score, abs=CLOSE)


def test_the_dense_leg_is_the_top_of_the_permitted_rows(backend: Backend) -> None:
    @explore(backend, history=steps(), filter=filters, question=vectors, k=st.integers(0, 12))
    def check(history: list, filter: Filter, question: tuple[int, ...], k: int) -> None:
        truth = told(history)
        index = backend.index(truth)
        index.catch_up()
        found = index.dense(unit(question), filter, k)
        well_formed(found, Leg.DENSE, k)
        allowed = [truth.rows[i] for i in truth.permitted(filter)]
        exact = {row.chunk: float(row.vector @ unit(question)) for row in allowed}
        assert set(chunks(found)) <= set(exact)
        for hit in found:
            assert hit.score == pytest.approx(exact[hit.chunk], abs=CLOSE)
        if backend.exact:
            best = sorted(exact.values(), reverse=True)[:k]
            assert [hit.score for hit in found] == pytest.approx(best, abs=CLOSE)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.9])
def test_the_dense_leg_finds_its_share_behind_any_filter(backend: Backend, share: float) -> None:
    """A graph that is filtered while it is walked loses rows just where few are permitted."""
    rng = np.random.default_rng(0)
    truth = Truth()
    truth.commit(
        [
            New("x", tuple(rng.normal(size=4)), readers=frozenset({g}))
            for g in np.where(rng.random(1500) < share, "hr", "law")
        ]
    )
    index = backend.index(truth)
    filter = at(index.catch_up())
    allowed = [truth.rows[i] for i in truth.permitted(filter)]
    recalls = []
    for _ in range(10):
        question = unit(rng.normal(size=4))
        best = sorted(allowed, key=lambda row: -float(row.vector @ question))[:10]
        found = chunks(index.dense(question, filter, 10))
        assert len(found) == min(10, len(allowed))
        recalls.append(len(set(found) & {row.chunk for row in best}) / len(best))
    assert np.mean(recalls) == 1 if backend.exact else np.mean(recalls) >= 0.9


def test_no_group_means_no_row(backend: Backend) -> None:
    truth = Truth()
    truth.commit([New("invoice"), New("invoice", readers=frozenset())])
    index = backend.index(truth)
    newest = index.catch_up()
    assert index.lexical("invoice", Filter(newest, frozenset()), 9) == []
    assert index.dense(EAST, Filter(newest, frozenset()), 9) == []
    assert chunks(index.lexical("invoice", at(newest), 9)) == ["c0"]
    assert chunks(index.dense(EAST, at(newest), 9)) == ["c0"]


def test_groups_of_any_name(backend: Backend) -> None:
    names = ['"', "a,b", "{x}", "%", "it's", "\\", "東京", "g" * 255, "null", "HR"]
    truth = Truth()
    truth.commit([New("invoice", readers=frozenset({name})) for name in names])
    index = backend.index(truth)
    newest = index.catch_up()
    for i, name in enumerate(names):
        filter = Filter(newest, frozenset({name}))
        assert chunks(index.lexical("invoice", filter, 9)) == [f"c{i}"], name
        assert chunks(index.dense(EAST, filter, 9)) == [f"c{i}"], name
    assert index.dense(EAST, Filter(newest, frozenset({"hr", "a", "x"})), 9) == []


@pytest.mark.parametrize(
    ("held", "asked", "meets"),
    [
        (1, True, True),
        (True, 1.0, True),
        (0, False, True),
        (2.0, 2, True),
        (2.5, 2.5, True),
        (2**53 + 1, 2.0**53, False),
        (10**30, 1e30, False),
        (10**15, 1e15, True),
        ("1", 1, False),
        (1, "1", False),
        ("True", True, False),
        ("x", "X", False),
        ("", "", True),
        ("Ünïcode 東京 '\"\\%", "Ünïcode 東京 '\"\\%", True),
        ("y" * 5000, "y" * 5000, True),
        ("y" * 5000, "y" * 5000 + "z", False),
        (-0.0, 0, True),
        (0.1 + 0.2, 0.3, False),
    ],
)
def test_conditions_compare_as_python_does(
    backend: Backend, held: object, asked: object, meets: bool
) -> None:
    assert (held in (asked,)) is meets
    truth = Truth()
    truth.commit([New("invoice", metadata=(("key ' \" 1", held),)), New("invoice")])  # type: ignore[arg-type]
    index = backend.index(truth)
    filter = at(index.catch_up(), Condition("key ' \" 1", ("other", asked)))  # type: ignore[arg-type]
    wanted = ["c0"] if meets else []
    assert chunks(index.lexical("invoice", filter, 9)) == wanted
    assert chunks(index.dense(EAST, filter, 9)) == wanted


def test_every_condition_must_be_met_and_a_row_without_the_key_meets_none(
    backend: Backend,
) -> None:
    truth = Truth()
    truth.commit([New("invoice")])
    truth.commit([New("invoice", metadata=(("year", 2024), ("kind", "bill")))])
    truth.commit([New("invoice", metadata=(("year", 2024), ("kind", "note")))])
    index = backend.index(truth)
    newest = index.catch_up()
    year, kind = Condition("year", (2024, 2025)), Condition("kind", ("bill",))
    assert chunks(index.lexical("invoice", at(newest, year), 9)) == ["c1", "c2"]
    assert chunks(index.lexical("invoice", at(newest, year, kind), 9)) == ["c1"]
    assert chunks(index.dense(EAST, at(newest, year, kind), 9)) == ["c1"]
    assert index.dense(EAST, at(newest, Condition("year", ())), 9) == []
    assert index.dense(EAST, at(newest, Condition("nowhere", (2024,))), 9) == []


def test_only_the_named_documents(backend: Backend) -> None:
    truth = Truth()
    truth.commit([New("invoice", document=f"d{i}") for i in range(9)])
    index = backend.index(truth)
    filter = at(index.catch_up())
    named = replace(filter, documents=frozenset({"d3", "d5", "d77"}))
    many = replace(filter, documents=frozenset({"d4", *(f"other {i}" for i in range(2000))}))
    for asked, wanted in ((named, ["c3", "c5"]), (many, ["c4"])):
        assert chunks(index.lexical("invoice", asked, 9)) == wanted
        assert chunks(index.dense(EAST, asked, 9)) == wanted
    assert index.dense(EAST, replace(filter, documents=frozenset()), 9) == []


def test_where_words_stand_is_as_in_the_text_shown(backend: Backend) -> None:
    @explore(backend, history=steps(), query=texts)
    def check(history: list, query: str) -> None:
        truth = told(history)
        index = backend.index(truth)
        newest = index.catch_up()
        every = Filter(newest, frozenset({"hr", "it", "law"}))
        found = {*chunks(index.dense(EAST, every, 99)), *chunks(index.lexical(query, every, 99))}
        asked = list(dict.fromkeys(analyse(query)))
        known = index.places(asked, found | {"unheard of"})
        assert known.keys() == found or not known, "of an engine on a server the texts are read"
        shown = {row.chunk: row.shown for row in truth.rows}
        for chunk, stand in known.items():
            assert list(stand) == places(set(asked), analyse(shown[chunk]))


# --- SNAPSHOT ----------------------------------------------------------------------------------


def test_an_empty_collection(backend: Backend) -> None:
    index: SearchIndex = backend.index(Truth())
    assert index.catch_up() == 0
    assert index.lexical("invoice", at(0), 5) == []
    assert index.dense(EAST, at(0), 5) == []


def test_an_old_generation_stays_as_it_was(backend: Backend) -> None:
    truth = Truth()
    index = backend.index(truth)
    truth.commit([New("old invoice", document="a"), New("other invoice", document="b")])
    first = index.catch_up()
    assert set(chunks(index.lexical("invoice", at(first), 9))) == {"c0", "c1"}
    truth.commit([New("new invoice", document="a")], ended=[0])
    second = index.catch_up()
    assert set(chunks(index.lexical("invoice", at(first), 9))) == {"c0", "c1"}
    assert set(chunks(index.lexical("invoice", at(second), 9))) == {"c1", "c2"}
    assert chunks(index.dense(EAST, at(first), 9)) == ["c0", "c1"]
    assert chunks(index.dense(EAST, at(second), 9)) == ["c1", "c2"]
    assert index.dense(EAST, at(0), 9) == []


def test_it_catches_up_by_itself_and_reads_only_what_is_new(backend: Backend) -> None:
    truth = Truth()
    index = backend.index(truth)
    truth.commit([New("invoice")])
    assert chunks(index.lexical("invoice", at(1), 9)) == ["c0"]
    truth.commit([New("invoice")])
    truth.reads.clear()
    index.catch_up()
    index.catch_up()
    assert set(truth.reads) <= {1, 2}
    assert chunks(index.lexical("invoice", at(2), 9)) == ["c0", "c1"]


def test_a_generation_that_is_not_there_yet_reads_the_newest(backend: Backend) -> None:
    truth = Truth()
    index = backend.index(truth)
    assert index.lexical("invoice", at(9), 9) == []
    truth.commit([New("invoice")])
    assert chunks(index.lexical("invoice", at(9), 9)) == ["c0"]
    assert chunks(index.dense(EAST, at(9), 9)) == ["c0"]


def test_readers_never_see_half_a_change(backend: Backend) -> None:
    """Every generation replaces the two rows of one document; a reader sees two of one kind."""
    truth = Truth()
    truth.commit([New("invoice"), New("invoice")])
    index = backend.index(truth)
    index.catch_up()
    wrong: list[object] = []
    done = threading.Event()

    def born(found: list[Hit]) -> list[int]:
        return sorted(truth.rows[int(hit.chunk[1:])].born for hit in found)

    def read() -> None:
        try:
            while not done.is_set():
                filter = at(index.catch_up())
                lexical = born(index.lexical("invoice", filter, 9))
                dense = born(index.dense(EAST, filter, 9))
                if lexical != [filter.generation] * 2 or dense != lexical:
                    wrong.append((filter.generation, lexical, dense))
        except BaseException as exc:
            wrong.append(exc)
            raise

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for step in range(25):
        truth.commit([New("invoice"), New("invoice")], ended=[2 * step, 2 * step + 1])
        if step % 5 == 0:
            index.catch_up()
    done.set()
    for reader in readers:
        reader.join()
    assert not wrong


# --- ERASED ------------------------------------------------------------------------------------


def test_the_next_question_does_not_see_what_was_deleted(backend: Backend) -> None:
    truth = Truth()
    truth.commit([New(f"secret invoice {i}") for i in range(20)])
    one, other = backend.index(truth), backend.index(truth)
    for index in (one, other):
        assert len(index.dense(EAST, at(index.catch_up()), 99)) == 20
    for gone in range(20):
        truth.commit(ended=[gone])
        for index in (one, other) if gone % 2 else (other, one):  # two processes, either first
            filter = at(index.catch_up())
            left = {f"c{i}" for i in range(gone + 1, 20)}
            assert filter.generation == truth.generation
            assert set(chunks(index.lexical("invoice", filter, 99))) == left
            assert set(chunks(index.dense(EAST, filter, 99))) == left


def test_a_withdrawn_right_counts_at_once(backend: Backend) -> None:
    """Rights change as rows do: the old row ends, a new one of the same chunk begins."""
    truth = Truth()
    truth.commit([New("invoice", readers=frozenset({"hr"}))])
    index = backend.index(truth)
    assert chunks(index.lexical("invoice", at(index.catch_up()), 9)) == ["c0"]
    truth.commit([New("invoice", readers=frozenset({"law"}), chunk="c0")], ended=[0])
    newest = index.catch_up()
    assert index.lexical("invoice", at(newest), 9) == index.dense(EAST, at(newest), 9) == []
    law = Filter(newest, frozenset({"law"}))
    assert chunks(index.lexical("invoice", law, 9)) == chunks(index.dense(EAST, law, 9)) == ["c0"]
    assert chunks(index.lexical("invoice", at(newest - 1), 9)) == ["c0"]


# --- DERIVED -----------------------------------------------------------------------------------


def test_a_rebuilt_index_is_the_grown_one(backend: Backend) -> None:
    @explore(backend, history=steps(), filter=filters, query=texts, question=vectors)
    def check(history: list, filter: Filter, query: str, question: tuple[int, ...]) -> None:
        truth = Truth()
        grown = backend.index(truth)
        for born, ended in history:
            truth.commit(born, ended)
            assert grown.catch_up() == truth.generation
        lexical, dense = grown.lexical(query, filter, 9), grown.dense(unit(question), filter, 9)
        grown.forget()
        assert grown.catch_up() == truth.generation
        same(grown.lexical(query, filter, 9), lexical)
        same(grown.dense(unit(question), filter, 9), dense)


def test_what_is_forgotten_is_built_again_by_the_next_question(backend: Backend) -> None:
    truth = Truth()
    truth.commit([New("invoice")])
    index, other = backend.index(truth), backend.index(truth)
    for each in (index, other):
        assert chunks(each.lexical("invoice", at(each.catch_up()), 9)) == ["c0"]
    index.forget()
    for each in (other, index):
        assert chunks(each.lexical("invoice", at(1), 9)) == ["c0"]
        assert chunks(each.dense(EAST, at(1), 9)) == ["c0"]


def test_a_store_put_back_to_a_backup_is_read_anew(backend: Backend) -> None:
    truth = Truth()
    index = backend.index(truth)
    truth.commit([New("invoice")])
    backup = truth.copy()
    truth.commit([New("lost invoice")])
    assert index.catch_up() == 2
    truth.restore(backup)
    assert index.catch_up() == 1
    assert chunks(index.lexical("invoice", at(1), 9)) == ["c0"]


@pytest.mark.parametrize("further", [1, 2, 5])
def test_a_backup_that_went_on_is_read_anew(backend: Backend, further: int) -> None:
    """Its generations have the numbers of those that were lost, and its rows theirs."""
    truth = Truth()
    index = backend.index(truth)
    truth.commit([New("invoice")])
    backup = truth.copy()
    truth.commit([New("lost invoice")])
    truth.commit(ended=[0])
    assert index.catch_up() == 3
    truth.restore(backup)
    for i in range(further):
        truth.commit([New(f"later invoice {i}")])
    assert index.catch_up() == 1 + further
    wanted = [row.chunk for row in truth.rows]
    assert sorted(chunks(index.lexical("invoice", at(1 + further), 9))) == wanted
    assert sorted(chunks(index.dense(EAST, at(1 + further), 9))) == wanted


def test_a_row_that_ends_without_a_beginning_is_corrupt(backend: Backend) -> None:
    truth = Truth()
    truth.commit([New("invoice"), New("fee")])
    index = backend.index(truth)
    index.catch_up()
    truth.commit(ended=[1])
    object.__setattr__(truth.rows[1], "row", 99)
    with pytest.raises(Corrupt, match="99"):
        index.catch_up()


def test_vectors_that_are_none(backend: Backend) -> None:
    for vector, says in (
        ((1.0, 0.0), "shape"),
        ((float("nan"), 0, 0, 0), "finite"),
        ((0, 0, 0, 0), "length 0"),
        ((3, 0, 0, 0), "length 3"),
    ):
        truth = Truth()
        truth.commit([New("invoice")])
        index = backend.index(truth)
        newest = index.catch_up()
        bad = np.array(vector, np.float32)
        with pytest.raises(ModelError, match=says):
            index.dense(bad, at(newest), 9)
        truth.commit([New("broken")])
        broken = truth.rows[-1]
        object.__setattr__(broken, "vector", bad)
        with pytest.raises(Corrupt, match=f"c1.*{says}"):
            index.catch_up()
        object.__setattr__(broken, "vector", EAST)  # mended, as from a backup
        assert index.catch_up() == 2
        assert chunks(index.dense(EAST, at(2), 9)) == ["c0", "c1"]


# --- what is found, and in which order ---------------------------------------------------------


@pytest.mark.parametrize("query", ["", " \n", "the of and", "?!", "nowhere"])
def test_queries_without_a_known_token_find_nothing(backend: Backend, query: str) -> None:
    truth = Truth()
    truth.commit([New("the invoice of the year"), New("")])
    index = backend.index(truth)
    assert index.lexical(query, at(index.catch_up()), 9) == []


def test_rows_without_any_token(backend: Backend) -> None:
    truth = Truth()
    truth.commit([New("")])
    index = backend.index(truth)
    assert index.lexical("invoice", at(index.catch_up()), 9) == []
    assert chunks(index.dense(EAST, at(1), 9)) == ["c0"]


def test_a_very_long_query(backend: Backend) -> None:
    truth = Truth()
    truth.commit([New("invoice paid"), New("other")])
    index = backend.index(truth)
    newest = index.catch_up()
    many = " ".join(f"w{n}" for n in range(3000))
    query = ("invoice " + "x" * 40_000 + " " + many).ljust(100_000, "é")
    assert chunks(index.lexical(query, at(newest), 9)) == ["c0"]


def test_words_of_every_kind(backend: Backend) -> None:
    """Each text is found by itself and by nothing else's words; identifiers whole and in parts."""
    odd = [
        "INV-2041",
        "Straße",
        "東京都庁",
        "a" * 300,
        "Größe",
        "q7\"'\\%_",
        "привет",
        "café",
        "ACME_9",
    ]
    truth = Truth()
    truth.commit([New(text) for text in odd] + [New("plain")] * 5)
    index = backend.index(truth)
    newest = index.catch_up()
    for i, text in enumerate(odd):
        assert chunks(index.lexical(text, at(newest), 5)) == [f"c{i}"], text
    for query in ("inv-2041", "2041", "Inv 2041?"):
        assert chunks(index.lexical(query, at(newest), 5)) == ["c0"]
    assert index.lexical("2042 2040", at(newest), 5) == []
    assert chunks(index.lexical("cafe\u0301", at(newest), 5)) == ["c7"]


def test_a_repeated_word_counts_again(backend: Backend) -> None:
    truth = Truth()
    truth.commit([New("invoice"), New("fee"), *[New("other")] * 8])
    index = backend.index(truth)
    newest = index.catch_up()
    once = scores(index.lexical("invoice fee", at(newest), 9))
    more = scores(index.lexical("invoice fee fee", at(newest), 9))
    assert once["c0"] == pytest.approx(once["c1"], abs=CLOSE)
    assert more["c1"] == pytest.approx(2 * more["c0"], rel=1e-3)


def test_a_word_of_the_headings_counts_more_than_one_of_the_text(backend: Backend) -> None:
    truth = Truth()
    truth.commit(
        [New("invoice paid late"), New("paid late", headings="invoice")]
        + [New("fee rare") for _ in range(8)]
    )
    index = backend.index(truth)
    assert chunks(index.lexical("invoice", at(index.catch_up()), 2)) == ["c1", "c0"]


def test_ties_go_to_the_earlier_row_wherever_the_cut_falls(backend: Backend) -> None:
    truth = Truth()
    for _ in range(3):
        truth.commit([New("invoice fee")] * 13 + [New("other", (0, 1, 0, 0))] * 20)
    index = backend.index(truth)
    newest = index.catch_up()
    tied = [row.chunk for row in truth.rows if row.text == "invoice fee"]
    for k in (1, 2, 5, 14, 39):
        assert chunks(index.lexical("invoice", at(newest), k)) == tied[:k]
        assert chunks(index.dense(EAST, at(newest), k)) == tied[:k]


def test_k_beyond_the_rows_and_below_one(backend: Backend) -> None:
    truth = Truth()
    truth.commit([New("invoice")] * 3)
    index = backend.index(truth)
    newest = index.catch_up()
    for k, wanted in ((0, 0), (-1, 0), (3, 3), (4, 3), (100_000, 3)):
        assert len(index.lexical("invoice", at(newest), k)) == wanted
        assert len(index.dense(EAST, at(newest), k)) == wanted


def test_the_ranking_agrees_with_the_reference(backend: Backend) -> None:
    """Okapi BM25 by `rank_bm25` over 400 rows of words as rare as a text's."""
    rng = np.random.default_rng(2)
    odds = 1 / np.arange(1, 301)
    drawn = [rng.choice(300, size=rng.integers(5, 40), p=odds / odds.sum()) for _ in range(400)]
    rows = [[f"w{word}" for word in row] for row in drawn]
    truth = Truth()
    for start in range(0, 400, 100):
        truth.commit([New(" ".join(row)) for row in rows[start : start + 100]])
    index: Wiped = backend.index(truth)
    newest = index.catch_up()
    reference = BM25Okapi(rows, k1=K1, b=B)
    agreement = []
    for _ in range(20):
        query = [f"w{word}" for word in rng.integers(5, 200, size=4)]
        best = np.argsort(-reference.get_scores(query), kind="stable")[:10].tolist()
        found = [int(c[1:]) for c in chunks(index.lexical(" ".join(query), at(newest), 10))]
        agreement.append(len(set(best) & set(found)) / 10)
    assert np.mean(agreement) > 0.95
