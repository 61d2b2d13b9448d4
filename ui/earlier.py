"""This user's earlier questions to the collection, in the sidebar."""

from __future__ import annotations

import streamlit as st

from rag.client import Client
from rag.domain import Answer, Collection, Verdict
from ui import session
from ui.untrusted import label

MOST = 25
ICONS = {
    Verdict.ANSWERED: ":material/verified:",
    Verdict.PARTIAL: ":material/rule:",
    Verdict.REFUSED: ":material/do_not_disturb_on:",
}


def list_earlier(client: Client, collection: Collection) -> None:
    answers = client.answers(collection.name, MOST)
    if not answers:
        return
    with st.sidebar:
        st.subheader("Earlier questions", anchor=False)
        for answer in answers:
            st.button(
                label(answer.question, 70),
                key=f"earlier-{answer.id}",
                icon=ICONS[answer.verdict],
                type="tertiary",
                on_click=_show,
                args=(answer,),
            )


def _show(answer: Answer) -> None:
    desk = session.desk()
    desk.clear()
    desk.answer = answer
