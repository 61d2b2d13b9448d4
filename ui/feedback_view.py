"""Whether the answer was right, as its reader says, and what would have been."""

from __future__ import annotations

import streamlit as st

from rag.client import Client
from rag.domain import NOT_HELD, Answer, Feedback, Opinion, Verdict
from ui.complaints import complaints

LONGEST = 2000


def feedback_view(client: Client, answer: Answer) -> None:
    """Two buttons; below "Wrong" a field for the right answer. What was said before is shown."""
    with complaints():
        said = client.feedback(answer.id)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption("Is this right?", width="content")
            right = st.button("Right", key=f"right-{answer.id}", icon=":material/thumb_up:")
            wrong = st.button("Wrong", key=f"wrong-{answer.id}", icon=":material/thumb_down:")
        if right:
            said = client.give_feedback(answer.id, Opinion.RIGHT)
        elif wrong and (said is None or said.verdict is Opinion.RIGHT):
            said = client.give_feedback(answer.id, Opinion.WRONG)
        if said is not None and said.verdict is Opinion.WRONG:
            said = _correction(client, answer, said)
        if said is not None:
            st.caption(_thanks(said))


def _correction(client: Client, answer: Answer, said: Feedback) -> Feedback:
    """The form for the right answer; a refusal can only be corrected by an answer."""
    refused = answer.verdict is Verdict.REFUSED
    with st.form(f"correction-{answer.id}", border=False):
        text = st.text_area(
            "What would be right?",
            value="" if said.correction == NOT_HELD else said.correction,
            key=f"correction-text-{answer.id}",
            max_chars=LONGEST,
            height=68,
            placeholder="If you can, in the documents' own words",
        )
        none = not refused and st.checkbox(
            "The documents do not hold the answer",
            value=said.correction == NOT_HELD,
            key=f"not-held-{answer.id}",
        )
        sent = st.form_submit_button("Send", icon=":material/send:")
    if not sent:
        return said
    return client.give_feedback(answer.id, Opinion.WRONG, NOT_HELD if none else text)


def _thanks(said: Feedback) -> str:
    if said.verdict is Opinion.RIGHT:
        return "Thank you. You said that this is right."
    if said.correction == NOT_HELD:
        return "Thank you. You said that the documents do not hold the answer."
    if said.correction:
        return "Thank you. Your answer is kept beside this one."
    return "Thank you. You said that this is wrong."
