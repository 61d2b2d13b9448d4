"""Words that come from documents, file names and questions are data.

Streamlit reads Markdown in labels and HTML in `st.html`; here both are made harmless. An image in a
file name, for one, would otherwise be fetched by the reader's browser.
"""

from __future__ import annotations

import html
import re

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")


def label(text: str, longest: int = 0) -> str:
    """`text` on one line, to be read as itself by Markdown; cut to `longest` if given."""
    line = " ".join(text.split())
    if longest and len(line) > longest:
        line = line[: longest - 1].rstrip() + "…"
    return _PUNCTUATION.sub(r"\\\1", line)


def markup(text: str) -> str:
    """`text` to be read as itself by HTML."""
    return html.escape(text, quote=True)
