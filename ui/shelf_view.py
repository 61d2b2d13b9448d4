"""The documents of a collection: what state each is in, and what can be done about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import streamlit as st

from rag.client import Client
from rag.domain import Collection, Document, Job, JobState
from rag.views import Shelf
from ui.care_view import care_badges
from ui.complaints import complaints
from ui.moments import counted, moment, size
from ui.untrusted import label, markup

PER_PAGE = 20
TYPES = {
    "application/pdf": "PDF",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "DOCX",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "PPTX",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "XLSX",
    "application/vnd.oasis.opendocument.text": "ODT",
    "application/epub+zip": "EPUB",
    "application/rtf": "RTF",
    "application/json": "JSON",
    "application/xml": "XML",
    "application/msword": "DOC",
    "application/vnd.ms-excel": "XLS",
    "application/vnd.ms-powerpoint": "PPT",
    "application/vnd.ms-outlook": "Mail",
    "application/zip": "Archive",
    "application/x-tar": "Archive",
    "message/rfc822": "Mail",
    "text/csv": "CSV",
    "text/html": "HTML",
    "text/markdown": "Markdown",
    "text/plain": "Text",
}
Color = Literal["gray", "blue", "green", "red"]
BADGES: dict[JobState, tuple[str, str, Color]] = {
    JobState.QUEUED: ("Waiting", ":material/schedule:", "gray"),
    JobState.RUNNING: ("Being read", ":material/sync:", "blue"),
    JobState.DONE: ("Ready", ":material/check_circle:", "green"),
    JobState.FAILED: ("Failed", ":material/error:", "red"),
    JobState.POISONED: ("Set aside", ":material/report:", "red"),
    JobState.CANCELLED: ("Cancelled", ":material/cancel:", "gray"),
}


def shelf_view(client: Client, collection: Collection, writes: bool) -> None:
    shelves = client.library(collection.name)
    if not shelves:
        st.caption("No documents yet.")
        return
    count, find = st.columns([2, 1], vertical_alignment="bottom")
    count.subheader(counted(len(shelves), "document"), anchor=False)
    wanted = find.text_input(
        "Find", placeholder="Part of a name", label_visibility="collapsed", key="find-document"
    )
    found = _sorted([s for s in shelves if wanted.casefold() in s.document.name.casefold()])
    for shelf in _paged(found):
        _row(client, shelf, writes)
    if not found:
        st.caption("No document has that in its name.")


def _sorted(shelves: Sequence[Shelf]) -> list[Shelf]:
    """What needs somebody first, then by name."""
    return sorted(shelves, key=lambda shelf: (not _stuck(shelf.job), shelf.document.name))


def _stuck(job: Job | None) -> bool:
    return job is not None and job.state in (JobState.FAILED, JobState.POISONED)


def _paged(shelves: Sequence[Shelf]) -> Sequence[Shelf]:
    pages = -(-len(shelves) // PER_PAGE)
    if pages < 2:
        return shelves
    page = st.pagination(pages, key="shelf-page")
    return shelves[(page - 1) * PER_PAGE : page * PER_PAGE]


def _row(client: Client, shelf: Shelf, writes: bool) -> None:
    document, job = shelf.document, shelf.job
    with st.container(border=True, key=f"document-{document.id}"):
        name, state, actions = st.columns([6, 2, 3], vertical_alignment="center")
        with name:
            st.html(f'<p class="attest-name">{markup(document.name)}</p>')
            st.caption(_facts(shelf))
            care_badges(shelf)
        with state:
            _badge(shelf)
        with actions:
            _actions(client, shelf, writes)
        if job is not None and job.state is JobState.CANCELLED:
            st.caption(label(job.error))
        if job is not None and _stuck(job):
            _reason(job, document)


def _facts(shelf: Shelf) -> str:
    version = shelf.version
    if version is None:
        return "nothing to search yet"
    facts = [TYPES.get(version.media_type, label(version.media_type))]
    if version.pages is not None:
        facts.append(counted(version.pages, "page"))
    facts += [counted(version.chunks, "chunk"), size(version.size), moment(version.created)]
    if shelf.document.readers is not None:
        facts.append(
            "read by " + ", ".join(label(group) for group in sorted(shelf.document.readers))
        )
    return " · ".join(facts)


def _badge(shelf: Shelf) -> None:
    state = JobState.DONE if shelf.job is None else shelf.job.state
    text, icon, color = BADGES[state]
    st.badge(text, icon=icon, color=color)


def _reason(job: Job, document: Document) -> None:
    said = label(job.error or "no reason was recorded")
    if job.state is JobState.POISONED:
        said = f"It ended its worker {job.attempts} times and was set aside: {said}"
    if document.version is not None:
        said += "  \nThe version that was there before stays searchable."
    st.error(said, icon=":material/error:")


def _actions(client: Client, shelf: Shelf, writes: bool) -> None:
    document, job = shelf.document, shelf.job
    with st.container(horizontal=True, horizontal_alignment="right"):
        if document.version is not None and _button("Read", "article", document):
            _text(client, document)
        if not writes:
            return
        if job is not None:
            _change(client, job, document)
        _delete(client, document)


def _change(client: Client, job: Job, document: Document) -> None:
    """What can be done about its newest upload."""
    active = job.state in (JobState.QUEUED, JobState.RUNNING)
    if not active and document.version is not None and _button("Reindex", "autorenew", document):
        with complaints():
            client.reindex_document(document.id)
            st.rerun()
    if active and _button("Cancel", "cancel", document):
        with complaints():
            client.cancel(job.id)
            st.rerun()
    again = _stuck(job) or job.state is JobState.CANCELLED
    if again and _button("Retry", "replay", document):
        with complaints():
            client.retry(job.id)
            st.rerun()


def _button(text: str, icon: str, document: Document) -> bool:
    key = f"{text.lower()}-{document.id}"
    return st.button(text, key=key, type="tertiary", icon=f":material/{icon}:")


@st.dialog("The stored text", width="large", icon=":material/article:")
def _text(client: Client, document: Document) -> None:
    """What citations count their characters in."""
    with complaints():
        text = client.text(document.id)
        st.html(f'<p class="attest-name">{markup(document.name)}</p>')
        st.html(f'<div class="attest-context">{markup(text)}</div>')


def _delete(client: Client, document: Document) -> None:
    with st.popover("Delete", type="tertiary", icon=":material/delete:"):
        st.html(f'<p class="attest-name">{markup(document.name)}</p>')
        st.write("From the next question on nobody's search sees it. This cannot be undone.")
        sure = st.button("Delete it", type="primary", key=f"delete-{document.id}")
    if sure:
        with complaints():
            client.delete_document(document.id)
            st.rerun()
