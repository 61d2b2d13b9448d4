"""The way in, where the API asks for it."""

from __future__ import annotations

import streamlit as st

from rag.errors import NotSignedIn
from ui import session
from ui.complaints import complaints


def page() -> None:
    _, middle, _ = st.columns([1, 1.2, 1])
    with middle:
        st.title("Sign in")
        with st.form("sign-in"):
            user = st.text_input("User", autocomplete="username")
            password = st.text_input("Password", type="password", autocomplete="current-password")
            asked = st.form_submit_button("Sign in", type="primary")
        if asked:
            _sign_in(user, password)


def _sign_in(user: str, password: str) -> None:
    with complaints():
        try:
            session.client().sign_in(user, password)
        except NotSignedIn:
            st.error("The user or the password is wrong.", icon=":material/error:")
            return
        st.rerun()
