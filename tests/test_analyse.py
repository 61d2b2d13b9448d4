from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.analyse import LONGEST, _analysed, analyse


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Invoices were PAID late", ["invoic", "paid", "late"]),
        ("INV-2041", ["inv", "2041", "inv-2041"]),
        ("e-mail", ["e", "mail", "email"]),
        ("e\u2011mail", ["e", "mail", "email"]),
        ("1,000 and 12,345.60", ["1000", "12345.60"]),
        ("3.14", ["3.14"]),
        ("v1.2.3", ["v1", "2", "3", "v1.2.3"]),
        ("2024-01-05", ["2024", "01", "05", "2024-01-05"]),
        ("and/or files/pages", ["file", "page"]),
        ("price_list.xlsx", ["price", "list", "xlsx"]),
        ("the organisation's", ["organis"]),
        ("organisation’s", ["organis"]),
        ("l'avion d'O'Brien", ["avion", "brien"]),
        ("ﬁnance café STRASSE Straße", ["financ", "cafe", "strass", "strass"]),
        ("co\u00adoperate", ["cooper"]),
        ("東京都へ", ["東京", "京都", "都へ"]),
        ("東", ["東"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("Привет", ["привет"]),
        ("ask IT about it", ["ask", "it"]),
        ("§ 4 (a)", ["4"]),
        ("", []),
        ("of the and --- ''' ___", []),
    ],
)
def test_tokens(text: str, tokens: list[str]) -> None:
    assert analyse(text) == tokens


def test_an_identifier_is_found_by_itself_and_by_its_parts() -> None:
    document = set(analyse("see invoice INV-2041, page 7"))
    for query in ("INV-2041", "inv-2041", "2041", "inv"):
        assert set(analyse(query)) <= document
    assert set(analyse("email")) <= set(analyse("by e-mail"))


@given(st.text(max_size=300))
def test_every_text_has_tokens_that_an_index_can_hold(text: str) -> None:
    tokens = analyse(text)
    assert all(token and not any(c.isspace() for c in token) for token in tokens)
    assert all(len(token) <= LONGEST for token in tokens)
    assert analyse(text) == tokens


@given(st.lists(st.from_regex(r"[a-z]{3,9}", fullmatch=True), max_size=8))
def test_case_and_spacing_do_not_matter(words: list[str]) -> None:
    assert analyse("  ".join(words)) == analyse("\n".join(words).title())


def test_a_very_long_word_is_cut() -> None:
    assert [len(token) for token in analyse("x" * 100_000)] == [LONGEST]
    assert max(map(len, analyse("a1-" * 50_000))) == LONGEST


def test_threads_have_their_own_stemmer() -> None:
    text = " ".join(f"running{n} cooperation policies" for n in range(300))
    expected, found = analyse(text), []
    threads = [
        threading.Thread(target=lambda: found.extend(analyse(text) == expected for _ in range(20)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 80


@given(st.text(max_size=60))
def test_words_that_were_seen_before_give_the_same_tokens(text: str) -> None:
    assert analyse(text) == analyse(text) == _analysed(text)
