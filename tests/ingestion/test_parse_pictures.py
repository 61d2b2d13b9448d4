"""Pictures of text and scanned pages: recognised, with every word where it stands."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Iterator
from typing import Any

import pypdf
import pytest
from PIL import Image, ImageDraw, ImageFont, ImageOps

from ingestion.limits import Limits
from ingestion.parse import ocr, pictures
from ingestion.parse.ocr import Recogniser
from ingestion.parse.pdf_lines import Line, PdfWord
from ingestion.parse.quality import garbled
from ingestion.parse.reading_order import in_reading_order
from rag.domain import Box, Parsed
from rag.errors import EmptyDocument, LimitExceeded, UnreadableDocument, UnsupportedType
from tests.ingestion.making import Text, pdf, pdf_of_streams, read

LINES = ["Every employee has 28 days", "of paid leave each year"]


def picture(lines: list[str] = LINES) -> Image.Image:
    made = Image.new("RGB", (620, 200), "white")
    font = ImageFont.load_default(30)
    for number, line in enumerate(lines):
        ImageDraw.Draw(made).text((40, 40 + 50 * number), line, "black", font)
    return made


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def check_words(parsed: Parsed, points: float) -> None:
    """All words are there, and the second line's first one stands below and left."""
    assert parsed.text.split() == " ".join(LINES).split()
    word = next(word for word in parsed.words if parsed.text[word.start : word.end] == "of")
    assert word.box.page == 1
    assert word.box.x0 == pytest.approx(40 * points, abs=8 * points)
    assert word.box.y0 == pytest.approx(92 * points, abs=14 * points)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "AVIF"])
def test_a_picture_is_a_page(kind: str) -> None:
    parsed = read(saved(picture(), kind), "photo.txt")
    assert (parsed.media_type, parsed.pages) == (f"image/{kind.lower()}", 1)
    check_words(parsed, 1.0)


def test_a_scan_says_how_large_its_page_is() -> None:
    check_words(read(saved(picture(), "PNG", dpi=(144, 144)), "scan.png"), 0.5)


def test_a_scanned_page_among_others() -> None:
    """Page 1 has a text layer, page 2 is a picture, page 3 is blank."""
    scan = pypdf.PdfReader(io.BytesIO(saved(picture(), "PDF")))
    words = pypdf.PdfReader(io.BytesIO(pdf([Text(60, 700, "The first page has words.")])))
    writer = pypdf.PdfWriter()
    writer.add_page(words.pages[0])
    writer.add_page(scan.pages[0])
    writer.add_blank_page(300, 300)
    out = io.BytesIO()
    writer.write(out)
    parsed = read(out.getvalue(), "a.pdf")
    assert "The first page has words." in parsed.text
    assert "28 days" in parsed.text
    assert {word.box.page for word in parsed.words} == {1, 2}
    assert dict(parsed.metadata) == {"pages_recognised": 1}


def test_without_the_extra_the_reason_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (pictures, ocr):
        monkeypatch.setattr(module, "installed", lambda: False)
    with pytest.raises(UnsupportedType, match=r"attest-rag\[ocr\]"):
        read(saved(picture(), "PNG"), "a.png")


def test_no_time_left() -> None:
    recogniser = Recogniser(0.0)
    recogniser._longest = 1.0
    assert recogniser.lines(picture(), 1, 1.0) == []
    assert recogniser.left == 1


def test_time_that_ends_within_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of a picture's lines would not say that they are half."""
    monkeypatch.setattr(ocr, "_AT_ONCE", 1)
    recogniser = Recogniser(1_000.0)
    real = ocr._lines

    def slow(*given: Any) -> Iterator[Line]:
        recogniser._until = 0.0  # the first line took all the time
        return real(*given)

    monkeypatch.setattr(ocr, "_lines", slow)
    assert recogniser.lines(picture(), 1, 1.0) == []
    assert recogniser.left == 1


def test_what_shows_through_is_white_paper() -> None:
    drawn = Image.new("RGBA", (620, 200), (0, 0, 0, 0))
    drawn.paste((0, 0, 0, 255), mask=ImageOps.invert(picture().convert("L")))
    check_words(read(saved(drawn, "PNG"), "drawn.png"), 1.0)


def test_a_scan_under_a_printed_head_is_read_below_it() -> None:
    """The head alone is longer than a stamp; it would pass for the whole page's text."""
    head = ["Received by the registry of the town, counter seven, on the fourth of May,",
            "filed under number seventeen and sent on to the department of works."]  # fmt: skip
    words = [Text(40, 800 - 14 * number, line) for number, line in enumerate(head)]
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf(words)))
    sheet = Image.new("RGB", (620, 780), "white")
    sheet.paste(picture(), (0, 300))
    scan = pypdf.PdfReader(io.BytesIO(saved(sheet, "PDF"))).pages[0]
    at = pypdf.Transformation().scale(590 / float(scan.mediabox.width))
    writer.pages[0].merge_transformed_page(scan, at)
    out = io.BytesIO()
    writer.write(out)
    parsed = read(out.getvalue(), "scan.pdf")
    assert " ".join(parsed.text.split()).startswith(" ".join(head))
    assert parsed.text.index("works.") < parsed.text.index("Every employee")
    assert parsed.metadata["pages_recognised"] == 1


def test_bad_pictures() -> None:
    with pytest.raises(EmptyDocument, match="no text"):
        read(saved(Image.new("RGB", (200, 200), "white"), "PNG"), "a.png")
    with pytest.raises(UnreadableDocument, match="damaged"):
        read(saved(picture(), "PNG")[:200], "a.png")
    with pytest.raises(LimitExceeded, match="pixels"):
        read(saved(Image.new("1", (10_000, 10_000)), "PNG"), "a.png", Limits())
    heic = b"\0\0\0\x18ftypheic" + bytes(100)
    decoded = importlib.util.find_spec("pi_heif") is not None
    with pytest.raises(UnreadableDocument, match="damaged" if decoded else "save it as JPEG"):
        read(heic, "a.heic")


# --- the order of what was found ---------------------------------------------------------------


def line(text: str, x: float, y: float) -> Line:
    width = 6.0 * len(text)
    return Line([PdfWord(text, Box(1, x, y, x + width, y + 10), 10, bold=False)])


def order(lines: list[Line]) -> list[str]:
    return [found.text for found in in_reading_order(lines)]


def test_columns_are_read_one_after_the_other() -> None:
    prose = "words of a line of prose {}"
    left = [line(prose.format(f"l{n}"), 50, 100 + 14 * n) for n in range(4)]
    right = [line(prose.format(f"r{n}"), 320, 100 + 14 * n) for n in range(4)]
    title = line("A heading over both of the columns of this page", 60, 70)
    mixed = [each for pair in zip(left, right, strict=True) for each in pair]
    texts = order([*mixed, title])
    assert texts == [each.text for each in (title, *left, *right)]


def test_cells_of_a_row_stay_together() -> None:
    cells = [line(text, x, y) for y in (100, 120, 140) for x, text in ((300, "10"), (50, "Basic"))]
    assert order(cells) == ["Basic 10"] * 3


# --- what text layers are worth ----------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Every employee has 28 days of paid leave each year, of which five may be kept.",
        "Größere Änderungen bedürfen der Schriftform; mündliche Abreden sind unwirksam.",
        "Zmrzlina stojí čtyřicet korun a prodává se jen v létě u nádraží ve městě.",
        "休暇は年に二十日です。日本語の文章を読みます。私たちの会社は東京にあります。休暇は年に二十日です。",
        "لكل موظف ثمانية وعشرون يوما من الإجازة المدفوعة كل سنة، ويجوز ترحيل خمسة أيام منها",
        "1,204.50 12 3.5% 2026-01-01 | 99.10 7 2.5% 2026-02-01 | 12.00 3 1.5% 2026-03-01",
    ],
)
def test_languages_and_figures_are_no_garbage(text: str) -> None:
    assert not garbled(text)


@pytest.mark.parametrize(
    "text",
    [
        "\ue012\ue034\ue001 \ue022\ue019\ue044 " * 10,
        "\ufffd\ufffd\ufffda \ufffd\ufffdb " * 10,
        "KvmxQ bdfgh LrtpW xzcvb NmQwr tplkj hgfds zxcvb " * 4,
        '#$%" !&/()  =?`*  ><|# ~+^°  "§$%& /()= ' * 3,
    ],
)
def test_text_layers_that_say_nothing(text: str) -> None:
    assert garbled(text)


def test_a_page_whose_letters_are_coded_is_read_as_a_picture() -> None:
    """It shows words, and its text layer holds signs: as where a font's map to Unicode is wrong."""
    shown, layer = Text(60, 700, "Pay day is the 25th", 24), '"#$%" !&/ =?`* ><|# ~+^ ' * 4
    stream = (
        f"BT /F1 {shown.size} Tf {shown.x} {shown.y} Td ({shown.text}) Tj ET\n"
        f"BT 3 Tr /F1 6 Tf 60 600 Td ({layer}) Tj ET"
    )
    parsed = read(pdf_of_streams([stream.encode("cp1252")]), "a.pdf")
    assert parsed.text.startswith("Pay day is the 25")
    assert "#" not in parsed.text
    assert parsed.metadata["pages_recognised"] == 1
