"""Indexing a collection again: its documents read anew, or another embedder, with how far it is."""

from __future__ import annotations

import streamlit as st

from rag.client import Client
from rag.domain import Collection, Embedding, EmbeddingState
from rag.views import Reindexing
from ui.complaints import complaints
from ui.moments import counted
from ui.untrusted import label


def reindex(client: Client, collection: Collection) -> None:
    """For who manages the collection."""
    with st.popover("Reindex", icon=":material/autorenew:", type="tertiary"):
        st.write("The stored documents are read again, with the settings of now.")
        if st.button("Read all documents again", key=f"reread-{collection.id}"):
            with complaints():
                client.reindex(collection.name)
                st.rerun()
        with complaints():
            standing = client.reindexing(collection.name)
            st.caption(f"Embedded by {label(collection.embedder or 'no model yet')}")
            if len(standing.embedders) > 1:
                _another(client, collection, standing)


def _another(client: Client, collection: Collection, standing: Reindexing) -> None:
    wanted = st.selectbox("Embedder", standing.embedders, key=f"embedder-{collection.id}")
    st.caption(
        "Its vectors are made beside those in use; questions go on. Then the collection changes to "
        "it at once. The way back is the same."
    )
    if st.button("Change the embedder", type="primary", key=f"embed-{collection.id}"):
        with complaints():
            client.reindex(collection.name, wanted)
            st.rerun()


def reindex_progress(client: Client, name: str) -> None:
    """A bar for the embedder that is on its way, and what can be called off."""
    standing = client.reindexing(name)
    building = [e for e in standing.embeddings if e.state is EmbeddingState.BUILDING]
    for embedding in building:
        st.progress(embedding.progress, text=_words(embedding))
        if embedding.error:
            st.caption(label(embedding.error))
    if standing.rereading:
        st.caption(f"{counted(standing.rereading, 'document')} still to be read again")
    if (building or standing.rereading) and st.button("Stop reindexing", type="tertiary"):
        with complaints():
            client.cancel_reindexing(name)
            st.rerun()


def _words(embedding: Embedding) -> str:
    step = embedding.step or "waiting for a worker"
    return f"**{label(embedding.embedder)}** · {step} · {embedding.progress:.0%}"
