"""What one visitor's session holds: the client, whether sign-in is asked for, the chosen
collection, and what lies on the Ask page."""

from __future__ import annotations

import os
from dataclasses import dataclass

import streamlit as st

from rag.client import Client
from rag.domain import Answer, Principal, Turn, Verdict
from ui.place import Place

API_URL = "ATTEST_API_URL"
DEFAULT_URL = "http://127.0.0.1:8808"


@st.cache_resource(scope="session", show_spinner=False, on_release=Client.close)
def client() -> Client:
    """This session's client; it keeps the session token after sign-in."""
    return Client(os.environ.get(API_URL, DEFAULT_URL))


def needs_sign_in() -> bool:
    """Whether the API asks for sign-in and this session has none. Raises Unavailable."""
    state = st.session_state
    if "sign_in" not in state:
        state["sign_in"] = client().health().sign_in
    return state["sign_in"] != "none" and client().token is None


def can_sign_out() -> bool:
    return client().token is not None


def me() -> Principal:
    """Who is signed in; asked once a session."""
    if "me" not in st.session_state:
        st.session_state["me"] = client().me()
    principal: Principal = st.session_state["me"]
    return principal


def sign_out() -> None:
    """Forget the token and everything that was shown with it."""
    client().token = None
    for key in list(st.session_state):
        del st.session_state[key]


@dataclass(slots=True)
class Desk:
    """What lies on the Ask page. `pending` is a question that is being answered, or was when the
    visitor looked elsewhere; `opened` is the place in a document that is being read. `before` are
    the answers of the conversation that came before, oldest first."""

    collection: str = ""
    pending: str = ""
    blank: bool = False  # an empty question was asked
    answer: Answer | None = None
    opened: Place | None = None
    before: tuple[Answer, ...] = ()

    def clear(self) -> None:
        """Of everything; the next question begins a conversation."""
        self.pending, self.blank, self.answer, self.opened = "", False, None, None
        self.before = ()

    def ask(self, question: str) -> None:
        """The answer that lies here becomes part of the conversation."""
        before = self.before if self.answer is None else (*self.before, self.answer)
        self.clear()
        self.pending, self.blank, self.before = question, not question, before

    def stop(self) -> None:
        """Leave the pending question; the conversation goes on from its last answer."""
        held = self.before
        self.clear()
        if held:
            self.before, self.answer = held[:-1], held[-1]

    def history(self) -> list[Turn]:
        """The conversation before the pending question; a refusal says nothing of its subject."""
        return [
            Turn(held.question, "" if held.verdict is Verdict.REFUSED else held.text)
            for held in self.before
        ]


def desk() -> Desk:
    held: Desk = st.session_state.setdefault("desk", Desk())
    return held


def chosen() -> str:
    """The name of the collection both pages are about; "" when none was chosen yet."""
    return str(st.session_state.get("collection", ""))


def choose(name: str) -> None:
    st.session_state["collection"] = name
