"""Which collection the page is about; both pages remember the same one."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from rag.domain import Collection
from ui import session

_KEY = "picked-collection"


def pick(collections: Sequence[Collection]) -> Collection | None:
    """None when there is none to pick."""
    names = sorted(collection.name for collection in collections)
    if not names:
        return None
    kept = session.chosen()
    if st.session_state.get(_KEY) not in names:
        st.session_state[_KEY] = kept if kept in names else names[0]
    name = st.selectbox("Collection", names, key=_KEY)
    session.choose(name)
    return next(collection for collection in collections if collection.name == name)


def pick_next(name: str) -> None:
    """The collection to show from the next run on; for callbacks."""
    session.choose(name)
    st.session_state.pop(_KEY, None)
