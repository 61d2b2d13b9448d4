from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.pairs import Pair
from eval.verifier_head import best_cut, even, folds, train
from models.fake import HashEmbedder
from models.training.verifier import HeadPlan
from models.verifier import WEIGHTS
from rag.errors import BadSamples
from rag.learned import INPUTS

THINGS = ("door", "lift", "canteen", "library", "garage", "garden", "cellar", "roof")


def pairs() -> list[Pair]:
    found = []
    for i, thing in enumerate(THINGS):
        evidence = f"Every visitor may use the {thing} of the house until the evening."
        said = f"The {thing} may be used by every visitor of the house."
        other = f"Nobody but the owner has ever seen what the {thing} looks like."
        found.append(Pair(f"{i}.0", "house", said, evidence, True, ""))
        found.append(Pair(f"{i}.1", "house", other, evidence, False, ""))
    return found


def test_training_writes_weights_and_says_how_good_they_are(tmp_path: Path) -> None:
    origin = np.array(["house.jsonl"] * 2 * len(THINGS))
    plan = HeadPlan(networks=1, epochs=5)
    out = tmp_path / "head"
    card = train(pairs(), origin, HashEmbedder(), tmp_path / "cache", plan, out)
    assert card["inputs"] == list(INPUTS)
    assert card["embedder"] == HashEmbedder().identity
    assert 0 < card["cut"] < 1
    assert (out / WEIGHTS).is_file()
    found = card["cross_validation"]["house.jsonl"]
    assert found["n"] == 16
    assert found["lexical"] is not None


def test_pairs_that_all_hang_together_cannot_be_cross_validated(tmp_path: Path) -> None:
    each = [replace(pair, evidence="The same.") for pair in pairs()]
    origin = np.array(["house.jsonl"] * len(each))
    with pytest.raises(BadSamples, match="folds"):
        train(each, origin, HashEmbedder(), tmp_path / "cache", HeadPlan(), tmp_path / "head")


texts = st.sampled_from("abcdefgh")


@given(st.lists(st.tuples(texts, texts, st.sampled_from(["", "g", "h"])), min_size=1, max_size=30))
def test_no_claim_evidence_or_group_is_in_two_folds(made: list[tuple[str, str, str]]) -> None:
    each = [Pair(str(i), "d", c, e, True, g) for i, (c, e, g) in enumerate(made)]
    fold = folds(each)
    for a, one in zip(fold, each, strict=True):
        for b, two in zip(fold, each, strict=True):
            shared = one.claim == two.claim or one.evidence == two.evidence
            if shared or (one.group and one.group == two.group):
                assert a == b


def test_files_and_labels_count_alike() -> None:
    origin = np.array(["a"] * 4 + ["b"] * 2)
    weights = even(origin, np.array([1.0, 0, 0, 0, 1, 0]))
    assert weights[0] == weights[1:4].sum() == weights[4] == weights[5]


def test_the_cut_is_where_the_files_are_told_apart() -> None:
    origin = np.array(["a"] * 4)
    assert 0.4 < best_cut(np.array([0.1, 0.4, 0.7, 0.9]), np.array([0.0, 0, 1, 1]), origin) <= 0.7
