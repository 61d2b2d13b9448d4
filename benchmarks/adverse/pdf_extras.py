"""PDFs with more than pages: forms, annotations, files attached."""

from __future__ import annotations

from collections.abc import Iterator

import pypdf
from pypdf.annotations import FreeText, Text
from reportlab.pdfgen.canvas import Canvas

from benchmarks.adverse.case import Case
from benchmarks.adverse.pdf_making import (
    PROSE,
    drawn,
    prose,
    rewritten,
)


def _form() -> bytes:
    def page(canvas: Canvas) -> None:
        prose(canvas, ["Application for leave", "Name of the applicant:"])
        canvas.acroForm.textfield(
            name="applicant", value="Henrietta Oyelaran", x=260, y=735, width=200, height=18
        )
        canvas.drawString(72, 700, "Days asked for:")
        canvas.acroForm.textfield(
            name="days", value="seventeen days", x=260, y=695, width=200, height=18
        )
        canvas.drawString(72, 660, "Signed in the office.")
        canvas.acroForm.checkbox(name="paid", checked=True, x=260, y=655)
        canvas.acroForm.choice(
            name="site",
            value="Valparaiso",
            options=["Valparaiso", "Trondheim"],
            x=260,
            y=620,
            width=150,
            height=20,
        )

    return drawn(page)


def _annotated() -> bytes:
    def change(writer: pypdf.PdfWriter) -> None:

        writer.add_annotation(
            0, FreeText(text="Approved by the treasurer", rect=(72, 600, 300, 630))
        )
        writer.add_annotation(0, Text(text="Check this clause again", rect=(400, 700, 420, 720)))

    return rewritten(drawn(prose), change)


def _attached(name: str = "prices.csv") -> bytes:
    return rewritten(
        drawn(prose),
        lambda writer: (
            writer.add_attachment(name, b"Plan,Price\nBasic,17 EUR\nLarge,40 EUR\n") and None
        ),
    )


def cases() -> Iterator[Case]:
    whole = PROSE
    yield Case(
        "form.pdf",
        _form(),
        (
            "Name of the applicant:",
            "Henrietta Oyelaran",
            "Days asked for:",
            "seventeen days",
            "Signed in the office.",
            "Valparaiso",
        ),
        absent=("Trondheim",),
    )
    yield Case("annotated.pdf", _annotated(), (*whole, "Approved by the treasurer"))
    yield Case("annotated-note.pdf", _annotated(), ("Check this clause again",))
    yield Case("attachment.pdf", _attached(), whole, members=("prices.csv",))
    yield Case("attachment-unsafe.pdf", _attached("../../etc/passwd"), whole)
