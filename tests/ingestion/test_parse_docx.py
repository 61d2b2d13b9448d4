"""Word documents: order, styles, tables, tracked changes, and hostile containers."""

from __future__ import annotations

import docx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from ingestion.limits import MIB, Limits
from rag.errors import (
    EmptyDocument,
    EncryptedDocument,
    LimitExceeded,
    UnreadableDocument,
)
from tests.ingestion.making import docx_bytes, read, shown, with_member


def price_list() -> docx.document.Document:
    document = docx.Document()
    document.core_properties.title = ""
    document.add_heading("Price list", 0)
    document.add_heading("Repairs", 1)
    document.add_paragraph("All prices include tax.")
    document.add_paragraph("Call before any repair", style="List Bullet")
    document.add_paragraph("Keep the receipt", style="List Bullet")
    table = document.add_table(rows=0, cols=2)
    for row in (("Work", "Price"), ("Small service", "59"), ("Puncture", "32")):
        cells = table.add_row().cells
        cells[0].text, cells[1].text = row
    document.add_paragraph("Other work is charged by the hour.")
    return document


def test_blocks_in_document_order() -> None:
    parsed = read(docx_bytes(price_list()), "wrong-name.pdf")
    assert parsed.title == "Price list"
    assert parsed.pages is None
    assert shown(parsed) == [
        ("heading", "Price list"),
        ("heading", "Repairs"),
        ("paragraph", "All prices include tax."),
        ("list", "- Call before any repair\n- Keep the receipt"),
        ("table", "Work: Small service; Price: 59\nWork: Puncture; Price: 32"),
        ("paragraph", "Other work is charged by the hour."),
    ]


def test_tracked_hidden_and_controlled_text() -> None:
    document = docx.Document()
    paragraph = document.add_paragraph("The fee is ")
    paragraph._p.append(
        parse_xml(
            f"<w:ins {nsdecls('w')} w:id='1' w:author='a'><w:r><w:t>31 euros</w:t></w:r></w:ins>"
        )
    )
    paragraph._p.append(
        parse_xml(
            f"<w:del {nsdecls('w')} w:id='2' w:author='a'><w:r><w:delText> 29 euros</w:delText>"
            "</w:r></w:del>"
        )
    )
    paragraph.add_run(" secret").font.hidden = True
    document.element.body.insert(
        1,
        parse_xml(
            f"<w:sdt {nsdecls('w')}><w:sdtContent><w:p><w:r><w:t>In a control.</w:t></w:r></w:p>"
            "</w:sdtContent></w:sdt>"
        ),
    )
    assert read(docx_bytes(document), "a.docx").text == "The fee is 31 euros\n\nIn a control."


def test_bad_containers() -> None:
    good = docx_bytes(price_list())
    with pytest.raises(UnreadableDocument, match="damaged"):
        read(good[: len(good) // 2], "a.docx")
    with pytest.raises(EmptyDocument):
        read(docx_bytes(docx.Document()), "a.docx")
    with pytest.raises(UnreadableDocument, match="unsafe"):
        read(with_member(good, "../../evil.xml", b"x"), "a.docx")
    with pytest.raises(LimitExceeded, match="unpacks"):
        read(with_member(good, "word/media/a.xml", b"0" * 9 * MIB), "a.docx")
    with pytest.raises(LimitExceeded, match="allowed"):
        read(good, "a.docx", Limits(expanded_bytes=1000))
    with pytest.raises(LimitExceeded, match="parts"):
        read(good, "a.docx", Limits(members=3))


def test_entities_are_not_expanded() -> None:
    bomb = b"""<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a "aaaaaaaaaa">
    <!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY f SYSTEM "file:///etc/passwd">]>
    <w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>
    <w:p><w:r><w:t>x&b;&f;</w:t></w:r></w:p></w:body></w:document>"""
    data = with_member(docx_bytes(price_list()), "word/document.xml", bomb)
    try:
        text = read(data, "a.docx").text
    except UnreadableDocument:
        return
    assert "root:" not in text


def test_what_only_begins_like_an_office_file() -> None:
    good = docx_bytes(price_list())
    with pytest.raises(EmptyDocument, match="no files"):
        read(b"PK\x05\x06" + bytes(18), "a.docx")
    old = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
    with pytest.raises(UnreadableDocument, match="damaged"):
        read(old, "a.docx")
    with pytest.raises(EncryptedDocument):
        read(old + "EncryptedPackage".encode("utf-16-le"), "a.docx")
    broken = with_member(good, "word/document.xml", b"<w:document")
    with pytest.raises(UnreadableDocument, match="damaged"):
        read(broken, "a.docx")
