"""Labelled pairs of a claim and its evidence, one JSON object a line.

    {"id", "dataset", "claim", "evidence": [str], "label": 0|1, "meta": {"group": str, ...}}

Pairs with the same `meta.group` are windows of one claim's evidence: the claim is supported when
one of them supports it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.samples import lines, reason
from rag.errors import BadSamples


@dataclass(frozen=True, slots=True)
class Pair:
    """`group` is empty where each pair stands for itself."""

    id: str
    dataset: str
    claim: str
    evidence: str
    supported: bool
    group: str


def load_pairs(path: Path) -> list[Pair]:
    """Every pair of the file. Raises BadSamples with file and line for a wrong line or an empty
    file."""
    pairs: list[Pair] = []
    for number, line in lines(path):
        try:
            pairs.append(_pair(json.loads(line)))
        except (ValueError, KeyError, TypeError) as exc:
            raise BadSamples(f"{path}:{number}: {reason(exc)}") from exc
    if not pairs:
        raise BadSamples(f"{path} holds no pair")
    return pairs


def _pair(raw: Mapping[str, Any]) -> Pair:
    if not isinstance(raw, dict):
        raise ValueError("it is no JSON object")
    evidence, label, claim = raw["evidence"], raw["label"], raw["claim"]
    if not isinstance(claim, str) or not claim.strip():
        raise ValueError(f"'claim' must be a text, got {claim!r:.60}")
    if not isinstance(evidence, list) or not all(isinstance(part, str) for part in evidence):
        raise ValueError(f"'evidence' must be an array of texts, got {evidence!r:.60}")
    if label not in (0, 1):
        raise ValueError(f"'label' must be 0 or 1, got {label!r:.60}")
    group = str((raw.get("meta") or {}).get("group") or "")
    dataset = str(raw.get("dataset", ""))
    return Pair(str(raw["id"]), dataset, claim, "\n".join(evidence), bool(label), group)


def best_of_groups(scores: list[float], pairs: list[Pair]) -> tuple[list[float], list[bool]]:
    """Each group's best score, and whether one of its pairs is supported."""
    best: dict[str, tuple[float, bool]] = {}
    for score, pair in zip(scores, pairs, strict=True):
        key = pair.group or f"\n{pair.id}"
        before = best.get(key, (float("-inf"), False))
        best[key] = max(score, before[0]), pair.supported or before[1]
    return [score for score, _ in best.values()], [said for _, said in best.values()]
