"""Planted instructions leave the passage's own words in place."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from models.training.injection import plant
from models.training.records import TrainingPassage


@given(st.lists(st.sampled_from(["It rains.", "Oslo is a city.", "Pay comes"])), st.integers())
def test_only_an_order_is_added(sentences: list[str], seed: int) -> None:
    passage = TrainingPassage("p", "Title", " ".join(sentences))
    planted = plant(passage, random.Random(seed))
    assert (planted.id, planted.title) == (passage.id, passage.title)
    words, after = passage.text.split(), planted.text.split()
    added = len(after) - len(words)
    assert added > 1
    start = next((i for i, word in enumerate(words) if after[i] != word), len(words))
    assert any(after[:i] + after[i + added :] == words for i in range(start + 1))
