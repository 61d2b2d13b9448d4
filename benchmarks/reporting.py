"""The rows of a run of several engines: what was measured of each, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.comparing import Asked, Of, quality, spread, times_better

FREE, SHAPED = "free", "shaped"


def measures(workload: str, lengths: Sequence[int]) -> dict[str, tuple[Of, bool]]:
    """What is measured of an answer, and whether more is better."""
    found: dict[str, tuple[Of, bool]] = {
        "first token s": (lambda each: each.timed.first_token_seconds, False)
    }
    if workload == FREE:
        found["whole answer s"] = (lambda each: each.timed.total_seconds, False)
    else:
        for length in lengths:
            found[f"{length} tokens s"] = (_to(length), False)
    found["tokens/s"] = (lambda each: each.timed.tokens_per_second, True)
    return found


def _to(length: int) -> Of:
    return lambda each: each.timed.seconds_to(length)


def summed_up(asked: Sequence[Asked], lengths: Sequence[int], seed: int) -> list[dict[str, Any]]:
    """A row for each workload and engine: the spreads, the quality, and the ratio to each row of
    ours."""
    rows = []
    engines = dict.fromkeys((each.workload, each.engine) for each in asked)
    for workload, engine in engines:
        own = _of(asked, workload, engine)
        row: dict[str, Any] = {"workload": workload, "engine": engine}
        for name, (of, higher) in measures(workload, lengths).items():
            row[name] = asdict(spread(own, of))
            if not engine.startswith("ours"):
                row[name]["times"] = {
                    ours: asdict(
                        times_better(_of(asked, workload, ours), own, of, higher=higher, seed=seed)
                    )
                    for place, ours in engines
                    if place == workload and ours.startswith("ours")
                }
        row["answer tokens"] = asdict(spread(own, lambda each: float(each.timed.tokens)))
        row["f1"] = asdict(quality(own, seed))
        rows.append(row)
    return rows


def _of(asked: Sequence[Asked], workload: str, engine: str) -> list[Asked]:
    return [each for each in asked if (each.workload, each.engine) == (workload, engine)]


def table(rows: Sequence[dict[str, Any]], lengths: Sequence[int]) -> str:
    lines = []
    for workload in dict.fromkeys(row["workload"] for row in rows):
        own = [row for row in rows if row["workload"] == workload]
        lines += ["", f"{workload}: answers' lengths (median) and token F1"]
        lines += [
            f"  {row['engine']:<34} {row['answer tokens']['median']:>4.0f} tokens"
            + (f", F1 {row['f1']['value']:.3f}" if row["f1"]["value"] is not None else "")
            for row in own
        ]
        for name in measures(workload, lengths):
            lines.append(f"\n{workload}, {name:<22}{'median':>10}{'least':>10}{'95th':>10}  times")
            lines += [f"  {row['engine']:<34}{_spread(row[name])}" for row in own]
    return "\n".join(lines)


def _spread(found: dict[str, Any]) -> str:
    shown = "".join(
        f"{'-':>10}" if found[key] is None else f"{found[key]:>10.3f}"
        for key in ("median", "least", "p95")
    )
    for ours, times in found.get("times", {}).items():
        if times["value"] is not None:
            within = f" [{times['low']:.2f}, {times['high']:.2f}]" if times["low"] else ""
            shown += f"  {ours.removeprefix('ours, ')} {times['value']:.2f}{within}"
    return shown
