"""When items are gone, and when it only looks like it.

A folder that is not mounted, a server with an empty answer, a bucket under a new address: all look
like somebody deleted everything. So when all items vanish at once, or many of them, none of their
documents is deleted until a person says that it is right. What was held back once stays held back
until then, or until it is there again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rag.domain import OriginItem

SHARE = 0.5  # more of the items than this at once
LEAST = 5  # and at least so many, unless it is all of them


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which vanished items' documents to delete, and which to keep for now."""

    delete: tuple[OriginItem, ...]
    hold: tuple[OriginItem, ...]


def judge(vanished: Sequence[OriginItem], known: int, confirmed: bool) -> Verdict:
    """`known` counts the documents from before, `vanished` are those whose items are not there.
    What was held back before and is `confirmed` now is deleted."""
    before = [item for item in vanished if item.missing]
    now = [item for item in vanished if not item.missing]
    away = len(now) + (0 if confirmed else len(before))
    all_of_them = len(vanished) == known
    if now and (all_of_them or (away >= LEAST and away > SHARE * known)):
        held = tuple(now) if confirmed else (*before, *now)
        return Verdict(tuple(before) if confirmed else (), held)
    if confirmed:
        return Verdict((*before, *now), ())
    return Verdict(tuple(now), tuple(before))
