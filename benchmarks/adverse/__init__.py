"""Files that are hard to read, by family. Each family is a module with a generator `cases`."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

from benchmarks.adverse.case import Case

LIGHT = (
    *("pdfs", "pdf_extras", "documents", "document_files", "presentations", "workbooks"),
    *("open_documents", "encodings", "delimited", "markup", "records", "mails", "archives"),
)
FAMILIES = (*LIGHT, "images", "scans", "heavy")  # the last three take minutes


def cases_of(family: str) -> Iterator[Case]:
    """The files of a family, each made when it is asked for."""
    module = importlib.import_module(f"benchmarks.adverse.{family}")
    yield from module.cases()
