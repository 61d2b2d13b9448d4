"""One way in for every format: bytes and a name to a Parsed."""

from __future__ import annotations

import dataclasses
import importlib
import re
from pathlib import PurePosixPath

from ingestion.limits import Limits
from ingestion.parse.family import Family
from ingestion.parse.sniff import sniff
from rag.domain import Parsed

# by name, so that a child loads only the library that it needs
_PARSERS = {
    Family.TEXT: ("text", "parse_text"),
    Family.MARKDOWN: ("markdown", "parse_markdown"),
    Family.HTML: ("html", "parse_html"),
    Family.DELIMITED: ("delimited", "parse_delimited"),
    Family.JSON: ("records", "parse_json"),
    Family.XML: ("records", "parse_xml"),
    Family.RTF: ("rtf", "parse_rtf"),
    Family.PDF: ("pdf", "parse_pdf"),
    Family.DOCX: ("docx", "parse_docx"),
    Family.PPTX: ("pptx", "parse_pptx"),
    Family.SPREADSHEET: ("spreadsheet", "parse_spreadsheet"),
    Family.ODT: ("odt", "parse_odt"),
    Family.EPUB: ("epub", "parse_epub"),
    Family.DOC: ("doc", "parse_doc"),
    Family.PPT: ("ppt", "parse_ppt"),
    Family.EML: ("mail", "parse_eml"),
    Family.MSG: ("msg", "parse_msg"),
    Family.MAILBOX: ("mailbox", "parse_mailbox"),
    Family.TNEF: ("mailbox", "parse_tnef"),
    Family.IMAGE: ("pictures", "parse_picture"),
    Family.ARCHIVE: ("archive", "parse_archive"),
}


def parse(data: bytes, name: str, limits: Limits | None = None) -> Parsed:
    """Parse a file in this process; use `ingestion.sandbox` for files that others gave us. Raises
    an UnreadableDocument, or a leaf of it, that says why."""
    family = sniff(data, name)
    module, function = _PARSERS[family]
    parser = getattr(importlib.import_module(f"ingestion.parse.{module}"), function)
    named = (name,) if family is Family.ARCHIVE else ()
    parsed: Parsed = parser(data, limits or Limits(), *named)
    return parsed if parsed.title else dataclasses.replace(parsed, title=title_of(name))


def title_of(name: str) -> str:
    """A title from a file's name: "docs/price-list_2026.pdf" reads "price list 2026"."""
    stem = PurePosixPath(name).stem
    return " ".join(re.sub(r"[-_]+", " ", stem).split()) or name
