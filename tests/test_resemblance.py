"""Signatures of texts: what is nearly the same is found, what is not is not."""

from __future__ import annotations

import random

from rag.alike import Likeness
from rag.resemblance import NEAR, bands, share, signature


def words(seed: int, n: int = 300) -> list[str]:
    rng = random.Random(seed)
    stock = ["leave", "pay", "staff", "month", "year", "form", "desk", "head", "day", "rule"]
    return [rng.choice(stock) + str(rng.randrange(60)) for _ in range(n)]


def jaccard(one: str, other: str) -> float:
    a, b = Likeness.of(one).shingles, Likeness.of(other).shingles
    return len(a & b) / len(a | b)


def test_one_near_copy_among_two_hundred_texts() -> None:
    others = [signature(" ".join(words(seed))) for seed in range(200)]
    changed = words(42)
    changed[100] = "changed"
    mine = signature(" ".join(changed))
    near = [seed for seed, other in enumerate(others) if share(mine, other) >= NEAR]
    looked_up = [s for s, other in enumerate(others) if set(bands(mine)) & set(bands(other))]
    assert near == looked_up == [42]


def test_the_estimate_is_near_the_truth() -> None:
    for changes in (1, 5, 20, 60, 150):
        other = words(1)
        for at in random.Random(changes).sample(range(len(other)), changes):
            other[at] = f"other{at}"
        one, two = " ".join(words(1)), " ".join(other)
        # The error of 126 hashes is at most sqrt(.25 / 126) = .045; three of them are allowed.
        assert abs(share(signature(one), signature(two)) - jaccard(one, two)) < 0.135


def test_case_spacing_and_punctuation_do_not_count() -> None:
    one = "The head of department, on request, grants leave; pay comes on the 25th of the month."
    two = one.upper().replace(",", " ").replace(" ", "  ")
    assert share(signature(one), signature(two)) == 1.0


def test_a_text_too_short_is_like_nothing() -> None:
    assert signature("Thirty days.") == b""
    assert bands(b"") == []
    assert share(b"", b"") == 0.0
