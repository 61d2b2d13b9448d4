"""Tables as text: one line a row, each cell named by its column, so that a row that is quoted or
cut off from its header still says what its numbers are."""

from __future__ import annotations

from collections.abc import Sequence

from ingestion.parse.transcript import squeeze

MAX_LABEL = 60  # a longer "header" is prose in a layout table


def table_text(rows: Sequence[Sequence[str]], *, header: bool) -> str:
    """The rows joined by newlines. With `header` the first row names the columns and each further
    row reads "Plan: Basic; Price: 10 EUR"; without it, or where the header does not fit the rows,
    cells are joined by " | "."""
    table = [[squeeze(cell) for cell in row] for row in rows]
    table = [row for row in table if any(row)]
    if not table:
        return ""
    width = max(len(row) for row in table)
    labels = table[0]
    usable = (
        header
        and len(table) > 1
        and width > 1
        and len(labels) >= width
        and all(len(label) <= MAX_LABEL for label in labels)
        and sum(map(bool, labels)) >= width - 1
    )
    if not usable:
        return "\n".join(" | ".join(filter(None, row)) for row in table)
    return "\n".join(_labelled(labels, row) for row in table[1:])


def _labelled(labels: Sequence[str], row: Sequence[str]) -> str:
    cells = []
    for label, cell in zip(labels, row, strict=False):
        if cell:
            name = label.rstrip(":")
            cells.append(f"{name}: {cell}" if name and name != cell else cell)
    return "; ".join(cells)
