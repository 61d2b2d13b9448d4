"""What was asked and answered before, while the conversation goes on."""

from __future__ import annotations

import streamlit as st

from ui.session import Desk
from ui.untrusted import label, markup


def conversation(desk: Desk) -> None:
    """The earlier turns, and the way to begin anew: a question is read after those before it."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        if desk.before:
            st.caption(f"Follows on “{label(desk.before[-1].question, 80)}”.")
        st.button(
            "New conversation",
            key="new-conversation",
            type="tertiary",
            icon=":material/add_comment:",
            help="The next question stands for itself",
            on_click=desk.clear,
        )
    if desk.before:
        with st.expander(f"Conversation so far ({len(desk.before)})", icon=":material/forum:"):
            for held in desk.before:
                st.html(
                    f'<p class="attest-name">{markup(held.question)}</p>'
                    f'<p class="attest-sentence">{markup(held.text)}</p>'
                )
