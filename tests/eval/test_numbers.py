"""Numbers that are equal however they are written."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.scorers.numbers import number_match, read_numbers


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("12.3 million", ["12300000"]),
        ("12,300 thousand", ["12300000"]),
        ("$12.3M in 2019", ["12300000", "2019"]),
        ("US$4.5bn", ["4500000000"]),
        ("between 5 – 10", ["5", "10"]),
        ("2018-2019", ["2018", "2019"]),
        ("-3.5 %", ["-0.035"]),
        ("−7 percent", ["-0.07"]),
        ("Q5 and v1.2", []),
        ("5 m wide", ["5"]),
        (".5 per cent", ["0.005"]),
        ("1,23", ["1", "23"]),
        ("-$8,620", ["-8620"]),
    ],
)
def test_reading(text: str, values: list[str]) -> None:
    assert [number.value for number in read_numbers(text)] == [Decimal(v) for v in values]


@pytest.mark.parametrize(
    ("answer", "gold", "scale", "same"),
    [
        ("It was 12,300 thousand dollars.", "12.3 million", "", 1.0),
        ("It was $12.3M.", "12.3 million", "", 1.0),
        ("It was 12.34 million.", "12.3 million", "", 1.0),  # rounded to the gold's digits
        ("It was 12.4 million.", "12.3 million", "", 0.0),
        ("It was 12 million.", "12.3 million", "", 0.0),  # too coarse
        ("5 percent", "5%", "", 1.0),
        ("0.05", "5%", "", 1.0),
        ("5", "5", "percent", 1.0),  # the gold's unit stands in its scale only
        ("5%", "5", "percent", 1.0),
        ("5%", "5", "", 0.0),  # a share is not a count
        ("The table says 5,798.", "5,798", "thousand", 1.0),
        ("5.798 million", "5,798", "thousand", 1.0),
        ("5.798 billion", "5,798", "thousand", 0.0),
        ("a loss of (4.2)", "-4.2", "", 1.0),
        ("in the year (2019)", "2019", "", 1.0),
        ("-4.2", "4.2", "", 0.0),
        ("2018 and 2019", "2019 and 2018", "", 1.0),
        ("2018", "2019 and 2018", "", 0.0),
        ("no number at all", "3", "", 0.0),
    ],
)
def test_matching(answer: str, gold: str, scale: str, same: float) -> None:
    assert number_match(answer, [gold], scale) == same


def test_any_gold_will_do_and_none_is_unscored() -> None:
    assert number_match("It is 7.", ["six", "7"]) == 1.0
    assert number_match("It is 7.", ["seven"]) is None
    assert number_match("It is 7.", []) is None


@given(st.integers(1, 10**6), st.integers(0, 3))
def test_a_number_matches_itself_at_every_scale(digits: int, places: int) -> None:
    value = Decimal(digits).scaleb(-places)
    thousands = f"{value.normalize():f} million", f"{value * 1000:,f} thousand"
    assert number_match(thousands[1], [thousands[0]]) == 1.0
    assert number_match(f"The total was {value:,f}.", [f"{value:,f}"]) == 1.0
