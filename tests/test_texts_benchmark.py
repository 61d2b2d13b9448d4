"""How close the plain way's choice was where another way parted from it."""

from __future__ import annotations

import pytest
import torch

from benchmarks.texts import Step, gap

ENDS = [7, 8]


def steps(*tokens: int | None) -> list[Step]:
    """Of logits that are their token's number in tenths, the ends 7 and 8 among them."""
    return [Step(token, torch.arange(10) / 10) for token in tokens]


def test_at_the_first_step_that_differs() -> None:
    assert gap(steps(5, 4, 9), steps(5, 1, 2, 3), ENDS) == pytest.approx(0.3)
    assert gap(steps(5, 4), steps(5, 6), ENDS) == pytest.approx(-0.2)


def test_an_end_is_the_likeliest_of_the_end_tokens() -> None:
    assert gap(steps(5, None), steps(5, 2, 3), ENDS) == pytest.approx(0.6)
    assert gap(steps(5, 9, 3), steps(5, None), ENDS) == pytest.approx(0.1)


def test_what_the_length_limit_cut_off_has_none() -> None:
    assert gap(steps(5, None), steps(5, None), ENDS) is None
