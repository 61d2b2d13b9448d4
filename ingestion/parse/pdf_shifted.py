"""Letters that a font tells wrongly by a fixed distance, put back where that is certain.

A subset font without a map to Unicode is read as the numbers of its glyphs. TrueType fonts keep
the order of the Macintosh's glyphs (Apple, TrueType Reference Manual, table `post`), so "The" is
told as "7KH", 29 places below, and the blank as a control character. A wrong map may be off by
another distance. Which one it is, is told by the words: moved rightly, every fourth or so is one of
the most frequent of its language, and not moved, next to none.
"""

from __future__ import annotations

import ctypes
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt

from ingestion.parse.pdf_calls import direct

GLYPHS = 29  # how far a glyph's number is below the code of its letter
_BEYOND_ASCII = 98  # the first glyph whose letter is not ASCII; from here on in MacRoman's order
_FARTHEST = 40
_SAMPLE = 800  # characters of a page or font that are looked at
_LEAST_CHARACTERS = 60
_LEAST_WORDS = 8
_LEAST_KINDS = 4  # of frequent words, so that a repeated code is no language; half of them long
_BROKEN = 0x02  # how pdfium reports a hyphen at a line's end
_BLANK, _LATIN = ord(" "), 0x250
_LINE_ENDS = (0x0A, 0x0D)
_LANGUAGE, _NONSENSE = 0.2, 0.04  # share of frequent words
_LISTED = (  # words of some 25 languages
    "the of and to in is for that was on are with as be by at it from or an this not have which "
    "der die und das den von zu mit ist im des ein eine nicht auf für dem sich auch als werden "
    "le la les de et en du un une est que pour dans par sur au qui ne pas avec ce il se el los "
    "las del por con para una su al lo como más es di che per della non sono si da os as do em um "
    "uma no dos het een van dat te op voor zijn niet att som på av med till det är och er til af "
    "ikke nie się jest do że ja ei että ovat oli myös hän az és hogy nem egy volt bir ve bu için "
    "ile je na su za od biti și nu cu este sau yang dan untuk dengan ini itu của và là các có cho "
    "không được"
)
_FREQUENT = frozenset(_LISTED.split())

Codes = npt.NDArray[np.int64]


def suspicious(codes: Codes) -> bool:
    """Whether a page may hold letters that were moved: control characters, or Latin letters among
    which no frequent word stands. Figures are no letters."""
    controls = np.bincount(codes[(codes > _BROKEN) & (codes < _BLANK)], minlength=_BLANK)
    if controls.sum() - controls[list(_LINE_ENDS)].sum() > max(3, 0.01 * len(codes)):
        return True
    sample = codes[:_SAMPLE]
    words = _words(sample)
    latin = ((sample < _LATIN) & (sample > _BLANK)).sum()
    figures = ((sample >= ord("0")) & (sample <= ord("9"))).sum()
    if len(sample) < _LEAST_CHARACTERS or latin < 0.6 * len(sample) or figures > 0.3 * latin:
        return False
    return _share(words) < _NONSENSE


def put_back(sheet: Any, codes: Codes) -> None:
    """Put the letters of a text page's moved fonts in their place, font by font; what pdfium adds
    between words belongs to none."""
    fonts = _fonts(sheet, len(codes))
    found: dict[int, int] = {}
    for font in np.unique(fonts[fonts > 0]).tolist():
        found[font] = shift_of(codes[fonts == font])
    usual = max(found.values(), key=list(found.values()).count, default=0)
    shifts = set(found.values()) - {0}
    for font, shift in found.items():
        where = fonts == font
        if not shift and shifts and _controls(codes[where]):
            shift = usual or max(shifts)  # too few words of their own: a heading, a number
        if shift:
            codes[where] = moved(codes[where], shift)


def shift_of(codes: Codes) -> int:
    """How far the letters are to be moved up, 0 where it is not certain that they are."""
    sample = codes[:_SAMPLE]
    if _language(sample) >= _NONSENSE:
        return 0
    every = [shift for shift in range(-_FARTHEST, _FARTHEST + 1) if shift]
    best = max(every, key=lambda shift: _language(moved(sample, shift)))
    words = _words(moved(sample, best))
    kinds = _FREQUENT & set(words)
    long = sum(len(word) > 2 for word in kinds)
    certain = len(words) >= _LEAST_WORDS and len(kinds) >= _LEAST_KINDS <= 2 * long
    return best if certain and _share(words) >= _LANGUAGE else 0


def moved(codes: Codes, shift: int) -> Codes:
    """The codes `shift` places up; glyphs beyond ASCII by the Macintosh's order."""
    if shift != GLYPHS:
        return np.maximum(codes + shift, ord(" "))
    return np.where(codes < len(_LETTERS), _LETTERS[np.minimum(codes, len(_LETTERS) - 1)], codes)


def _letters() -> Codes:
    ascii = list(range(GLYPHS, _BEYOND_ASCII + GLYPHS))
    beyond = bytes(range(_BEYOND_ASCII + GLYPHS + 1, 0xDA)).decode("mac_roman")
    return np.maximum(np.array(ascii + list(map(ord, beyond)), np.int64), ord(" "))


_LETTERS = _letters()


def _language(codes: Codes) -> float:
    return _share(_words(codes))


def _words(codes: Codes) -> list[str]:
    return _text(codes).lower().split()


def _text(codes: Codes) -> str:
    return np.clip(codes, 0, 0xD7FF).astype("<u4").tobytes().decode("utf-32-le")


def _share(words: list[str]) -> float:
    return sum(word in _FREQUENT for word in words) / max(len(words), 1)


def _controls(codes: Codes) -> bool:
    return bool(((codes > _BROKEN) & (codes < _BLANK)).any())


def _fonts(sheet: Any, count: int) -> Codes:
    """The font of each character as a number of its own, 0 for what pdfium added."""
    import pypdfium2.raw as pdfium

    object_of = direct(pdfium.FPDFText_GetTextObject, ctypes.c_void_p)
    font_of = direct(pdfium.FPDFTextObj_GetFont, ctypes.c_void_p)
    raw = ctypes.cast(sheet.raw, ctypes.c_void_p)
    known: dict[int | None, int] = {None: 0}
    fonts = np.zeros(count, np.int64)
    for place, piece in enumerate(map(object_of, repeat(raw), range(count))):
        if piece not in known:
            known[piece] = font_of(ctypes.c_void_p(piece)) or 0
        fonts[place] = known[piece]
    return fonts
