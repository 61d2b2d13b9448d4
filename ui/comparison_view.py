"""Two runs side by side; where they share samples, the paired difference says what is sure."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from rag.client import Client
from rag.errors import BadInput
from rag.views import Run
from ui.complaints import sentence
from ui.measured import Measured, measured, metrics
from ui.run_view import named
from ui.untrusted import label

Columns = dict[str, list[str]]


def comparison_view(client: Client, first: Run, second: Run) -> None:
    st.subheader(f"{label(first.name)} → {label(second.name)}", anchor=False)
    paired: Mapping[str, object] = {}
    try:
        comparison = client.compare(first.id, second.id)
        paired = comparison.differences
        st.caption(
            "Differences are the second run (the chosen one) less the first, over the "
            f"{comparison.shared} samples "
            "both hold, paired; sure means the 95% interval leaves out zero."
        )
    except BadInput as exc:
        st.caption(label(sentence(exc)))
    st.table(_side_by_side(first, second, paired), border="horizontal")
    _settings(first, second)


def _side_by_side(first: Run, second: Run, paired: Mapping[str, object]) -> Columns:
    left, right = metrics(first), metrics(second)
    names = [name for name in left if name in right]
    columns: Columns = {
        "metric": [named(name) for name in names],
        "first": [_told(left[name]) for name in names],
        "second": [_told(right[name]) for name in names],
    }
    if paired:
        columns["difference"] = [_difference(paired.get(name)) for name in names]
        columns["sure"] = [_sure(paired.get(name)) for name in names]
    return columns


def _told(row: Measured) -> str:
    return f"{row} ({row.interval}, n {row.n})" if row.interval else f"{row} (n {row.n})"


def _difference(row: object) -> str:
    if not isinstance(row, Mapping):
        return ""
    found = measured(row)
    if found.value is None:
        return "not scored"
    return f"{found.value:+.3f} ({found.interval}, n {found.n})"


def _sure(row: object) -> str:
    return "yes" if isinstance(row, Mapping) and row.get("sure") else "no"


def _settings(first: Run, second: Run) -> None:
    """What differed between the two: a difference of numbers means little without."""
    left, right = (dict(_mapping(run.report.get("settings"))) for run in (first, second))
    keys = [key for key in {**left, **right} if left.get(key) != right.get(key)]
    with st.expander("Settings that differ", expanded=bool(keys)):
        if not keys:
            st.caption("None.")
            return
        shown = {"setting": keys}
        shown["first"] = [str(left.get(key, "")) for key in keys]
        shown["second"] = [str(right.get(key, "")) for key in keys]
        st.table(shown, border="horizontal")


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
