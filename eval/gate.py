"""A gate: thresholds that a run must meet, from a TOML file.

    [metrics]
    citation_coverage = { at_least = 1.0 }
    wrong_answer_rate = { at_most = 0.05, by = "high" }   # the interval's upper end must hold
    right = { at_least = 0.6, n = 100 }                   # from at least 100 samples

    [difference]                                          # to the run compared with
    right = { at_least = -0.01, by = "low" }

    [latency.total]
    p95 = { at_most = 8.0 }                               # seconds

`by` is value (default), low or high. A metric that was not scored fails its threshold. `failed`
samples fail the gate unless the file says `failed = N`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.errors import BadInput

_BOUNDS = ("at_least", "at_most")
_KEYS = {*_BOUNDS, "by", "n"}


@dataclass(frozen=True, slots=True)
class Threshold:
    """The number at `path` of a report must lie within the bounds and rest on `n` samples."""

    path: tuple[str, ...]
    at_least: float | None
    at_most: float | None
    n: int = 1

    @property
    def name(self) -> str:
        return ".".join(self.path)


@dataclass(frozen=True, slots=True)
class Gate:
    thresholds: tuple[Threshold, ...]
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Ruling:
    """`reasons` say of every threshold whether it held."""

    passed: bool
    reasons: tuple[str, ...]


def load(path: Path) -> Gate:
    """Raises BadInput for a file that is not such a gate."""
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
        thresholds = tuple(_thresholds(raw))
        failed = raw.get("failed", 0)
        if not isinstance(failed, int) or not (thresholds or "failed" in raw):
            raise ValueError("it holds no threshold")
    except (OSError, tomllib.TOMLDecodeError, ValueError) as exc:
        raise BadInput(f"the gate {path} cannot be used: {exc}") from exc
    return Gate(thresholds, failed)


def check(report: Mapping[str, Any], gate: Gate) -> Ruling:
    """Whether the report passes."""
    failed = int(report.get("failed", 0))
    held = [(failed <= gate.failed, f"{failed} samples failed, at most {gate.failed} may")]
    held += [_check(report, threshold) for threshold in gate.thresholds]
    reasons = tuple(f"{'ok' if ok else 'NOT MET'}: {why}" for ok, why in held)
    return Ruling(all(ok for ok, _ in held), reasons)


def _check(report: Mapping[str, Any], threshold: Threshold) -> tuple[bool, str]:
    row, value = _at(report, threshold.path)
    if value is None:
        return False, f"{threshold.name} was not measured"
    n = int(row.get("n", 0))
    if n < threshold.n:
        return False, f"{threshold.name} rests on {n} samples, {threshold.n} are needed"
    low, high = threshold.at_least, threshold.at_most
    ok = (low is None or value >= low) and (high is None or value <= high)
    wanted = " and ".join(
        f"{word} {bound:g}"
        for word, bound in (("at least", low), ("at most", high))
        if bound is not None
    )
    return ok, f"{threshold.name} is {value:.4g} (n={n}), wanted {wanted}"


def _at(report: Mapping[str, Any], path: tuple[str, ...]) -> tuple[Mapping[str, Any], float | None]:
    """The row that holds the number, and the number."""
    row: Any = report
    for key in path[:-1]:
        row = row.get(key, {}) if isinstance(row, Mapping) else {}
    value = row.get(path[-1]) if isinstance(row, Mapping) else None
    return (row if isinstance(row, Mapping) else {}), None if value is None else float(value)


def _thresholds(raw: Mapping[str, Any]) -> Iterator[Threshold]:
    if unknown := set(raw) - {"metrics", "difference", "latency", "failed"}:
        raise ValueError(f"unknown key {sorted(unknown)[0]!r}")
    for table, path in (("metrics", ("metrics",)), ("difference", ("against", "differences"))):
        for metric, rule in raw.get(table, {}).items():
            by = _rule(metric, rule).get("by", "value")
            if by not in ("value", "low", "high"):
                raise ValueError(f"{metric}: by must be value, low or high, not {by!r}")
            yield _threshold((*path, metric, by), rule)
    for stage, rules in raw.get("latency", {}).items():
        for level, rule in rules.items():
            yield _threshold(("latency", stage, level), _rule(f"{stage}.{level}", rule))


def _rule(name: str, rule: Any) -> Mapping[str, Any]:
    if not isinstance(rule, dict) or set(rule) - _KEYS or not set(rule) & set(_BOUNDS):
        raise ValueError(f"{name}: write {{ at_least = X }} or {{ at_most = X }}, not {rule!r}")
    return rule


def _threshold(path: tuple[str, ...], rule: Mapping[str, Any]) -> Threshold:
    low, high = (None if rule.get(key) is None else float(rule[key]) for key in _BOUNDS)
    return Threshold(path, low, high, int(rule.get("n", 1)))
