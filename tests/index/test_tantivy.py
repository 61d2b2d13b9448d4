"""What the contract leaves open: the formula, segments and wide collections."""

from __future__ import annotations

import math

import numpy as np
import pytest
from rank_bm25 import BM25Okapi

from rag.index.lexical import K1, B
from rag.index.mask import Mask
from rag.index.tantivy_lexical import TantivyLexical


def zipf(rows: int, seed: int = 0) -> list[list[str]]:
    """Rows of up to 40 tokens, so that tantivy's one-byte lengths are exact."""
    rng = np.random.default_rng(seed)
    odds = 1 / np.arange(1, 801)
    drawn = [rng.choice(800, size=rng.integers(0, 41), p=odds / odds.sum()) for _ in range(rows)]
    return [[f"w{word}" for word in row] for row in drawn]


def shown(rows: list[list[str]], batches: int) -> TantivyLexical:
    lexical = TantivyLexical()
    for batch in np.array_split(np.arange(len(rows)), batches):
        lexical.add([rows[at] for at in batch])
    lexical.show()
    return lexical


def every(rows: int) -> Mask:
    return Mask(np.ones(rows, bool))


def okapi(rows: list[list[str]], query: list[str]) -> np.ndarray:
    """BM25 with Lucene's IDF, straight from the formula."""
    mean = sum(map(len, rows)) / len(rows)
    scores = np.zeros(len(rows))
    for term in query:
        holding = sum(term in row for row in rows)
        idf = math.log(1 + (len(rows) - holding + 0.5) / (holding + 0.5))
        for at, row in enumerate(rows):
            times = row.count(term)
            scores[at] += idf * times * (K1 + 1) / (times + K1 * (1 - B + B * len(row) / mean))
    return scores


def test_scores_are_bm25() -> None:
    rows, query = zipf(300), ["w0", "w3", "w50", "w200"]
    found = shown(rows, 3).search(query, every(300), 300)
    assert found.scores == pytest.approx(okapi(rows, query)[found.positions], rel=1e-5)


def test_scores_do_not_depend_on_segments_or_the_way_of_filtering() -> None:
    """Bit for bit, also where rare terms end early in a segment and others go on."""
    rows = zipf(3000)
    one, many = shown(rows, 1), shown(rows, 9)
    rng = np.random.default_rng(1)
    for _ in range(20):
        query = [f"w{word}" for word in rng.integers(0, 800, size=12)]
        full = one.search(query, every(3000), 3000)
        score = dict(zip(full.positions.tolist(), full.scores.tolist(), strict=True))
        for share in (0.01, 0.3, 0.97, 1):
            allowed = Mask(rng.random(3000) < share)
            wanted = full.within(allowed.allowed).top(10)
            for lexical in (one, many):
                found = lexical.search(query, allowed, 10)
                assert found.positions.tolist() == wanted.positions.tolist()
                assert found.scores.tolist() == [score[at] for at in found.positions.tolist()]


def test_a_mask_that_hides_all_the_best_rows() -> None:
    """The deepening look goes on to the last row."""
    rows = [["a", "a"]] * 900 + [["a", "b", "c", "d"]] * 600
    allowed = np.arange(1500) >= 900
    found = shown(rows, 2).search(["a"], Mask(allowed), 5)
    assert found.positions.tolist() == [900, 901, 902, 903, 904]


def test_it_agrees_with_the_reference_at_the_top() -> None:
    rows = zipf(2000)
    lexical, reference = shown(rows, 1), BM25Okapi(rows, k1=K1, b=B)
    rng, shares = np.random.default_rng(2), []
    for _ in range(30):
        query = [f"w{word}" for word in rng.integers(5, 300, size=4)]
        best = set(np.argsort(-reference.get_scores(query), kind="stable")[:10].tolist())
        found = lexical.search(query, every(2000), 10)
        shares.append(len(best & set(found.positions.tolist())) / 10)
    assert np.mean(shares) > 0.95


@pytest.mark.parametrize("share", [0.05, 1])
def test_labels_narrow_the_search_and_change_no_score(share: float) -> None:
    """Of rows that have one of each list; the mask may permit fewer of them."""
    rows, rng = zipf(3000), np.random.default_rng(3)
    groups, kinds = rng.integers(0, 30, 3000), rng.integers(0, 3, 3000)
    lexical = TantivyLexical()
    lexical.add(rows, [[f"g{g}", f"k{k}"] for g, k in zip(groups, kinds, strict=True)])
    lexical.show()
    within = (groups < 3) & (kinds == 1)
    allowed = within & (rng.random(3000) < share)
    asked = [["g0", "g1", "g2", "unknown"], ["k1"]]
    narrow = Mask(allowed.copy(), asked, int(within.sum()))
    for word in range(0, 60, 3):
        query = ["w0", f"w{word}", f"w{word + 1}"]
        plain, found = (lexical.search(query, mask, 10) for mask in (Mask(allowed.copy()), narrow))
        assert found.positions.tolist() == plain.positions.tolist()
        assert found.scores.tolist() == plain.scores.tolist()
        assert len(found)
