"""The characters of a PDF page, all at once: what they are and where, as arrays.

A call over the boundary to pdfium costs more than what it does, so a page's codes come in one
call and the boxes by calls that keep the interpreter's lock and convert nothing. What has no shape
on the page (blanks, line ends, characters that no reader sees) has no box here.
"""

from __future__ import annotations

import ctypes
import functools
import re
from collections import deque
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt

from ingestion.parse.pdf_calls import direct
from ingestion.parse.pdf_shifted import put_back, suspicious
from ingestion.parse.transcript import UNSEEN

HYPHENS = (0x02, 0xFFFE)  # how pdfium reports the hyphen of a word that is broken over two lines
_LINE_ENDS = (0x0A, 0x0D)
_LETTER, _BLANK, _END, _HYPHEN, _UNSEEN = range(5)
_LAST = 0xFFFF  # code point up to which kinds are told apart; above all are letters
_UNKNOWN = 0xFFFD
_TEX_FONT = b"CMSY"  # Computer Modern's symbols, in TeX's encoding OMS
_TEX_SYMBOLS = {0x30: "\u2032", 0x37: "\u21a6", 0x3E: "\u22a4", 0x68: "\u27e8", 0x69: "\u27e9"}
_TEX_SYMBOLS |= {0x60: "\u22a2", 0x61: "\u22a3", 0x62: "\u230a", 0x63: "\u230b", 0x64: "\u2308"}
_TEX_SYMBOLS |= {0x65: "\u2309", 0x74: "\u2294", 0x75: "\u2293", 0x76: "\u2291", 0x77: "\u2292"}
_GROWTH = 4_096  # boxes that are made room for at a time

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Characters:
    """The n visible characters of a page. `text` holds one a piece; `places` are their numbers in
    pdfium's count; `boxes` (n, 4) their left, lower, right and upper edge in the page's own
    coordinates, as high as the font's lines. `begins` (n) is true where a blank or line end stands
    before; `rows` (n) counts the line ends before; `hyphenated` are the rows that end in a broken
    word."""

    text: str
    places: Integers
    boxes: Floats
    begins: npt.NDArray[np.bool_]
    rows: Integers
    hyphenated: frozenset[int]


def characters(sheet: Any) -> Characters:
    """The characters of a pypdfium2 text page."""
    codes = _codes(sheet)
    kinds = _kinds()[np.minimum(codes, _LAST)]
    places = np.flatnonzero(kinds == _LETTER)
    ends = (kinds == _END) | (kinds == _HYPHEN)
    passed = np.cumsum(ends)
    breaks = np.cumsum(ends | (kinds == _BLANK))[places]
    begins = np.ones(len(places), bool)
    begins[1:] = breaks[1:] != breaks[:-1]
    return Characters(
        codes[places].astype("<u4").tobytes().decode("utf-32-le"),
        places,
        _boxes(sheet, places),
        begins,
        passed[places],
        frozenset((passed[kinds == _HYPHEN] - 1).tolist()),
    )


def _codes(sheet: Any) -> Integers:
    """The code point of each character, as one text where each has one place in it."""
    import pypdfium2.raw as pdfium

    count = sheet.count_chars()
    units = (ctypes.c_ushort * (count + 1))()
    written = pdfium.FPDFText_GetText(sheet, 0, count, units) - 1 if count else 0
    codes = np.frombuffer(units, np.uint16, count).astype(np.int64)
    if written != count or ((codes >= 0xD800) & (codes < 0xE000)).any():
        code_of = direct(pdfium.FPDFText_GetUnicode, ctypes.c_uint)
        raw = ctypes.cast(sheet.raw, ctypes.c_void_p)
        codes = np.fromiter(map(code_of, repeat(raw), range(count)), np.int64, count)
    _name_symbols(sheet, codes)
    if suspicious(codes):
        put_back(sheet, codes)
    unknown = (codes == 0) | (codes > 0x10FFFF) | ((codes >= 0xD800) & (codes < 0xE000))
    codes[unknown] = _UNKNOWN
    return codes


def _name_symbols(sheet: Any, codes: Integers) -> None:
    """Put in the symbols of TeX's fonts whose glyphs have names that pdfium does not know; it gives
    the number of the glyph in the font then, so that m\u2032 would read m0."""
    import pypdfium2.raw as pdfium

    places = np.flatnonzero(_tex_symbols()[np.minimum(codes, _LAST)])
    unmapped = direct(pdfium.FPDFText_HasUnicodeMapError)
    raw = ctypes.cast(sheet.raw, ctypes.c_void_p)
    wrong = np.fromiter(map(unmapped, repeat(raw), places.tolist()), np.int64, len(places)) == 1
    name, flags = ctypes.create_string_buffer(64), ctypes.c_int()
    for place in places[wrong].tolist():
        pdfium.FPDFText_GetFontInfo(sheet, place, name, len(name), flags)
        if _TEX_FONT in name.value:
            codes[place] = ord(_TEX_SYMBOLS[int(codes[place])])


@functools.cache
def _tex_symbols() -> npt.NDArray[np.bool_]:
    symbols = np.zeros(_LAST + 1, bool)
    symbols[list(_TEX_SYMBOLS)] = True
    return symbols


@functools.cache
def _kinds() -> npt.NDArray[np.uint8]:
    every = "".join(map(chr, range(_LAST + 1)))
    kinds = np.full(_LAST + 1, _LETTER, np.uint8)
    for kind, pattern in ((_UNSEEN, UNSEEN), (_BLANK, re.compile(r"\s"))):
        kinds[[found.start() for found in pattern.finditer(every)]] = kind
    kinds[list(_LINE_ENDS)] = _END
    kinds[list(HYPHENS)] = _HYPHEN
    return kinds


class _Room:
    """Memory for boxes, used again for every page: making a view of each takes longer than asking
    pdfium for it."""

    def __init__(self) -> None:
        self.edges = np.zeros((0, 4), np.float32)
        self.views: list[Any] = []

    def of(self, count: int) -> tuple[npt.NDArray[np.float32], list[Any]]:
        if count > len(self.views):
            whole = (ctypes.c_float * 4 * (-(-count // _GROWTH) * _GROWTH))()
            self.edges = np.ctypeslib.as_array(whole)
            self.views = list(whole)
        return self.edges[:count], self.views


@functools.cache
def _room() -> _Room:
    return _Room()


def _boxes(sheet: Any, places: Integers) -> Floats:
    import pypdfium2.raw as pdfium

    box_of = direct(pdfium.FPDFText_GetLooseCharBox)
    raw = ctypes.cast(sheet.raw, ctypes.c_void_p)
    edges, views = _room().of(len(places))
    edges[:] = 0.0
    deque(map(box_of, repeat(raw), places.tolist(), views), maxlen=0)
    left, top, right, bottom = edges.astype(np.float64).T
    return np.stack(
        (np.minimum(left, right), np.minimum(top, bottom), np.maximum(left, right),
         np.maximum(top, bottom)), axis=1,
    )  # fmt: skip
