"""One run in full: its metrics with n and interval, its splits, its latency, its settings."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from rag.views import Run
from ui import measured
from ui.measured import ANSWERS, RETRIEVAL, Measured, metrics
from ui.moments import counted
from ui.untrusted import label

Columns = dict[str, list[str]]


def headline(run: Run) -> dict[str, str]:
    """The numbers a run is known by, for the table of runs."""
    found = metrics(run)
    names = RETRIEVAL if run.kind == "retrieval" else ANSWERS
    n = run.report.get("n")
    return {"n": str(n or "")} | {name: str(found[name]) for name in names if name in found}


def run_view(run: Run) -> None:
    st.subheader(label(run.name), anchor=False)
    _facts(run)
    _tiles(run)
    st.table(table(metrics(run)), border="horizontal")
    for split, values in measured.splits(run).items():
        with st.expander(f"By {label(split.replace('_', ' '))}"):
            st.table(_by_value(values), border="horizontal")
    if run.kind == "retrieval":
        with st.expander("Every leg"):
            st.table(_by_leg(run), border="horizontal")
    with st.expander("Time"):
        st.table(_latency(run), border="horizontal")
    with st.expander("Settings"):
        st.json(run.report.get("settings", {}))


def _facts(run: Run) -> None:
    report = run.report
    verdicts = report.get("verdicts")
    if isinstance(verdicts, Mapping):
        told = " · ".join(f"{count} {label(str(name))}" for name, count in verdicts.items())
        st.caption(told)
    failed = report.get("failed")
    if isinstance(failed, int) and failed:
        st.error(f"{counted(failed, 'sample')} failed; no number below holds them.")
    gate_view(report.get("gate"))


def gate_view(gate: object) -> None:
    """What the gate said; nothing where there was none."""
    if not isinstance(gate, Mapping):
        return
    if gate.get("passed"):
        st.success("The gate was passed.", icon=":material/verified:")
    else:
        reasons = "; ".join(label(str(reason)) for reason in gate.get("reasons", ()))
        st.error(f"The gate was not passed: {reasons}", icon=":material/block:")


def _tiles(run: Run) -> None:
    found = metrics(run)
    names = [name for name in (RETRIEVAL if run.kind == "retrieval" else ANSWERS) if name in found]
    for column, name in zip(st.columns(len(names) or 1), names, strict=False):
        row = found[name]
        column.metric(named(name), str(row), help=f"95% interval {row.interval}, n {row.n}")


def named(metric: str) -> str:
    return metric.replace("_", " ")


def table(rows: Mapping[str, Measured]) -> Columns:
    return {
        "metric": [named(name) for name in rows],
        "mean": [str(row) for row in rows.values()],
        "95% interval": [row.interval for row in rows.values()],
        "n": [str(row.n) for row in rows.values()],
    }


def _by_value(values: Mapping[str, Mapping[str, Measured]]) -> Columns:
    columns: Columns = {"value": list(values)}
    for name in ANSWERS:
        columns[named(name)] = [_brief(row.get(name)) for row in values.values()]
    return columns


def _by_leg(run: Run) -> Columns:
    rows = {leg: row.get("metrics", {}) for leg, row in measured.legs(run).items()}
    columns: Columns = {"leg": list(rows)}
    for name in RETRIEVAL:
        columns[name] = [
            _brief(measured.measured(row[name]) if name in row else None) for row in rows.values()
        ]
    return columns


def _brief(row: Measured | None) -> str:
    if row is None or row.value is None:
        return "not scored"
    return f"{row} (n {row.n})" if not row.interval else f"{row} ({row.interval}, n {row.n})"


def _latency(run: Run) -> Columns:
    rows = measured.latency(run)
    unit, shown = ("ms", "{:.1f}") if run.kind == "retrieval" else ("s", "{:.3f}")
    columns: Columns = {"leg" if run.kind == "retrieval" else "stage": [named(r) for r in rows]}
    for level in ("p50", "p95", "p99"):
        columns[f"{level} ({unit})"] = [
            shown.format(row[level]) if level in row else "" for row in rows.values()
        ]
    return columns | {"n": [str(row.get("n", "")) for row in rows.values()]}
