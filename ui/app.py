"""The entry of the pages: `streamlit run ui/app.py`, with the API's address in ATTEST_API_URL."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from rag.errors import AttestError
from ui import ask, complaints, library, quality, session, sign_in
from ui.untrusted import label

HERE = Path(__file__).parent


def main() -> None:
    # A file, since the browser fetches the symbol of an icon's name from elsewhere (OFFLINE).
    st.set_page_config(page_title="Attest", page_icon=HERE / "icon.svg", layout="wide")
    st.html(HERE / "style.css")
    st.logo(HERE / "attest.svg", size="large")
    page = st.navigation(_pages())
    _who()
    page.run()


def _pages() -> list[st.Page]:
    """The three pages, or the way in. Where the API is away each page says so itself."""
    try:
        locked = session.needs_sign_in()
    except AttestError as exc:
        complaints.show(exc)
        locked = False
    if locked:
        return [st.Page(sign_in.page, title="Sign in", icon=":material/login:")]
    return [
        st.Page(ask.page, title="Ask", icon=":material/chat:", url_path="ask", default=True),
        st.Page(library.page, title="Library", icon=":material/folder:", url_path="library"),
        st.Page(quality.page, title="Quality", icon=":material/monitoring:", url_path="quality"),
    ]


def _who() -> None:
    if not session.can_sign_out():
        return
    with st.sidebar, complaints.complaints():
        st.caption(f"Signed in as {label(session.me().user)}")
        st.button("Sign out", icon=":material/logout:", on_click=session.sign_out)


if __name__ == "__main__":
    main()
