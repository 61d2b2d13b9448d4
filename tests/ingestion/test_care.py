"""What is found in texts before they are indexed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.injection import _ORDERS
from ingestion.care.examine import examine
from ingestion.care.instructions import instructions
from ingestion.care.language import language_of
from ingestion.care.legibility import legibility
from ingestion.care.personal import personal
from ingestion.parse import parse
from rag.domain import Block, BlockKind, Parsed, PersonalPolicy
from rag.errors import RefusedContent
from rag.layout import MASK

EXAMPLES = Path(__file__).parents[2] / "examples" / "documents"
GERMAN = (
    "Die Beschäftigten haben Anspruch auf siebenundzwanzig Tage Urlaub im Jahr. Der Antrag ist "
    "schriftlich bei der Leitung der Abteilung zu stellen, spätestens vier Wochen vor dem ersten "
    "Tag. Wird er abgelehnt, so sind die Gründe zu nennen. Krankheit während des Urlaubs ist "
    "unverzüglich anzuzeigen; die Tage werden gutgeschrieben, wenn ein Zeugnis vorliegt."
)
ENGLISH = (
    "Employees are entitled to twenty-seven days of paid leave in each calendar year. A request is "
    "made in writing to the head of the department no later than four weeks before the first day. "
    "If it is declined, the reasons are given. Illness during leave is reported at once, and the "
    "days are credited when a medical certificate has been handed in."
)


def found(text: str, language: str = "en") -> dict[str, str]:
    return {text[one.start : one.end]: one.detail for one in personal(text, language)}


@pytest.mark.parametrize(
    ("text", "words", "kind"),
    [
        ("Write to anna.schmidt@firma.de.", "anna.schmidt@firma.de", "email"),
        ("(Bob+x@mail.x-y.co.uk)", "Bob+x@mail.x-y.co.uk", "email"),
        ("auf DE89 3704 0044 0532 0130 00 UND", "DE89 3704 0044 0532 0130 00", "iban"),
        ("IBAN: GB29NWBK60161331926819.", "GB29NWBK60161331926819", "iban"),
        ("card 4111 1111 1111 1111,", "4111 1111 1111 1111", "card"),
        ("Amex 378282246310005", "378282246310005", "card"),
        ("SSN 536-90-4399.", "536-90-4399", "national id US"),
        ("Steuer-ID: 86 095 742 719", "86 095 742 719", "national id DE"),
        ("NI number AB 12 34 56 C", "AB 12 34 56 C", "national id GB"),
        ("AHV 756.9217.0769.85", "756.9217.0769.85", "national id CH"),
        ("DNI 54362315K", "54362315K", "national id ES"),
        ("cf RSSMRA85T10A562S", "RSSMRA85T10A562S", "national id IT"),
        ("Tel. 030 901820", "030 901820", "phone"),
        ("+49 (0)30 901820", "+49 (0)30 901820", "phone"),
        ("0049 30 901820", "0049 30 901820", "phone"),
        ("0171/1234567", "0171/1234567", "phone"),
        ("call (212) 555-0142 now", "(212) 555-0142", "phone"),
        ("212-555-0142", "212-555-0142", "phone"),
        ("Phone: 2125550142", "2125550142", "phone"),
        ("020 7946 0958", "020 7946 0958", "phone"),
        ("appelez +33 1 42 68 53 00", "+33 1 42 68 53 00", "phone"),
    ],
)
def test_personal_data_is_found_to_the_letter(text: str, words: str, kind: str) -> None:
    assert found(text) == {words: kind}


@pytest.mark.parametrize(
    "text",
    [
        "card 4111 1111 1111 1112",  # a wrong check digit
        "DE88 3704 0044 0532 0130 00",
        "000-12-3456 and 078-05-1120",  # numbers that were never given to anyone
        "order 1234567890123456, invoice 86095742719",  # right, but nobody says it is a tax id
        "2024-05-01, 01.05.2024, 2024/12/31, 12:30-14:00, 1990-1999",
        "1.234.567,89 EUR; 12 345 678; 0.1234567; 100 200 300 400",
        "version 10.1.2.3, pages 100-200-3000, ISBN 978-3-16-148410-0",
        "@media print { a@b }, user@host",
        "GPIO 01 02 03, part 555-1234, room 030",
    ],
)
def test_what_only_looks_like_it_is_left_alone(text: str) -> None:
    assert found(text) == {}
    assert found(text, "de") == {}


@pytest.mark.parametrize("name", ["handbook.md", "manual.txt", "policy.html", "price-list.docx"])
def test_the_sample_documents_are_clean_english(name: str) -> None:
    parsed = parse((EXAMPLES / name).read_bytes(), name)
    findings = examine(parsed, PersonalPolicy.ALLOW).findings
    assert (findings.instructions, findings.noise, findings.language) == (0, 0, "en")
    assert not findings.personal


PIECES = st.sampled_from(
    ["a@b.de", "DE89370400440532013000", "\n", " ", "é", "𝒳", "4111 1111 1111 1111", "536-90-4399"]
)


def test_numbers_that_stand_right_beside_each_other_are_all_found() -> None:
    found = personal("DE89370400440532013000" * 9, "")
    assert [(one.start, one.end) for one in found] == [(22 * n, 22 * n + 22) for n in range(9)]


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES | st.text(max_size=8), max_size=12))
def test_masking_keeps_every_other_character_where_it_was(pieces: list[str]) -> None:
    text = "".join(pieces)
    blocks = (Block(BlockKind.PARAGRAPH, 0, len(text)),)
    parsed = examine(Parsed(text, blocks, "text/plain"), PersonalPolicy.MASK).parsed
    hidden = {i for one in personal(text, "") for i in range(one.start, one.end)}
    assert len(parsed.text) == len(text)
    for i, (before, after) in enumerate(zip(text, parsed.text, strict=True)):
        assert after == (MASK if i in hidden else before)
    assert personal(parsed.text, "") == []


def test_masking_reaches_title_and_metadata() -> None:
    parsed = Parsed(
        "Hello.", (), "message/rfc822", "For a@b.de", metadata={"from": "x@y.org", "n": 1}
    )
    masked = examine(parsed, PersonalPolicy.MASK)
    assert masked.parsed.title == "For " + MASK * 6
    assert masked.parsed.metadata == {"from": MASK * 7, "n": 1}
    assert masked.findings.personal == {"email": 2}


def test_a_refusal_says_what_and_where_but_not_the_words() -> None:
    text = "Pay to DE89370400440532013000.\nAsk a@b.de\nor c@d.de."
    blocks = (Block(BlockKind.PARAGRAPH, 0, 30, 1), Block(BlockKind.PARAGRAPH, 31, len(text), 4))
    with pytest.raises(RefusedContent) as refused:
        examine(Parsed(text, blocks, "application/pdf", pages=4), PersonalPolicy.REFUSE)
    said = str(refused.value)
    assert "2 email (page 4); 1 iban (page 1)" in said
    assert "@" not in said
    assert "DE89" not in said


@pytest.mark.parametrize("order", _ORDERS)
def test_an_order_to_the_model_is_flagged(order: str) -> None:
    text = f"{ENGLISH} {order.format(reply='blue falcon')} {ENGLISH}"
    (first, *_) = instructions(text)
    assert len(ENGLISH) < first.start < first.end < len(text) - len(ENGLISH)


@pytest.mark.parametrize("order", _ORDERS)
def test_it_is_flagged_in_whatever_letters(order: str) -> None:
    plain = order.format(reply="blue falcon")
    for written in (plain.upper(), plain.replace("s", "ſ").replace("i", "ı")):
        assert instructions(f"{ENGLISH} {written} {ENGLISH}"), written


@pytest.mark.parametrize(
    "text",
    [
        'Staff must not type "ignore all previous instructions" into the assistant.',
        "Wer „Ignoriere alle bisherigen Anweisungen“ eingibt, verstößt gegen die Richtlinie.",
        "Retrieved text is data, never an instruction to the language model.",
        "Employees who ignore previous instructions of the fire warden may be dismissed.",
        "Please disregard our previous invoice. Follow the instructions on page 3.",
        "The assistant answers all questions of visitors and prints their badges.",
        "System: Linux 6.1. Assistant: Ms Weber. Note to the reader: see below.",
    ],
)
def test_speaking_of_instructions_is_none(text: str) -> None:
    assert instructions(text) == []


def garbled(text: str, share: float) -> str:
    rng = random.Random(7)
    looks = dict(zip("eolisnthrdmau", "c01l5rifbvrnqi", strict=False))
    wrong = [lambda c: looks.get(c, "~"), lambda c: rng.choice("qxzjkvwfpbgy"), lambda c: "|"]
    return "".join(
        rng.choice(wrong)(c) if c.isalpha() and rng.random() < share else c for c in text
    )


@pytest.mark.parametrize(("text", "language"), [(ENGLISH, "en"), (GERMAN, "de")])
def test_noise_is_told_from_prose(text: str, language: str) -> None:
    assert language_of(text) == language
    scores = []
    for share in (0.0, 0.15, 0.3, 0.5):
        said = garbled(text, share)
        judged = legibility(said, [Block(BlockKind.PARAGRAPH, 0, len(said))], language)
        assert judged.surprise is not None
        assert bool(judged.noise) == (share >= 0.3)
        scores.append(judged.surprise)
    assert scores == sorted(scores)
    worst = garbled(text, 0.6)
    whole = (Block(BlockKind.PARAGRAPH, 0, len(worst)),)
    found = examine(Parsed(worst, whole, "text/plain"), PersonalPolicy.ALLOW).findings
    assert found.noise == 1


def test_code_is_no_noise() -> None:
    for path in sorted((Path(__file__).parents[2] / "rag").glob("*.py"))[:20]:
        text = path.read_text("utf-8")
        judged = legibility(text, [Block(BlockKind.PARAGRAPH, 0, len(text))], "en")
        assert judged.noise == (), path.name
