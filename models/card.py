"""The card that lies beside small trained weights: what they are and what they need."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.errors import WeightsCorrupt, WeightsMissing

CARD = "card.json"
Values = dict[str, Any]


def read_card(folder: Path, what: str, typed: Callable[[Values], Values]) -> Values:
    """The card of a folder that should hold a `what`, with those values put in their types that
    `typed` gives. Raises WeightsMissing, WeightsCorrupt."""
    path = folder / CARD
    if not path.is_file():
        raise WeightsMissing(f"{folder} holds no {what} ({CARD} is missing)")
    try:
        card: Values = json.loads(path.read_text("utf-8"))
        return card | typed(card)
    except (ValueError, KeyError, TypeError) as exc:
        raise WeightsCorrupt(f"{path} cannot be read: {exc}") from exc
