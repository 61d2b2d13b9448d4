"""What calamine leaves out of an .xlsx workbook: formulas that were never computed, errors, numbers
that are shown as percentages; and what stands beside the cells, comments and text boxes."""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

from ingestion.parse.records import xml_root

_CELL = re.compile(rb"<c\b([^>]*?)>(?:(?!</c>).)*?</c>", re.DOTALL)
_AT = re.compile(rb'\br="([A-Z]{1,3})(\d{1,7})"')
_STYLE = re.compile(rb'\bs="(\d+)"')
_ERROR = re.compile(rb'\bt="e"')
_FORMULA = re.compile(rb"<f\b[^>]*>([^<]+)</f>\s*(?:<v\s*/>|<v>\s*</v>)?\s*</c>\Z")
_VALUE = re.compile(rb"<v>([^<]*)</v>")
_WANTED = re.compile(rb"<f\b|\bt=\"e\"")
_PERCENTAGES = frozenset((9, 10))  # number formats that need no description: 0% and 0.00%
_MOST = 50_000_000  # bytes of one sheet that are looked through

Cells = dict[tuple[int, int], str]


class Workbook:
    """The parts of a workbook by the names of its sheets. What is not as usual is passed over:
    calamine has read the cells already."""

    def __init__(self, data: bytes) -> None:
        self._archive = zipfile.ZipFile(io.BytesIO(data))
        self._names = frozenset(self._archive.namelist())
        self._sheets = dict(self._found_sheets())
        self._percent = frozenset(self._percent_styles())

    def cells(self, sheet: str) -> Cells:
        """The texts of cells by row and column (from 0) that stand for what calamine says."""
        body = self._part(self._sheets.get(sheet, ""))
        if len(body) > _MOST or not (self._percent or _WANTED.search(body)):
            return {}
        found: Cells = {}
        for cell in _CELL.finditer(body):
            at = _AT.search(cell[1])
            text = self._text(cell) if at else ""
            if at and text:
                found[int(at[2]) - 1, _column(at[1])] = text
        return found

    def beside(self, sheet: str) -> Iterator[str]:
        """Comments and text boxes of a sheet."""
        part = self._sheets.get(sheet, "")
        for kind, target in self._relations(part):
            if kind == "comments":
                for comment in _named(self._root(target), "comment"):
                    yield f"Comment on {comment.get('ref', '')}: {_joined(comment)}"
            elif kind == "drawing":
                for box in _named(self._root(target), "txBody"):
                    yield "\n".join(_joined(each) for each in _named(box, "p"))

    def _text(self, cell: re.Match[bytes]) -> str:
        formula, value = _FORMULA.search(cell[0]), _VALUE.search(cell[0])
        if formula:
            return "=" + _unescaped(formula[1])
        if value is None:
            return ""
        if _ERROR.search(cell[1]):
            return _unescaped(value[1])
        style = _STYLE.search(cell[1])
        if style and int(style[1]) in self._percent and b't="' not in cell[1]:
            try:
                return f"{float(value[1]) * 100:.10g}%"
            except ValueError:
                return ""
        return ""

    def _found_sheets(self) -> Iterator[tuple[str, str]]:
        targets = dict(self._targets("xl/workbook.xml"))
        for sheet in _named(self._root("xl/workbook.xml"), "sheet"):
            id = next((value for key, value in sheet.attrib.items() if key.endswith("}id")), "")
            yield sheet.get("name", ""), targets.get(id, ("", ""))[1]

    def _percent_styles(self) -> Iterator[int]:
        root = self._root("xl/styles.xml")
        shown = {
            int(each.get("numFmtId", 0))
            for each in _named(root, "numFmt")
            if "%" in re.sub(r'"[^"]*"|\\.', "", each.get("formatCode", ""))
        }
        for styles in _named(root, "cellXfs"):
            for number, style in enumerate(styles):
                if int(style.get("numFmtId", 0)) in shown | _PERCENTAGES:
                    yield number

    def _relations(self, part: str) -> list[tuple[str, str]]:
        return [found for _, found in self._targets(part)]

    def _targets(self, part: str) -> Iterator[tuple[str, tuple[str, str]]]:
        """The relations of a part: id, then kind and path of what it points to."""
        folder, name = posixpath.split(part)
        for each in _named(self._root(f"{folder}/_rels/{name}.rels"), "Relationship"):
            target = posixpath.normpath(posixpath.join("/" + folder, each.get("Target", "")))
            kind = each.get("Type", "").rpartition("/")[2]
            yield each.get("Id", ""), (kind, target.lstrip("/"))

    def _root(self, part: str) -> Any:
        body = self._part(part)
        return xml_root(body, f"part {part!r} of the workbook") if body else None

    def _part(self, part: str) -> bytes:
        return self._archive.read(part) if part in self._names else b""


def with_cells(
    rows: Iterator[list[str]], cells: Mapping[tuple[int, int], str]
) -> Iterator[list[str]]:
    """The rows (from the first of the sheet on) with these cells put in."""
    by_row: dict[int, dict[int, str]] = {}
    for (row, column), text in cells.items():
        by_row.setdefault(row, {})[column] = text
    for number, row_texts in enumerate(rows):
        for column, text in by_row.pop(number, {}).items():
            row_texts += [""] * (column + 1 - len(row_texts))
            row_texts[column] = text
        yield row_texts
    for number in sorted(by_row):
        yield [by_row[number].get(column, "") for column in range(max(by_row[number]) + 1)]


def _named(root: Any, name: str) -> list[Any]:
    found = () if root is None else root.iter()
    return [each for each in found if str(each.tag).rpartition("}")[2] == name]


def _joined(parent: Any) -> str:
    return "".join(each.text or "" for each in _named(parent, "t"))


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + letter - 64
    return number - 1


def _unescaped(text: bytes) -> str:
    import html

    return html.unescape(text.decode("utf-8", "replace"))
