"""Spreadsheets (XLSX, XLSM, XLSB, XLS, ODS): each sheet under its name, rows named by their
columns. calamine reads what the sheet holds; openpyxl would trust a stale dimension."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from ingestion.limits import Limits
from ingestion.parse.container import check_container, is_zip
from ingestion.parse.sheets import add_table
from ingestion.parse.transcript import Transcript
from ingestion.parse.values import written
from ingestion.parse.xlsx_cells import Cells, Workbook, with_cells
from rag.domain import BlockKind, Parsed
from rag.errors import EncryptedDocument, LimitExceeded, UnreadableDocument

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
OLD_MEDIA_TYPE = "application/vnd.ms-excel"
_MOST_CELLS = 20_000_000  # of one sheet, blank ones counted


def parse_spreadsheet(data: bytes, limits: Limits) -> Parsed:
    """Parse a workbook. Raises UnreadableDocument when it is damaged, EncryptedDocument,
    LimitExceeded, EmptyDocument when no cell holds anything."""
    if is_zip(data):
        check_container(data, limits)
    workbook = _open(data)
    transcript = Transcript(limits)
    names = workbook.sheet_names
    parts = Workbook(data) if is_zip(data) else None
    for name in names:
        rows = list(_rows(workbook, name, parts.cells(name) if parts else {}))
        beside = list(parts.beside(name)) if parts else []
        if not rows and not beside:
            continue
        if len(names) > 1 or not name.lower().startswith(("sheet", "tabelle", "feuil", "hoja")):
            transcript.add(BlockKind.HEADING, name, level=1)
        add_table(transcript, rows)
        for text in beside:
            transcript.add(BlockKind.PARAGRAPH, text)
    if all(block.kind is BlockKind.HEADING for block in transcript.blocks):
        transcript = Transcript(limits)
    return transcript.finish(
        MEDIA_TYPE if is_zip(data) else OLD_MEDIA_TYPE, nothing="no cell of the workbook holds text"
    )


def _open(data: bytes) -> Any:
    import python_calamine

    try:
        return python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(data))
    except python_calamine.PasswordError as exc:
        raise EncryptedDocument(
            "the workbook is protected by a password; save it without one"
        ) from exc
    except (python_calamine.CalamineError, OSError, ValueError) as exc:
        raise _damaged(exc) from exc


def _rows(workbook: Any, name: str, cells: Cells) -> Iterator[list[str]]:
    """The rows of a sheet from the first that holds anything, with `cells` put in."""
    import python_calamine

    try:
        sheet = workbook.get_sheet_by_name(name)
        if sheet.height * sheet.width > _MOST_CELLS:
            raise LimitExceeded(
                f"sheet {name[:80]!r} spans {sheet.height:,} rows and {sheet.width:,} columns; "
                "delete the blank ones, or split it"
            )
        if not cells:
            yield from ([written(cell) for cell in row] for row in sheet.iter_rows())
            return
        rows = sheet.to_python(skip_empty_area=False)
        yield from with_cells(([written(cell) for cell in row] for row in rows), cells)
    except python_calamine.WorksheetNotFound:
        return  # a chart or macro sheet: nothing to read
    except (python_calamine.CalamineError, OSError, ValueError) as exc:
        raise _damaged(exc) from exc


def _damaged(exc: Exception) -> UnreadableDocument:
    return UnreadableDocument(
        f"the workbook is damaged ({str(exc)[:150]}); open it and save it again"
    )
