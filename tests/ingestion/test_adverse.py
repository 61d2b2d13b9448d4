"""Files made to be hard (`benchmarks.adverse`): each says which words its text must hold, in which
order, or with which reason it is to be refused."""

from __future__ import annotations

import pytest

from benchmarks.adverse import LIGHT, cases_of
from ingestion.parse import parse
from rag.errors import UnreadableDocument
from tests.ingestion.making import read


@pytest.mark.parametrize("family", LIGHT)
def test_adverse_files_end_as_they_should(family: str) -> None:
    faults: dict[str, list[str]] = {}
    for case in cases_of(family):
        try:
            parsed = read(case.data, case.name)
        except UnreadableDocument as exc:
            found = case.faults(exc.code, "", (), str(exc))
        else:
            names = tuple(member.name for member in parsed.members)
            found = case.faults("read", parsed.text, names, "")
        if found:
            faults[case.name] = found
    assert faults == {}


def test_words_of_a_moved_font_keep_their_places() -> None:
    """The blank of such a font is a control character; its words stand apart all the same."""
    case = next(case for case in cases_of("pdfs") if case.name == "shifted-29.pdf")
    parsed = parse(case.data, case.name)
    words = {parsed.text[word.start : word.end]: word.box for word in parsed.words[:12]}
    assert words["The"].x1 < words["warranty"].x0 < words["lasts"].x0
    assert words["The"].y0 == pytest.approx(words["lasts"].y0, abs=3)
