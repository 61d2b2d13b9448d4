"""Renders scripts/documents/*.md into the DOCX and PDF files of examples/documents.

Run once, and again after a change of the text: `python scripts/make_documents.py`. The results are
committed. Needs `reportlab`, which the dev extra brings. The same text gives the same bytes.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from docx import Document

SOURCE = Path(__file__).parent / "documents"
TARGET = Path(__file__).parents[1] / "examples" / "documents"
WRITTEN = datetime(2026, 1, 15, 9, 0, tzinfo=UTC)
AUTHOR = "Hollin Cycles"

Piece = tuple[str, str] | tuple[str, list[list[str]]]


def pieces(text: str) -> Iterator[Piece]:
    """("title" | "heading" | "paragraph", text) or ("table", rows), in reading order."""
    rows: list[list[str]] = []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
            continue
        if rows:
            yield "table", rows
            rows = []
        if line.startswith("## "):
            yield "heading", line[3:]
        elif line.startswith("# "):
            yield "title", line[2:]
        elif line:
            yield "paragraph", line


def write_docx(source: Path, target: Path) -> None:
    document = Document()
    properties = document.core_properties
    properties.author, properties.created, properties.modified = AUTHOR, WRITTEN, WRITTEN
    for kind, content in pieces(source.read_text("utf-8")):
        if isinstance(content, list):
            table = document.add_table(len(content), len(content[0]), style="Light Grid Accent 1")
            for row, cells in enumerate(content):
                for column, cell in enumerate(cells):
                    table.cell(row, column).text = cell
        elif kind == "paragraph":
            document.add_paragraph(content)
        else:
            document.add_heading(content, level=1 if kind == "title" else 2)
            if kind == "title":
                properties.title = content
    raw = io.BytesIO()
    document.save(raw)
    target.write_bytes(undated(raw.getvalue()))


def undated(archive: bytes) -> bytes:
    """The same zip members without the time of writing."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(out, "w") as new:
        for info in old.infolist():
            member = zipfile.ZipInfo(info.filename, date_time=(1980, 1, 1, 0, 0, 0))
            member.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(member, old.read(info))
    return out.getvalue()


def write_pdf(source: Path, target: Path) -> None:
    from reportlab.lib.pagesizes import A5
    from reportlab.lib.styles import ParagraphStyle, getSampleStyleSheet
    from reportlab.lib.units import mm
    from reportlab.platypus import Paragraph, SimpleDocTemplate

    sheet = getSampleStyleSheet()
    body = ParagraphStyle("body", sheet["BodyText"], fontSize=10, leading=14, spaceAfter=6)
    styles = {"title": sheet["Heading1"], "heading": sheet["Heading2"], "paragraph": body}
    parts = list(pieces(source.read_text("utf-8")))
    title = str(parts[0][1])

    class Numbered(SimpleDocTemplate):  # type: ignore[misc]
        def afterPage(self) -> None:  # noqa: N802, reportlab's name; the footer is read last
            self.canv.setFont("Helvetica", 8)
            footer = f"{title}, page {self.canv.getPageNumber()}"
            self.canv.drawCentredString(A5[0] / 2, 10 * mm, footer)

    template = Numbered(
        str(target), pagesize=A5, title=title, author=AUTHOR, invariant=1,
        leftMargin=18 * mm, rightMargin=18 * mm, topMargin=18 * mm, bottomMargin=20 * mm,
    )  # fmt: skip
    template.build([Paragraph(str(content), styles[kind]) for kind, content in parts])


if __name__ == "__main__":
    write_docx(SOURCE / "price-list.md", TARGET / "price-list.docx")
    for name in ("contract", "lease"):
        write_pdf(SOURCE / f"{name}.md", TARGET / f"{name}.pdf")
    for path in sorted(TARGET.iterdir()):
        print(f"{path.stat().st_size:>8,} bytes  {path.relative_to(TARGET.parents[1])}")
