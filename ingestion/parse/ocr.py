"""Pictures of text as lines of words with their boxes, by rapidocr (the extra `ocr`).

The models lie in its wheel, nothing is fetched. One thread: a worker reads several documents at a
time, and more threads than cores make it slower by a multiple.
"""

from __future__ import annotations

import functools
import importlib.util
import time
from collections.abc import Iterator
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from ingestion.parse.pdf_lines import Line, PdfWord
from ingestion.parse.reading_order import in_reading_order
from ingestion.parse.transcript import clean
from rag.domain import Box

if TYPE_CHECKING:
    from PIL.Image import Image

LONGEST_SIDE = 1_700  # pixels of a picture to be read: about 150 dpi of an A4 page
_AT_ONCE = 24  # lines that are read before the clock is looked at
_LEAST_SCORE = 0.5  # of a line, from 0 to 1
_LETTERS = 0.75  # height of a line of text over that of the box that is found around it
_ALIKE = 0.25  # heights that differ less are one size of letters, measured with errors
_SHARE = 0.7  # of the time for a document that recognising may take
MISSING = (
    "reading pictures of text needs the extra `ocr` (pip install 'attest-rag[ocr]'); or recognise "
    "the text elsewhere and upload the result"
)


def installed() -> bool:
    return all(importlib.util.find_spec(name) for name in ("rapidocr", "onnxruntime"))


class Recogniser:
    """Reads pictures while there is time. `left` counts those that there was no time for, or not
    enough to read all their lines: half of a page would not say that it is half."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + _SHARE * seconds
        self._longest = 0.0
        self.left = 0

    def has_time(self) -> bool:
        """Whether another picture like the slowest so far can be read."""
        return time.monotonic() + self._longest <= self._until

    def lines(self, image: Image, page: int, scale: float) -> list[Line]:
        """The lines of `image` in reading order; `scale` is points a pixel. None are found where
        the time is over."""
        began = time.monotonic()
        if not self.has_time():
            self.left += 1
            return []
        shown = on_white(image)
        side = max(shown.size)
        if side > LONGEST_SIDE:
            ratio = LONGEST_SIDE / side
            size = max(1, round(shown.width * ratio)), max(1, round(shown.height * ratio))
            shown, scale = shown.resize(size), scale / ratio
        try:
            lines = list(self._read(np.asarray(shown)[:, :, ::-1], page, scale))
        except TimeoutError:
            self.left += 1
            return []
        self._longest = max(self._longest, time.monotonic() - began)
        return in_reading_order(_evened(lines))

    def _read(self, pixels: Any, page: int, scale: float) -> Iterator[Line]:
        """The lines, read some at a time, so that a picture full of them ends in time. Raises
        TimeoutError."""
        from rapidocr.ch_ppocr_cls import TextClsOutput
        from rapidocr.ch_ppocr_det import TextDetOutput
        from rapidocr.main import RapidOCRError

        engine = _engine()
        picture, record = engine.preprocess_img(pixels)
        try:
            crops, places = engine.detect_and_crop(picture, record)
        except RapidOCRError:  # there is no text
            return
        for start in range(0, len(crops), _AT_ONCE):
            if time.monotonic() > self._until:
                raise TimeoutError
            some = slice(start, start + _AT_ONCE)
            try:
                words = engine.recognize_txt(crops[some])
            except RapidOCRError:  # none of these is text
                continue
            boxes = TextDetOutput(boxes=places.boxes[some], scores=places.scores[some])
            found = engine.build_final_output(
                pixels, boxes, TextClsOutput(), words, crops[some], record
            )
            yield from _lines(found, page, scale)


def on_white(image: Image) -> Image:
    """The picture as RGB, what shows through as white paper."""
    import PIL.Image

    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = PIL.Image.alpha_composite(PIL.Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _evened(lines: list[Line]) -> list[Line]:
    """Lines of about the usual height get it, so that an error of a pixel makes no heading."""
    usual = median(line.height for line in lines) if lines else 0.0
    return [
        Line([replace(word, height=usual) for word in line.words])
        if abs(line.height - usual) < _ALIKE * usual
        else line
        for line in lines
    ]


@functools.cache
def _engine() -> Any:
    from rapidocr import RapidOCR

    threads = {"intra_op_num_threads": 1, "inter_op_num_threads": 1}
    engine = {f"EngineConfig.onnxruntime.{name}": value for name, value in threads.items()}
    settings = {"log_level": "critical", "use_cls": False, "return_word_box": True}
    return RapidOCR(params={f"Global.{name}": value for name, value in settings.items()} | engine)


def _lines(found: Any, page: int, scale: float) -> Iterator[Line]:
    if found.boxes is None or found.txts is None:
        return
    for number, text in enumerate(found.txts):
        words = clean(text).split()
        if not words or found.scores[number] < _LEAST_SCORE:
            continue
        line = _bounds(found.boxes[number])
        boxes = _word_boxes(found, number, words) or _shared_out(line, words)
        height = _LETTERS * (line[3] - line[1]) * scale
        yield Line(
            [
                PdfWord(word, Box(page, *(scale * each for each in box)), height, bold=False)
                for word, box in zip(words, boxes, strict=True)
            ]
        )


Bounds = tuple[float, float, float, float]


def _bounds(corners: Any) -> Bounds:
    xs, ys = [float(x) for x, _ in corners], [float(y) for _, y in corners]
    return min(xs), min(ys), max(xs), max(ys)


def _word_boxes(found: Any, number: int, words: list[str]) -> list[Bounds] | None:
    """The engine's own boxes where it has one for each word."""
    results = found.word_results[number] if found.word_results else None
    if not results or [clean(str(each[0])).strip() for each in results] != words:
        return None
    return [_bounds(each[2]) for each in results]


def _shared_out(line: Bounds, words: list[str]) -> list[Bounds]:
    """The line's width shared out by the number of characters."""
    x0, y0, x1, y1 = line
    step = (x1 - x0) / (sum(map(len, words)) + len(words) - 1)
    boxes, at = [], x0
    for word in words:
        boxes.append((at, y0, at + step * len(word), y1))
        at += step * (len(word) + 1)
    return boxes
