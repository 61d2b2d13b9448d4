"""Files that are large, deep or made to unpack: what a worker must end in time and memory."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterator

import xlsxwriter
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from benchmarks.adverse.archives import zipped
from benchmarks.adverse.case import Case
from benchmarks.adverse.documents import para, run, word
from benchmarks.adverse.mails import letter
from benchmarks.adverse.office_making import W, book, changed, saved
from benchmarks.adverse.open_documents import odf
from benchmarks.adverse.pdf_making import (
    HELVETICA,
    page_of,
)
from benchmarks.adverse.scans import with_image


def _huge_image() -> bytes:
    data = zlib.compress(bytes(20_000 * 20_000 // 8), 9)
    return with_image("FlateDecode", data, (20_000, 20_000)).replace(
        b"/BitsPerComponent 8", b"/BitsPerComponent 1"
    )


def _many(count: int) -> bytes:
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4)
    for number in range(count):
        canvas.drawString(72, 700, f"Sheet number {number} of the ledger.")
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def _pdfs() -> Iterator[Case]:
    yield Case("huge-image.pdf", _huge_image(), states=("empty", "limit"))
    yield Case("3000-pages.pdf", _many(3_000), ("Sheet number 2999 of the ledger.",))
    yield Case("10000-pages.pdf", _many(10_000), states=("limit",))
    yield Case(
        "flate-bomb.pdf",
        page_of(b"", HELVETICA).replace(
            b"<< /Length 0 >>\nstream\n",
            b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s"
            % ((b := zlib.compress(b" " * 2**29, 9)) and len(b), b),
        ),
        states=("empty", "limit"),
    )


def _office() -> Iterator[Case]:
    plain = word(para(run("The pump is checked in May.")))
    yield Case(
        "bomb.docx",
        changed(saved(plain), {"word/document.xml": b"<a>" + b" " * 300_000_000}),
        states=("limit",),
    )
    yield Case(
        "many-paragraphs.docx",
        changed(
            saved(plain),
            {
                "word/document.xml": f"<w:document {W}><w:body>{''.join(f'<w:p><w:r><w:t>Line {n} of the log.</w:t></w:r></w:p>' for n in range(200_000))}</w:body></w:document>".encode()
            },
        ),
        ("Line 199999 of the log.",),
    )

    def tall(workbook: xlsxwriter.Workbook) -> None:
        sheet = workbook.add_worksheet("Log")
        for row in range(1_000_000):
            sheet.write_number(row, 0, row)
            sheet.write_string(row, 1, "ok")

    yield Case("million-rows.xlsx", book(tall, constant_memory=True), states=("read", "limit"))

    def far(workbook: xlsxwriter.Workbook) -> None:
        sheet = workbook.add_worksheet("Far")
        sheet.write(0, 0, "Near the start")
        sheet.write(1_048_575, 16_383, "At the very end")

    yield Case("far-cell.xlsx", book(far), states=("read", "limit"))
    yield Case(
        "repeated.ods",
        odf(
            "spreadsheet",
            '<table:table table:name="R"><table:table-row table:number-rows-repeated="1048576"><table:table-cell table:number-columns-repeated="16384" office:value-type="string"><text:p>again</text:p></table:table-cell></table:table-row></table:table>',
        ),
        states=("limit", "unreadable", "read"),
    )


def _texts() -> Iterator[Case]:
    yield Case("one-line.txt", b"word " * 3_000_000, states=("read", "limit"))
    yield Case(
        "huge-field.csv",
        b'Name,Note\nBolt,"' + b"very long " * 300_000 + b'end of it"\n',
        ("end of it",),
    )
    yield Case(
        "million.csv",
        b"id,name\n" + b"".join(b"%d,row %d\n" % (n, n) for n in range(600_000)),
        ("row 599999",),
        states=("read", "limit"),
    )
    yield Case(
        "deep.html",
        b"<html><body>" + b"<div>" * 100_000 + b"At the bottom." + b"</div>" * 100_000,
        ("At the bottom.",),
        states=("read", "limit"),
    )
    yield Case(
        "deep-inline.html",
        b"<html><body>" + b"<b><i>" * 50_000 + b"At the bottom.",
        ("At the bottom.",),
        states=("read", "limit"),
    )
    yield Case(
        "deep-lists.html",
        b"<html><body>" + b"<ul><li>x" * 5_000 + b"At the bottom.",
        ("At the bottom.",),
        states=("read", "limit"),
    )
    yield Case(
        "deep-tables.html",
        b"<html><body>" + b"<table><tr><td>" * 2_000 + b"At the bottom.",
        ("At the bottom.",),
        states=("read", "limit"),
    )
    yield Case(
        "50-megabytes.html",
        b"<html><body>" + b"<p>A line of the long page, said again and again.</p>\n" * 1_000_000,
        states=("read", "limit"),
    )
    yield Case("brackets.md", b"# T\n\n" + b"[" * 50_000 + b" end", states=("read", "limit"))
    yield Case(
        "array.json",
        json.dumps([{"n": n, "t": f"row {n}"} for n in range(100_000)]).encode(),
        ("row 99999",),
    )
    yield Case(
        "big-text.xml",
        b'<?xml version="1.0"?><a><b>' + b"long words " * 1_200_000 + b"the end</b></a>",
        ("the end",),
        states=("read", "limit"),
    )
    yield Case(
        "nested.rtf",
        b"{\\rtf1 " + b"{\\b " * 20_000 + b"bottom" + b"}" * 20_000 + b"}",
        ("bottom",),
        states=("read", "limit"),
    )


def _mails() -> Iterator[Case]:
    message = letter("Many files.")
    for number in range(1000):
        message.add_attachment(f"Words of file {number}.", filename=f"f{number}.txt")
    yield Case("1000-attachments.eml", message.as_bytes(), ("Many files.",), members=("f999.txt",))
    yield Case("bomb.zip", zipped({"a.txt": b"0" * 300_000_000}), states=("limit",))
    yield Case("bomb.gz", gzip.compress(b"0" * 300_000_000), states=("limit",))
    inner = zipped({"a.txt": b"0" * 60_000_000})
    yield Case("bomb-nested.zip", zipped({f"{n}.zip": inner for n in range(20)}), states=("limit",))
    yield Case("many.zip", zipped({f"{n}.txt": b"x" for n in range(3_000)}), states=("limit",))


def cases() -> Iterator[Case]:
    yield from _pdfs()
    yield from _office()
    yield from _texts()
    yield from _mails()
