from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval import report as reports
from eval.pairs import best_of_groups, load_pairs
from eval.scorers.ranking import auroc, balanced_accuracy
from eval.statistics import stratified
from eval.verifying import measure
from rag.errors import BadSamples
from rag.verify import Lexical

scored = st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=30)


@given(scored)
def test_auroc_counts_the_pairs_in_order(rows: list[tuple[int, bool]]) -> None:
    good, bad = [s for s, y in rows if y], [s for s, y in rows if not y]
    found = auroc([s for s, _ in rows], [y for _, y in rows])
    if not good or not bad:
        assert found is None
        return
    wins = sum((g > b) + (g == b) / 2 for g in good for b in bad)
    assert found == pytest.approx(wins / (len(good) * len(bad)))


def test_balanced_accuracy_weighs_the_classes_alike() -> None:
    assert balanced_accuracy([0.9, 0.1, 0.2, 0.3], [1, 0, 0, 0], 0.5) == 1
    assert balanced_accuracy([0.4, 0.1, 0.2, 0.6], [1, 0, 0, 0], 0.5) == pytest.approx(1 / 3)
    assert balanced_accuracy([0.4], [1], 0.5) is None


def test_both_classes_occur_in_every_resample() -> None:
    labels = np.array([True] + [False] * 9)
    found = stratified(labels, lambda rows: float(labels[rows].mean()))
    assert (found.value, found.low, found.high, found.n) == (0.1, 0.1, 0.1, 10)
    assert stratified(np.array([True]), lambda rows: 1.0).value is None


def pair(claim: str, evidence: list[str], label: int, group: str = "") -> dict[str, object]:
    meta = {"group": group} if group else {}
    return {"id": claim, "claim": claim, "evidence": evidence, "label": label, "meta": meta}


PAIRS = [
    pair("The cafeteria opens at 11:30.", ["The cafeteria opens at 11:30 on working days."], 1),
    pair("The cafeteria opens at 12:30.", ["The cafeteria opens at 11:30 on working days."], 0),
    pair("Visitors wear a badge.", ["Visitors sign in and wear a badge."], 1),
    pair("Visitors wear a uniform.", ["Visitors sign in and wear a badge."], 0),
]


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def test_a_verifier_is_measured_file_by_file(tmp_path: Path) -> None:
    windows = [
        pair("Meals are paid up to 45 euros.", ["Trains are paid."], 0, "meals"),
        pair("Meals are paid up to 45 euros. ", ["Meals are paid up to 45 euros."], 1, "meals"),
        pair("Hotels are never paid.", ["Hotels are paid."], 0, "hotels"),
    ]
    files = [write(tmp_path / "plain.jsonl", PAIRS), write(tmp_path / "windows.jsonl", windows)]
    said: list[str] = []
    report = measure(Lexical(), files, 0.6, 0, said.append)
    assert list(report["files"]) == ["plain", "windows, best window", "windows, each window"]
    assert report["files"]["plain"]["auroc"]["value"] == 1.0
    assert report["files"]["plain"]["balanced_accuracy"]["n"] == 4
    assert report["files"]["windows, best window"]["auroc"]["n"] == 2
    assert said
    assert "windows, best window" in reports.text(report)


def test_a_group_is_as_good_as_its_best_pair(tmp_path: Path) -> None:
    rows = [pair("a", ["b"], 0, "g"), pair("c", ["d"], 1, "g"), pair("e", ["f"], 0)]
    pairs = load_pairs(write(tmp_path / "pairs.jsonl", rows))
    assert best_of_groups([0.2, 0.9, 0.4], pairs) == ([0.9, 0.4], [True, False])


@pytest.mark.parametrize(
    "line", ['{"id": "a"}', "[]", '{"id":"a","claim":"b","evidence":"c","label":1}', "{", ""]
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(line, "utf-8")
    with pytest.raises(BadSamples, match=r"bad\.jsonl"):
        load_pairs(path)
