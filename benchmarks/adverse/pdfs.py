"""PDFs whose letters, order or file are not as usual."""

from __future__ import annotations

from collections.abc import Iterator

import pypdf
from pypdf.generic import DictionaryObject, NameObject, NullObject, StreamObject
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

from benchmarks.adverse.case import Case
from benchmarks.adverse.pdf_making import (
    HELVETICA,
    PROSE,
    drawn,
    page_of,
    prose,
    raw,
    rewritten,
    scan,
    shown,
)


def _shifted(shift: int) -> bytes:
    """Letters drawn by their shape's true glyph, told as others `shift` places away."""
    names = {32: "space", 44: "comma", 46: "period"}
    codes = sorted({ord(c) - shift for line in PROSE for c in line})
    differences = " ".join(f"{c} /{names.get(c + shift, chr(c + shift))}" for c in codes)
    rows = "\n".join(f"<{c:02x}> <{c:04x}>" for c in codes)
    cmap = f"""/CIDInit /ProcSet findresource begin 12 dict begin begincmap
/CMapName /X def /CMapType 2 def 1 begincodespacerange <00> <ff> endcodespacerange
{len(codes)} beginbfchar
{rows}
endbfchar endcmap end end""".encode()
    content = shown(PROSE, shift)
    return raw(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 5 0 R >> >> /Contents 4 0 R >>",
            f"<< /Length {len(content)} >>\nstream\n".encode() + content + b"\nendstream",
            f"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding << /Type /Encoding /Differences [{differences}] >> /ToUnicode 6 0 R >>".encode(),
            f"<< /Length {len(cmap)} >>\nstream\n".encode() + cmap + b"\nendstream",
        ]
    )


def _broken_xref() -> bytes:
    data = drawn(prose)
    at = data.rindex(b"startxref")
    return data[:at] + b"startxref\n999999\n%%EOF\n"


def _columns(count: int) -> bytes:
    width = {2: 230, 3: 150}[count]
    words = [
        [f"Column {'ABC'[c]} says sentence {n} here." for n in range(12)] for c in range(count)
    ]

    def page(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 16)
        canvas.drawString(72, 790, "A heading over all columns")
        canvas.setFont("Helvetica", 9)
        for row in range(12):  # written row by row, as some programs do
            for column in range(count):
                canvas.drawString(50 + (width + 25) * column, 750 - 13 * row, words[column][row])

    return drawn(page)


def _table_on_its_side() -> bytes:
    def page(canvas: Canvas) -> None:
        canvas.saveState()
        canvas.translate(560, 60)
        canvas.rotate(90)
        canvas.setFont("Helvetica", 10)
        for row, cells in enumerate((("Item", "Price"), ("Bolt", "12 EUR"), ("Gasket", "47 EUR"))):
            for column, cell in enumerate(cells):
                canvas.rect(60 + 120 * column, 300 - 20 * row, 120, 20)
                canvas.drawString(65 + 120 * column, 306 - 20 * row, cell)
        canvas.restoreState()

    return drawn(page)


def _ocred() -> bytes:
    """A scan with an invisible text layer."""

    def page(canvas: Canvas) -> None:
        canvas.drawInlineImage(scan(), 0, 0, 595, 842)
        text = canvas.beginText(48, 755)
        text.setFont("Helvetica", 11)
        text.setTextRenderMode(3)
        for line in PROSE:
            text.textLine(line)
        canvas.drawText(text)

    return drawn(page)


def _overprinted() -> bytes:
    def page(canvas: Canvas) -> None:
        prose(canvas)
        prose(canvas, x=72.4)

    return drawn(page)


def _vertical() -> bytes:
    pdfmetrics.registerFont(UnicodeCIDFont("HeiseiMin-W3", isVertical=True))

    def page(canvas: Canvas) -> None:
        canvas.setFont("HeiseiMin-W3", 14)
        canvas.drawString(500, 780, "保証期間は三年間です。")
        canvas.drawString(470, 780, "部品の交換は有料です。")

    return drawn(page)


def _chinese() -> bytes:
    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))

    def page(canvas: Canvas) -> None:
        canvas.setFont("STSong-Light", 14)
        canvas.drawString(72, 780, "保修期为三年，涵盖所有零件。")
        canvas.drawString(72, 760, "请在三十天内提出索赔。")

    return drawn(page)


def _rotated(angle: int) -> bytes:
    return rewritten(
        drawn(prose), lambda writer: [page.rotate(angle) for page in writer.pages] and None
    )


def _written_sideways() -> bytes:
    def page(canvas: Canvas) -> None:
        canvas.translate(60, 40)
        canvas.rotate(90)
        canvas.setFont("Helvetica", 11)
        for number, line in enumerate(PROSE):
            canvas.drawString(40, -60 - 15 * number, line)

    return drawn(page)


def _encrypted(user: str) -> bytes:
    def change(writer: pypdf.PdfWriter) -> None:
        writer.encrypt(user_password=user, owner_password="owner", algorithm="AES-256")

    return rewritten(drawn(prose), change)


def _footnote() -> bytes:
    def page(canvas: Canvas) -> None:
        prose(canvas)
        canvas.setFont("Helvetica", 7)
        canvas.drawString(72, 60, "1 Only where the invoice was paid within fourteen days.")

    return drawn(page)


def _looped() -> bytes:
    return raw([b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Count 1 /Kids [2 0 R] >>"])


def _one_bad_page() -> bytes:
    data = drawn(prose, lambda c: prose(c, ["The second page is about the valves of the pump."]))

    def change(writer: pypdf.PdfWriter) -> None:
        kids = writer._pages.get_object()["/Kids"]

        kids.insert(1, writer._add_object(NullObject()))
        writer._pages.get_object()[NameObject("/Count")] = pypdf.generic.NumberObject(3)

    return rewritten(data, change)


def _xfa_like() -> bytes:
    def change(writer: pypdf.PdfWriter) -> None:
        stream = StreamObject()
        stream.set_data(b"<xdp:xdp xmlns:xdp='http://ns.adobe.com/xdp/'/>")
        writer._root_object[NameObject("/AcroForm")] = DictionaryObject(
            {NameObject("/XFA"): writer._add_object(stream)}
        )

    return rewritten(
        drawn(
            lambda c: prose(
                c,
                [
                    "Please wait... If this message is not eventually replaced, your viewer",
                    "may not be able to display this type of document.",
                ],
            )
        ),
        change,
    )


def cases() -> Iterator[Case]:
    whole = PROSE
    yield Case("plain.pdf", drawn(prose), whole)
    yield Case("empty-user-password.pdf", _encrypted(""), whole)
    yield Case("password.pdf", _encrypted("secret"), states=("encrypted",))
    yield Case("broken-xref.pdf", _broken_xref(), whole)
    yield Case("cut.pdf", drawn(prose, prose)[:-700], states=("read", "unreadable"))
    yield Case("cut-half.pdf", drawn(prose)[:600], states=("unreadable", "read", "empty"))
    yield Case("junk-before.pdf", b"HTTP/1.1 200 OK\r\n\r\n" + drawn(prose), whole)
    yield Case("wrong-extension.docx", drawn(prose), whole)
    for shift in (29, 3, -1):
        yield Case(
            f"shifted-{shift}.pdf",
            _shifted(shift),
            (
                "warranty lasts for three years",
                "office in Lisbon within thirty days",
                "loses the warranty at once",
            ),
        )
    yield Case("rotated-90.pdf", _rotated(90), whole)
    yield Case("rotated-180.pdf", _rotated(180), whole)
    yield Case("rotated-270.pdf", _rotated(270), whole)
    yield Case("sideways.pdf", _written_sideways(), whole)
    yield Case(
        "table-on-its-side.pdf",
        _table_on_its_side(),
        ("Item | Price", "Bolt | 12 EUR", "Gasket | 47 EUR"),
    )
    yield Case("scan-with-layer.pdf", _ocred(), whole)
    yield Case("overprinted.pdf", _overprinted(), whole)
    yield Case(
        "chinese.pdf", _chinese(), ("保修期为三年，涵盖所有零件。", "请在三十天内提出索赔。")
    )
    yield Case(
        "zero-size.pdf",
        page_of(shown(PROSE), HELVETICA, "0 0 0 0"),
        whole,
        states=("read", "unreadable", "empty"),
    )
    yield Case("negative-size.pdf", page_of(shown(PROSE), HELVETICA, "595 842 0 0"), whole)
    yield Case(
        "huge-page.pdf",
        page_of(shown(PROSE), HELVETICA, "0 0 14400000 14400000"),
        whole,
        states=("read", "unreadable", "limit"),
    )
    yield Case(
        "nan-size.pdf",
        page_of(shown(PROSE), HELVETICA, "0 0 nan inf"),
        whole,
        states=("read", "unreadable", "empty"),
    )
    yield Case("user-unit.pdf", page_of(shown(PROSE), HELVETICA, extra="/UserUnit 10"), whole)
    yield Case(
        "crop.pdf", page_of(shown(PROSE), HELVETICA, extra="/CropBox [50 50 400 800]"), whole
    )
    yield Case(
        "footnote.pdf",
        _footnote(),
        (*whole, "1 Only where the invoice was paid within fourteen days."),
    )
    yield Case("looped-pages.pdf", _looped(), states=("unreadable", "empty"))
    yield Case(
        "one-bad-page.pdf",
        _one_bad_page(),
        (*whole, "The second page is about the valves of the pump."),
    )
    yield Case("xfa.pdf", _xfa_like(), states=("read", "unsupported", "unreadable"))
    yield Case(
        "deep-forms.pdf",
        page_of(b"q " * 200_000 + shown(PROSE), HELVETICA),
        states=("read", "limit", "empty", "unreadable"),
    )
