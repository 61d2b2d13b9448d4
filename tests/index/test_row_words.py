from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.analyse import analyse
from rag.errors import Corrupt
from rag.index.row_words import RowWords, numbered, opened
from rag.index.terms import read, terms
from rag.wording import places
from tests.index.histories import WORDS
from tests.index.truth import New, Truth

rows = st.lists(st.lists(st.sampled_from(WORDS), max_size=6), max_size=8)


@given(base=rows, added=rows, asked=st.lists(st.sampled_from(WORDS), unique=True, max_size=4))
def test_places_in_a_file_and_behind_it(
    tmp_path_factory: pytest.TempPathFactory,
    base: list[list[str]],
    added: list[list[str]],
    asked: list[str],
) -> None:
    path = tmp_path_factory.mktemp("words") / "shown.u64"
    path.write_bytes(b"".join(numbered(row).astype("<u8").tobytes() for row in base))
    held = opened(path, np.cumsum([len(row) for row in base], dtype=np.int64))
    held.extend([numbered(row) for row in added[:3]])
    held.extend([numbered(row) for row in added[3:]])
    every = [*base, *added]
    order = list(range(len(every)))[::-1]
    assert held.places(asked, order) == [places(set(asked), every[at]) for at in order]


def test_a_file_that_lacks_words_is_refused(tmp_path: Path) -> None:
    (tmp_path / "shown.u64").write_bytes(numbered(["late", "fee"]).tobytes()[:-1])
    with pytest.raises(Corrupt, match="2 words"):
        opened(tmp_path / "shown.u64", np.array([2]))
    path = tmp_path / "shown.u64"
    path.write_bytes(numbered(["late", "fee"]).tobytes())
    held = opened(path, np.array([2]))
    path.write_bytes(b"")
    with pytest.raises(Corrupt, match="too early"):
        held.places(["late"], [0])
    with pytest.raises(Corrupt, match="cannot be read"):
        opened(tmp_path / "missing.u64", np.array([2]))


def test_without_rows_nothing_stands_anywhere() -> None:
    assert RowWords().places(["late"], []) == []


@pytest.mark.parametrize(
    ("headings", "text", "shown"),
    [
        ("Fees", "Late fees are due.", "Title > Fees\nLate fees are due."),
        ("Fees", "Late fees are due.", "Something else"),
        ("", "", ""),
        ("Fees", "-2041 is late", "INV-2041 is late"),
        ("", "Leave", "Parental Leave"),
    ],
)
def test_terms_and_what_is_shown_are_read_as_each_by_itself(
    headings: str, text: str, shown: str
) -> None:
    truth = Truth()
    truth.commit([New(text, headings=headings, shown=shown)])
    [row] = truth.rows
    assert read(row) == (terms(row), analyse(shown))
