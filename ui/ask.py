"""The Ask page: a question, and its answer sentence by sentence."""

from __future__ import annotations

import streamlit as st

from rag.client import Client
from rag.domain import Collection
from ui import earlier, session
from ui.answer_view import answer_view
from ui.asking import follow
from ui.complaints import complaints
from ui.conversation import conversation
from ui.picker import pick

_QUESTION = "question"


def page() -> None:
    st.title("Ask")
    with complaints():
        client = session.client()
        side, main = st.columns([1, 3], vertical_alignment="bottom")
        with side:
            collection = pick(client.collections())
        if collection is None:
            st.info(
                "There is no collection yet. Make one under Library and add documents to it.",
                icon=":material/folder_open:",
            )
            return
        with main:
            _question_box()
        _below(client, collection)


def _question_box() -> None:
    with st.form("ask", border=False):
        field, button = st.columns([6, 1], vertical_alignment="bottom")
        field.text_input("Your question", key=_QUESTION, placeholder="What do you want to know?")
        button.form_submit_button(
            "Ask", type="primary", icon=":material/send:", width="stretch", on_click=_asked
        )


def _asked() -> None:
    session.desk().ask(str(st.session_state.get(_QUESTION, "")).strip())


def _below(client: Client, collection: Collection) -> None:
    desk = session.desk()
    if desk.collection != collection.name:  # another one was picked: what lies here is of the old
        desk.clear()
        desk.collection = collection.name
    earlier.list_earlier(client, collection)
    if desk.before or desk.answer is not None:
        conversation(desk)
    if desk.blank:
        st.error("Write a question first.", icon=":material/edit:")
    elif desk.pending:
        follow(client, collection, desk)
    elif desk.answer is not None:
        answer_view(client, collection.name, desk)
    elif collection.generation == 0:
        st.info(
            "This collection holds no documents yet. Add some under Library.",
            icon=":material/upload_file:",
        )
    else:
        st.caption(
            "Every sentence of an answer cites the words it rests on. Where the documents do not "
            "hold the answer, Attest says so."
        )
