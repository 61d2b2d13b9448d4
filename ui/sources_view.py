"""Where a collection's documents are brought from: how the last sync went, and the next one now."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from rag.client import Client
from rag.domain import Collection, Origin, OriginKind
from ui.complaints import complaints
from ui.moments import counted, moment
from ui.untrusted import label, markup

KINDS = {
    OriginKind.FOLDER: "Folder",
    OriginKind.URLS: "Pages",
    OriginKind.SITEMAP: "Sitemap",
    OriginKind.BUCKET: "Bucket",
}


def sources_view(client: Client, collection: Collection) -> None:
    """Nothing where there is none; they are added by `attest sources add` or the API."""
    held = client.sources(collection.name)
    if not held:
        return
    failing = sum(bool(origin.error) for origin in held)
    title = f"Sources ({len(held)})" + (f", {failing} with a problem" if failing else "")
    waiting = any(_waiting(origin) for origin in held)
    # Only while a sync is on its way does the page ask again by itself.
    live = st.fragment(_rows, run_every=2.0 if waiting else None)
    with st.expander(title, icon=":material/sync:", expanded=bool(failing)):
        live(client, collection, waiting)


def _rows(client: Client, collection: Collection, before: bool) -> None:
    """Runs the page again once no sync is on its way any more."""
    with complaints():
        held = client.sources(collection.name)
        if any(_waiting(origin) for origin in held) != before:
            st.rerun()
        for origin in held:
            _row(client, collection, origin)


def _row(client: Client, collection: Collection, origin: Origin) -> None:
    with st.container(border=True, key=f"source-{origin.id}"):
        name, state, actions = st.columns([6, 2, 3], vertical_alignment="center")
        with name:
            st.html(f'<p class="attest-name">{markup(origin.name)}</p>')
            st.caption(_facts(origin))
        with state:
            _badge(origin)
        with actions, st.container(horizontal=True, horizontal_alignment="right"):
            if st.button(
                "Sync now",
                key=f"sync-{origin.id}",
                type="tertiary",
                icon=":material/sync:",
                disabled=_waiting(origin),
            ):
                _ask(client, collection, origin, confirmed=False)
        if origin.error:
            st.warning(label(origin.error), icon=":material/warning:")
        if origin.held:
            _confirm(client, collection, origin)


def _facts(origin: Origin) -> str:
    where = label(origin.addresses[0], 120)
    if len(origin.addresses) > 1:
        where += f" and {len(origin.addresses) - 1} more"
    facts = [KINDS[origin.kind], where, counted(origin.documents, "document")]
    if origin.synced is not None:
        numbers = ", ".join(f"{number} {what}" for what, number in origin.counts.items())
        facts.append(f"synced {moment(origin.synced)}" + (f" ({numbers})" if numbers else ""))
    return " · ".join(facts)


def _waiting(origin: Origin) -> bool:
    """Whether a sync is under way or about to begin."""
    return origin.syncing or (origin.due is not None and origin.due <= datetime.now(UTC))


def _badge(origin: Origin) -> None:
    if origin.syncing:
        st.badge("Syncing", icon=":material/sync:", color="blue")
    elif _waiting(origin):
        st.badge("Waiting", icon=":material/schedule:", color="gray")
    elif origin.error:
        st.badge("Problem", icon=":material/error:", color="red")
    else:
        st.badge("In step", icon=":material/check_circle:", color="green")


def _confirm(client: Client, collection: Collection, origin: Origin) -> None:
    with st.popover("They are gone", type="tertiary", icon=":material/delete:"):
        st.write(
            f"{counted(origin.held, 'document')} will be deleted. From the next question on "
            "nobody's search sees them. This cannot be undone."
        )
        if st.button("Delete them", type="primary", key=f"confirm-{origin.id}"):
            _ask(client, collection, origin, confirmed=True)


def _ask(client: Client, collection: Collection, origin: Origin, confirmed: bool) -> None:
    with complaints():
        client.sync_source(collection.name, origin.name, confirmed)
        st.toast("It is synced within seconds.", icon=":material/sync:")
        st.rerun()
