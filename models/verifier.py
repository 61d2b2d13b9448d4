"""The trained verifier's head: a few small networks over named numbers, their mean, and a card.

Knows neither text nor where the numbers come from. Runs in numpy: a sentence costs microseconds,
and torch need not be there.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from models.card import Values, read_card
from models.errors import WeightsCorrupt
from models.manifest import sha256_of

WEIGHTS = "head.safetensors"
CUT = 0.6  # the score at the probability where labelled pairs were told apart best

Array = NDArray[np.float64]


class VerifierHead:
    """N inputs, K networks of H units: mean, scale (N,); w1 (K, N, H), b1 (K, H), w2 (K, H),
    b2 (K,). Read when first used. Raises WeightsMissing, WeightsCorrupt."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def card(self) -> Values:
        def typed(card: Values) -> Values:
            return {"inputs": tuple(card["inputs"]), "cut": float(card["cut"])}

        return read_card(self._folder, "verifier", typed)

    @property
    def identity(self) -> str:
        return f"{self._folder.name}@{str(self.card['sha256'])[:12]}"

    @property
    def embedder(self) -> str:
        return str(self.card["embedder"])

    @property
    def inputs(self) -> tuple[str, ...]:
        found: tuple[str, ...] = self.card["inputs"]
        return found

    @cached_property
    def _weights(self) -> dict[str, Array]:
        path = self._folder / WEIGHTS
        try:
            if sha256_of(path) != self.card["sha256"]:
                raise WeightsCorrupt(f"{path} is not the file its card names")
            found = {k: v.astype(np.float64) for k, v in load_file(path).items()}
        except (SafetensorError, OSError, KeyError) as exc:
            raise WeightsCorrupt(f"{path} cannot be read: {exc}") from exc
        n = len(self.inputs)
        if found["w1"].shape[1] != n or found["mean"].shape != (n,):
            raise WeightsCorrupt(f"{path} has weights for other inputs than its card")
        return found

    def score(self, values: Sequence[float]) -> float:
        """In [0, 1], rounded to 6 digits. Raises ValueError for another number of inputs."""
        if len(values) != len(self.inputs):
            raise ValueError(f"{len(values)} inputs, but the head reads {len(self.inputs)}")
        probability = float(probabilities(self._weights, np.array([values]))[0])
        return round(scaled(probability, self.card["cut"]), 6)


def probabilities(weights: dict[str, Array], rows: Array) -> Array:
    """(B, N) inputs to (B,) probabilities: the networks' logits averaged."""
    x = (rows - weights["mean"]) / weights["scale"]
    hidden = np.einsum("bn,knh->bkh", x, weights["w1"]) + weights["b1"]
    hidden = hidden / (1 + np.exp(-hidden))  # SiLU
    logits = (hidden * weights["w2"]).sum(-1) + weights["b2"]
    found: Array = 1 / (1 + np.exp(-logits.mean(-1)))
    return found


def scaled(probability: float, cut: float) -> float:
    """The probability bent so that `cut` comes to lie at `CUT`; order, 0 and 1 stay."""
    if probability < cut:
        return CUT * probability / cut
    return CUT + (1 - CUT) * (probability - cut) / (1 - cut)
