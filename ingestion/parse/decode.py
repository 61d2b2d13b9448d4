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
_WIDE_LETTERS = re.compile(
    "[\t\n\r\x20-\x7e\xa0-\u017f\u0370-\u06ff\u0900-\u0e7f\u2010-\u2044\u20ac\u3000-\u30ff"
    "\u4e00-\u9fff\uac00-\ud7a3\uff00-\uffef]"
)
_ASCII = tuple(bytes([code]) for code in (*b"\t\n\r", *range(0x20, 0x7F)))
_MOSTLY_ASCII = 0.8  # of the bytes: ASCII with a stray zero, which would read as Chinese
_WIDE_SHARE = 0.98  # of the characters of UTF-16 that are in use, and not so the other way round
# What a label means to those who write it (WHATWG, Encoding Standard): pages and mails that say
# Latin-1 hold the quotes and dashes of Windows, and gb2312 means whatever came after it.
_MEANT = {
    **dict.fromkeys(("iso8859-1", "ascii", "latin-1", "latin1"), "cp1252"),
    **dict.fromkeys(("gb2312", "gbk", "x-gbk"), "gb18030"),
    **dict.fromkeys(("shift_jis", "x-sjis"), "cp932"),
    **dict.fromkeys(("euc_kr", "ks_c_5601-1987"), "cp949"),
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "big5": "big5hkscs",
    "tis-620": "cp874",
    "x-mac-cyrillic": "mac_cyrillic",
    "iso-8859-8-i": "iso8859-8",
    "iso-8859-6-i": "iso8859-6",
    "unicode": "utf-16",
    "x-user-defined": "cp1252",
}
_BINARY_SHARE = 0.002  # control characters per character above which it is not text
_SAMPLE = 2**18
_ESCAPED = re.compile("[\udc80-\udcff]")  # how Python keeps a byte that is no UTF-8
_MAC_LETTERS = re.compile(rb"[\x80-\x9f]")
_FEW_WRONG = 10  # characters beyond ASCII for each wrong byte, in text that is UTF-8 for all that
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
    for encoding in filter(None, (wide, _by_escapes(data), "utf-8", _meant(declared))):
        try:
            return _textual(data.decode(encoding))
        except (UnicodeDecodeError, LookupError):
            continue
    mended = _mended(data)
    return _textual(_guessed(data) if mended is None else mended)


def _meant(declared: str | None) -> str | None:
    """The encoding that a label stands for."""
    if declared is None:
        return None
    label = declared.strip().lower()
    try:
        name = codecs.lookup(label).name
    except LookupError:
        name = label
    return _MEANT.get(label) or _MEANT.get(name, name)


def _mended(data: bytes) -> str | None:
    """UTF-8 with a few wrong bytes, each read as Windows would; None where there are many."""
    text = data.decode("utf-8", "surrogateescape")
    wrong = len(_ESCAPED.findall(text))
    foreign = sum(1 for c in text[:_SAMPLE] if c >= "\x80") - len(_ESCAPED.findall(text[:_SAMPLE]))
    if wrong * _FEW_WRONG > foreign:
        return None
    return _ESCAPED.sub(lambda found: _by_windows(found[0]), text)


def _by_windows(escaped: str) -> str:
    return bytes([ord(escaped) - 0xDC00]).decode("cp1252", "replace")


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
    return _wide_by_letters(sample[: 2**12])


def _wide_by_letters(sample: bytes) -> str | None:
    """UTF-16 whose letters have no zero byte (Cyrillic, Chinese): the way round in which its
    characters are ones that are in use."""
    if sum(map(sample.count, _ASCII)) > _MOSTLY_ASCII * len(sample):
        return None
    share = {}
    for encoding in ("utf-16-le", "utf-16-be"):
        text = sample.decode(encoding, "replace")
        share[encoding] = len(_WIDE_LETTERS.findall(text)) / max(len(text), 1)
    best = max(share, key=lambda encoding: share[encoding])
    return best if share[best] >= _WIDE_SHARE > min(share.values()) else None


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
    encoding = likeliest_encoding(data[:_SAMPLE])
    if encoding is None:
        raise UnsupportedType(_NOT_TEXT)
    return data.decode(encoding, errors="replace")


def likeliest_encoding(sample: bytes) -> str | None:
    """The name of the encoding that bytes beyond ASCII are most likely in, None where it cannot be
    told."""
    import chardet

    found = chardet.detect(sample)["encoding"]
    if found and found.startswith("Mac") and not _MAC_LETTERS.search(sample):
        found = "cp1252"  # a word or two: the Macintosh keeps its small letters elsewhere
    name = _meant(found)
    try:
        return codecs.lookup(name).name if name else None
    except LookupError:
        return None


def _textual(text: str) -> str:
    sample = text[:_SAMPLE]
    bad = len(_CONTROL.findall(sample)) + sample.count("\ufffd")
    if bad > max(_BINARY_SHARE * len(sample), 2 if len(sample) > 64 else 0):
        raise UnsupportedType(_NOT_TEXT)
    return text
