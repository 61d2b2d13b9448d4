"""A question while it is being answered: each sentence appears once it is verified."""

from __future__ import annotations

from contextlib import closing

import streamlit as st

from rag.client import Client
from rag.domain import Answer, Collection, Found, Passage, Said
from rag.errors import AttestError
from ui.sentences import words
from ui.session import Desk
from ui.untrusted import label, markup


def follow(client: Client, collection: Collection, desk: Desk) -> None:
    """Show the answer as it comes, then lay it on the desk and run the page again. Whatever the
    visitor does meanwhile ends this run, and with it the work on the server; a question that was
    left so is asked again when the page is."""
    st.html(f'<p class="attest-name">{markup(desk.pending)}</p>')
    progress = st.empty()
    st.button("Stop", icon=":material/stop_circle:", on_click=desk.stop)
    progress.info("Searching the collection…", icon=":material/search:")
    try:
        with closing(
            client.ask_stream(collection.name, desk.pending, history=desk.history())
        ) as events:
            for event in events:
                if isinstance(event, Answer):
                    desk.pending, desk.answer = "", event
                elif isinstance(event, Found):
                    progress.info(_reading(event.passages), icon=":material/menu_book:")
                else:
                    _sentence(event)
    except AttestError:
        desk.stop()
        raise
    st.rerun()


def _reading(passages: tuple[Passage, ...]) -> str:
    names = list(dict.fromkeys(passage.document_name for passage in passages))
    if not names:
        return "Nothing was found that you may read."
    return f"Reading {len(passages)} passages of " + ", ".join(label(name, 60) for name in names)


def _sentence(said: Said) -> None:
    chips = " ".join(f'<span class="attest-marker">{c.marker}</span>' for c in said.citations)
    st.html(f'<p class="attest-sentence">{markup(words(said))} {chips}</p>')
