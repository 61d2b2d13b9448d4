"""Pages of PDF text a second of one core's CPU, ours beside other libraries.

    python -m benchmarks.pdf_speed FILE... [--pages 60] [--rounds 3]

Ours gives blocks, and every word with its box; `pypdfium2` is its plain text (the floor: the same
library without structure), `pypdf` and `pdfminer` their own plain text. Each round asks all of them
one after the other, so that what else the machine does meets all alike; the best round counts.
Recognition is off, and a file longer than --pages is cut.
"""

from __future__ import annotations

import argparse
import io
import logging
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pypdf
import pypdfium2
from pdfminer.high_level import extract_text

from benchmarks.machine import machine
from ingestion.limits import Limits
from ingestion.parse import parse


def ours(data: bytes) -> str:
    return parse(data, "a.pdf", Limits(seconds=0)).text


def plain(data: bytes) -> str:
    document = pypdfium2.PdfDocument(data)
    try:
        return "\n".join(page.get_textpage().get_text_range() for page in document)
    finally:
        document.close()


def by_pypdf(data: bytes) -> str:
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(data)).pages)


def by_pdfminer(data: bytes) -> str:
    return extract_text(io.BytesIO(data))


READERS: dict[str, Callable[[bytes], str]] = {
    "ours": ours,
    "pypdfium2": plain,
    "pypdf": by_pypdf,
    "pdfminer": by_pdfminer,
}


def first_pages(path: Path, most: int) -> tuple[bytes, int]:
    """The file's first pages as a PDF, and how many."""
    with path.open("rb") as file:
        reader = pypdf.PdfReader(file)
        count = min(len(reader.pages), most)
        if count == len(reader.pages):
            return path.read_bytes(), count
        writer = pypdf.PdfWriter()
        for page in reader.pages[:count]:
            writer.add_page(page)
        out = io.BytesIO()
        writer.write(out)
        return out.getvalue(), count


def seconds(reader: Callable[[bytes], str], data: bytes) -> float:
    began = time.process_time()
    reader(data)
    return time.process_time() - began


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="benchmarks.pdf_speed", description=__doc__.split("\n")[0]
    )
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--pages", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    logging.getLogger("pypdf").setLevel(logging.ERROR)  # it tells of each odd font
    print(machine(), flush=True)
    print(" ".join(f"{name:>10}" for name in READERS) + "  pages a second of CPU", flush=True)
    for path in options.files:
        data, count = first_pages(path, options.pages)
        best = dict.fromkeys(READERS, float("inf"))
        for _ in range(options.rounds):
            for name, reader in READERS.items():
                best[name] = min(best[name], seconds(reader, data))
        row = " ".join(f"{count / max(best[name], 1e-9):10.1f}" for name in READERS)
        print(f"{row}  {path.name} ({count} pages)", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
