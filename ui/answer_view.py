"""An answer: its verdict, its sentences with citations that open, and the source beside them."""

from __future__ import annotations

import streamlit as st

from rag.client import Client
from rag.domain import Answer, Passage, Said, Verdict
from ui.details_view import details
from ui.feedback_view import feedback_view
from ui.place import Place, of_citation, of_passage
from ui.sentences import said_in, words
from ui.session import Desk
from ui.source_view import source_view
from ui.untrusted import label, markup
from ui.why_view import why_view


@st.fragment
def answer_view(client: Client, collection: str, desk: Desk) -> None:
    """Opening a citation runs this fragment again, not the page."""
    answer = desk.answer
    if answer is None:
        return
    left, right = st.columns([11, 9], gap="large")
    with left:
        st.html(f'<p class="attest-name">{markup(answer.question)}</p>')
        if answer.replay.searched:
            st.caption(f"Searched for: {label(answer.replay.searched, 300)}")
        _verdict(answer, collection)
        for number, said in enumerate(said_in(answer)):
            _sentence(desk, number, said)
        feedback_view(client, answer)
        why_view(client, answer)
        details(client, answer)
    with right:
        if desk.opened is None:
            _passages(desk, answer)
        else:
            source_view(client, desk)


def _verdict(answer: Answer, collection: str) -> None:
    if answer.verdict is Verdict.ANSWERED:
        st.badge("Answered", icon=":material/verified:", color="green")
    elif answer.verdict is Verdict.PARTIAL:
        st.badge("Partly answered", icon=":material/rule:", color="orange")
        st.caption("Some sentences were not supported by the documents and are not shown.")
    else:
        st.badge("Not answered", icon=":material/do_not_disturb_on:", color="gray")
        st.html(f'<p class="attest-sentence">{markup(answer.text)}</p>')
        st.caption(_searched(answer, collection))


def _searched(answer: Answer, collection: str) -> str:
    """What a refusal rests on."""
    where = f"the collection {label(collection)} (generation {answer.replay.generation})"
    if not answer.passages:
        return f"Searched {where}: nothing in it that you may read is near this question."
    count = len(answer.passages)
    read = "The nearest passage was" if count == 1 else f"The {count} nearest passages were"
    return f"Searched {where}. {read} read and did not support an answer; see the nearest sources."


def _sentence(desk: Desk, number: int, said: Said) -> None:
    with st.container(horizontal=True, gap="small", vertical_alignment="top"):
        st.html(f'<p class="attest-sentence">{markup(words(said))}</p>', width="content")
        for place in map(of_citation, said.citations):
            _chip(desk, f"chip-{number}-{place.marker}", place)


def _chip(desk: Desk, key: str, place: Place) -> None:
    page = "" if place.page is None else f", page {place.page}"
    st.button(
        str(place.marker),
        key=key,
        help=f"Open the quoted words in {label(place.document_name, 120)}{page}",
        type="primary" if desk.opened == place else "secondary",
        on_click=_open,
        args=(desk, place),
    )


def _open(desk: Desk, place: Place) -> None:
    desk.opened = None if desk.opened == place else place


def _passages(desk: Desk, answer: Answer) -> None:
    refused = answer.verdict is Verdict.REFUSED
    st.subheader("Nearest sources" if refused else "Passages read", anchor=False)
    for marker, passage in enumerate(answer.passages, start=1):
        _passage(desk, marker, passage)


def _also(passage: Passage) -> str:
    names = ", ".join(copy.document_name for copy in passage.also)
    return f" · also in {names}" if names else ""


def _passage(desk: Desk, marker: int, passage: Passage) -> None:
    with st.container(border=True, horizontal=True, wrap=False, vertical_alignment="center"):
        page = "" if passage.chunk.page is None else f" · page {passage.chunk.page}"
        heading = " › ".join(passage.chunk.heading_path)
        st.html(
            f'<p class="attest-name"><span class="attest-marker">{marker}</span> '
            f"{markup(passage.document_name)}</p>"
            f'<div class="attest-sub">{markup(heading + page + _also(passage))}</div>'
        )
        st.button(
            "Open",
            key=f"passage-{marker}",
            type="tertiary",
            icon=":material/open_in_new:",
            on_click=_open,
            args=(desk, of_passage(passage, marker)),
        )
