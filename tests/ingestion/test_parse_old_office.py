"""Word and PowerPoint of 1997 to 2003, and Outlook's messages: files made of their records."""

from __future__ import annotations

import struct

import pytest

from rag.errors import EncryptedDocument, UnreadableDocument, UnsupportedType
from tests.ingestion.making import ole, read, shown


def doc(text: str, *, flags: int = 0x0200, magic: int = 0xA5EC, split: int = 0) -> bytes:
    """A Word document; the characters before `split` are stored as one byte each."""
    narrow, wide = text[:split].encode("cp1252"), text[split:].encode("utf-16-le")
    main = bytearray(0x400 + len(narrow) + len(wide))
    struct.pack_into("<HH", main, 0, magic, 0xC1)
    struct.pack_into("<H", main, 0x0A, flags)
    struct.pack_into("<I", main, 0x4C, len(text))
    main[0x400:] = narrow + wide
    ends = struct.pack("<3I", 0, split, len(text))
    first = struct.pack("<HIH", 0, (0x400 * 2) | 0x40000000, 0)
    second = struct.pack("<HIH", 0, 0x400 + len(narrow), 0)
    plc = ends + first + second
    table = b"\x02" + struct.pack("<I", len(plc)) + plc
    struct.pack_into("<II", main, 0x1A2, 0, len(table))
    return ole({"WordDocument": bytes(main), "1Table": table})


def test_doc_of_two_kinds_of_pieces() -> None:
    text = 'Große Pause\rSee \x13 HYPERLINK "x" \x14the rules\x15.\rŻółw\r'
    text += "Plan\x07Price\x07\x07Basic\x0710\x07\x07End\r"
    parsed = read(doc(text, split=12), "a.bin")
    assert parsed.media_type == "application/msword"
    assert shown(parsed) == [
        ("paragraph", "Große Pause"),
        ("paragraph", "See the rules."),
        ("paragraph", "Żółw"),
        ("table", "Plan: Basic; Price: 10"),
        ("paragraph", "End"),
    ]


def test_doc_locked_old_or_damaged() -> None:
    with pytest.raises(EncryptedDocument, match="password"):
        read(doc("x\r", flags=0x0300), "a.doc")
    with pytest.raises(UnreadableDocument, match="before Word 97"):
        read(doc("x\r", magic=0xA5DC), "a.doc")
    with pytest.raises(UnreadableDocument):
        read(doc("words\r")[:1500], "a.doc")
    with pytest.raises(UnsupportedType, match="old Office"):
        read(ole({"SomethingElse": b"x"}), "a.doc")


def record(kind: int, body: bytes, *, instance: int = 0, container: bool = False) -> bytes:
    return struct.pack("<HHI", instance << 4 | (0xF if container else 0), kind, len(body)) + body


def text_of(kind: int, text: str) -> bytes:
    return record(0x0F9F, struct.pack("<I", kind)) + record(0x0FA0, text.encode("utf-16-le"))


def test_ppt() -> None:
    first = record(0x03F3, bytes(20)) + text_of(0, "Leave") + text_of(1, "28 days\r5 carried over")
    second = record(0x03F3, bytes(20)) + text_of(0, "Größe")
    outline = record(0x0FF0, first + second, container=True)
    box = record(0xF00D, record(0x0FA8, b"in a box"), container=True)
    slides = record(0x03EE, b"", container=True) + record(0x03EE, box, container=True)
    document = record(0x03E8, outline, container=True) + slides
    parsed = read(ole({"PowerPoint Document": document}), "a.bin")
    assert parsed.pages == 2
    assert [
        (block.page, text) for block, (_, text) in zip(parsed.blocks, shown(parsed), strict=True)
    ] == [
        (1, "Leave"),
        (1, "28 days\n5 carried over"),
        (2, "Größe"),
        (2, "in a box"),
    ]


def test_msg() -> None:
    def words(text: str) -> bytes:
        return text.encode("utf-16-le")

    properties = bytes(32)
    for tag in (0x0037001F, 0x1000001F):
        properties += struct.pack("<IIII", tag, 6, 20, 0)
    message = ole(
        {
            "__properties_version1.0": properties,
            "__substg1.0_0037001F": words("Leave"),
            "__substg1.0_1000001F": words("The break is 45 minutes."),
        }
    )
    parsed = read(message, "a.bin")
    assert parsed.media_type == "application/vnd.ms-outlook"
    assert parsed.text.startswith("Leave")
    assert "The break is 45 minutes." in parsed.text
