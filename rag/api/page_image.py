"""One PDF page as PNG, drawn in a process of its own: an uploaded file is not trusted, and what it
does to the reader of PDFs must not reach the API.

    python -m rag.api.page_image PAGE SCALE < file.pdf > page.png
"""

from __future__ import annotations

import io
import subprocess
import sys

from rag.errors import LimitExceeded, UnreadableDocument

SECONDS = 20
MEMORY = 1_000 * 2**20  # bytes
MOST_PIXELS = 20_000_000


def page_image(pdf: bytes, page: int, scale: float) -> bytes:
    """PNG of `page` (from 1) with `scale` pixels a point. Raises UnreadableDocument,
    LimitExceeded."""
    command = [sys.executable, "-P", "-m", "rag.api.page_image", str(page), str(scale)]
    try:
        done = subprocess.run(command, input=pdf, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired as exc:
        raise LimitExceeded(f"page {page} took longer than {SECONDS} s to draw") from exc
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["it crashed"]
        raise UnreadableDocument(f"page {page} cannot be drawn: {said[0]}")
    return done.stdout


def draw(pdf: bytes, page: int, scale: float) -> bytes:
    import pypdfium2

    with pypdfium2.PdfDocument(pdf) as document:
        if not 1 <= page <= len(document):
            raise UnreadableDocument(f"there are {len(document)} pages")
        sheet = document[page - 1]
        width, height = sheet.get_size()
        most = (MOST_PIXELS / max(width * height, 1.0)) ** 0.5
        image = sheet.render(scale=min(scale, most)).to_pil()
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


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
