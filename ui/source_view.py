"""The words of a citation in their document: in the text around them, and on the page."""

from __future__ import annotations

import streamlit as st

from rag.client import Client
from rag.errors import NotFound
from rag.views import Extract
from ui.page_view import page_view
from ui.place import Place
from ui.session import Desk
from ui.untrusted import markup

SUPPORT = "Support: how far the passage holds what the sentence says, from 0 to 1."
AROUND = (300, 2_000, 10_000)  # characters on either side


def source_view(client: Client, desk: Desk) -> None:
    place = desk.opened
    if place is None:
        return
    with st.container(border=True, key="source"):
        _heading(desk, place)
        try:
            _contents(client, place)
        except NotFound:
            st.info(
                "This document is no longer in the library, or you may no longer read it.",
                icon=":material/delete:",
            )


def _heading(desk: Desk, place: Place) -> None:
    with st.container(horizontal=True, wrap=False, vertical_alignment="center"):
        marker = (
            "" if place.marker is None else f'<span class="attest-marker">{place.marker}</span>'
        )
        st.html(f'<p class="attest-name">{marker} {markup(place.document_name)}</p>')
        st.button(
            "",
            key="close-source",
            icon=":material/close:",
            help="Close",
            type="tertiary",
            on_click=_close,
            args=(desk,),
        )
    st.caption(_facts(place), help=None if place.support is None else SUPPORT)


def _facts(place: Place) -> str:
    pages = place.pages
    facts = [f"page {', '.join(map(str, pages))}"] if pages else []
    facts.append(f"characters {place.start:,} to {place.end:,}")
    if place.support is not None:
        facts.append(f"support {place.support:.2f}")
    return " · ".join(facts)


def _close(desk: Desk) -> None:
    desk.opened = None


def _contents(client: Client, place: Place) -> None:
    media_type = client.version(place.version).media_type
    drawn = media_type == "application/pdf" or media_type.startswith("image/")
    shown = st.segmented_control(
        "Shown as",
        ["Text", "Page" if place.pages and drawn else "Document"],
        default="Text",
        required=True,
        key="shown-as",
        label_visibility="collapsed",
    )
    if shown == "Page":
        page_view(client, place)
    elif shown == "Document":
        st.html(client.rendering(place.version, place.start, place.end))
    else:
        in_context(client, place, "context")


def in_context(client: Client, place: Place, key: str) -> None:
    """The stored text around the words, with more of it on request."""
    kept = f"{key}-{place.version}-{place.start}-{place.end}"
    step = int(st.session_state.get(kept, 0))
    extract = client.extract(place.version, place.start, place.end, AROUND[step])
    st.html(highlighted(extract))
    if step + 1 < len(AROUND) and (extract.start > 0 or extract.end < extract.length):
        st.button(
            "Show more around it",
            key=f"{key}-more",
            type="tertiary",
            icon=":material/unfold_more:",
            on_click=st.session_state.__setitem__,
            args=(kept, step + 1),
        )


def highlighted(extract: Extract) -> str:
    """HTML of the extract with exactly its quote marked; whatever the text holds stays text."""
    at = extract.quote_start - extract.start
    before, after = extract.text[:at], extract.text[at + len(extract.quote) :]
    head = "… " if extract.start > 0 else ""
    tail = " …" if extract.end < extract.length else ""
    return (
        f'<div class="attest-context"><span class="around">{head}{markup(before)}</span>'
        f"<mark>{markup(extract.quote)}</mark>"
        f'<span class="around">{markup(after)}{tail}</span></div>'
    )
