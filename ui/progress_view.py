"""Uploads on their way into the index, live."""

from __future__ import annotations

import streamlit as st

from rag.client import Client
from rag.domain import Job, JobState
from ui.complaints import complaints
from ui.untrusted import label

MOST = 12  # bars at once; the rest is counted


def progress_view(client: Client, collection: str, before: frozenset[str]) -> None:
    """Runs again every second while jobs are active. When one of those `before` has ended, or a new
    one came, the page is run again, so that its documents are shown as they are now."""
    with complaints():
        jobs = client.jobs(collection, (JobState.QUEUED, JobState.RUNNING))
        if frozenset(job.id for job in jobs) != before:
            st.rerun()
        if not jobs:
            return
        st.subheader("On their way", anchor=False)
        jobs.sort(key=lambda job: (job.state is not JobState.RUNNING, job.created))
        for job in jobs[:MOST]:
            st.progress(min(max(job.progress, 0.0), 1.0), text=told(job))
        if len(jobs) > MOST:
            st.caption(f"and {len(jobs) - MOST} more")


def told(job: Job) -> str:
    """Name, step and percentage; how often it was tried, when not for the first time."""
    queued = job.state is JobState.QUEUED
    step = "waiting for a worker" if queued else job.step or "starting"
    said = f"**{label(job.name, 100)}** · {label(step)}"
    if not queued:
        said += f" · {job.progress:.0%}"
    if job.attempts > 1:
        said += f" · attempt {job.attempts}"
    if queued and job.error:
        said += f" · {label(job.error, 200)}"
    return said
