from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from models.card import CARD
from models.errors import WeightsCorrupt, WeightsMissing
from models.manifest import sha256_of
from models.training.verifier import HeadPlan, fit
from models.verifier import CUT, WEIGHTS, VerifierHead, probabilities, scaled


def rows(n: int = 400, seed: int = 0) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Supported where the first two of three numbers have the same sign: no line tells them."""
    chance = np.random.default_rng(seed)
    x = chance.uniform(-1, 1, (n, 3))
    return x, (x[:, 0] * x[:, 1] > 0).astype(float)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    x, y = rows()
    found = fit(x, y, np.ones(len(y)), HeadPlan(networks=2, epochs=120, dropout=0.0))
    path = tmp_path_factory.mktemp("heads") / "small-1"
    path.mkdir()
    save_file({k: v.astype(np.float32) for k, v in found.items()}, path / WEIGHTS)
    card = {"inputs": ["a", "b", "c"], "embedder": "e", "cut": 0.4}
    (path / CARD).write_text(json.dumps(card | {"sha256": sha256_of(path / WEIGHTS)}), "utf-8")
    return path


def test_a_head_learns_what_no_line_could_tell(folder: Path) -> None:
    head, (x, y) = VerifierHead(folder), rows(seed=1)
    right = [
        (head.score(list(each)) > 0.65) == bool(label) for each, label in zip(x, y, strict=True)
    ]
    assert np.mean(right) > 0.85
    assert head.identity.startswith("small-1@")


def test_the_same_seed_gives_the_same_weights() -> None:
    x, y = rows(100)
    plan = HeadPlan(networks=2, epochs=3)
    first, second = (fit(x, y, np.ones(100), plan) for _ in range(2))
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert probabilities(first, x).shape == (100,)


@given(st.floats(0.01, 0.99), st.floats(0, 1), st.floats(0, 1))
def test_bending_keeps_the_order_and_the_ends(cut: float, a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert 0 <= scaled(low, cut) <= scaled(high, cut) <= 1
    assert scaled(cut, cut) == pytest.approx(CUT)
    assert (scaled(0, cut), scaled(1, cut)) == (0, 1)


def test_a_head_that_is_not_whole_says_so(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing):
        _ = VerifierHead(tmp_path).card
    with pytest.raises(ValueError, match="2 inputs"):
        VerifierHead(folder).score([0.0, 1.0])
    (tmp_path / CARD).write_text((folder / CARD).read_text("utf-8"), "utf-8")
    (tmp_path / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-1] + b"\0")
    with pytest.raises(WeightsCorrupt):
        VerifierHead(tmp_path).score([0.0, 0.0, 0.0])
    (tmp_path / CARD).write_text("{", "utf-8")
    with pytest.raises(WeightsCorrupt):
        _ = VerifierHead(tmp_path).card
