"""JSON, JSON lines and XML: a block a record, a line a value."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.errors import EmptyDocument, LimitExceeded, UnreadableDocument
from tests.ingestion.making import read, shown

RECORDS = [
    {"plan": "Basic", "price": {"amount": 10.0, "currency": "EUR"}, "tags": ["small", "new"]},
    {"plan": "Large", "price": None, "parts": [{"name": "a"}, {"name": "b"}]},
]
SHOWN = [
    ("paragraph", "plan: Basic\nprice.amount: 10\nprice.currency: EUR\ntags: small, new"),
    ("paragraph", "plan: Large"),
    ("paragraph", "parts.name: a"),
    ("paragraph", "parts.name: b"),
]


def test_json_and_json_lines_read_alike() -> None:
    whole = json.dumps(RECORDS).encode()
    lines = "\n".join(json.dumps(record) for record in RECORDS).encode("utf-16")
    assert shown(read(whole, "a.txt")) == SHOWN
    assert shown(read(lines, "a.jsonl")) == SHOWN


def test_what_is_no_json_is_text() -> None:
    source = b"{ 'plan': 'Basic' // with a comment\n}"
    assert read(source, "a.json").text == source.decode()
    assert read(b"[a note]\n\nNo data at all.", "notes").media_type == "text/plain"


def test_json_without_values_or_without_end() -> None:
    with pytest.raises(EmptyDocument):
        read(b"[null, {}]", "a.json")
    with pytest.raises(LimitExceeded, match="deep"):
        read(b'{"a":' * 500 + b"1" + b"}" * 500, "a.json")


LEAVES = st.from_regex(r"[a-z]{1,8}", fullmatch=True)


@settings(deadline=None)
@given(
    st.recursive(
        LEAVES,
        lambda inner: (
            st.lists(inner, min_size=1, max_size=3)
            | st.dictionaries(LEAVES, inner, min_size=1, max_size=3)
        ),
        max_leaves=12,
    )
)
def test_every_value_is_in_the_text(value: Any) -> None:
    def leaves(held: Any) -> list[str]:
        if isinstance(held, str):
            return [held]
        inner = held.values() if isinstance(held, dict) else held
        return [leaf for each in inner for leaf in leaves(each)]

    text = read(json.dumps(value).encode(), "a.json").text
    assert all(leaf in text for leaf in leaves(value))


def test_xml() -> None:
    source = """<?xml version="1.0" encoding="utf-16"?><catalog><plan>
    <name>Basic &amp; more</name><price>10</price></plan><note>Only <b>now</b>.</note></catalog>"""
    assert shown(read(source.encode("utf-16"), "a.xml")) == [
        ("paragraph", "name: Basic & more\nprice: 10"),
        ("paragraph", "note: Only now ."),
    ]


def test_xml_expands_and_fetches_nothing() -> None:
    bomb = b"""<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">
    <!ENTITY f SYSTEM "file:///etc/passwd">]><d><x>words &b; &f;</x></d>"""
    text = ""
    with suppress(UnreadableDocument):
        text = read(bomb, "a.xml").text
    assert "root:" not in text
    assert "aaaa" not in text
    with pytest.raises(UnreadableDocument, match="well formed"):
        read(b"<?xml version='1.0'?><a><b></a>", "a.xml")
