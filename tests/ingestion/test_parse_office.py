"""Presentations, spreadsheets, OpenDocument, RTF, EPUB and the old Office formats."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from contextlib import suppress

import pptx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from ingestion.limits import MIB, Limits
from ingestion.parse import parse
from rag.errors import EmptyDocument, LimitExceeded, UnreadableDocument
from tests.ingestion.making import read, shown, with_member

INCH = Inches(1)


def zipped(parts: Mapping[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return out.getvalue()


# --- PPTX --------------------------------------------------------------------------------------


def deck() -> bytes:
    presentation = pptx.Presentation()
    first = presentation.slides.add_slide(presentation.slide_layouts[1])
    first.shapes.title.text = "Leave"
    body = first.placeholders[1].text_frame
    body.text = "28 days a year"
    for text, level in (("5 may be carried over", 1), ("Ask your manager", 0)):
        paragraph = body.add_paragraph()
        paragraph.text, paragraph.level = text, level
    first.notes_slide.notes_text_frame.text = "Since 2024."
    second = presentation.slides.add_slide(presentation.slide_layouts[5])
    second.shapes.title.text = "Prices"
    table = second.shapes.add_table(2, 2, INCH, INCH, INCH, INCH).table
    for row, cells in enumerate((("Plan", "Price"), ("Basic", "10 EUR"))):
        for column, text in enumerate(cells):
            table.cell(row, column).text = text
    group = second.shapes.add_group_shape()
    group.shapes.add_textbox(INCH, INCH, INCH, INCH).text_frame.text = "In a group."
    data = CategoryChartData()
    data.categories = ["2024", "2025"]
    data.add_series("Sales", (3, 4.5))
    second.shapes.add_chart(XL_CHART_TYPE.BAR_CLUSTERED, INCH, INCH, INCH, INCH, data)
    out = io.BytesIO()
    presentation.save(out)
    return out.getvalue()


def test_slides_are_pages() -> None:
    parsed = read(deck(), "talk.bin")
    assert parsed.pages == 2
    assert shown(parsed) == [
        ("heading", "Leave"),
        ("list", "- 28 days a year\n  - 5 may be carried over\n- Ask your manager"),
        ("paragraph", "Notes: Since 2024."),
        ("heading", "Prices"),
        ("table", "Plan: Basic; Price: 10 EUR"),
        ("paragraph", "In a group."),
        ("table", "Category: 2024; Sales: 3\nCategory: 2025; Sales: 4.5"),
    ]
    assert [block.page for block in parsed.blocks] == [1, 1, 1, 2, 2, 2, 2]


def test_broken_presentations() -> None:
    good = deck()
    with pytest.raises(UnreadableDocument, match="damaged"):
        read(good[: len(good) // 2], "a.pptx")
    with pytest.raises(UnreadableDocument, match="damaged"):
        read(with_member(good, "ppt/presentation.xml", b"<p:presentation"), "a.pptx")
    with pytest.raises(LimitExceeded, match="slides"):
        read(good, "a.pptx", Limits(pages=1))
    with pytest.raises(LimitExceeded, match="unpacks"):
        read(with_member(good, "ppt/media/a.xml", b"0" * 9 * MIB), "a.pptx")


# --- XLSX --------------------------------------------------------------------------------------


def workbook(sheets: Mapping[str, list[list[object]]]) -> bytes:
    import xlsxwriter

    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for number, row in enumerate(rows):
                sheet.write_row(number, 0, row)
    return out.getvalue()


def test_rows_are_named_by_their_columns_and_sheets_are_headings() -> None:
    parsed = read(
        workbook(
            {
                "Prices": [
                    ["Price list 2026"],
                    ["Plan", "Price", "Since"],
                    ["Basic", 10, 2024.5],
                    ["Large", 20.0, ""],
                    [],
                    ["only words", "side by side"],
                    ["more", "of them"],
                ],
                "Empty": [],
                "Notes": [["All prices include tax."]],
            }
        ),
        "prices.dat",
    )
    assert shown(parsed) == [
        ("heading", "Prices"),
        ("paragraph", "Price list 2026"),
        ("table", "Plan: Basic; Price: 10; Since: 2024.5\nPlan: Large; Price: 20"),
        ("table", "only words: more; side by side: of them"),
        ("heading", "Notes"),
        ("table", "All prices include tax."),
    ]


def test_a_stale_dimension_loses_no_rows() -> None:
    data = workbook({"Sheet1": [[f"row {n}", n] for n in range(50)]})
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml")
    assert b'<dimension ref="A1:B50"/>' in sheet
    stale = sheet.replace(b'<dimension ref="A1:B50"/>', b'<dimension ref="A1"/>')
    assert (
        "row 49 | 49" in read(with_member(data, "xl/worksheets/sheet1.xml", stale), "a.xlsx").text
    )


def test_broken_workbooks() -> None:
    good = workbook({"Sheet1": [["a", "b"]]})
    with pytest.raises(UnreadableDocument, match="damaged"):
        read(good[: len(good) // 2], "a.xlsx")
    with pytest.raises(UnreadableDocument, match="damaged"):
        read(with_member(good, "xl/workbook.xml", b"<workbook"), "a.xlsx")
    with pytest.raises(EmptyDocument, match="no cell"):
        read(workbook({"Sheet1": []}), "a.xlsx")


# --- CSV ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "Plan,Price\nBasic,10\n",
        "Plan;Price\r\nBasic;10\r\n",
        "Plan\tPrice\nBasic\t10",
        "Plan|Price\nBasic|10\n",
        'sep=;\nPlan;Price\n"Basic";10\n',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_any_delimiter_in_any_encoding(source: str, encoding: str) -> None:
    assert read(source.encode(encoding), "a.csv").text == "Plan: Basic; Price: 10"


def test_delimiters_and_line_ends_in_quotes() -> None:
    text = read(b'Name,Note\n"Smith, Ann","says ""hi""\nand goes"\n', "a.csv").text
    assert text == 'Name: Smith, Ann; Note: says "hi" and goes'


@settings(deadline=None)
@given(
    st.lists(
        st.lists(st.from_regex(r"[a-z]{1,8}", fullmatch=True), min_size=3, max_size=3),
        min_size=1,
        max_size=6,
    )
)
def test_every_cell_of_a_csv_is_in_the_text(rows: list[list[str]]) -> None:
    text = read("\n".join(",".join(row) for row in rows).encode(), "a.csv").text
    assert all(cell in text for row in rows for cell in row)


# --- OpenDocument ------------------------------------------------------------------------------

ODT = """<?xml version="1.0"?>
<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
 xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"
 xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0">
<office:body><office:text>
<text:tracked-changes><text:p>deleted long ago</text:p></text:tracked-changes>
<text:h text:outline-level="1">Leave</text:h>
<text:p>28<text:s text:c="2"/>days<text:line-break/>a <text:span>year</text:span>.</text:p>
<text:list><text:list-item><text:p>one</text:p><text:list><text:list-item><text:p>inner</text:p>
</text:list-item></text:list></text:list-item></text:list>
<table:table><table:table-row><table:table-cell><text:p>Plan</text:p></table:table-cell>
<table:table-cell><text:p>Price</text:p></table:table-cell></table:table-row>
<table:table-row><table:table-cell><text:p>Basic</text:p></table:table-cell>
<table:table-cell><text:p>10</text:p></table:table-cell></table:table-row></table:table>
</office:text></office:body></office:document-content>"""
ODT_TYPE = "application/vnd.oasis.opendocument.text"


def test_odt() -> None:
    parsed = read(zipped({"mimetype": ODT_TYPE, "content.xml": ODT}), "a.bin")
    assert parsed.media_type == ODT_TYPE
    assert shown(parsed) == [
        ("heading", "Leave"),
        ("paragraph", "28  days\na year."),
        ("list", "- one\n  - inner"),
        ("table", "Plan: Basic; Price: 10"),
    ]


def test_entities_of_odt_are_not_expanded() -> None:
    bomb = (
        ODT.replace(
            '<?xml version="1.0"?>',
            '<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">'
            '<!ENTITY f SYSTEM "file:///etc/passwd">]>',
        )
        .replace("deleted", "x")
        .replace("28<", "&b;&f;28<")
    )
    try:
        text = read(zipped({"mimetype": ODT_TYPE, "content.xml": bomb}), "a.odt").text
    except UnreadableDocument:
        return
    assert "root:" not in text
    assert "aaaa" not in text


def test_odt_without_contents_is_damaged() -> None:
    with pytest.raises(UnreadableDocument, match="missing"):
        read(zipped({"mimetype": ODT_TYPE}), "a.odt")


# --- EPUB --------------------------------------------------------------------------------------

CONTAINER = """<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>
<rootfile full-path="OEBPS/content.opf"/></rootfiles></container>"""
OPF = """<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/">
<metadata><dc:title>The Fleet</dc:title><dc:creator>A. Author</dc:creator></metadata>
<manifest><item id="b" href="b.xhtml" media-type="application/xhtml+xml"/>
<item id="a" href="a%201.xhtml" media-type="application/xhtml+xml"/>
<item id="n" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/></manifest>
<spine><itemref idref="n"/><itemref idref="a"/><itemref idref="b"/></spine></package>"""


def test_epub_is_read_in_the_order_of_its_spine() -> None:
    book = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": CONTAINER,
        "OEBPS/content.opf": OPF,
        "OEBPS/b.xhtml": "<html><body><h1>Two</h1><p>Then bicycles.</p></body></html>",
        "OEBPS/a 1.xhtml": "<html><body><h1>One</h1><p>First carts.</p></body></html>",
        "OEBPS/nav.xhtml": "<html><body><p>Contents</p></body></html>",
    }
    parsed = read(zipped(book), "a.zip")
    assert (parsed.title, parsed.metadata["author"]) == ("The Fleet", "A. Author")
    assert [text for _, text in shown(parsed)] == ["One", "First carts.", "Two", "Then bicycles."]


# --- RTF and the old Office formats ------------------------------------------------------------


def test_rtf() -> None:
    source = (
        rb"{\rtf1\ansi\ansicpg1252 {\fonttbl{\f0 Arial;}}Gr\'fc\'dfe\par Second.\par"
        rb"\trowd\cellx1\cellx2 Plan\cell Price\cell\row"
        rb"\trowd\cellx1\cellx2 Basic\cell 10\cell\row}"
    )
    assert shown(read(source, "letter.doc")) == [
        ("paragraph", "Grüße"),
        ("paragraph", "Second."),
        ("table", "Plan: Basic; Price: 10"),
    ]


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_any_rtf_is_read_or_refused_with_a_reason(data: bytes) -> None:
    with suppress(UnreadableDocument):
        read(rb"{\rtf1 " + data, "a.rtf")


@settings(deadline=None)
@given(st.binary(max_size=2000), st.sampled_from(["a.xls", "a.msg", "a.doc"]))
def test_any_old_container_is_read_or_refused_with_a_reason(data: bytes, name: str) -> None:
    with suppress(UnreadableDocument):
        parse(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + data, name)
