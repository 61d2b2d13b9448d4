"""Making and deleting collections."""

from __future__ import annotations

import streamlit as st

from rag.client import Client
from rag.domain import Collection
from ui.complaints import complaints
from ui.picker import pick_next
from ui.untrusted import label


def new_collection(client: Client) -> None:
    with st.popover("New collection", icon=":material/create_new_folder:"):
        with st.form("new-collection", border=False):
            name = st.text_input("Name", placeholder="handbooks")
            st.caption("Your groups may manage it.")
            wanted = st.form_submit_button("Create", type="primary")
        if wanted:
            with complaints():
                pick_next(client.create_collection(name.strip()).name)
                st.rerun()


def delete_collection(client: Client, collection: Collection) -> None:
    if st.button("Delete collection", icon=":material/delete_forever:", type="tertiary"):
        _confirm(client, collection)


@st.dialog("Delete this collection?", icon=":material/warning:")
def _confirm(client: Client, collection: Collection) -> None:
    st.write(
        f"Every document of **{label(collection.name)}** goes with it, and no question sees them "
        "any more. This cannot be undone."
    )
    typed = st.text_input("Write its name to confirm")
    if st.button("Delete", type="primary", disabled=typed.strip() != collection.name):
        with complaints():
            client.delete_collection(collection.name)
            pick_next("")
            st.rerun()
