"""Random quotes of real PDFs, read back by an independent library from where they are said to be.

    python -m benchmarks.quotes FOLDER... [--pdfs 20] [--quotes 200] [--seed 0]

A quote is a run of 4 to 20 words of the stored text; the highlight is the boxes that a citation of
it gets. pdfplumber collects the characters whose centre lies in them; the quote is found when its
letters and digits stand in those, in order. Recognised pages have no characters to be read back and
are left out. Exit code 1: below 99%.
"""

from __future__ import annotations

import argparse
import io
import random
import sys
import time
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pdfplumber

from benchmarks.machine import machine
from ingestion.limits import Limits
from ingestion.parse import parse
from rag.domain import Box, Parsed
from rag.errors import UnreadableDocument
from rag.layout import Layout, boxes_for, layout_of

ENOUGH = 0.99
LEAST_WORDS = 50  # of a PDF that is asked


@dataclass(frozen=True, slots=True)
class Source:
    path: Path
    data: bytes
    parsed: Parsed
    layout: Layout


def sources(folders: Sequence[Path], most: int, chance: random.Random) -> tuple[list[Source], str]:
    """PDFs with a text layer, in random order, and how quickly they were read."""
    paths = sorted(path for folder in folders for path in folder.rglob("*.pdf"))
    chance.shuffle(paths)
    found: list[Source] = []
    pages, spent = 0, 0.0
    for path in paths:
        if len(found) == most:
            break
        data = path.read_bytes()
        began = time.process_time()
        try:
            parsed = parse(data, path.name, Limits(seconds=1))  # no time for scans
        except UnreadableDocument:
            continue
        if len(parsed.words) >= LEAST_WORDS and "pages_recognised" not in parsed.metadata:
            pages, spent = pages + (parsed.pages or 0), spent + time.process_time() - began
            found.append(Source(path, data, parsed, layout_of(parsed.words)))
    return found, f"{pages} pages in {spent:.2f} s of CPU: {pages / max(spent, 1e-9):.0f} a second"


def read_back(page: Any, boxes: Sequence[Box]) -> str:
    """The characters of a pdfplumber page whose centre lies in the boxes, box by box."""
    found = []
    for box in boxes:
        inside = [char for char in page.chars if _within(char, box)]
        found += [char["text"] for char in inside]
    return "".join(found)


def _within(char: dict[str, Any], box: Box) -> bool:
    x, y = (char["x0"] + char["x1"]) / 2, (char["top"] + char["bottom"]) / 2
    return bool(box.x0 - 1 <= x <= box.x1 + 1 and box.y0 - 1 <= y <= box.y1 + 1)


def bare(text: str) -> str:
    """Letters and digits alone, so that hyphens, blanks and ligatures do not matter."""
    plain = unicodedata.normalize("NFKC", text).lower()
    return "".join(c for c in plain if c.isalnum())


def contains(region: str, quote: str) -> bool:
    """Whether the letters of `quote` stand in `region` in order, with little between them."""
    if quote in region:
        return True
    at = 0
    for letter in quote:
        at = region.find(letter, at) + 1
        if at == 0:
            return False
    return len(region) <= 1.5 * len(quote) + 20


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.quotes", description=__doc__.split("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--pdfs", type=int, default=20)
    parser.add_argument("--quotes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    chance = random.Random(options.seed)
    found, speed = sources(options.folders, options.pdfs, chance)
    print(f"{machine()}\n{len(found)} PDFs, {speed}", flush=True)
    asked = right = 0
    for number, source in enumerate(found):
        share = options.quotes * (number + 1) // len(found) - options.quotes * number // len(found)
        with pdfplumber.open(io.BytesIO(source.data)) as pdf:
            for _ in range(share):
                asked += 1
                right += _asked(pdf, source, chance)
    print(f"{right} of {asked} quotes read back from their boxes: {right / asked:.1%}")
    return 0 if right >= ENOUGH * asked else 1


def _asked(pdf: Any, source: Source, chance: random.Random) -> bool:
    words = source.parsed.words
    first = chance.randrange(len(words))
    last = min(first + chance.randint(4, 20), len(words)) - 1
    start, end = words[first].start, words[last].end
    boxes = boxes_for(source.layout, start, end)
    quote = source.parsed.text[start:end]
    pages = sorted({box.page for box in boxes})
    region = "".join(
        read_back(pdf.pages[page - 1], [box for box in boxes if box.page == page]) for page in pages
    )
    good = contains(bare(region), bare(quote))
    if not good:
        print(f"  {source.path.name}, page {pages}: {quote[:90]!r} in {region[:120]!r}", flush=True)
    return good


if __name__ == "__main__":
    sys.exit(main())
