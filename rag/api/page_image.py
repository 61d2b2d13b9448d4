"""One page of a PDF or picture as PNG, drawn in a process of its own: an uploaded file is not
trusted, and what it does to its reader must not reach the API.

    python -m rag.api.page_image PAGE SCALE < file.pdf > page.png
"""

from __future__ import annotations

import io
import math
import subprocess
import sys
from typing import TYPE_CHECKING

from ingestion.parse.pictures import MEDIA_TYPES, frames, picture_format
from rag.errors import LimitExceeded, UnreadableDocument

if TYPE_CHECKING:
    from PIL.Image import Image

SECONDS = 20
MEMORY = 1_000 * 2**20  # bytes
MOST_PIXELS = 20_000_000


def has_pages(media_type: str) -> bool:
    """Whether pages of such a document can be drawn."""
    return media_type == "application/pdf" or media_type in MEDIA_TYPES


def page_image(data: bytes, page: int, scale: float) -> bytes:
    """PNG of `page` (from 1) with `scale` pixels a point. Raises UnreadableDocument,
    LimitExceeded."""
    command = [sys.executable, "-P", "-m", "rag.api.page_image", str(page), str(scale)]
    try:
        done = subprocess.run(
            command, input=data, capture_output=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired as exc:
        raise LimitExceeded(f"page {page} took longer than {SECONDS} s to draw") from exc
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["it crashed"]
        raise UnreadableDocument(f"page {page} cannot be drawn: {said[0]}")
    return done.stdout


def draw(data: bytes, page: int, scale: float) -> bytes:
    image = _picture(data, page, scale) if picture_format(data) else _sheet(data, page, scale)
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def _sheet(pdf: bytes, page: int, scale: float) -> Image:
    import pypdfium2

    with pypdfium2.PdfDocument(pdf) as document:
        if not 1 <= page <= len(document):
            raise UnreadableDocument(f"there are {len(document)} pages")
        sheet = document[page - 1]
        width, height = sheet.get_size()
        image: Image = sheet.render(scale=_within(width, height, scale)).to_pil()
        return image


def _picture(data: bytes, page: int, scale: float) -> Image:
    for number, (frame, points) in enumerate(frames(data), 1):
        if number == page:
            factor = _within(frame.width, frame.height, scale * points)
            size = max(1, round(frame.width * factor)), max(1, round(frame.height * factor))
            return frame.convert("RGB").resize(size)
    raise UnreadableDocument(f"there is no page {page}")


def _within(width: float, height: float, scale: float) -> float:
    """`scale`, or less where the image would be too large."""
    return min(scale, math.sqrt(MOST_PIXELS / max(width * height, 1.0)))


def _limit() -> None:
    try:
        import resource
    except ImportError:  # no such limits on this system; the timeout holds everywhere
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))


def main() -> int:
    _limit()
    try:
        drawn = draw(sys.stdin.buffer.read(), int(sys.argv[1]), float(sys.argv[2]))
    except Exception as exc:  # noqa: BLE001 - whatever it is, the parent says it
        print(f"{type(exc).__name__}: {exc}", file=sys.stderr)
        return 1
    sys.stdout.buffer.write(drawn)
    return 0


if __name__ == "__main__":
    sys.exit(main())
