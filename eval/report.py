"""Runs for people: a Markdown page, and a table for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eval.measures import ABOUT

Report = Mapping[str, Any]


def text(report: Report) -> str:
    """A table for the terminal."""
    lines = [heading(report), *facts(report), ""]
    for title, header, rows in tables(report):
        lines += [title, *_aligned(header, rows), ""]
    return "\n".join(lines).rstrip() + "\n"


def markdown(report: Report) -> str:
    """A page of its own."""
    lines = [f"# {heading(report)}", "", *(f"- {fact}" for fact in facts(report)), ""]
    for title, header, rows in tables(report):
        lines += [f"## {title}", "", _row(header), _row(["---"] * len(header))]
        lines += [*(_row(row) for row in rows), ""]
    return "\n".join(lines).rstrip() + "\n"


def heading(report: Report) -> str:
    return f"Evaluation of {report['kind']}: {report['name']}"


def facts(report: Report) -> list[str]:
    """What the numbers rest on."""
    settings = report["settings"]
    shown = ", ".join(f"{key} {value}" for key, value in settings.items() if value is not None)
    found = [f"n {report['n']}", f"run {report['id']}, {report['created']}", shown]
    if report.get("failed"):
        found.insert(1, f"FAILED on {report['failed']} samples, which no table below holds")
    if verdicts := report.get("verdicts"):
        found.insert(1, ", ".join(f"{value} {name}" for name, value in sorted(verdicts.items())))
    if gate := report.get("gate"):
        found += ["gate passed" if gate["passed"] else "GATE FAILED", *gate["reasons"]]
    return found


Table = tuple[str, list[str], list[list[str]]]


def tables(report: Report) -> list[Table]:
    if report["kind"] == "retrieval":
        return [_legs(report)]
    if report["kind"] == "verifier":
        return [_pairs(report)]
    found = [_metrics("metrics", report["metrics"])]
    found += [_split(name, rows) for name, rows in report["splits"].items() if len(rows) > 1]
    found += [_confidence(report["confidence"]), _latency(report["latency"])]
    return [*found, _against(report["against"])] if report.get("against") else found


def _metrics(title: str, metrics: Mapping[str, Report]) -> Table:
    header = ["metric", "mean", "95% interval", "n", "over"]
    return title, header, [[name, *_estimate(row), about(name)] for name, row in metrics.items()]


def about(metric: str) -> str:
    return ABOUT[metric].about if metric in ABOUT else ""


def _split(name: str, rows: Mapping[str, Report]) -> Table:
    chosen = ("right", "f1", "wrong_answer_rate", "answered_share", "citation_hit", "groundedness")
    header = [name, "n", *chosen]
    cells = [
        [value, str(row["n"]), *(_brief(row[metric]) for metric in chosen)]
        for value, row in rows.items()
    ]
    return f"by {name.replace('_', ' ')}", header, cells


def _confidence(confidence: Report) -> Table:
    names = {"aurc": "area under risk-coverage", "ece": "expected calibration error"}
    rows = [[key, *_estimate(confidence[key]), about] for key, about in names.items()]
    return "confidence", ["metric", "value", "95% interval", "n", "over"], rows


def _latency(latency: Mapping[str, Report]) -> Table:
    levels = ("p50", "p95", "p99")
    rows = [
        [stage, *(f"{row[level]:.3f}" for level in levels), str(row["n"])]
        for stage, row in latency.items()
    ]
    return "seconds per stage", ["stage", *levels, "n"], rows


def _against(compared: Report) -> Table:
    """Differences to an earlier run, paired over the samples that both scored."""
    rows = [
        [name, *_estimate(row), "yes" if row["sure"] else "no"]
        for name, row in compared["differences"].items()
        if row["value"] is not None
    ]
    title = f"difference to run {compared['run']} over {compared['shared']} shared samples"
    return title, ["metric", "difference", "95% interval", "n", "sure"], rows


def _legs(report: Report) -> Table:
    metrics = list(next(iter(report["legs"].values()))["metrics"])
    rows = []
    for leg, row in report["legs"].items():
        took = row["milliseconds_per_query"]
        cells = [_brief(row["metrics"][metric]) for metric in metrics]
        rows.append([leg, *cells, f"{took['p50']:.1f}", f"{took['p95']:.1f}"])
    return "legs", ["leg", *metrics, "ms p50", "ms p95"], rows


def _pairs(report: Report) -> Table:
    header = ["file", "supported", "AUROC", "balanced accuracy", "ms a pair"]
    rows = [
        [
            name,
            str(row["supported"]),
            _brief(row["auroc"]),
            _brief(row["balanced_accuracy"]),
            f"{row['milliseconds_per_pair']:.1f}",
        ]
        for name, row in report["files"].items()
    ]
    return "claims told apart", header, rows


def _estimate(row: Report) -> list[str]:
    if row["value"] is None:
        return ["unscored", "", str(row["n"])]
    return [f"{row['value']:.3f}", _interval(row), str(row["n"])]


def _interval(row: Report) -> str:
    return "" if row["low"] is None else f"{row['low']:.3f} to {row['high']:.3f}"


def _brief(row: Report) -> str:
    if row["value"] is None:
        return "unscored"
    interval = "" if row["low"] is None else f" [{row['low']:.2f}, {row['high']:.2f}]"
    return f"{row['value']:.3f}{interval} n={row['n']}"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _aligned(header: list[str], rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [header, ["-" * width for width in widths], *rows]
    ]
