"""Handing in files: many at once, each on its own feet."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from rag.client import Client
from rag.domain import Collection, Job, JobState
from rag.errors import AttestError, NotSignedIn
from ui.complaints import sentence
from ui.moments import counted
from ui.untrusted import label

FEW = 5  # files at once that somebody still waits for
_REFUSED = "refused-uploads"


def upload_view(client: Client, collection: Collection) -> None:
    with st.form("upload", clear_on_submit=True):
        files = st.file_uploader(
            "Add documents",
            accept_multiple_files=True,
            help="Documents, spreadsheets, presentations, mail, pictures of text, and archives of "
            "these. A file with the name of a document here becomes its new version.",
        )
        sent = st.form_submit_button("Add to the collection", icon=":material/upload_file:")
    if sent and files:
        _send(client, collection, files)
    elif sent:
        st.error("Choose one or more files first.", icon=":material/upload_file:")
    _show_refused(collection)


def _send(client: Client, collection: Collection, files: Sequence[UploadedFile]) -> None:
    """One refused file does not keep the others out."""
    refused: list[tuple[str, str]] = []
    jobs: list[Job] = []
    bar = st.progress(0.0)
    for number, file in enumerate(files):
        bar.progress(number / len(files), text=f"Handing in {label(file.name, 80)}")
        try:
            many = len(files) > FEW
            jobs.append(client.upload(collection.name, file.name, file.getvalue(), bulk=many))
        except NotSignedIn:
            raise
        except AttestError as exc:
            refused.append((file.name, sentence(exc)))
    bar.empty()
    st.session_state[_REFUSED] = (collection.id, refused)
    if jobs:
        st.toast(_taken(jobs), icon=":material/check:")


def _taken(jobs: Sequence[Job]) -> str:
    known = sum(job.state is JobState.DONE for job in jobs)
    said = f"{counted(len(jobs), 'file')} handed in"
    return f"{said}; {known} unchanged since last time" if known else said


def _show_refused(collection: Collection) -> None:
    """Until they are dismissed, or another upload is made."""
    whose, refused = st.session_state.get(_REFUSED, ("", []))
    if whose != collection.id or not refused:
        return
    with st.container(border=True):
        st.error(f"{counted(len(refused), 'file')} not taken", icon=":material/error:")
        for name, reason in refused:
            st.markdown(f"**{label(name, 120)}**: {label(reason)}")
        st.button("Dismiss", type="tertiary", on_click=st.session_state.pop, args=(_REFUSED, None))
