"""Bytes to text, whatever the encoding; binary data is refused, never shown as mojibake."""

from __future__ import annotations

import codecs
import re

from rag.errors import UnsupportedType

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROL = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_BINARY_SHARE = 0.002  # control characters per character above which it is not text
_SAMPLE = 2**18
_NOT_TEXT = (
    "the file is binary data, not text; "
    "upload the original document (PDF, DOCX, HTML, Markdown or text)"
)


def decode(data: bytes, declared: str | None = None) -> str:
    """The text of `data`: by byte order mark, as UTF-8, in the encoding the file `declared`, or
    in the likeliest one. Raises UnsupportedType for binary data."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return _textual(data.decode(encoding, errors="replace"))
    wide = _wide(data)
    for encoding in filter(None, (wide, _by_escapes(data), "utf-8", declared)):
        try:
            return _textual(data.decode(encoding))
        except (UnicodeDecodeError, LookupError):
            continue
    return _textual(_guessed(data))


def _wide(data: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark: text whose zero bytes stand at regular places."""
    sample = data[: _SAMPLE - _SAMPLE % 4]
    if len(sample) < 8 or b"\0" not in sample:
        return None
    zeros = [sample[i::4].count(0) * 4 / len(sample) for i in range(4)]
    patterns = {
        "utf-32-le": (0, 1, 1, 1),
        "utf-32-be": (1, 1, 1, 0),
        "utf-16-le": (0, 1, 0, 1),
        "utf-16-be": (1, 0, 1, 0),
    }
    for encoding, pattern in patterns.items():
        if all(z > 0.6 if want else z < 0.2 for z, want in zip(zeros, pattern, strict=True)):
            return encoding
    return None


def _by_escapes(data: bytes) -> str | None:
    """Japanese mail's ISO-2022-JP, which is ASCII to the eye of a decoder."""
    if b"\x1b$" not in data[:_SAMPLE] or any(byte >= 0x80 for byte in data[:_SAMPLE]):
        return None
    return "iso2022_jp_2"


def _guessed(data: bytes) -> str:
    """The likeliest single-byte or East Asian encoding of bytes that are not Unicode."""
    if len(_CONTROL.findall(data[:_SAMPLE].decode("latin-1"))) > _BINARY_SHARE * min(
        len(data), _SAMPLE
    ):
        raise UnsupportedType(_NOT_TEXT)  # before the costly guess
    from charset_normalizer import from_bytes

    best = from_bytes(data[:_SAMPLE]).best()
    if best is None:
        raise UnsupportedType(_NOT_TEXT)
    return data.decode(best.encoding, errors="replace")


def _textual(text: str) -> str:
    sample = text[:_SAMPLE]
    bad = len(_CONTROL.findall(sample)) + sample.count("\ufffd")
    if bad > max(_BINARY_SHARE * len(sample), 2 if len(sample) > 64 else 0):
        raise UnsupportedType(_NOT_TEXT)
    return text
