"""PDFs: text, structure, and every word where it stands."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pypdf
import pypdfium2
import pytest

from ingestion.limits import Limits
from rag.domain import Box
from rag.errors import (
    EmptyDocument,
    EncryptedDocument,
    LimitExceeded,
    UnreadableDocument,
)
from rag.layout import boxes_for, layout_of
from tests.ingestion.making import PAGE, Text, pdf, pdf_of_streams, prose, read, shown

BODY = [
    "The Supplier delivers twenty-four electric cargo bicycles to the Council and",
    "maintains them during the term of this agreement. The bicycles are used by",
    "the parks department.",
]
EXAMPLES = Path(__file__).parents[2] / "examples" / "documents"


def test_headings_paragraphs_lists_tables_and_pages() -> None:
    first = [
        Text(60, 780, "Agreement", 20),
        Text(60, 740, "1. Subject", 13, "F2"),
        *prose(BODY, top=720),
        Text(60, 660, "\u2022 keys"),
        Text(60, 646, "\u2022 service records, which are"),
        Text(70, 632, "handed over"),
        Text(60, 600, "Model"),
        Text(300, 600, "Price"),
        Text(60, 586, "Heyday"),
        Text(300, 586, "4,890"),
    ]
    second = [Text(60, 780, "2. Price", 13, "F2"), *prose(["It is fixed."], top=760)]
    parsed = read(pdf(first, second, title="Fleet"), "fleet.pdf")
    assert (parsed.title, parsed.pages) == ("Fleet", 2)
    assert shown(parsed) == [
        ("heading", "Agreement"),
        ("heading", "1. Subject"),
        ("paragraph", " ".join(BODY)),
        ("list", "\u2022 keys\n\u2022 service records, which are handed over"),
        ("table", "Model | Price\nHeyday | 4,890"),
        ("heading", "2. Price"),
        ("paragraph", "It is fixed."),
    ]
    assert [block.level for block in parsed.blocks if block.level] == [1, 2, 2]
    assert [block.page for block in parsed.blocks] == [1, 1, 1, 1, 1, 2, 2]


def test_words_stand_where_pdfium_finds_them() -> None:
    """The box of a phrase against pdfium's own search, on a real file."""
    data = (EXAMPLES / "contract.pdf").read_bytes()
    parsed = read(data, "contract.pdf")
    layout = layout_of(parsed.words)
    document = pypdfium2.PdfDocument(data)
    for number, phrase in ((1, "Delivery is made to the town depot"), (3, "three million euros")):
        start = parsed.text.index(phrase)
        (box,) = boxes_for(layout, start, start + len(phrase))
        page = document[number - 1]
        sheet = page.get_textpage()
        index, count = sheet.search(phrase).get_next()
        rects = [sheet.get_rect(i) for i in range(sheet.count_rects(index, count))]
        left, top = min(r[0] for r in rects), page.get_height() - max(r[3] for r in rects)
        right, bottom = max(r[2] for r in rects), page.get_height() - min(r[1] for r in rects)
        assert box.page == number
        assert box.x0 == pytest.approx(left, abs=2)
        assert box.x1 == pytest.approx(right, abs=2)
        assert box.y0 - 4 < top < bottom < box.y1 + 4
        sheet.close()
        page.close()
    document.close()


def test_origin_is_the_top_left_also_when_the_page_is_turned() -> None:
    upright = read(pdf([Text(60, 742, "Hello")]), "a.pdf").words[0].box
    assert upright.x0 == pytest.approx(60, abs=1)
    assert upright.y0 < 100 == pytest.approx(upright.y1, abs=4)
    turned = read(pdf([Text(60, 742, "Hello")], rotate=90), "a.pdf").words[0].box
    # turned clockwise, what was 100 below the top stands 742 from the left, 60 from the top
    assert turned.x0 == pytest.approx(742, abs=4)
    assert turned.y0 == pytest.approx(60, abs=1)
    half = read(pdf([Text(60, 742, "Hello")], rotate=180), "a.pdf").words[0].box
    assert half.x1 == pytest.approx(PAGE[0] - 60, abs=1)
    assert half.y0 == pytest.approx(742, abs=4)


def test_two_columns_are_read_one_after_the_other() -> None:
    left = prose([f"left {n} runs to the end of its line" for n in range(6)], x=50)
    right = prose([f"right {n} runs to the end of its line" for n in range(6)], x=320)
    text = read(pdf([*left, *right]), "a.pdf").text
    assert text.index("left 5") < text.index("right 0")


def test_broken_words_are_joined_and_keep_both_places() -> None:
    lines = [
        "Whoever holds personal infor-",
        "mation or works at the Eskerby-",
        "Hollin depot on a self-re-",
        "viewed three-year plan reads this.",
    ]
    parsed = read(pdf(prose(lines)), "a.pdf")
    assert "personal information or" in parsed.text
    assert "Eskerby-Hollin depot" in parsed.text
    start = parsed.text.index("information")
    first, second = (
        word for word in parsed.words if start <= word.start < start + len("information")
    )
    assert parsed.text[first.start : second.end] == "information"
    assert first.box.y1 < second.box.y1
    assert len(boxes_for(layout_of(parsed.words), start, start + 11)) == 2


def test_a_sentence_over_two_pages_is_one_paragraph() -> None:
    first = prose(["The data protection officer of"], top=90)
    second = prose(["the Council is Simon Achebe."])
    parsed = read(pdf(first, second), "a.pdf")
    assert parsed.text == "The data protection officer of the Council is Simon Achebe."
    boxes = boxes_for(layout_of(parsed.words), 0, len(parsed.text))
    assert [box.page for box in boxes] == [1, 2]
    assert [box.page for box in parsed.blocks[0].boxes] == [1, 2]


def test_running_heads_and_page_numbers_do_not_cut_the_text() -> None:
    pages = [
        [
            Text(60, 815, f"Agreement, edition 4, page {n}"),
            *prose([f"Paragraph {n} is here."]),
            Text(290, 30, str(n)),
        ]
        for n in range(1, 6)
    ]
    parsed = read(pdf(*pages), "a.pdf")
    assert parsed.text.count("edition 4") == 1
    assert [text for _, text in shown(parsed) if text.strip().isdigit()] == []
    assert all(f"Paragraph {n} is here." in parsed.text for n in range(1, 6))


def encrypted(password: str) -> bytes:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf(prose(BODY))))
    writer.encrypt(password, "owner", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def test_encrypted() -> None:
    with pytest.raises(EncryptedDocument, match="password"):
        read(encrypted("secret"), "a.pdf")
    assert "Supplier" in read(encrypted(""), "a.pdf").text  # only the owner's rights are locked


def test_damaged_scanned_and_too_long() -> None:
    whole = pdf(prose(BODY), prose(BODY))
    with pytest.raises(UnreadableDocument, match="damaged"):
        read(b"%PDF-1.7\n" + b"x" * 500, "a.pdf")
    with pytest.raises(UnreadableDocument):
        read(whole[:200], "a.pdf")
    with pytest.raises(EmptyDocument, match="blank"):
        read(pdf([]), "blank.pdf")
    with pytest.raises(LimitExceeded, match="2 pages"):
        read(whole, "a.pdf", Limits(pages=1))
    assert "Supplier" in read(b"junk " * 100 + whole, "named.txt").text


def test_boxes_lie_on_the_page() -> None:
    for name in ("contract.pdf", "lease.pdf"):
        parsed = read((EXAMPLES / name).read_bytes(), name)
        assert parsed.words
        for word in parsed.words:
            box: Box = word.box
            assert 0 <= box.x0 < box.x1 <= 600
            assert 0 <= box.y0 < box.y1 <= 850


def ruled(columns: Sequence[float], rows: Sequence[float]) -> str:
    """Ruling lines of a table, each column and row."""
    across = (f"{columns[0]} {y} m {columns[-1]} {y} l S\n" for y in rows)
    down = (f"{x} {rows[0]} m {x} {rows[-1]} l S\n" for x in columns)
    return "".join((*across, *down))


def put(x: float, y: float, text: str) -> str:
    return f"BT /F1 11 Tf {x} {y} Td ({text}) Tj ET\n"


def test_a_ruled_table_keeps_its_rows_whatever_the_order_in_the_file() -> None:
    """Cells of two lines, narrow gaps between columns, and the right column written first."""
    lines = ruled((60, 130, 220), (700, 660, 640, 600))
    right = put(133, 685, "Price") + put(133, 645, "10") + put(133, 625, "20 euros")
    right += put(133, 611, "a month")
    left = put(62, 685, "The plan") + put(62, 645, "Basic plan") + put(62, 625, "Large plan")
    stream = put(60, 760, "Plans and prices are below.") + lines + right + left
    parsed = read(pdf_of_streams([stream.encode()]), "a.pdf")
    assert shown(parsed) == [
        ("paragraph", "Plans and prices are below."),
        ("table", "The plan | Price\nBasic plan | 10\nLarge plan | 20 euros a month"),
    ]
    start = parsed.text.index("20 euros a month")
    boxes = boxes_for(layout_of(parsed.words), start, start + len("20 euros a month"))
    assert [box.x0 for box in boxes] == [pytest.approx(133, abs=1)] * 2


def test_a_frame_around_text_is_no_table() -> None:
    stream = ruled((50, 500), (800, 700)) + put(60, 760, "In a frame.")
    assert shown(read(pdf_of_streams([stream.encode()]), "a.pdf")) == [("paragraph", "In a frame.")]


def test_cells_that_the_file_writes_apart_are_one_row() -> None:
    cells = [("Basic", "10", "2024"), ("Large", "20", "2025")]
    lines = [
        Text(60 + 150 * column, 700 - 16 * row, text)
        for row, texts in enumerate(cells)
        for column, text in enumerate(texts)
    ]
    assert shown(read(pdf(lines), "a.pdf")) == [("table", "Basic | 10 | 2024\nLarge | 20 | 2025")]


def test_highlights_of_neighbouring_lines_do_not_overlap() -> None:
    """Lines set closer than their font is high, as in many headings."""
    parsed = read(pdf([Text(60, 760 - 22 * n, f"line {n} of text", 24) for n in range(4)]), "a.pdf")
    starts = [parsed.text.index(f"line {n}") for n in range(4)]
    layout = layout_of(parsed.words)
    boxes = [box for at in starts for box in boxes_for(layout, at, at + len("line 0 of text"))]
    assert len(boxes) == 4
    for number, (above, below) in enumerate(pairwise(boxes)):
        assert above.y1 <= below.y0
        assert above.y0 < PAGE[1] - (760 - 22 * number) - 8 < above.y1  # its letters' middle


def test_a_sign_that_no_reader_sees_makes_no_box_larger() -> None:
    """As a real table writes it: a control character of the next row right after a cell."""
    about = "/FontName /Own /Flags 4 /FontBBox [0 -200 500 700] /Ascent 700 /Descent -200 /StemV 80"
    glyphs = (
        "<< /Type /Font /Subtype /CIDFontType2 /BaseFont /Own /DW 500 /CIDSystemInfo << /Registry "
        f"(Adobe) /Ordering (Identity) /Supplement 0 >> /FontDescriptor << {about} >> >>"
    )
    font = "/Type /Font /Subtype /Type0 /BaseFont /Own /Encoding /Identity-H "
    font += f"/DescendantFonts [{glyphs}]"
    stream = put(210, 700, "0.8027") + "BT /F3 11 Tf 240 693 Td <0003> Tj ET\n"
    parsed = read(pdf_of_streams([stream.encode()], third=font), "a.pdf")
    (box,) = boxes_for(layout_of(parsed.words), 0, len(parsed.text))
    assert parsed.text == "0.8027"
    assert box.y1 == pytest.approx(PAGE[1] - 700, abs=3)


def test_symbols_of_tex_are_not_read_as_digits_and_letters() -> None:
    font = "/Type /Font /Subtype /Type1 /BaseFont /CMSY10 /Encoding << /Differences [48 /prime] >>"
    stream = "BT /F1 11 Tf 60 700 Td (member m) Tj /F3 11 Tf (0,) Tj /F1 11 Tf ( of 10) Tj ET"
    parsed = read(pdf_of_streams([stream.encode()], third=font), "a.pdf")
    assert parsed.text == "member m\u2032, of 10"
