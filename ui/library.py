"""The Library page: collections, uploads and their progress, documents, and a try at retrieval."""

from __future__ import annotations

import streamlit as st

from rag.client import Client
from rag.domain import Collection, EmbeddingState, JobState, Right
from ui import session
from ui.care_view import personal_policy
from ui.collection_view import delete_collection, new_collection
from ui.complaints import complaints
from ui.picker import pick
from ui.progress_view import progress_view
from ui.reindex_view import reindex, reindex_progress
from ui.search_view import search_view
from ui.shelf_view import shelf_view
from ui.sources_view import sources_view
from ui.upload_view import upload_view


def page() -> None:
    st.title("Library")
    with complaints():
        client = session.client()
        collection = _bar(client)
        if collection is None:
            st.info("Make a collection first; documents live in one.", icon=":material/folder:")
            return
        documents, search = st.tabs(
            [":material/description: Documents", ":material/search: Search"]
        )
        with documents:
            _documents(client, collection)
        with search, complaints():
            search_view(client, collection)


def _bar(client: Client) -> Collection | None:
    """The picker, with what can be done to collections beside it."""
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    with left:
        collection = pick(client.collections())
    with right, st.container(horizontal=True):
        new_collection(client)
        if collection is not None and _may(collection, Right.MANAGE):
            personal_policy(client, collection)
            reindex(client, collection)
            delete_collection(client, collection)
    return collection


def _documents(client: Client, collection: Collection) -> None:
    writes = _may(collection, Right.WRITE)
    if writes:
        upload_view(client, collection)
        sources_view(client, collection)
    active = client.jobs(collection.name, (JobState.QUEUED, JobState.RUNNING))
    # Only while something is on its way does the page ask again by itself.
    live = st.fragment(progress_view, run_every=1.0 if active else None)
    live(client, collection.name, frozenset(job.id for job in active))
    if _may(collection, Right.MANAGE):
        standing = client.reindexing(collection.name)
        busy = any(each.state is EmbeddingState.BUILDING for each in standing.embeddings)
        st.fragment(reindex_progress, run_every=2.0 if busy else None)(client, collection.name)
    shelf_view(client, collection, writes)


def _may(collection: Collection, right: Right) -> bool:
    """Whether to offer it; the API decides."""
    groups = session.me().groups
    held = [collection.rights[group] for group in groups if group in collection.rights]
    return any(each.includes(right) for each in held)
