"""Plain text in any encoding; binary data refused."""

from __future__ import annotations

import os
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.limits import Limits
from rag.errors import EmptyDocument, LimitExceeded, UnsupportedType
from tests.ingestion.making import read, shown

SENTENCE = "Größe über alles: Käse für Øre, señor – und ein Übungsleiter fährt nach Köln. "


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
)
def test_every_encoding_gives_the_same_text(encoding: str) -> None:
    parsed = read((SENTENCE * 4).encode(encoding), "notes.txt")
    assert parsed.text == (SENTENCE * 4).strip()


def test_words_at_the_place_of_a_films_mark_are_words() -> None:
    assert shown(read("The widespread café.".encode(), "a.txt")) == [
        ("paragraph", "The widespread café.")
    ]


def test_east_asian_encoding() -> None:
    text = "私たちの会社は東京にあります。休暇は年に二十日です。日本語の文章を読みます。" * 5
    assert read(text.encode("shift_jis"), "notes.txt").text == text


@pytest.mark.parametrize(
    "data",
    [
        os.urandom(4096),
        b"\x7fELF" + bytes(range(256)) * 16,
        b"plain words\x00\x01\x02\x03" * 50,
    ],
    ids=["random", "elf", "nul"],
)
def test_binary_named_text_is_refused(data: bytes) -> None:
    with pytest.raises(UnsupportedType):
        read(data, "letter.txt")


@pytest.mark.parametrize("data", [b"", b"  \n\t\r\n ", b"\xef\xbb\xbf", b"\0" * 4096])
def test_nothing_is_empty(data: bytes) -> None:
    with pytest.raises(EmptyDocument):
        read(data, "letter.txt")


def test_headings_paragraphs_and_lists() -> None:
    parsed = read(
        b"OWNER'S MANUAL\nModel 2026\n\n1. Battery\n\n"
        b"The battery stores 630 watt hours and lasts for about 65\n"
        b"kilometres on level roads, with one rider and some load in\nthe box.\n\n"
        b"2. Range\n\n- Eco\n- Tour\n  and more\n\nTyres\n=====\n\nPump them.\n",
        "manual.txt",
    )
    assert parsed.title == "OWNER'S MANUAL"
    assert shown(parsed) == [
        ("paragraph", "OWNER'S MANUAL\nModel 2026"),
        ("heading", "1. Battery"),
        (
            "paragraph",
            "The battery stores 630 watt hours and lasts for about 65 kilometres on level roads, "
            "with one rider and some load in the box.",
        ),
        ("heading", "2. Range"),
        ("list", "- Eco\n- Tour and more"),
        ("heading", "Tyres"),
        ("paragraph", "Pump them."),
    ]


def test_addresses_keep_their_lines() -> None:
    parsed = read(b"Hollin Cycles\nMill Street 22\nEskerby\n", "address.txt")
    assert parsed.text == "Hollin Cycles\nMill Street 22\nEskerby"


def test_unseen_characters_do_not_hide_text() -> None:
    hidden = "pay\u200b ment\u202e is \U000e0041\U000e0042due\u00a0today"
    assert read(hidden.encode(), "a.txt").text == "pay ment is due today"


def test_too_many_characters() -> None:
    with pytest.raises(LimitExceeded, match="1,000"):
        read(b"word " * 400, "a.txt", Limits(characters=1000))


@given(st.text(min_size=1, max_size=300))
def test_any_text_is_read_or_refused_with_a_reason(text: str) -> None:
    with suppress(EmptyDocument, UnsupportedType):
        read(text.encode("utf-8", "surrogatepass"), "a.txt")
