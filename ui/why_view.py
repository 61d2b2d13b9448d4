"""Why an answer was given these passages: the places of each, what a filter removed, the time."""

from __future__ import annotations

import streamlit as st

from rag.client import Client
from rag.domain import Answer, Candidate, Condition, Explanation, LeftOut, Term
from ui.complaints import complaints
from ui.moments import counted
from ui.untrusted import label

NAMES = {"hybrid": "fused", "rerank": "reranked"}
REASONS = {
    LeftOut.RERANKED: "given up when ranked again",
    LeftOut.REPEAT: "repeats a better one",
    LeftOut.BUDGET: "too long for the room left",
    LeftOut.LIMIT: "enough better ones",
}
Rows = list[dict[str, str]]


def why_view(client: Client, answer: Answer) -> None:
    with st.expander("Why these passages", icon=":material/manage_search:"):
        st.caption("How the search, done again as of this answer, came to what was read.")
        if st.toggle("Show", key=f"why-{answer.id}"):
            with complaints(), st.spinner("Searching again…"):
                explanation_view(client.explanation(answer.id))


def explanation_view(found: Explanation) -> None:
    if not found.same:
        st.warning(
            "Settings, rights or documents have changed since: the answer was given other passages "
            "than are marked here.",
            icon=":material/history:",
        )
    st.caption(_searched(found))
    st.caption(_words(found.terms))
    st.dataframe(candidates(found), hide_index=True)
    if found.removed:
        st.caption("Left out by the conditions of the question:")
        st.dataframe(removed(found), hide_index=True)
    st.table(milliseconds(found), border="horizontal")


def _searched(found: Explanation) -> str:
    searched = f"Searched {counted(found.readable, 'passage')} that you may read"
    if not found.conditions:
        return f"{searched}, as of generation {found.generation}."
    named = " and ".join(map(_condition, found.conditions))
    return f"{searched}; {found.meeting:,} of them meet {label(named)}."


def _words(terms: tuple[Term, ...]) -> str:
    counts = [label(_term(each)) for each in terms if each.tokens]
    skipped = [label(each.text) for each in terms if not each.tokens]
    said = f"Words that count: {', '.join(counts) or 'none'}."
    return f"{said} Not counted: {', '.join(skipped)}." if skipped else said


def _term(term: Term) -> str:
    same = term.tokens == (term.text.casefold(),)
    return term.text if same else f"{term.text} (as {', '.join(term.tokens)})"


def candidates(found: Explanation) -> Rows:
    """A row each; a place is the rank in that list and the score there."""
    return [
        {
            "read as": "" if each.marker is None else str(each.marker),
            "document": each.passage.document_name,
            "page": str(each.passage.chunk.page or ""),
            **{NAMES.get(name, name): _place(each, name) for name in found.lists},
            "left out": "" if each.left_out is None else REASONS[each.left_out],
            "score by word": ", ".join(f"{word} {x:.2f}" for word, x in each.terms.items()),
            "text": " ".join(each.passage.chunk.text.split())[:200],
        }
        for each in found.candidates
    ]


def _place(found: Candidate, name: str) -> str:
    if name not in found.ranks:
        return ""
    score = found.passage.scores.get(name)
    return f"{found.ranks[name]}" + ("" if score is None else f" ({score:.3f})")


def removed(found: Explanation) -> Rows:
    return [
        {
            "would be": str(each.rank),
            "document": each.passage.document_name,
            "page": str(each.passage.chunk.page or ""),
            "does not meet": " and ".join(map(_condition, each.unmet)),
        }
        for each in found.removed
    ]


def _condition(condition: Condition) -> str:
    return f"{condition.key} = {' or '.join(map(str, condition.values))}"


def milliseconds(found: Explanation) -> dict[str, list[str]]:
    return {
        "step": [stage.replace("_", " ") for stage in found.timings],
        "milliseconds": [f"{seconds * 1000:.1f}" for seconds in found.timings.values()],
    }
