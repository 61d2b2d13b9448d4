"""Retrieval on its own: what a question would find, by leg, with the scores."""

from __future__ import annotations

import streamlit as st

from rag.client import Client
from rag.domain import Collection, Leg, Passage
from ui.complaints import complaints
from ui.place import of_passage
from ui.source_view import in_context
from ui.untrusted import markup


def search_view(client: Client, collection: Collection) -> None:
    st.caption("What a question finds before anything is answered from it.")
    with st.form("search-form", border=False):
        words, leg, count = st.columns([6, 3, 1], vertical_alignment="bottom")
        query = words.text_input("Query", key="search-query")
        chosen = leg.segmented_control(
            "Leg", list(Leg), default=Leg.HYBRID, required=True, format_func=lambda each: each.value
        )
        most = count.number_input("Passages", 1, 50, 10)
        sent = st.form_submit_button("Search", icon=":material/search:")
    kept = st.session_state
    if sent:
        kept["searched"] = (
            collection.name,
            client.search(collection.name, query, chosen, int(most)),
        )
    whose, passages = kept.get("searched", ("", None))
    if whose == collection.name and passages is not None:
        _passages(client, passages)


def _passages(client: Client, passages: list[Passage]) -> None:
    if not passages:
        st.caption("Nothing was found.")
    for rank, passage in enumerate(passages, start=1):
        _passage(client, rank, passage)


def _passage(client: Client, rank: int, passage: Passage) -> None:
    with st.container(border=True):
        page = "" if passage.chunk.page is None else f" · page {passage.chunk.page}"
        st.html(f'<p class="attest-name">{rank}. {markup(passage.document_name + page)}</p>')
        st.caption(_scores(passage))
        opened = st.session_state.get(f"found-{rank}", False)
        if opened:
            with complaints():
                in_context(client, of_passage(passage), f"found-context-{rank}")
        else:
            st.html(f'<div class="attest-context">{markup(passage.chunk.text)}</div>')
        st.toggle("In its context", key=f"found-{rank}")


def _scores(passage: Passage) -> str:
    legs = [f"{name} {value:.3f}" for name, value in sorted(passage.scores.items())]
    return " · ".join([f"score {passage.score:.3f}", *legs])
