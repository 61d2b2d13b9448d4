"""Pieces of a draft: cut before a stop sequence however they fall, ended when nobody waits."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.piece import Piece
from rag.errors import Abandoned
from rag.pieces import before, somebody_waits, wanted

letters = st.text("ab[", max_size=6)


def pieces(texts: Sequence[str], closed: list[bool] | None = None) -> Generator[Piece]:
    try:
        for text in texts:
            yield Piece(text, 1, -0.5, 0.25)
    finally:
        if closed is not None:
            closed.append(True)


@given(st.lists(letters, max_size=12), st.lists(letters.filter(bool), max_size=3))
def test_what_comes_is_the_text_before_the_stop(texts: list[str], stop: list[str]) -> None:
    whole = "".join(texts)
    got = list(before(pieces(texts), stop))
    said = "".join(piece.text for piece in got)
    assert whole.startswith(said)
    assert not any(s in said for s in stop)
    if not any(s in whole for s in stop):
        assert said == whole
        assert sum(piece.tokens for piece in got) == len(texts)


@pytest.mark.parametrize("texts", [["one. t", "wo. END three"], list("one. two. END three")])
def test_a_stop_across_pieces(texts: list[str]) -> None:
    closed: list[bool] = []
    got = list(before(pieces(texts, closed), ("END",)))
    assert "".join(piece.text for piece in got) == "one. two. "
    assert closed == [True], "the reader is stopped too"
    assert {(piece.logprob, piece.refusal) for piece in got} == {(-0.5, 0.25)}


def test_nobody_waits() -> None:
    closed: list[bool] = []
    going = iter([False, False, True])
    got = wanted(pieces("abcdef", closed), lambda: next(going))
    assert [next(got).text, next(got).text] == ["a", "b"]
    with pytest.raises(Abandoned):
        next(got)
    assert closed == [True]


def test_who_stops_listening_stops_the_reader() -> None:
    closed: list[bool] = []
    got = before(wanted(pieces("abc", closed), somebody_waits), ())
    next(got)
    got.close()
    assert closed == [True]
