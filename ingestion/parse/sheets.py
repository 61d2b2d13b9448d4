"""Tables that carry no marks of their own: which rows belong together, and which one names the
columns. Shared by spreadsheets and delimited text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from ingestion.parse.rows import MAX_LABEL, table_text
from ingestion.parse.transcript import Transcript, squeeze
from rag.domain import BlockKind

_NUMERIC = re.compile(r"[-+(]?[$€£¥]?\s?[\d.,:/ %-]*\d[\d.,:/ %)-]*[%)]?")

Row = Sequence[str]


def add_table(transcript: Transcript, rows: Iterable[Row]) -> None:
    """Add the rows of one sheet or file: blank rows part tables, a lone cell above or between
    tables is a caption, blank columns are left out."""
    for group in _with_their_headers(_groups(rows)):
        captions, table = _split(group)
        for caption in captions:
            transcript.add(BlockKind.PARAGRAPH, caption)
        table = _without_blank_columns(table)
        transcript.add(BlockKind.TABLE, table_text(table, header=names_columns(table)))


def names_columns(table: Sequence[Row]) -> bool:
    """Whether the first row names the columns: short and distinct words, no numbers."""
    if len(table) < 2:
        return False
    first = [cell for cell in table[0] if cell]
    if len(first) < 2 or len(set(first)) < len(first):
        return False
    return not any(_numeric(cell) or len(cell) > MAX_LABEL for cell in first)


def _numeric(cell: str) -> bool:
    return _NUMERIC.fullmatch(cell.strip()) is not None


def _groups(rows: Iterable[Row]) -> Iterator[list[Row]]:
    group: list[Row] = []
    for row in rows:
        cells = [squeeze(cell) for cell in row]
        if any(cells):
            group.append(cells)
        elif group:
            yield group
            group = []
    if group:
        yield group


def _with_their_headers(groups: Iterable[list[Row]]) -> Iterator[list[Row]]:
    """A lone row of names goes with the rows below it, though a blank row parts them."""
    held: list[Row] = []
    for group in groups:
        _, table = _split(group)
        if len(table) == 1 and names_columns([table[0], []]):
            if held:
                yield held
            held = group
        else:
            yield held + group
            held = []
    if held:
        yield held


def _split(group: list[Row]) -> tuple[list[str], list[Row]]:
    """Leading rows of one cell above a wider table are its captions."""
    filled = [sum(map(bool, row)) for row in group]
    if max(filled) < 2:
        return [], group
    at = 0
    while filled[at] == 1:
        at += 1
    return ["".join(row) for row in group[:at]], group[at:]


def _without_blank_columns(table: list[Row]) -> list[Row]:
    width = max(map(len, table), default=0)
    used = [
        column for column in range(width) if any(column < len(row) and row[column] for row in table)
    ]
    return [[row[column] if column < len(row) else "" for column in used] for row in table]
