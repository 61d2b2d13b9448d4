"""What was found in a document when it was taken in: short badges, each with what it means."""

from __future__ import annotations

import streamlit as st

from rag.client import Client
from rag.domain import Collection, Copy, Findings, PersonalPolicy
from rag.views import Shelf
from ui.complaints import complaints
from ui.moments import counted
from ui.untrusted import label

POLICIES = {
    PersonalPolicy.ALLOW: "Keep it, and show that it is there",
    PersonalPolicy.MASK: "Write a block over every character of it",
    PersonalPolicy.REFUSE: "Refuse the document",
}
_SHOWN = 3  # copies that a badge's explanation names


def care_badges(shelf: Shelf) -> None:
    findings = None if shelf.version is None else shelf.version.findings
    if not shelf.copies and (findings is None or not _worth_a_word(findings)):
        return
    with st.container(horizontal=True):
        if findings is not None:
            _of_findings(findings)
        if shelf.copies:
            st.badge(
                "Copies", icon=":material/content_copy:", color="gray", help=_same(shelf.copies)
            )


def _worth_a_word(findings: Findings) -> bool:
    return bool(findings.personal or findings.instructions or findings.noise)


def _of_findings(findings: Findings) -> None:
    if findings.personal:
        masked = findings.policy is PersonalPolicy.MASK
        kinds = ", ".join(f"{n} {label(kind)}" for kind, n in findings.personal.items())
        done = "masked before it was indexed" if masked else "kept as it is"
        st.badge(
            "Masked" if masked else "Personal data",
            icon=":material/person:",
            color="blue" if masked else "orange",
            help=f"{kinds}; {done}. Names of persons are not looked for.",
        )
    if findings.instructions:
        st.badge(
            "Instructions",
            icon=":material/warning:",
            color="orange",
            help=f"{counted(findings.instructions, 'place')} "
            f"{_where(findings, 'instruction')}look "
            "like orders to the model. Answers treat the text as data; see if it belongs here.",
        )
    if findings.noise:
        st.badge(
            "Noise",
            icon=":material/blur_on:",
            color="orange",
            help=f"{counted(findings.noise, 'part')} {_where(findings, 'noise')}read like no "
            "language, as of a bad scan. A better scan will be found better.",
        )


def _where(findings: Findings, kind: str) -> str:
    pages = sorted({p.page for p in findings.places if p.kind == kind and p.page is not None})
    return f"(pages {', '.join(map(str, pages[:10]))}) " if pages else ""


def _same(copies: tuple[Copy, ...]) -> str:
    said = [
        f"{copy.sameness.value} as {label(copy.name, 80)} ({copy.share:.0%})"
        for copy in copies[:_SHOWN]
    ]
    more = f" and {len(copies) - _SHOWN} more" if len(copies) > _SHOWN else ""
    return "; ".join(said) + more


def personal_policy(client: Client, collection: Collection) -> None:
    """For who manages the collection."""
    held = str(collection.settings.get("personal_data", PersonalPolicy.ALLOW.value))
    policies = list(PersonalPolicy)
    with st.popover("Personal data", icon=":material/person:", type="tertiary"):
        wanted = st.radio(
            "E-mail addresses, telephone numbers, IBANs, cards and national ids",
            policies,
            index=policies.index(PersonalPolicy(held)),
            format_func=lambda policy: POLICIES[policy],
            key=f"personal-{collection.id}",
        )
        st.caption(
            "For what is handed in from now on. The uploaded file itself is kept; masked pages are "
            "shown with the places painted over."
        )
        if st.button("Set", type="primary", key=f"set-personal-{collection.id}"):
            with complaints():
                client.set_personal_policy(collection.name, wanted)
                st.rerun()
