"""Gates: what they demand, and files that are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eval import gate
from rag.errors import BadInput

REPORT: dict[str, Any] = {
    "failed": 0,
    "metrics": {
        "right": {"value": 0.7, "low": 0.6, "high": 0.8, "n": 50},
        "groundedness": {"value": None, "low": None, "high": None, "n": 0},
    },
    "latency": {"total": {"p50": 1.0, "p95": 4.0, "n": 50}},
}


def ruling(tmp_path: Path, text: str, report: dict[str, Any] = REPORT) -> gate.Ruling:
    path = tmp_path / "gate.toml"
    path.write_text(text, "utf-8")
    return gate.check(report, gate.load(path))


@pytest.mark.parametrize(
    ("text", "passed", "said"),
    [
        ("[metrics]\nright = { at_least = 0.7 }", True, "right.value is 0.7 (n=50)"),
        ("[metrics]\nright = { at_least = 0.71 }", False, "wanted at least 0.71"),
        ('[metrics]\nright = { at_least = 0.65, by = "low" }', False, "right.low is 0.6"),
        ('[metrics]\nright = { at_most = 0.8, by = "high" }', True, "ok"),
        ("[metrics]\nright = { at_least = 0.1, n = 51 }", False, "rests on 50 samples"),
        ("[metrics]\ngroundedness = { at_least = 0 }", False, "was not measured"),
        ("[metrics]\nunheard_of = { at_least = 0 }", False, "was not measured"),
        ("[latency.total]\np95 = { at_most = 3 }", False, "latency.total.p95 is 4"),
        ("[latency.total]\np95 = { at_most = 5 }", True, "ok"),
    ],
)
def test_thresholds(tmp_path: Path, text: str, passed: bool, said: str) -> None:
    found = ruling(tmp_path, text)
    assert found.passed is passed
    assert said in " ".join(found.reasons)


def test_failed_samples_fail_the_gate(tmp_path: Path) -> None:
    text = "[metrics]\nright = { at_least = 0.1 }"
    assert not ruling(tmp_path, text, REPORT | {"failed": 2}).passed
    assert ruling(tmp_path, f"failed = 2\n{text}", REPORT | {"failed": 2}).passed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[metrics]",
        "metrics = [",
        "[metrics]\nright = 0.7",
        "[metrics]\nright = { by = 'low' }",
        "[metrics]\nright = { at_least = 1, by = 'mean' }",
        "[metrics]\nright = { atleast = 1 }",
        "[wrong]\nx = 1",
    ],
)
def test_files_that_are_no_gate(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadInput, match=r"gate\.toml cannot be used"):
        ruling(tmp_path, text)
    with pytest.raises(BadInput, match="cannot be used"):
        gate.load(tmp_path / "missing.toml")


def test_a_difference_to_an_earlier_run(tmp_path: Path) -> None:
    text = '[difference]\nright = { at_least = -0.05, by = "low" }\n'
    assert not ruling(tmp_path, text).passed  # nothing was compared
    row = {"value": 0.02, "low": -0.03, "high": 0.07, "n": 50}
    report = REPORT | {"against": {"run": "r", "differences": {"right": row}}}
    assert ruling(tmp_path, text, report).passed
    stricter = text.replace("-0.05", "0.0")
    (_, why) = ruling(tmp_path, stricter, report).reasons
    assert why.startswith("NOT MET: against.differences.right.low")
