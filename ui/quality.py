"""The Quality page: evaluation runs, what they measured, two of them side by side; training runs
and adapters."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from rag.client import Client
from rag.views import Run
from ui import session
from ui.adapters_view import adapters_view
from ui.comparison_view import comparison_view
from ui.complaints import complaints
from ui.moments import moment
from ui.run_view import headline, run_view
from ui.tuning_view import tuning_view


def page() -> None:
    st.title("Quality")
    with complaints():
        client = session.client()
        admin = session.me().admin
        trained = client.tuning_runs() if admin else []
        adapters = client.adapters()
        if not trained and not adapters:
            _evaluation(client)
            return
        evaluation, tuning = st.tabs(["Evaluation", "Tuning"])
        with evaluation:
            _evaluation(client)
        with tuning:
            if trained:
                tuning_view(client, trained)
            names = {held.id: held.name for held in client.collections()}
            adapters_view(client, adapters, names, admin)


def _evaluation(client: Client) -> None:
    runs = client.runs(limit=100)
    if not runs:
        st.info(
            "No evaluation has run yet. `attest eval run` and `attest eval retrieval` "
            "store theirs here; so does the nightly one, once `nightly_samples` is set.",
            icon=":material/monitoring:",
        )
        return
    _table(runs)
    chosen, other = _choose(runs)
    if other is None:
        run_view(chosen)
    else:
        comparison_view(client, other, chosen)


def _table(runs: Sequence[Run]) -> None:
    """One row a run, its main numbers each with the n they rest on in the run's own page."""
    rows = [
        {"run": run.name, "kind": run.kind, "when": moment(run.created), **headline(run)}
        for run in runs
    ]
    st.dataframe(rows, hide_index=True, height=min(38 + 35 * len(rows), 300))


def _choose(runs: Sequence[Run]) -> tuple[Run, Run | None]:
    by_id = {run.id: run for run in runs}

    def shown(id: str) -> str:
        """Streamlit tells options apart by this text, so it ends in the id."""
        run = by_id[id]
        return f"{run.name} · {run.kind} · {moment(run.created)} · {id[:8]}"

    left, right = st.columns(2)
    chosen = by_id[left.selectbox("Run", list(by_id), format_func=shown, key="run")]
    same = [run.id for run in runs if run.kind == chosen.kind and run.id != chosen.id]
    other = right.selectbox(
        "Compare with",
        same,
        index=None,
        format_func=shown,
        key="other-run",
        placeholder="another run of this kind" if same else "there is no other of this kind",
        disabled=not same,
    )
    return chosen, by_id.get(other) if other is not None else None
