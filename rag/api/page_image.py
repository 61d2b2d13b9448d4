"""One page of a PDF or picture as PNG, drawn in a process of its own: an uploaded file is not
trusted, and what it does to its reader must not reach the API.

    python -m rag.api.page_image PAGE SCALE SIZE < boxes-as-json-and-file.pdf > page.png
"""

from __future__ import annotations

import io
import json
import math
import subprocess
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ingestion.parse.pictures import MEDIA_TYPES, frames, picture_format
from rag.domain import Box
from rag.errors import LimitExceeded, UnreadableDocument

if TYPE_CHECKING:
    from PIL.Image import Image

SECONDS = 20
MEMORY = 1_000 * 2**20  # bytes
MOST_PIXELS = 20_000_000


def has_pages(media_type: str) -> bool:
    """Whether pages of such a document can be drawn."""
    return media_type == "application/pdf" or media_type in MEDIA_TYPES


def page_image(data: bytes, page: int, scale: float, covered: Sequence[Box] = ()) -> bytes:
    """PNG of `page` (from 1) with `scale` pixels a point, the boxes painted over. Raises
    UnreadableDocument, LimitExceeded."""
    boxes = json.dumps([(box.x0, box.y0, box.x1, box.y1) for box in covered])
    request = [str(page), str(scale), str(len(boxes))]
    command = [sys.executable, "-P", "-m", "rag.api.page_image", *request]
    try:
        done = subprocess.run(
            command, input=boxes.encode() + data, capture_output=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired as exc:
        raise LimitExceeded(f"page {page} took longer than {SECONDS} s to draw") from exc
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["it crashed"]
        raise UnreadableDocument(f"page {page} cannot be drawn: {said[0]}")
    return done.stdout


def draw(
    data: bytes,
    page: int,
    scale: float,
    covered: Sequence[tuple[float, float, float, float]] = (),
) -> bytes:
    from PIL import ImageDraw

    image, drawn = (_picture if picture_format(data) else _sheet)(data, page, scale)
    if covered:
        image = image.convert("RGB")
        pen = ImageDraw.Draw(image)
        for box in covered:
            x0, y0, x1, y1 = (edge * drawn for edge in box)
            pen.rectangle((x0 - 1, y0 - 1, x1 + 1, y1 + 1), fill=(0, 0, 0))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def _sheet(pdf: bytes, page: int, scale: float) -> tuple[Image, float]:
    """The page, and its pixels a point."""
    import pypdfium2

    with pypdfium2.PdfDocument(pdf) as document:
        if not 1 <= page <= len(document):
            raise UnreadableDocument(f"there are {len(document)} pages")
        sheet = document[page - 1]
        width, height = sheet.get_size()
        drawn = _within(width, height, scale)
        return sheet.render(scale=drawn).to_pil(), drawn


def _picture(data: bytes, page: int, scale: float) -> tuple[Image, float]:
    for number, (frame, points) in enumerate(frames(data), 1):
        if number == page:
            factor = _within(frame.width, frame.height, scale * points)
            size = max(1, round(frame.width * factor)), max(1, round(frame.height * factor))
            return frame.convert("RGB").resize(size), factor / points
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
        boxes = json.loads(sys.stdin.buffer.read(int(sys.argv[3])))
        drawn = draw(sys.stdin.buffer.read(), int(sys.argv[1]), float(sys.argv[2]), boxes)
    except Exception as exc:  # noqa: BLE001 - whatever it is, the parent says it
        print(f"{type(exc).__name__}: {exc}", file=sys.stderr)
        return 1
    sys.stdout.buffer.write(drawn)
    return 0


if __name__ == "__main__":
    sys.exit(main())
