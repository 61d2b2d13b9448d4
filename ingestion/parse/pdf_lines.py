"""Words on lines, each with its box in points from the top left of the page as it is shown."""

from __future__ import annotations

from dataclasses import dataclass, field

from rag.domain import Box


@dataclass(slots=True)
class PdfWord:
    """Characters without a blank between them. `height` is the font's line height in points;
    `turned` text stands on its side. `box` is as high as the font's lines; where that
    reaches into the line above or below, `cut` is what of it is shown when the word is cited."""

    text: str
    box: Box
    height: float
    bold: bool
    turned: bool = False
    cut: Box | None = None


@dataclass(frozen=True, slots=True)
class _Measure:
    count: int
    height: float
    bold: bool
    x0: float
    y0: float
    x1: float
    y1: float


_UNMEASURED = _Measure(0, 0.0, False, 0.0, 0.0, 0.0, 0.0)


@dataclass(slots=True)
class Line:
    """Words on one line. `hyphenated`: the last one goes on in the next line. What is asked for
    many times a line is measured once, and again when words were added."""

    words: list[PdfWord] = field(default_factory=list)
    hyphenated: bool = False
    _measured: _Measure = field(default=_UNMEASURED, repr=False, compare=False)

    @property
    def x0(self) -> float:
        return self._measure().x0

    @property
    def x1(self) -> float:
        return self._measure().x1

    @property
    def y0(self) -> float:
        return self._measure().y0

    @property
    def y1(self) -> float:
        return self._measure().y1

    @property
    def height(self) -> float:
        """The height of most of its characters, in half points."""
        return self._measure().height

    @property
    def bold(self) -> bool:
        return self._measure().bold

    def _measure(self) -> _Measure:
        words = self.words
        if self._measured.count != len(words):
            boxes = [word.box for word in words]
            self._measured = _Measure(
                len(words),
                _usual_height(words),
                _all_bold(words),
                min([box.x0 for box in boxes]),
                min([box.y0 for box in boxes]),
                max([box.x1 for box in boxes]),
                max([box.y1 for box in boxes]),
            )
        return self._measured

    @property
    def turned(self) -> bool:
        return self.words[0].turned

    @property
    def text(self) -> str:
        return " ".join([word.text for word in self.words])


def _usual_height(words: list[PdfWord]) -> float:
    sizes: dict[float, int] = {}
    for word in words:
        sizes[word.height] = sizes.get(word.height, 0) + len(word.text)
    if len(sizes) == 1:
        return round(words[0].height * 2) / 2
    halves: dict[float, int] = {}
    for size, letters in sizes.items():
        half = round(size * 2) / 2
        halves[half] = halves.get(half, 0) + letters
    return max(halves, key=lambda half: halves[half])


def _all_bold(words: list[PdfWord]) -> bool:
    """Whether all that holds letters or digits is bold."""
    if not any(word.bold for word in words):
        return False
    worded = [word.bold for word in words if any(c.isalnum() for c in word.text)]
    return bool(worded) and all(worded)
