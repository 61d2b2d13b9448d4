"""Training runs with their loss, and the adapters that came of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import streamlit as st

from rag.client import Client
from rag.views import TuningRun, TuningStep
from ui.moments import counted, duration, moment

_AWAY = 600.0  # seconds without a step after which a run is not called running


def tuning_view(client: Client, runs: Sequence[TuningRun]) -> None:
    """The loss curve of the chosen run, where it stands, how fast it is."""
    st.subheader("Training runs", anchor=False)
    names = [run.name for run in runs]
    chosen = st.selectbox("Training run", names, key="tuning-run", format_func=_shown(runs))
    run = client.tuning_run(chosen)
    if not run.curve:
        st.caption("No step of this run has ended yet.")
        return
    _numbers(run, run.curve[-1])
    losses = {"step": [p.step for p in run.curve], "loss": [p.loss for p in run.curve]}
    st.line_chart(losses, x="step", y="loss", x_label="step", y_label="loss (nats per token)")
    st.caption(_standing(run, run.curve[-1]))


def _shown(runs: Sequence[TuningRun]) -> Callable[[str], str]:
    by_name = {run.name: run for run in runs}
    return lambda name: f"{name} · {moment(by_name[name].updated)}"


def _numbers(run: TuningRun, last: TuningStep) -> None:
    shown = {
        "Loss": f"{last.loss:.3f}",
        "Steps": f"{run.steps:,}",
        "Questions": f"{last.examples:,}",
        "Tokens a second": f"{last.tokens_per_second:,.0f}",
        "Time left": duration(last.seconds_left),
    }
    for column, (name, value) in zip(st.columns(len(shown)), shown.items(), strict=True):
        column.metric(name, value)


def _standing(run: TuningRun, last: TuningStep) -> str:
    done = f"{counted(run.steps, 'step')}, {last.fraction:.0%} of the schedule"
    silent = (datetime.now(UTC) - run.updated).total_seconds()
    if silent > _AWAY:
        return f"{done}. The last step ended {moment(run.updated)}."
    return f"{done}; a step ended {duration(silent)} ago."
