"""Mail: headers, words in any encoding, alternatives, attachments, messages in messages."""

from __future__ import annotations

from contextlib import suppress
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.limits import Limits
from rag.errors import LimitExceeded, UnreadableDocument
from tests.ingestion.making import read, shown


def message(subject: str = "Leave") -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "Ann <ann@example.org>", "bo@example.org", subject
    made["Date"] = "Mon, 02 Mar 2026 09:00:00 +0000"
    return made


def test_headers_words_and_the_names_of_what_is_attached() -> None:
    made = message("Größere Pausen")
    made.set_content("Dear Bo,\n\nthe break is 45 minutes.\n")
    made.add_attachment(b"28 days", "text", "plain", filename="leave/rules.txt")
    parsed = read(made.as_bytes(), "m.txt")
    assert parsed.media_type == "message/rfc822"
    assert shown(parsed) == [
        ("heading", "Größere Pausen"),
        (
            "paragraph",
            "From: Ann <ann@example.org>\nTo: bo@example.org\n"
            "Date: Mon, 02 Mar 2026 09:00:00 +0000",
        ),
        ("paragraph", "Dear Bo,"),
        ("paragraph", "the break is 45 minutes."),
        ("list", "Attached:\n- leave rules.txt"),
    ]
    assert [(member.name, member.data) for member in parsed.members] == [
        ("leave rules.txt", b"28 days")
    ]


def test_of_two_forms_one_is_read_and_tables_win() -> None:
    made = message()
    made.set_content("plain words")
    made.add_alternative("<p>plain words</p>", subtype="html")
    assert read(made.as_bytes(), "m.eml").text.count("plain words") == 1
    made = message()
    made.set_content("Plan Price Basic 10")
    table = "<table><tr><th>Plan</th><th>Price</th></tr><tr><td>Basic</td><td>10</td></tr></table>"
    made.add_alternative(table, subtype="html")
    assert read(made.as_bytes(), "m.eml").text.endswith("Plan: Basic; Price: 10")


@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1", "koi8-r", "cp1252"])
def test_words_in_any_encoding(charset: str) -> None:
    made = message()
    words = "Отпуск длится двадцать восемь дней" if charset == "koi8-r" else "Größe und Käse"
    made.set_content(f"{words}\n", charset=charset, cte="base64")
    assert words in read(made.as_bytes(), "m.eml").text


def test_japanese_mail() -> None:
    head = "From: a@example.org\nSubject: x\nContent-Type: text/plain; charset=iso-2022-jp\n\n"
    data = head.encode() + "休暇は年に二十日です。".encode("iso2022_jp")
    assert "休暇は年に二十日です。" in read(data, "m.eml").text


def test_a_message_in_a_message_is_a_file_of_its_own() -> None:
    inner = message("Old news")
    inner.set_content("first words")
    made = message()
    made.set_content("see below")
    made.add_attachment(inner)
    (member,) = read(made.as_bytes(), "m.eml").members
    assert member.name == "Old news.eml"
    assert "first words" in read(member.data, member.name).text


def test_logos_and_signatures_are_no_documents() -> None:
    made = message()
    made.set_content("words")
    made.add_attachment(b"GIF89a", "image", "gif", cid="<logo>", disposition="inline")
    made.add_attachment(b"x", "application", "pkcs7-signature", filename="smime.p7s")
    assert read(made.as_bytes(), "m.eml").members == ()


def test_a_text_that_begins_like_a_letter_is_text() -> None:
    parsed = read(b"From: the board\nTo: all staff\nDate: today\n\nThe office is closed.", "a.txt")
    assert parsed.media_type == "text/plain"


def test_too_many_attachments() -> None:
    made = message()
    made.set_content("words")
    for number in range(3):
        made.add_attachment(b"x", "text", "plain", filename=f"{number}.txt")
    with pytest.raises(LimitExceeded, match="max_archived_files"):
        read(made.as_bytes(), "m.eml", Limits(archived_files=2))


@settings(deadline=None)
@given(st.binary(max_size=500))
def test_any_message_is_read_or_refused_with_a_reason(body: bytes) -> None:
    head = (
        b"From: a@b.c\nSubject: x\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n"
    )
    with suppress(UnreadableDocument):
        read(head + body, "m.eml")
