"""One way in for every format: bytes and a name to a Parsed."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import PurePosixPath

from ingestion.limits import Limits
from ingestion.parse.sniff import Family, sniff
from rag.domain import Parsed


def parse(data: bytes, name: str, limits: Limits | None = None) -> Parsed:
    """Parse a file in this process; use `ingestion.sandbox` for files that others gave us. Raises
    an UnreadableDocument, or a leaf of it, that says why."""
    parsed = _parser(sniff(data, name))(data, limits or Limits())
    return parsed if parsed.title else dataclasses.replace(parsed, title=title_of(name))


def title_of(name: str) -> str:
    """A title from a file's name: "docs/price-list_2026.pdf" reads "price list 2026"."""
    stem = PurePosixPath(name).stem
    return " ".join(re.sub(r"[-_]+", " ", stem).split()) or name


def _parser(family: Family) -> Callable[[bytes, Limits], Parsed]:
    # imported here, so that a child loads only the library that it needs
    if family is Family.PDF:
        from ingestion.parse.pdf import parse_pdf

        return parse_pdf
    if family is Family.DOCX:
        from ingestion.parse.docx import parse_docx

        return parse_docx
    if family is Family.HTML:
        from ingestion.parse.html import parse_html

        return parse_html
    if family is Family.MARKDOWN:
        from ingestion.parse.markdown import parse_markdown

        return parse_markdown
    from ingestion.parse.text import parse_text

    return parse_text
