"""Errors as sentences on the page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from rag.errors import AttestError, Busy, NotSignedIn, Unavailable
from ui import session
from ui.untrusted import label


@contextmanager
def complaints() -> Iterator[None]:
    """Show what Attest refuses as a sentence; a session that ended leads back to sign-in."""
    try:
        yield
    except NotSignedIn as exc:
        if session.can_sign_out():
            session.sign_out()
            st.rerun()
        show(exc)
    except AttestError as exc:
        show(exc)


def show(error: AttestError) -> None:
    """What is away or busy may come back (a warning); the rest is for the reader to mend (an
    error)."""
    told = label(sentence(error))
    if isinstance(error, Busy):
        st.warning(told, icon=":material/hourglass_top:")
    elif isinstance(error, Unavailable):
        st.warning(told, icon=":material/cloud_off:")
    else:
        st.error(told, icon=":material/error:")


def sentence(error: AttestError) -> str:
    """The message with a capital letter and a full stop."""
    said = str(error).strip() or f"Something failed ({error.code})"
    ended = said if said[-1] in ".!?…" else f"{said}."
    return ended[0].upper() + ended[1:]
