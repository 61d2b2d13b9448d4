"""What is behind an answer: confidence, time per step, and what computes it again."""

from __future__ import annotations

import streamlit as st

from rag.client import Client
from rag.domain import Answer
from ui.complaints import complaints
from ui.moments import moment, seconds
from ui.untrusted import label

LAST = ("total",)


def details(client: Client, answer: Answer) -> None:
    with st.expander("Details", icon=":material/info:"):
        confidence, total, cited = st.columns(3)
        confidence.metric("Confidence", f"{answer.confidence:.2f}")
        total.metric("Time", seconds(answer.timings.get("total", 0.0)))
        cited.metric("Citations", len(answer.citations))
        st.table(_timings(answer), border="horizontal")
        st.caption(_origin(answer))
        _replay(client, answer)


def _timings(answer: Answer) -> dict[str, list[str]]:
    steps = [step for step in answer.timings if step not in LAST] + [
        step for step in LAST if step in answer.timings
    ]
    return {
        "step": [step.replace("_", " ") for step in steps],
        "time": [seconds(answer.timings[step]) for step in steps],
    }


def _origin(answer: Answer) -> str:
    replay = answer.replay
    return (
        f"Asked {moment(answer.created)} · generation {replay.generation} · model "
        f"{label(replay.model)} · adapter {label(replay.adapter)} · prompt "
        f"{label(replay.prompt_version)} · answer {label(answer.id)}"
    )


def _replay(client: Client, answer: Answer) -> None:
    if not st.button("Compute again", icon=":material/replay:", help="From what was stored"):
        return
    with complaints(), st.spinner("Computing the answer again…"):
        found = client.replay(answer.id)
        if found.same:
            st.success("The same words and citations came out.", icon=":material/check:")
        else:
            st.error("Something else came out than was stored.", icon=":material/error:")
        if found.changed:
            st.caption(f"Computed otherwise than then: {'; '.join(found.changed)}.")
