"""Whether an answer says the gold number, however it is written: 12.3 million = 12,300 thousand =
$12.3M; 5 % = 5 percent = 0.05. Values are compared after rounding the answer's to the
digits that the gold shows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal

_SCALES = {
    "hundred": 2,
    "thousand": 3, "thousands": 3, "k": 3,
    "million": 6, "millions": 6, "m": 6, "mn": 6, "mm": 6,
    "billion": 9, "billions": 9, "b": 9, "bn": 9,
    "trillion": 12, "trillions": 12, "tn": 12,
    "%": -2, "percent": -2, "per cent": -2, "percentage points": -2, "percentage point": -2,
}  # fmt: skip
_SCALE_WORDS = "|".join(sorted(map(re.escape, _SCALES), key=len, reverse=True))
_NUMBER = re.compile(
    rf"""(?<![\w.])
    (?P<open>\()? (?P<sign>[-−])? (?:[$€£¥]\s?)? (?P<inner>[-−])?
    (?P<digits>\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)
    (?:(?P<gap>\s*)(?P<scale>{_SCALE_WORDS})(?!\w))?
    (?P<close>\))?""",
    re.VERBOSE | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Number:
    """`mantissa` as written, `exponent` the power of ten of its scale word (None: no word, -2:
    percent), `places` the digits written after the point. `signed` is False for (4.2), which may
    be an accountant's -4.2 or a number in brackets."""

    mantissa: Decimal
    exponent: int | None
    places: int
    signed: bool = True

    @property
    def value(self) -> Decimal:
        return self.mantissa.scaleb(self.exponent or 0)


def read_numbers(text: str) -> list[Number]:
    """Every number of the text, in order. A bare `m`, `k`, `b` counts as a scale only when it
    touches the digits (12k), so that "5 m" stays five metres."""
    return [_number(match) for match in _NUMBER.finditer(text)]


def number_match(answer: str, golds: Sequence[str], scale: str = "") -> float | None:
    """1 when every number of one of the golds is said. `scale` (thousand, million, percent) is the
    gold's where its text does not say it. None when no gold holds a number."""
    said = read_numbers(answer)
    wanted = [found for gold in golds if (found := read_numbers(gold))]
    if not wanted:
        return None
    default = _SCALES.get(scale.lower().strip())
    return float(any(all(any(_same(s, g, default) for s in said) for g in gold) for gold in wanted))


def _same(said: Number, gold: Number, default: int | None) -> bool:
    """Equal by value; or, where one side names no scale, equal as written: a table "in thousands"
    holds 5,798 and so may the answer."""
    if not (said.signed and gold.signed):
        return _same(_unsigned(said), _unsigned(gold), default)
    exponent = gold.exponent if gold.exponent is not None else default
    step = Decimal(1).scaleb((exponent or 0) - gold.places)
    value = gold.mantissa.scaleb(exponent or 0)
    if _rounds_to(said.value, value, step):
        return True
    bare = said.exponent is None or exponent is None
    both_plain = said.exponent != -2 and (exponent != -2 or said.exponent is None)
    written = Decimal(1).scaleb(-gold.places)
    return bare and both_plain and _rounds_to(said.mantissa, gold.mantissa, written)


def _unsigned(number: Number) -> Number:
    return replace(number, mantissa=abs(number.mantissa), signed=True)


def _rounds_to(value: Decimal, gold: Decimal, step: Decimal) -> bool:
    """Either convention for a five at the end is accepted."""
    if value == gold:
        return True
    shifted = value / step
    return any(
        shifted.quantize(Decimal(1), rounding) * step == gold
        for rounding in (ROUND_HALF_UP, ROUND_HALF_EVEN)
    )


def _number(match: re.Match[str]) -> Number:
    digits = match["digits"].replace(",", "")
    negative = bool(match["sign"] or match["inner"])
    bracketed = bool(match["open"] and match["close"])
    scale = (match["scale"] or "").lower()
    if len(scale) == 1 and scale != "%" and match["gap"]:
        scale = ""
    mantissa = Decimal(digits) * (-1 if negative else 1)
    places = len(digits.partition(".")[2])
    return Number(mantissa, _SCALES.get(scale), places, negative or not bracketed)
