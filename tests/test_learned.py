from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.fake import HashEmbedder
from rag import features, similarity
from rag.errors import BadSettings, WeightsMissing
from rag.learned import INPUTS, LACKING, VETOED, Learned, inputs
from rag.verifiers import ChosenVerifiers
from rag.verify import Lexical

LEAVE = (
    "Full-time staff have 28 days of paid annual leave a year. Unused days are carried over until "
    "31 March. Ms Okafor approves leave."
)


class Sure:
    """A head that is sure of everything, and remembers what it was shown."""

    identity, embedder, inputs = "sure-1", HashEmbedder().identity, INPUTS

    def __init__(self) -> None:
        self.shown: list[Sequence[float]] = []

    def score(self, values: Sequence[float]) -> float:
        self.shown.append(values)
        return 0.97


def test_the_head_judges_sentences_in_other_words() -> None:
    head = Sure()
    verifier = Learned(HashEmbedder(), head)
    assert verifier.support(LEAVE, "Staff get annual leave that is paid full-time.", "") == 0.97
    assert len(head.shown[0]) == len(INPUTS)


def test_what_the_words_refuse_is_not_admitted() -> None:
    said = "Everybody here may go on holiday for weeks with wages."
    assert Learned(HashEmbedder(), Sure()).support(LEAVE, said, "") == 0.97 * LACKING < 0.6


@pytest.mark.parametrize(
    "sentence",
    [
        "Staff working full-time get 30 days of annual leave.",
        "Annual leave of full-time staff is approved by Weber.",
        "Full-time staff have no paid annual leave a year.",
    ],
)
def test_a_veto_is_never_shown_however_sure_the_head_is(sentence: str) -> None:
    assert Learned(HashEmbedder(), Sure()).support(LEAVE, sentence, "") <= VETOED


@pytest.mark.parametrize(
    "sentence", ["28 days", "Yes.", "Unused days are carried over until 31 March."]
)
def test_fragments_and_the_evidence_s_own_words_are_judged_by_words(sentence: str) -> None:
    head, question = Sure(), "Are unused days carried over?"
    found = Learned(HashEmbedder(), head).support(LEAVE, sentence, question)
    assert found == Lexical().support(LEAVE, sentence, question)
    assert not head.shown


@given(st.text(max_size=120), st.text(max_size=60))
def test_any_texts_give_finite_inputs_and_the_same_twice(evidence: str, sentence: str) -> None:
    first = inputs(HashEmbedder(), evidence, sentence)
    assert len(first) == len(INPUTS) == len(features.NAMES) + len(similarity.NAMES)
    assert np.isfinite(first).all()
    assert first == inputs(HashEmbedder(), evidence, sentence)


@given(st.lists(st.sampled_from(["The door is red.", "Tea is free.", "Ms Okafor approves."])))
def test_what_is_embedded_does_not_grow_with_the_evidence(repeated: list[str]) -> None:
    many = [*repeated, *(f"Room {n} is closed today." for n in range(40))]
    parts, held = similarity.near("\n".join(many), "The red door is open.")
    assert parts == ["The red door is open."]
    assert len(held) == len(set(held)) == 5


def test_direction_tells_more_from_less() -> None:
    rose, fell = "Drinking tea increases attention.", "Drinking tea reduces attention."
    at = features.NAMES.index("direction")
    assert features.features(rose, fell)[at] == 1
    assert features.features(rose, rose)[at] == -1


def test_another_embedder_leaves_the_words() -> None:
    verifiers = ChosenVerifiers("auto", HashEmbedder)
    assert verifiers.now().identity == "lexical-1"
    assert verifiers.named("lexical-1").identity == "lexical-1"
    with pytest.raises(WeightsMissing, match="minilm-1@"):
        verifiers.named("minilm-1@0123456789ab")
    with pytest.raises(BadSettings, match="lexical"):
        ChosenVerifiers("head", HashEmbedder).now()
