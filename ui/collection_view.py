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
    with st.popover("Delete collection", icon=":material/delete_forever:", type="tertiary"):
        st.write(
            f"Every document of **{label(collection.name)}** goes with it, and no question sees "
            "them any more. This cannot be undone."
        )
        typed = st.text_input("Write its name to confirm", key=f"confirm-{collection.id}")
        sure = st.button(
            "Delete the collection", type="primary", disabled=typed.strip() != collection.name
        )
    if sure:
        with complaints():
            client.delete_collection(collection.name)
            pick_next("")
            st.rerun()
