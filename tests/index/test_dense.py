from __future__ import annotations

import numpy as np
import pytest

from rag.index.dense import DenseLeg
from rag.index.mask import Mask


def cloud(rows: int, dimension: int = 24) -> np.ndarray:
    drawn = np.random.default_rng(0).normal(size=(rows, dimension)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


@pytest.mark.parametrize("share", [0.002, 0.02, 0.5, 1])
def test_behind_any_filter_it_is_the_exact_top(share: float) -> None:
    vectors = cloud(2000)
    leg = DenseLeg(24)
    leg.extend(vectors[:7])
    leg.extend(vectors[7:])
    rng = np.random.default_rng(1)
    for question in cloud(5):
        allowed = rng.random(2000) < share
        allowed[3] = True
        found = leg.search(question, Mask(allowed), 10)
        exact = np.where(allowed, vectors.astype(np.float64) @ question, -2)
        wanted = np.argsort(-exact, kind="stable")[: min(10, int(allowed.sum()))]
        assert found.positions.tolist() == wanted.tolist()
        assert found.scores == pytest.approx(exact[wanted], abs=1e-6)


def test_ties_go_to_the_earlier_row_wherever_the_cut_falls() -> None:
    vectors = cloud(300)
    vectors[[5, 40, 41, 200, 299]] = vectors[7]
    leg = DenseLeg(24)
    leg.extend(vectors)
    same = [5, 7, 40, 41, 200, 299]
    for k in range(1, 7):
        found = leg.search(vectors[7], Mask(np.ones(300, bool)), k)
        assert found.positions.tolist() == same[:k]


def test_a_mask_older_than_the_rows_leaves_the_new_out() -> None:
    leg = DenseLeg(24)
    leg.extend(cloud(50))
    assert set(leg.search(cloud(50)[49], Mask(np.ones(20, bool)), 99).positions) == set(range(20))
