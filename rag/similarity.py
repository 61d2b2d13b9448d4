"""How near a sentence stands to its evidence by meaning: the similarities that the trained verifier
reads beside the lexical features. Knows the embedder's port only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rag.analyse import analyse
from rag.ports import Vectors
from rag.sentences import units

NAMES = ("nearest_worst", "nearest_mean", "centroid")
_ONE, _SEVERAL = 5, 3  # units of the evidence looked at for each part of the sentence


def near(evidence: str, sentence: str) -> tuple[list[str], list[str]]:
    """The parts of the sentence, and the units of the evidence that share most words with one of
    them: what has to be embedded, whatever the evidence's length."""
    parts = [sentence[a:b] for a, b in units(sentence)] or [sentence]
    held = list(dict.fromkeys(evidence[a:b] for a, b in units(evidence))) or [evidence]
    words = [set(analyse(unit)) for unit in held]
    count = _ONE if len(parts) == 1 else _SEVERAL
    picked: dict[str, None] = {}
    for part in parts:
        said = set(analyse(part))
        order = sorted(range(len(held)), key=lambda i: (-len(said & words[i]), i))
        picked |= dict.fromkeys(held[i] for i in order[:count])
    return parts, list(picked)


def similarities(parts: Vectors, held: Vectors) -> tuple[float, ...]:
    """One cosine for each of `NAMES`: a part's nearest unit (the worst part's, and the mean over
    parts), and centroid to centroid. Rows of both are unit vectors."""
    nearest = (parts @ held.T).max(axis=1)
    centre = float(_unit(parts.mean(axis=0)) @ _unit(held.mean(axis=0)))
    return float(nearest.min()), float(nearest.mean()), centre


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    return vector / max(float(np.linalg.norm(vector)), 1e-9)


def rounded(values: Sequence[float]) -> tuple[float, ...]:
    """Without the last digits, which depend on what else was in a batch: the same bytes score the
    same."""
    return tuple(round(value, 4) for value in values)
