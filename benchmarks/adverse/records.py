"""JSON, XML and RTF."""

from __future__ import annotations

import json
from collections.abc import Iterator

from benchmarks.adverse.case import Case


def records() -> Iterator[Case]:
    yield Case(
        "numbers.json",
        b'{"price": 12.50, "big": 123456789012345678901234567890, "tiny": 1e-9, "ratio": NaN, "limit": Infinity, "long": 1234567.1234567891, "zero": 0, "none": null, "no": false}',
        (
            "price: 12.5",
            "big: 123456789012345678901234567890",
            "ratio: NaN",
            "1234567.1234567891",
            "zero: 0",
            "no: no",
        ),
    )
    yield Case(
        "huge-number.json",
        b'{"n": ' + b"9" * 10_000 + b', "after": "words"}',
        ("after: words",),
        ("{",),
    )
    yield Case(
        "duplicate-keys.json",
        b'{"step": "open the valve", "step": "close the valve"}',
        ("open the valve", "close the valve"),
    )
    yield Case("deep.json", b"[" * 100_000 + b"]" * 100_000, states=("limit", "empty"))
    yield Case("deep-object.json", b'{"a":' * 50_000 + b"1" + b"}" * 50_000, states=("limit",))
    yield Case(
        "deep-200.json",
        b'{"a":' * 200 + b'"bottom"' + b"}" * 200,
        ("bottom",),
        states=("read", "limit"),
    )
    yield Case(
        "lines.jsonl",
        b'{"id": 1, "text": "first"}\n\n{"id": 2, "text": "second"}\n',
        ("first", "second"),
    )
    yield Case(
        "bad-line.jsonl",
        b'{"id": 1, "text": "first"}\n{broken\n{"id": 3, "text": "third"}\n',
        ("first", "broken", "third"),
    )
    yield Case(
        "concatenated.json",
        b'{"a": "first"} {"a": "second"}\n{"a": "third"}',
        ("first", "second", "third"),
    )
    yield Case("utf16.json", '{"Größe": "drei"}'.encode("utf-16"), ("Größe: drei",))
    yield Case("mark.json", b'\xef\xbb\xbf{"a": "words"}', ("a: words",))
    yield Case("string.json", b'"just a string"', ("just a string",))
    yield Case(
        "surrogates.json", b'{"a": "\\ud83d\\ude00 smile \\ud800 lone \\u0000 nul"}', ("smile",)
    )
    yield Case("single-quotes.json", b"{'a': 'words', // comment\n}", ("words",))
    yield Case(
        "notebook.ipynb",
        json.dumps(
            {
                "cells": [
                    {"cell_type": "markdown", "source": ["# Title\n", "Some words"]},
                    {"cell_type": "code", "source": ["x = 1"], "outputs": []},
                ],
                "nbformat": 4,
            }
        ).encode(),
        ("Title", "Some words", "x = 1"),
    )
    yield Case(
        "attributes.xml",
        b'<?xml version="1.0"?><parts><part name="Seal" price="12"/><part name="Valve" price="40">spare</part></parts>',
        ("Seal", "12", "Valve", "40", "spare"),
    )
    yield Case(
        "mixed.xml",
        b'<?xml version="1.0"?><doc>Lead words<sec>Own words<sub><x>leaf words</x></sub></sec><p>Mixed <b>bold</b> tail</p></doc>',
        ("Lead words", "Own words", "leaf words", "Mixed bold tail"),
    )
    yield Case(
        "cdata.xml",
        b'<?xml version="1.0"?><a><b><![CDATA[Fish & chips]]></b><!-- no --><?pi no?></a>',
        ("Fish & chips",),
        ("no",),
    )
    yield Case(
        "entity.xml",
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY co "Acme"><!ENTITY x SYSTEM "file:///etc/hostname">]><a><b>By &co; only</b><c>&x;</c></a>',
        ("By",),
    )
    yield Case(
        "laughs.xml",
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "ha">'
        + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
        + b"]><a>&j;</a>",
        states=("read", "unreadable", "empty", "limit"),
    )
    yield Case(
        "latin1.xml",
        '<?xml version="1.0" encoding="ISO-8859-1"?><a><b>Größe</b></a>'.encode("latin-1"),
        ("Größe",),
    )
    yield Case(
        "utf16.xml",
        '<?xml version="1.0" encoding="UTF-16"?><a><b>Größe</b></a>'.encode("utf-16"),
        ("Größe",),
    )
    yield Case(
        "broken.xml",
        b'<?xml version="1.0"?><a><b>Some words<c>others</a>',
        states=("read", "unreadable"),
    )
    yield Case(
        "deep.xml",
        b'<?xml version="1.0"?>' + b"<a>" * 10_000 + b"bottom" + b"</a>" * 10_000,
        states=("read", "unreadable", "limit"),
    )
    yield Case(
        "no-declaration.xml",
        b"<parts><part><name>Seal</name></part></parts>",
        ("Seal",),
        ("<name>",),
    )
    yield Case(
        "feed.rss",
        b'<?xml version="1.0"?><rss version="2.0"><channel><title>News</title><item><title>Pump sold</title><description>&lt;p&gt;For 5 &amp;euro;&lt;/p&gt;</description></item></channel></rss>',
        ("News", "Pump sold", "For 5"),
    )


def rtf() -> Iterator[Case]:
    yield Case(
        "unicode.rtf",
        rb"{\rtf1\ansi\ansicpg1252\uc1 Gr\'f6\'dfe \u8211? \u1071?\u1083?\u1090?\u1072? end\par Next line\par}",
        ("Größe – Ялта end", "Next line"),
    )
    yield Case(
        "cyrillic.rtf",
        b"{\\rtf1\\ansi\\ansicpg1251{\\fonttbl{\\f0\\fcharset204 Arial;}}\\f0 "
        + "".join(f"\\'{b:02x}" for b in "Гарантия".encode("cp1251")).encode()
        + b"\\par}",
        ("Гарантия",),
    )
    yield Case(
        "japanese.rtf",
        b"{\\rtf1\\ansi\\ansicpg932{\\fonttbl{\\f0\\fcharset128 MS Gothic;}}\\f0 "
        + "".join(f"\\'{b:02x}" for b in "保証期間".encode("cp932")).encode()
        + b"\\par}",
        ("保証期間",),
    )
    yield Case(
        "uc2.rtf",
        rb"{\rtf1\ansi\uc2 \u20445??\u-10179??\u-8704?? x\par}",
        ("\u4fdd\U0001f600 x".replace("\U0001f600", "") and "\u4fdd",),
    )
    yield Case(
        "footnote.rtf",
        rb"{\rtf1 The fee is due{\footnote Unless delayed.} in March.\par}",
        ("Unless delayed.",),
    )
    yield Case(
        "hidden.rtf",
        rb"{\rtf1{\fonttbl{\f0 Arial;}}{\colortbl;\red0;}{\stylesheet{\s0 Normal;}}{\info{\title The title}{\author Jo}}{\*\generator X;}Shown words.\par{\v hidden words}}",
        ("Shown words.",),
        ("Arial", "Normal;", "generator"),
    )
    yield Case(
        "table.rtf",
        rb"{\rtf1\trowd\cellx1000\cellx2000 Part\cell Price\cell\row\trowd\cellx1000\cellx2000 Seal\cell 12\cell\row\pard After.\par}",
        ("Seal", "12", "After."),
    )
    yield Case(
        "pipes.rtf",
        rb"{\rtf1 The sign | ends this line |\par Next.\par}",
        ("The sign | ends this line", "Next."),
    )
    yield Case(
        "broken.rtf", rb"{\rtf1\ansi Words before the end \b bold", ("Words before the end bold",)
    )
    yield Case(
        "picture.rtf",
        b"{\\rtf1 Before.{\\pict\\pngblip " + b"89504e47" * 5000 + b"}After.\\par}",
        ("Before.", "After."),
        ("89504e47",),
    )
    yield Case(
        "binary.rtf",
        b"{\\rtf1 Before.{\\pict\\bin20 {}{}{}\\\\\\}xxxxxxxxxxxx}After.\\par}",
        ("Before.", "After."),
    )


def cases() -> Iterator[Case]:
    yield from records()
    yield from rtf()
